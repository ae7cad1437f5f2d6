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
    from distill_lab.evaluation.statistics import Interval

__all__ = ["CANNOT", "EXPECTATIONS", "FAILS", "HOLDS", "SEEDS", "Claim", "judge"]

HOLDS, FAILS, CANNOT = "holds", "does not hold here", "cannot be resolved here"
EXPECTATIONS = ("above", "below", "within")
SEEDS = 5  # the fewest paired seeds a claim may rest on


def judge(low: float, high: float, *, expected: str, threshold: float, margin: float | None) -> str:
    """The verdict for an interval [low, high], by the rule in the words of this module's opening.

    Raises ValueError for an unknown expectation, or a margin that is missing or out of place.

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
    negative: bool
    seconds: float
    profile: str
    seed: int

    @classmethod
    def measured(
        cls,
        interval: Interval,
        *,
        expected: str,
        threshold: float,
        margin: float | None,
        **rest: Any,
    ) -> Claim:
        """A claim that rests on an interval over seeds; ValueError if it has fewer than five."""
        missing = [
            f for f in ("mean", "low", "high", "n", "sd", "kind") if not hasattr(interval, f)
        ]
        if missing:
            raise ValueError(
                f"difference must be an Interval, as paired_interval returns; got "
                f"{type(interval).__name__}, without {', '.join(missing)}."
            )
        if interval.n < SEEDS:
            raise ValueError(
                f"A claim needs at least five paired seeds; this interval has {interval.n}. Run "
                "more seeds, or show the figure without calling it a claim. (For an exact result, "
                "the same on every run: exact=True, holds=....)"
            )
        low, high = float(interval.low), float(interval.high)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(
                f"The interval [{low}, {high}] is not finite: find the run that diverged first."
            )
        verdict = judge(low, high, expected=expected, threshold=threshold, margin=margin)
        within = expected == "within"
        return cls(
            mean=float(interval.mean),
            low=low,
            high=high,
            level=float(getattr(interval, "level", 0.95)),
            interval_kind=str(interval.kind),
            n=int(interval.n),
            wins=None if getattr(interval, "wins", None) is None else int(interval.wins),
            sd=float(interval.sd),
            expected=expected,
            threshold=None if within else float(threshold),
            margin=margin if margin is None else float(margin),
            verdict=verdict,
            **rest,
        )

    @classmethod
    def calculated(cls, value: float | None, *, holds: bool, **rest: Any) -> Claim:
        """A claim about an exact result: the same on every run, so no interval and no seeds."""
        return cls(
            mean=None if value is None else float(value),
            low=None,
            high=None,
            level=None,
            interval_kind="exact",
            n=1,
            wins=None,
            sd=None,
            expected="exact",
            threshold=None,
            margin=None,
            verdict=HOLDS if holds else FAILS,
            **rest,
        )

    def record(self) -> dict[str, Any]:
        """The claim as the ledger keeps it."""
        return {"kind": "claim", **asdict(self)}
