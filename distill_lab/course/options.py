"""The options of a prediction, and which of them a measured value means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from distill_lab.course.wording import interval, number

__all__ = ["Bins", "Options"]

# option -> its bounds, low <= x < high, None for open; an option that is None "cannot be told"
Bins = Mapping[str, tuple[float | None, float | None] | None]


class Options:
    """The options of one question: plain words, or bins over a number.

    >>> options = Options("How much?", {"none": (0, 1), "some": (1, 50), "most": (50, 100)})
    >>> options.answer(100)
    ('most', '100')
    """

    def __init__(
        self, question: str, options: Sequence[str] | Bins, *, unit: str | None = None
    ) -> None:
        self.question = question
        self.labels = _checked(list(options) if isinstance(options, Mapping) else options)
        self.bins = _bounds(options) if isinstance(options, Mapping) else None
        self.unit = unit

    def answer(self, value: Any) -> tuple[str, str]:
        """Find the option that a measured value means, and print the value.

        Args:
            value: A number, an Interval, a text or a dict: see `Lesson.reveal`.

        Returns:
            The option, and the value in figures; of a text the figures are empty.

        Raises:
            ValueError: If the value fits none of the options, or is not finite.
        """
        if isinstance(value, str):
            if value not in self.labels:
                raise ValueError(
                    f"The answer {value!r} is not among the options {list(self.labels)} of "
                    f"{self.question!r}. Pass one of them, spelt the same."
                )
            return value, ""
        if isinstance(value, Mapping):
            return self._largest(value)
        if self.bins is None:
            raise ValueError(
                f"The options of {self.question!r} are words, so the answer is one of them; got "
                f"{value!r}. For a number give each option its bounds: "
                '{"falls": (None, 0), "rises": (0, None)}.'
            )
        if hasattr(value, "low") and hasattr(value, "high"):
            low, mean, high = (_finite(x) for x in (value.low, value.mean, value.high))
            unit = "points" if self.unit is None else self.unit
            bounds = {"mean": mean, "low": low, "high": high, "n": getattr(value, "n", None)}
            figure = interval({**bounds, "unit": unit})
        else:
            low = mean = high = _finite(value)
            figure = f"{number(mean)} {self.unit or ''}".rstrip()
        figure = figure.replace("-", "−")
        open_option = next((name for name, bounds in self.bins.items() if bounds is None), None)
        answer = self._bin(mean)
        if open_option is not None and len({self._bin(low), answer, self._bin(high)}) > 1:
            answer = open_option
        return answer, figure

    def misjudged(self, choice: str, answer: str) -> str:
        """Say in which direction a choice missed; of options in words nothing is known.

        Args:
            choice: The option that was chosen.
            answer: The option that came out.

        Returns:
            "too high", "too low", "saw a difference", "saw none", or "" for a choice that was
            right or options in words.

        >>> gain = Options("?", {"falls": (None, 0), "rises": (0, None), "cannot be told": None})
        >>> gain.misjudged("rises", "falls"), gain.misjudged("rises", "cannot be told")
        ('too high', 'saw a difference')
        """
        if choice == answer or self.bins is None:
            return ""
        chosen, measured = self.bins[choice], self.bins[answer]
        if measured is None:
            return "saw a difference"
        if chosen is None:
            return "saw none"
        return "too high" if chosen > measured else "too low"

    def _bin(self, x: float) -> str:
        """The option whose bin holds x: low <= x < high, the last one closed."""
        assert self.bins is not None
        bounds = {name: pair for name, pair in self.bins.items() if pair is not None}
        last = max(high for _, high in bounds.values())
        for name, (low, high) in bounds.items():
            if low <= x < high or x == high == last:
                return name
        raise ValueError(
            f"The measured {x:g} lies in no option of {self.question!r}: {list(self.labels)} "
            f"reach from {min(low for low, _ in bounds.values()):g} to {last:g}."
        )

    def _largest(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """The option with the largest number; of seeds' values, the one that exceeds all others."""
        unknown = [name for name in values if name not in self.labels]
        if unknown or not values:
            raise ValueError(
                f"The numbers must belong to options of {self.question!r}: {list(self.labels)}; "
                f"got {list(values)}."
            )
        import torch  # here, so that the package opens without it

        from distill_lab.evaluation.statistics import paired_interval

        seeds = {name: torch.as_tensor(value).double() for name, value in values.items()}
        numbers = {name: _finite(value.mean()) for name, value in seeds.items()}
        size = max(map(abs, numbers.values()))
        unit = f" {self.unit}" if self.unit else ""
        figure = ", ".join(f"{name} {number(x, like=size)}{unit}" for name, x in numbers.items())
        first = max(numbers, key=lambda name: numbers[name])
        untold = [name for name in self.labels if name not in values]
        if len(untold) == 1 and seeds[first].ndim:
            gains = [paired_interval(seeds[first], x) for n, x in seeds.items() if n != first]
            return (first if all(gain.low > 0 for gain in gains) else untold[0]), figure
        return first, figure


def _checked(options: Sequence[str]) -> tuple[str, ...]:
    if isinstance(options, str) or not all(isinstance(o, str) and o.strip() for o in options):
        raise ValueError(
            f"predict needs a list of options, each a short text; got {options!r}. "
            'Write for example ["falls", "stays", "rises"].'
        )
    if len(options) < 2 or len(set(options)) < len(options):
        raise ValueError(
            f"predict needs two or more different options; got {list(options)}. "
            "A question with one answer is not a prediction."
        )
    return tuple(options)


def _bounds(options: Bins) -> dict[str, tuple[float, float] | None]:
    """The bins with infinities for open ends; ValueError if they overlap or leave a gap."""
    bins: dict[str, tuple[float, float] | None] = {}
    for name, pair in options.items():
        if pair is None:
            bins[name] = None
            continue
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise ValueError(
                f"The option {name!r} needs its bounds as (low, high), or None for “cannot be "
                f"told”; got {pair!r}."
            )
        low = -math.inf if pair[0] is None else float(pair[0])
        high = math.inf if pair[1] is None else float(pair[1])
        if not low < high:
            raise ValueError(f"The option {name!r} is empty: {pair[0]} is not below {pair[1]}.")
        bins[name] = (low, high)
    ordered = sorted((pair, name) for name, pair in bins.items() if pair is not None)
    if len(bins) - len(ordered) > 1 or not ordered:
        raise ValueError("One option at most may be None, and one at least has bounds.")
    for ((_, end), left), ((start, _), right) in pairwise(ordered):
        if start != end:
            word = "overlap" if start < end else "leave a gap"
            raise ValueError(
                f"The options {left!r} and {right!r} {word}: one ends at {end:g}, the next begins "
                f"at {start:g}. Let every number fall into one of them."
            )
    return bins


def _finite(value: Any) -> float:
    try:
        x = float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"reveal needs one number, an Interval or an option; got {type(value).__name__} "
            f"({error})."
        ) from error
    if not math.isfinite(x):
        raise ValueError(f"The measured value is {x}: find the run that diverged first.")
    return x
