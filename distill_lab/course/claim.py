"""A claim: what a paper printed, what was measured here, and a verdict by a rule fixed beforehand.

Three verdicts, no more. `above` (and `below`, its mirror): the whole interval lies beyond the
threshold, holds; wholly on the other side, does not hold here. `within`: the whole interval lies
inside +- margin (equivalence: an interval that merely contains 0 does not show it), holds; wholly
outside, does not hold here. Anything else cannot be resolved here: more seeds, or say less.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill_lab.course.registered import Registered
    from distill_lab.evaluation.statistics import Interval

__all__ = ["CANNOT", "EXPECTATIONS", "FAILS", "HOLDS", "SEEDS", "Claim", "judge"]

HOLDS, FAILS, CANNOT = "holds", "does not hold here", "cannot be resolved here"
EXPECTATIONS = ("above", "below", "within")
SEEDS = 5  # the fewest paired seeds a claim may rest on


def judge(low: float, high: float, *, expected: str, threshold: float, margin: float | None) -> str:
    """Give the verdict for an interval, by the rule in this module's opening.

    Args:
        low: The interval's lower end, in the claim's unit.
        high: Its upper end.
        expected: "above", "below" or "within".
        threshold: The bound of "above" and "below".
        margin: The bound of "within", a positive number; else None.

    Returns:
        One of `HOLDS`, `FAILS`, `CANNOT`.

    Raises:
        ValueError: If the expectation is unknown, or the margin missing or out of place.

    >>> judge(8.25, 10.3, expected="above", threshold=0.0, margin=None)
    'holds'
    >>> judge(-0.4, 0.7, expected="within", threshold=0.0, margin=0.5)
    'cannot be resolved here'
    """
    if expected not in EXPECTATIONS:
        raise ValueError(
            f"expected must be one of {', '.join(EXPECTATIONS)}; got {expected!r}. It says where "
            "the difference should lie if the paper is right."
        )
    if expected == "within":
        if margin is None or not (math.isfinite(margin) and margin > 0):
            raise ValueError(
                'expected="within" needs margin=, a positive number fixed before looking: '
                f"the largest difference that would not matter; got {margin!r}."
            )
        if -margin < low and high < margin:
            return HOLDS
        return FAILS if low > margin or high < -margin else CANNOT
    if margin is not None:
        raise ValueError(
            f'margin= belongs to expected="within"; with expected={expected!r} the bound is '
            "threshold=."
        )
    if expected == "below":
        low, high, threshold = -high, -low, -threshold
    if low > threshold:
        return HOLDS
    return FAILS if high < threshold else CANNOT


@dataclass(frozen=True)
class Claim:
    """One line of the ledger. An exact result has no interval: its `low` to `wins` are None."""

    id: str
    lesson: str
    says: str
    paper: str
    where: str
    published: str
    ours: str
    unit: str
    mean: float | None
    low: float | None
    high: float | None
    level: float | None
    interval_kind: str
    n: int
    wins: int | None
    sd: float | None
    expected: str
    threshold: float | None
    margin: float | None
    verdict: str
    finding: str
    negative: bool
    card: bool
    seconds: float
    profile: str
    seed: int

    @classmethod
    def made(
        cls,
        fixed: Registered,
        difference: Interval | float | None,
        holds: Any = None,
        *,
        ours: str,
        **run: Any,
    ) -> Claim:
        """Put a registered claim and what was measured together, and give the verdict.

        Args:
            fixed: The claim as it was registered.
            difference: An interval over seeds; for an exact claim one number or None.
            holds: For an exact claim alone, whether it holds.
            ours: What was measured here, in words and figures.
            run: The run's `lesson`, `seconds`, `profile` and `seed`.

        Raises:
            ValueError: If difference or `holds` do not fit the claim, in words.
        """
        constants = ("id", "says", "paper", "where", "published", "unit", "expected", "negative")
        rest = {name: getattr(fixed, name) for name in (*constants, "card")}
        rest |= {"ours": ours, **run}
        if fixed.expected == "exact":
            figures = _exact(fixed.id, difference, holds)
            return cls(**figures, finding=finding(fixed, figures["verdict"], 1), **rest)
        if holds is not None:
            raise ValueError(
                f"Claim {fixed.id}: holds= is for an exact claim; a measured one gets its verdict "
                "from the interval."
            )
        from distill_lab.evaluation.shares import SCALES, within_scale  # only here: needs torch

        interval = _checked(difference)
        if fixed.unit in SCALES:
            interval = within_scale(interval, *SCALES[fixed.unit])
        low, high, within = float(interval.low), float(interval.high), fixed.expected == "within"
        wins = getattr(interval, "wins", None)
        verdict = judge(
            low, high, expected=fixed.expected, threshold=fixed.threshold, margin=fixed.margin
        )
        return cls(
            mean=float(interval.mean),
            low=low,
            high=high,
            level=float(getattr(interval, "level", 0.95)),
            interval_kind=str(interval.kind),
            n=int(interval.n),
            wins=None if wins is None else int(wins),
            sd=float(interval.sd),
            threshold=None if within else float(fixed.threshold),
            margin=None if fixed.margin is None else float(fixed.margin),
            verdict=verdict,
            finding=finding(fixed, verdict, int(interval.n)),
            **rest,
        )

    @property
    def limit(self) -> bool:
        """Whether what was found is a limit: a claim on what does not help, which holds."""
        return self.negative and self.verdict == HOLDS

    def record(self) -> dict[str, Any]:
        """The claim as the ledger keeps it."""
        return {"kind": "claim", **asdict(self), "limit": self.limit}


def finding(fixed: Registered, verdict: str, n: int) -> str:
    """What was found, as one sentence without its full stop, whatever the verdict.

    Args:
        fixed: The claim as it was registered.
        verdict: One of `HOLDS`, `FAILS`, `CANNOT`.
        n: How many seeds it rests on.

    Returns:
        `says`, `if_not`, or what these seeds cannot tell.
    """
    if verdict == HOLDS:
        return fixed.says
    if verdict == FAILS:
        return fixed.if_not
    return fixed.open or f"These {n} seeds cannot tell whether {_inside(fixed.says)}"


def _inside(sentence: str) -> str:
    """A sentence as it stands inside another one: its first word small, unless it is a name.

    >>> _inside("A student learns"), _inside("T² KL tends to it"), _inside("CKA is blind")
    ('a student learns', 'T² KL tends to it', 'CKA is blind')
    """
    first = sentence.split(maxsplit=1)[0]
    small = first == "A" or (len(first) > 1 and first[1:].islower())
    return sentence[0].lower() + sentence[1:] if small else sentence


def _exact(id: str, value: Any, holds: Any) -> dict[str, Any]:
    """The figures of a result that is the same on every run: no interval and no seeds."""
    if holds is None:
        raise ValueError(
            f"Claim {id} is exact, so it must say whether it holds: pass holds=, for example "
            "holds=abs(by_hand - theirs) < 1e-6."
        )
    if hasattr(value, "low"):
        raise ValueError(
            f"Claim {id} is exact, and an exact result has no interval: pass one number, or "
            "nothing."
        )
    nothing = dict.fromkeys(("low", "high", "level", "wins", "sd", "threshold", "margin"))
    return {
        **nothing,
        "mean": None if value is None else float(value),
        "interval_kind": "exact",
        "n": 1,
        "verdict": HOLDS if holds else FAILS,
    }


def _checked(interval: Any) -> Interval:
    """The interval, if a claim may rest on it."""
    names = ("mean", "low", "high", "n", "sd", "kind")
    if missing := [name for name in names if not hasattr(interval, name)]:
        raise ValueError(
            f"difference must be an Interval, as paired_interval returns; got "
            f"{type(interval).__name__}, without {', '.join(missing)}."
        )
    if interval.n < SEEDS:
        raise ValueError(
            f"A claim needs at least five paired seeds; this interval has {interval.n}. Run "
            "more seeds, or show the figure without calling it a claim. (For an exact result, "
            'the same on every run: expected = "exact" in claims.toml, and holds=….)'
        )
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        raise ValueError(
            f"The interval [{interval.low}, {interval.high}] is not finite: find the run that "
            "diverged first."
        )
    return interval
