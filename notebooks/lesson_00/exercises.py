"""The exercises of lesson 00: a paired interval by hand, and what pairing gains.

The first exercise of the lesson, `softmax_with_temperature`, is one that other lessons ask, too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import same

__all__ = ["EXERCISES"]

_TAUGHT = torch.tensor([90.0, 92.5, 88.0, 94.0, 91.0])
_ALONE = torch.tensor([80.0, 84.0, 70.5, 88.0, 79.5])
_TAUGHT2 = torch.tensor([55.0, 61.0, 48.0, 70.0, 52.5, 66.0, 58.0, 63.5])
_ALONE2 = torch.tensor([47.0, 54.5, 41.0, 60.0, 46.0, 57.0, 52.0, 55.0])
_TAUGHT3 = torch.tensor([60.0, 55.0, 70.0, 52.0])  # two seeds gain, two lose
_ALONE3 = torch.tensor([58.0, 61.0, 66.0, 57.0])
_SHIFT = torch.tensor([-9.0, 4.0, 12.0, 0.0, -3.0])  # what one seed adds to both of its students


def _bounds(mean: Tensor, half: Tensor) -> Tensor:
    return torch.stack((mean - half, mean + half))


def _two_seeds(a: Tensor) -> None:
    """Refuse a case of one seed: it has no spread, so it is no case at all."""
    if len(a) < 2:
        raise ValueError(f"an interval needs two seeds or more; got {len(a)}.")


def _interval(a: Tensor, b: Tensor, t: float) -> Tensor:
    _two_seeds(a)
    gain = a - b
    return _bounds(gain.mean(), t * gain.std() / len(gain) ** 0.5)


paired_interval_by_hand = Exercise(
    name="paired_interval_by_hand",
    formula="d = taught - alone, seed by seed; mean(d) ± t · std(d) / sqrt(n), as (low, high)",
    reference=_interval,
    cases=(
        {"taught": _TAUGHT, "alone": _ALONE, "t": 2.776},
        {"taught": _TAUGHT2, "alone": _ALONE2, "t": 2.365},
        {"taught": _TAUGHT3, "alone": _ALONE3, "t": 3.182},
    ),
    invariances=(
        Invariance(
            "the same number added to both students of a seed changes nothing",
            lambda f: same(f(_TAUGHT + _SHIFT, _ALONE + _SHIFT, 2.776), f(_TAUGHT, _ALONE, 2.776)),
            "Take the difference of each seed first, then its mean and standard deviation.",
        ),
        Invariance(
            "the middle of the interval is the mean gain",
            lambda f: same(f(_TAUGHT, _ALONE, 2.776).mean(), (_TAUGHT - _ALONE).mean()),
        ),
        Invariance(
            "twice the t gives twice the width",
            lambda f: same(
                f(_TAUGHT, _ALONE, 4.0).diff().abs(), 2 * f(_TAUGHT, _ALONE, 2.0).diff().abs()
            ),
        ),
    ),
    mistakes=(
        Mistake(
            "This is the standard deviation of single gains. Divide it by sqrt(n): the interval is "
            "one of the *mean*.",
            lambda a, b, t: _bounds((a - b).mean(), t * (a - b).std()),
        ),
        Mistake(
            "Absolute gains are taken. A seed that loses has a negative gain.",
            lambda a, b, t: _bounds((a - b).abs().mean(), t * (a - b).abs().std() / len(a) ** 0.5),
        ),
        Mistake(
            "A bound below 0 is set to 0. A gain can be negative, and so can a bound.",
            lambda a, b, t: _interval(a, b, t).clamp_min(0),
        ),
        Mistake(
            "It divides by n. The standard error divides by the square root of n.",
            lambda a, b, t: _bounds((a - b).mean(), t * (a - b).std() / len(a)),
        ),
        Mistake(
            "The factor t is missing: this is mean ± one standard error, which covers far less.",
            lambda a, b, t: _bounds((a - b).mean(), (a - b).std() / len(a) ** 0.5),
        ),
        Mistake(
            "It uses 1.96, the factor for very many seeds. With few seeds use t.",
            lambda a, b, t: _bounds((a - b).mean(), 1.96 * (a - b).std() / len(a) ** 0.5),
        ),
        Mistake(
            "It is not paired: the spread of each group is taken by itself. Use the standard "
            "deviation of the differences.",
            lambda a, b, t: _bounds((a - b).mean(), t * ((a.var() + b.var()) / len(a)) ** 0.5),
        ),
        Mistake(
            "The order of the difference is wrong: the gain is taught minus alone.",
            lambda a, b, t: _interval(b, a, t),
        ),
        Mistake(
            "`std` divides by n - 1, which is right here; yours divides by n (`correction=0`).",
            lambda a, b, t: _bounds((a - b).mean(), t * (a - b).std(correction=0) / len(a) ** 0.5),
        ),
        Mistake(
            "It uses the variance. The standard deviation is its square root.",
            lambda a, b, t: _bounds((a - b).mean(), t * (a - b).var() / len(a) ** 0.5),
        ),
        Mistake(
            "The two bounds are in the wrong order: first low, then high.",
            lambda a, b, t: _interval(a, b, -t),
        ),
        Mistake(
            "It uses the mean of the taught students. The interval is one of the mean gain.",
            lambda a, b, t: _bounds(a.mean(), t * (a - b).std() / len(a) ** 0.5),
        ),
    ),
)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    _two_seeds(a)
    return (a.var() + b.var()).sqrt() / (a - b).std()


gain_from_pairs = Exercise(
    name="gain_from_pairs",
    formula="sqrt(var(taught) / n + var(alone) / n) / (std(taught - alone) / sqrt(n)), one number",
    reference=_ratio,
    cases=(
        {"taught": _TAUGHT2, "alone": _ALONE2},
        {"taught": _TAUGHT, "alone": _ALONE},
        {"taught": _TAUGHT3, "alone": _ALONE3},
    ),
    number_is_fine=True,
    invariances=(
        Invariance(
            "the unit does not matter: fractions give the same as percent",
            lambda f: same(f(_TAUGHT2 / 100, _ALONE2 / 100), f(_TAUGHT2, _ALONE2)),
            "Both standard errors have the unit of the accuracies, so their ratio has none.",
        ),
        Invariance(
            "which of the two is called taught does not matter",
            lambda f: same(f(_ALONE2, _TAUGHT2), f(_TAUGHT2, _ALONE2)),
        ),
    ),
    mistakes=(
        Mistake(
            "Numerator and denominator are exchanged: divide the unpaired error by the paired one.",
            lambda a, b: 1 / _ratio(a, b),
        ),
        Mistake(
            "Absolute gains are taken. A seed that loses has a negative gain.",
            lambda a, b: (a.var() + b.var()).sqrt() / (a - b).abs().std(),
        ),
        Mistake(
            "This is the ratio of the variances. The standard error is a square root.",
            lambda a, b: _ratio(a, b) ** 2,
        ),
        Mistake(
            "Standard deviations do not add up. Add the variances, then take the root.",
            lambda a, b: (a.std() + b.std()) / (a - b).std(),
        ),
        Mistake(
            "Both standard errors divide by sqrt(n); here only one of them does.",
            lambda a, b: _ratio(a, b) * len(a) ** 0.5,
        ),
        Mistake(
            "Both standard errors divide by sqrt(n); here only one of them does.",
            lambda a, b: _ratio(a, b) / len(a) ** 0.5,
        ),
        Mistake(
            "The spread of the students with labels alone is missing: add both variances.",
            lambda a, b: a.std() / (a - b).std(),
        ),
        Mistake(
            "The spread of the taught students is missing: add both variances.",
            lambda a, b: b.std() / (a - b).std(),
        ),
        Mistake(
            "This is the difference of the two standard errors. We ask for their ratio.",
            lambda a, b: ((a.var() + b.var()).sqrt() - (a - b).std()) / len(a) ** 0.5,
        ),
        Mistake(
            "This is the correlation of the two. It explains the gain, but it is not the ratio.",
            lambda a, b: torch.corrcoef(torch.stack((a, b)))[0, 1],
        ),
    ),
)

EXERCISES = {e.name: e for e in (paired_interval_by_hand, gain_from_pairs)}
