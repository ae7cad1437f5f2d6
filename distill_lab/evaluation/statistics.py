"""Honest sizes for small experiments: paired intervals, exact tests, how many seeds are enough.

Every function takes lists, NumPy arrays or tensors and returns plain Python numbers. Pair first:
same split, same initialisation, same batch order for both sides, and look at differences only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.special import stdtrit
from torch import Tensor

__all__ = [
    "Interval",
    "equivalent",
    "mcnemar",
    "mean_interval",
    "nadeau_bengio_interval",
    "paired_interval",
    "seeds_needed",
    "sign_test",
]

LEVEL = 0.95  # of the intervals in a report
Values = Sequence[float] | Tensor | Any


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, and enough beside it to judge both.

    `f"{interval:.3f}"` prints more digits.

    Args:
        mean: in the unit of the values, as `low`, `high` and `sd`.
        low: lower end of the interval.
        high: upper end.
        n: how many seeds.
        sd: standard deviation of the values.
        wins: seeds with the sign of the mean: 20/20 is "every seed agrees", loss or gain.
        kind: in words, which interval this is.
        level: how much it covers, such as 0.95.

    >>> str(Interval(9.28, 8.25, 10.3, n=20, sd=2.2, wins=20, kind="paired Student-t, 95 %"))
    '+9.28 [8.25, 10.30] (20/20)'
    """

    mean: float
    low: float
    high: float
    n: int
    sd: float
    wins: int
    kind: str
    level: float = 0.95

    def __str__(self) -> str:
        return format(self, ".2f")

    def __format__(self, spec: str) -> str:
        digits = "z" + (spec or ".2f")  # z: a mean of -0.001 prints 0.00, not -0.00
        if self.low == self.high and self.n > 1:
            return f"{self.mean:{'+' + digits}} (the same in all {self.n})"
        bounds = f"[{self.low:{digits}}, {self.high:{digits}}]"
        if self.kind.startswith("paired"):
            return f"{self.mean:{'+' + digits}} {bounds} ({self.wins}/{self.n})"
        return f"{self.mean:{digits}} {bounds} (n = {self.n})"


def mean_interval(values: Values, *, level: float = 0.95) -> Interval:
    """Student-t interval of a mean: mean +- t(n - 1) * sd / sqrt(n).

    Args:
        values: n >= 2 finite numbers, one a seed.
        level: how much the interval covers.

    Returns:
        The interval, in the unit of the values.

    Raises:
        ValueError: for fewer values, or one that is not finite.

    >>> print(mean_interval([96.0, 97.0, 98.0]))
    97.00 [94.52, 99.48] (n = 3)
    """
    sample = _sample(values, "values")
    return _interval(sample, 1 / len(sample), level, "Student-t")


def paired_interval(a: Values, b: Values | float, *, level: float = 0.95) -> Interval:
    """Student-t interval of the mean of a - b, seed by seed.

    It speaks for "this data set, this recipe"; `nadeau_bengio_interval` for new data of the kind.

    Args:
        a: n >= 2 finite numbers, one a seed.
        b: as many in the same order of seeds, or one number.
        level: how much the interval covers.

    Returns:
        The interval, in the unit of the values.

    Raises:
        ValueError: for numbers of seeds that differ or are too small, or values not finite.

    >>> print(paired_interval([91.0, 92.0, 93.0], [90.0, 90.5, 91.0]))
    +1.50 [0.26, 2.74] (3/3)
    """
    difference = _difference(a, b)
    return _interval(difference, 1 / len(difference), level, "paired Student-t")


def nadeau_bengio_interval(
    a: Values, b: Values | float, *, n_train: int, n_test: int, level: float = 0.95
) -> Interval:
    """Paired interval corrected for training sets that overlap: sd^2 * (1/n + n_test/n_train).

    Seeds that re-draw their split from one data set are not independent; the plain interval is then
    too narrow for "on new data of this kind".

    Args:
        a: n >= 2 finite numbers, one a seed.
        b: as many in the same order of seeds, or one number.
        n_train: examples to train on in one split.
        n_test: examples to test on in one split.
        level: how much the interval covers.

    Returns:
        The interval, in the unit of the values.

    Raises:
        ValueError: as `paired_interval`, and for sizes that are not positive.

    Source: Nadeau & Bengio 2003, "Inference for the generalization error", Machine Learning 52.

    >>> print(nadeau_bengio_interval([3.0, 4.0, 5.0], 0, n_train=1000, n_test=500))
    +4.00 [0.07, 7.93] (3/3)
    """
    for name, size in (("n_train", n_train), ("n_test", n_test)):
        if not size > 0:
            raise ValueError(f"{name} must be a positive number of examples; got {size}.")
    difference = _difference(a, b)
    factor = 1 / len(difference) + n_test / n_train
    return _interval(difference, factor, level, "paired Student-t, Nadeau-Bengio")


def sign_test(a: Values, b: Values | float) -> float:
    """Exact two-sided sign test: the chance of wins this lopsided if a and b were alike.

    Formula: p = 2 * P(Binomial(m, 1/2) <= min(wins, losses)), at most 1, over the m pairs that
    differ.

    Args:
        a: finite numbers, one a seed.
        b: as many in the same order of seeds, or one number.

    Returns:
        The p-value.

    Raises:
        ValueError: for numbers of seeds that differ, or values that are not finite.

    >>> sign_test([1, 1, 1, 1, 1, 1], 0)
    0.03125
    """
    difference = _difference(a, b, least=1)
    return _two_sided(sum(d > 0 for d in difference), sum(d < 0 for d in difference))


def mcnemar(correct_a: Values, correct_b: Values) -> float:
    """Exact two-sided McNemar test for two fixed models on the same test examples.

    Formula: only the examples that exactly one model gets right count:
    p = 2 * P(Binomial(m, 1/2) <= min(only_a, only_b)), at most 1.

    Args:
        correct_a: one truth value (or 0/1) an example: whether the first model is right.
        correct_b: the same of the second, in the same order.

    Returns:
        The p-value.

    Raises:
        ValueError: for numbers of examples that differ, or anything but truth values.

    >>> mcnemar([True, True, True, False], [False, False, True, False])
    0.5
    """
    for name, values in (("correct_a", correct_a), ("correct_b", correct_b)):
        strange = [v for v in _sample(values, name, least=1) if v not in (0.0, 1.0)]
        if strange:
            raise ValueError(
                f"{name} must hold one True or False an example; got the value {strange[0]:g}. "
                "Pass `predictions == labels`."
            )
    return sign_test(correct_a, correct_b)


def equivalent(interval: Interval, margin: float) -> bool:
    """Whether the whole interval lies inside +- margin: "no difference that matters".

    An interval that merely contains 0 does not show this. Fix the margin before looking. With a
    95 % interval this is the two one-sided tests (TOST) procedure at 2.5 % a side.

    Args:
        interval: that of the difference.
        margin: the largest difference that does not matter, in the interval's unit.

    Returns:
        True where nothing outside the margin is left possible.

    Raises:
        ValueError: for a margin that is not positive.

    >>> equivalent(paired_interval([0.1, -0.1, 0.1, 0.0], 0), margin=0.5)
    True
    """
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin must be a positive number, in the interval's unit; got {margin}.")
    return -margin < interval.low and interval.high < margin


def seeds_needed(sd: float, effect: float) -> int:
    """Paired seeds for a 95 % interval to exclude 0 in four runs of five.

    Formula: n = 2 + (2.8 * sd / effect)^2, rounded up; 2.8 = 1.96 + 0.84 (two-sided 5 %, power
    80 %), and the 2 pays for Student's t.

    Args:
        sd: spread of the paired differences.
        effect: the mean difference sought, in the same unit.

    Returns:
        The number of seeds, at least 2.

    Raises:
        ValueError: for a negative or infinite sd, or an effect of 0.

    >>> seeds_needed(sd=2.2, effect=9.3), seeds_needed(sd=0.6, effect=0.2)
    (3, 73)
    """
    if not (math.isfinite(sd) and sd >= 0):
        raise ValueError(f"sd must be a finite number, 0 or more; got {sd}.")
    if not (math.isfinite(effect) and effect != 0):
        raise ValueError(
            f"effect must be a finite number other than 0; got {effect}. "
            "Name the smallest difference you would care about."
        )
    return max(2, math.ceil(2 + (2.8 * sd / effect) ** 2))


def _interval(sample: list[float], factor: float, level: float, kind: str) -> Interval:
    """The interval mean +- t * sd * sqrt(factor)."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level}. Use 0.95 for 95 %.")
    n = len(sample)
    mean = math.fsum(sample) / n
    sd = math.sqrt(math.fsum((x - mean) ** 2 for x in sample) / (n - 1))
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * sd * math.sqrt(factor)
    wins = sum(x < 0 if mean < 0 else x > 0 for x in sample)
    kind = f"{kind}, {100 * level:g} %"
    return Interval(mean, mean - half, mean + half, n, sd, wins, kind, level)


def _two_sided(wins: int, losses: int) -> float:
    from scipy.stats import binomtest  # only here: it takes half a second to import

    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def _difference(a: Values, b: Values | float, least: int = 2) -> list[float]:
    first = _sample(a, "a", least)
    one_number = isinstance(b, int | float) or getattr(b, "ndim", None) == 0
    second = _sample([b], "b", 1) * len(first) if one_number else _sample(b, "b", least)
    if len(first) != len(second):
        raise ValueError(
            f"a and b must hold the same seeds in the same order; got {len(first)} values and "
            f"{len(second)}. Pair them first, or pass one number for b."
        )
    return [x - y for x, y in zip(first, second, strict=True)]


def _sample(values: Values, name: str, least: int = 2) -> list[float]:
    try:
        tensor = torch.as_tensor(values, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(values).__name__
        raise TypeError(f"{name} must be a row of numbers; got {kind} ({error}).") from error
    if tensor.ndim != 1:
        raise ValueError(
            f"{name} must be one row of numbers, one a seed; got shape {tuple(tensor.shape)}. "
            "Average over the other dimensions first."
        )
    if len(tensor) < least:
        raise ValueError(f"{name} needs {least} values or more; got {len(tensor)}. Run more seeds.")
    if not tensor.isfinite().all():
        where = int((~tensor.isfinite()).nonzero()[0])
        raise ValueError(
            f"{name} must be finite; value {where} is {tensor[where].item()}. "
            "Find the run that diverged: leaving it out silently would flatter the mean."
        )
    return tensor.tolist()
