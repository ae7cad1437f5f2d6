"""Intervals of shares and their differences, which have ends: 0 and 100 %, -100 and 100 points.

Student's interval is symmetric and knows of no ends. Near one it names shares that cannot be, and
covers too little. Five seeds, true share 98 % of 40 questions: it covers 89 %, the one below 95 %.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_lab.evaluation.statistics import Interval

__all__ = ["SCALES", "within_scale"]

SCALES = {
    "points": (-100.0, 100.0),
    "% right": (0.0, 100.0),
    "ROUGE-L": (0.0, 100.0),
    "rank correlation": (-1.0, 1.0),
}
"""The ends of the scale, by unit."""


def within_scale(interval: "Interval", low: float, high: float) -> "Interval":
    """Move a Student-t interval that leaves its scale onto logits, so that it stays inside.

    With the share p = (mean - low) / (high - low) and the half width h of the plain interval, as a
    share: expit(logit p +- h / (p (1 - p))). An interval that stays inside is returned as it is,
    to the last digit; so is one of equal seeds, which has no width.

    Args:
        interval: a Student-t interval.
        low: lower end of the scale, in the interval's unit.
        high: upper end.

    Returns:
        The interval, with low <= its ends <= high.

    Raises:
        ValueError: if the mean lies outside the scale, so that the values are no shares.

    Source:
        Franco, Little, Louis and Slud 2019, "Comparative Study of Confidence Intervals for
        Proportions in Complex Sample Surveys", J. Surv. Stat. Methodol. 7(3): seeds are clusters.

    >>> from distill_lab.evaluation.statistics import mean_interval
    >>> print(within_scale(mean_interval([100, 5, 98, 38, 98]), 0, 100))
    67.80 [14.81, 96.23] (n = 5)
    """
    if not low <= interval.mean <= high:
        raise ValueError(
            f"A mean of {interval.mean:g} lies outside the scale from {low:g} to {high:g}: the "
            "values are no shares in this unit. Give another unit, or the shares."
        )
    inside = low <= interval.low and interval.high <= high
    if inside or interval.low == interval.high or interval.mean in (low, high):
        return interval
    width = high - low
    share = (interval.mean - low) / width
    centre = math.log(share / (1 - share))
    half = (interval.high - interval.low) / (2 * width) / (share * (1 - share))
    ends = [low + width * _expit(centre + side * half) for side in (-1, 1)]
    kind = interval.kind.replace("Student-t", "Student-t on logits")
    return replace(interval, low=ends[0], high=ends[1], kind=kind)


def _expit(x: float) -> float:
    """The inverse of the logit, without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
