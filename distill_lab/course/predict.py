"""Predict, then run: the learner commits to an answer before the result is shown.

With a kernel the question carries buttons, none of them pressed. The outcome is shown beside the
choice; a learner who has not chosen finds it folded away. Headless it answers itself, and says so.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from distill_lab.course.records import GREEN, ORANGE, SKY, badge, card, in_kernel, publish

__all__ = ["Bins", "Prediction", "headless"]

# option -> its bounds, low <= x < high, None for open; an option that is None "cannot be told"
Bins = Mapping[str, tuple[float | None, float | None] | None]

_NOBODY = "answered by itself, because nobody was at the keyboard"


def headless() -> bool:
    """Whether nobody is there to answer: `DISTILL_LAB_HEADLESS=1`, or no kernel."""
    return os.environ.get("DISTILL_LAB_HEADLESS") == "1" or not in_kernel()


class Prediction:
    """One question with its options, and what was chosen (`choice`, None until then)."""

    def __init__(
        self, question: str, options: Sequence[str] | Bins, *, unit: str | None = None
    ) -> None:
        self.question = _sentence(question)
        self.options = _checked(list(options) if isinstance(options, Mapping) else options)
        self.bins = _bounds(options) if isinstance(options, Mapping) else None
        self.unit = unit
        self.automatic = headless()
        self.choice: str | None = self.options[0] if self.automatic else None
        self._buttons: Any = None
        self._box: Any = None
        self._outcome: Any = None
        self._answer: tuple[str, str] | None = None
        if not self.automatic:
            self._build()

    def __repr__(self) -> str:
        chosen = "nothing chosen yet" if self.choice is None else f"chosen: {self.choice}"
        return f"Prediction({self.question!r}, {chosen})"

    def _build(self) -> None:
        import ipywidgets

        heading = ipywidgets.HTML(value=self._question_html(with_options=False))
        self._buttons = ipywidgets.ToggleButtons(
            options=list(self.options),
            value=None,  # nothing chosen: a default would be somebody else's prediction
            tooltips=[f"predict: {option}" for option in self.options],
            style={"button_width": "auto"},
        )
        self._buttons.observe(self._chosen, names="value")
        self._box = ipywidgets.VBox([heading, self._buttons])

    def _chosen(self, change: Any) -> None:
        self.choice = change["new"]
        if self._outcome is not None:
            self._outcome.value = self._outcome_html()

    def ask(self) -> None:
        """Show the question."""
        text = f"Predict: {self.question}\n  options: {' | '.join(self.options)}"
        if self.automatic:
            text += f"\n  predicted: {self.choice} ({_NOBODY})"
        record = {
            "kind": "predict",
            "stage": "asked",
            "question": self.question,
            "options": list(self.options),
            "predicted": self.choice,
            "automatic": self.automatic,
        }
        html = self._question_html(with_options=True)
        publish(record, text=text, html=html, widget=self._box)

    def reveal(self, value: Any, because: str = "") -> None:
        """Show the outcome beside the prediction.

        Args:
            value: What was measured: see `Lesson.reveal`.
            because: A sentence with the figures; without it the measured value is shown.

        Raises:
            ValueError: If the value fits none of the options, or is not finite.
        """
        answer, figure = self._measured(value)
        because = because or (f"Measured: {figure}." if figure else "")
        self._answer = (answer, str(because))
        html = self._outcome_html()
        if not self.automatic:
            import ipywidgets

            self._outcome = ipywidgets.HTML(value=html)
        record = {
            "kind": "predict",
            "stage": "revealed",
            "question": self.question,
            "predicted": self.choice,
            "measured": answer,
            "agrees": None if self.choice is None else self.choice == answer,
            "because": self._answer[1],
            "automatic": self.automatic,
        }
        publish(record, text=self._outcome_text(), html=html, widget=self._outcome)

    def _measured(self, value: Any) -> tuple[str, str]:
        """The option that a measured value means, and the value in figures."""
        if isinstance(value, str):
            if value not in self.options:
                raise ValueError(
                    f"The answer {value!r} is not among the options {list(self.options)} of "
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
            ends = [_finite(x) for x in (value.low, value.mean, value.high)]
        else:
            ends = [_finite(value)]
        low, mean, high = ends[0], ends[len(ends) // 2], ends[-1]
        size = max(map(abs, ends))
        figure = _number(mean, size, sign=len(ends) == 3)
        if len(ends) == 3:
            figure += f" [{_number(low, size)}, {_number(high, size)}]"
        unit = self.unit if self.unit is not None else "points" if len(ends) == 3 else ""
        figure = f"{figure} {unit}".rstrip()
        open_option = next((name for name, bounds in self.bins.items() if bounds is None), None)
        answer = self._bin(mean)
        if open_option is not None and len({self._bin(low), answer, self._bin(high)}) > 1:
            answer = open_option
        return answer, figure

    def _bin(self, x: float) -> str:
        """The option whose bin holds x: low <= x < high, the last one closed."""
        assert self.bins is not None
        bounds = {name: pair for name, pair in self.bins.items() if pair is not None}
        last = max(high for _, high in bounds.values())
        for name, (low, high) in bounds.items():
            if low <= x < high or x == high == last:
                return name
        raise ValueError(
            f"The measured {x:g} lies in no option of {self.question!r}: {list(self.options)} "
            f"reach from {min(low for low, _ in bounds.values()):g} to {last:g}."
        )

    def _largest(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """The option with the largest number."""
        unknown = [name for name in values if name not in self.options]
        if unknown or not values:
            raise ValueError(
                f"The numbers must belong to options of {self.question!r}: {list(self.options)}; "
                f"got {list(values)}."
            )
        numbers = {name: _finite(value) for name, value in values.items()}
        size = max(map(abs, numbers.values()))
        unit = f" {self.unit}" if self.unit else ""
        figure = ", ".join(f"{name} {_number(x, size)}{unit}" for name, x in numbers.items())
        return max(numbers, key=lambda name: numbers[name]), figure

    def _question_html(self, *, with_options: bool) -> str:
        body = badge("?", "Predict", colour=SKY) + escape(self.question)
        if with_options:
            body += "<div>" + " &nbsp;·&nbsp; ".join(map(escape, self.options)) + "</div>"
        if self.automatic:
            body += f"<div>predicted: <b>{escape(self.choice or '')}</b> ({_NOBODY})</div>"
        return card(body, colour=SKY, label="Predict: " + self.question)

    def _verdict(self) -> tuple[str, str]:
        assert self._answer is not None
        return ("✓", "as predicted") if self.choice == self._answer[0] else ("!", "a surprise")

    def _outcome_text(self) -> str:
        answer, because = self._answer or ("", "")
        why = f" {because}" if because else ""
        if self.choice is None:
            return f"You have not predicted yet. Outcome: {answer}.{why}"
        sign, word = self._verdict()
        who = f" ({_NOBODY})" if self.automatic else ""
        opening = "Predicted" if self.automatic else "You predicted"
        return f"{sign} {word}. {opening}: {self.choice}{who}. Outcome: {answer}.{why}"

    def _outcome_html(self) -> str:
        answer, because = self._answer or ("", "")
        outcome = f"outcome: <b>{escape(answer)}</b>"
        why = f"<div>{escape(because)}</div>" if because else ""
        if self.choice is None:
            body = (
                "You have not predicted yet. Choose above first: it is worth the ten seconds."
                "<details><summary>Show the outcome without a prediction</summary>"
                f"<div>{outcome}</div>{why}</details>"
            )
            return card(body, colour=SKY, label="Outcome, folded until you predict")
        sign, word = self._verdict()
        colour = GREEN if word == "as predicted" else ORANGE
        who = f" ({_NOBODY})" if self.automatic else ""
        opening = "predicted" if self.automatic else "you predicted"
        body = (
            f"{badge(sign, word, colour=colour)}"
            f"{opening}: <b>{escape(self.choice)}</b>{who}; {outcome}{why}"
        )
        return card(body, colour=colour, label=f"Prediction and outcome: {word}")


def _sentence(question: str) -> str:
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"predict needs a question in words; got {question!r}.")
    return question.strip()


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


def _number(x: float, size: float, *, sign: bool = False) -> str:
    """A figure with about three digits that matter for this size, and a true minus."""
    decimals = 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{x:{'+' if sign else ''}.{decimals}f}".replace("-", "−")
