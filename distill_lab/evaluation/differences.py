"""Two models in one measure: the difference, its interval and its test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from scipy.special import ndtri
from torch import Tensor

from distill_lab.evaluation.shares import SCALES, within_scale
from distill_lab.evaluation.statistics import (
    LEVEL,
    Interval,
    mcnemar,
    nadeau_bengio_interval,
    paired_interval,
    sign_test,
)
from distill_lab.evaluation.tasks import Figure

__all__ = ["Difference", "between_examples", "between_fixed", "between_seeds"]

RESAMPLES, BLOCK = 1000, 100  # bootstrap samples, and how many are drawn at once


@dataclass(frozen=True)
class Difference:
    """`model` minus `against` in one measure, with everything needed to judge it.

    Args:
        model: the name of the one.
        against: the name of the other.
        measure: what is compared.
        unit: the interval's; of accuracy, agreement and ECE it is points: percent minus percent.
        interval: the mean difference; its `n` counts `of`.
        above: seeds in which the model has the larger figure; or examples that only it gets right.
        below: the same of the other. The rest are ties.
        p: the p-value.
        test: which test it comes from.
        of: "seeds" or "examples".
    """

    model: str
    against: str
    measure: str
    unit: str
    interval: Interval
    above: int
    below: int
    p: float
    test: str
    of: str

    def __str__(self) -> str:
        i, unit = self.interval, f" {self.unit}" if self.unit else ""
        digits = "z.2f" if self.unit == "points" else "z.4f"
        return (
            f"{self.model} - {self.against}, {self.measure}: {i.mean:+{digits}}{unit} "
            f"[{i.low:{digits}}, {i.high:{digits}}] ({i.kind}; {i.n:,} {self.of}, above in "
            f"{self.above}, below in {self.below}), {self.test} {self.p_words}"
        )

    @property
    def p_words(self) -> str:
        """The p-value as it is printed.

        >>> Difference("a", "b", "", "", Interval(0, 0, 0, 2, 0, 0, ""), 0, 0, 4e-9, "", "").p_words
        'p < 0.001'
        """
        return "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"


def between_seeds(
    a: Sequence[float],
    b: Sequence[float],
    *,
    names: tuple[str, str],
    measure: str,
    unit: str,
    splits: tuple[int, int] | None = None,
) -> Difference:
    """Two models of several seeds, paired seed by seed; one of the two may be a single figure.

    Args:
        a: figures of the first model, one a seed.
        b: those of the second, in the same order.
        names: what the two are called.
        measure: what the figures measure.
        unit: the unit of the difference.
        splits: (n_train, n_test) where every seed drew its own split of one data set: their
            training sets overlap, and the interval is Nadeau and Bengio's.

    Returns:
        The mean difference, its interval and the exact sign test; NaN where a figure is.

    Raises:
        ValueError: for numbers of seeds that differ.

    >>> names = ("kd", "ce")
    >>> gain = between_seeds([91, 92, 93], [90, 90.5, 91], names=names, measure="accuracy",
    ...     unit="points")
    >>> print(gain)
    kd - ce, accuracy: +1.50 points [0.26, 2.74] (paired Student-t, 95 %; 3 seeds, above in
    3, below in 0), exact sign test p = 0.250
    """
    n = max(len(a), len(b))
    first, second = (list(x) * n if len(x) == 1 else list(x) for x in (a, b))
    if any(math.isnan(x) for x in (*first, *second)):  # a figure that cannot be said of a seed
        none = Interval(math.nan, math.nan, math.nan, n, math.nan, 0, "none", LEVEL)
        return Difference(*names, measure, unit, none, 0, 0, 1.0, "none", "seeds")
    if splits is None:
        interval = paired_interval(first, second, level=LEVEL)
    else:
        interval = nadeau_bengio_interval(
            first, second, n_train=splits[0], n_test=splits[1], level=LEVEL
        )
    if unit == "points" and abs(interval.mean) <= 100:
        interval = within_scale(interval, *SCALES[unit])
    above = sum(x > y for x, y in zip(first, second, strict=True))
    below = sum(x < y for x, y in zip(first, second, strict=True))
    p = sign_test(first, second)
    return Difference(
        *names, measure, unit, interval, above, below, p, test="exact sign test", of="seeds"
    )


def between_fixed(right_a: Tensor, right_b: Tensor, *, names: tuple[str, str]) -> Difference:
    """The accuracies of two single networks on the same examples.

    Formula: with b examples that only the first gets right, and c only the second, p is McNemar's
    exact, and the interval that of Bonett and Price:
    u - v +- z sqrt((u + v - (u - v)^2) / (n + 2)), u = (b + 1) / (n + 2), v = (c + 1) / (n + 2).
    It speaks for these two networks on new examples, not for a method: that takes seeds.

    Args:
        right_a: truth values (N,): where the first network is right.
        right_b: the same of the second.
        names: what the two are called.

    Returns:
        The difference in points, its interval and its test.

    Source: Bonett & Price 2012, J. Educ. Behav. Stat. 37(4).

    >>> a, b = Tensor([1, 1, 1, 0]) > 0, Tensor([0, 0, 1, 0]) > 0
    >>> print(between_fixed(a, b, names=("big", "small")))
    big - small, accuracy: +50.00 points [-26.31, 92.97] (Bonett-Price, 95 %; 4 examples, above in
    2, below in 0), McNemar's exact test p = 0.500
    """
    n, above, below = len(right_a), int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    mean = (above - below) / n
    u, v = (above + 1) / (n + 2), (below + 1) / (n + 2)
    half = float(ndtri(0.5 + LEVEL / 2)) * math.sqrt((u + v - (u - v) ** 2) / (n + 2))
    low, high = max(-1.0, u - v - half), min(1.0, u - v + half)
    spread = math.sqrt((above + below - n * mean**2) / (n - 1)) if n > 1 else 0.0
    interval = Interval(
        mean=100 * mean,
        low=100 * low,
        high=100 * high,
        n=n,
        sd=100 * spread,
        wins=below if mean < 0 else above,
        kind=f"Bonett-Price, {100 * LEVEL:g} %",
        level=LEVEL,
    )
    p = mcnemar(right_a, right_b)
    return Difference(
        *names, "accuracy", "points", interval, above, below, p, "McNemar's exact test", "examples"
    )


def between_examples(
    figure: Figure,
    answers: Tensor,
    other: Tensor,
    labels: Tensor,
    *,
    names: tuple[str, str],
    measure: str,
    unit: str,
) -> Difference:
    """Two single networks in any figure, on the same examples.

    A mean over the examples has the paired Student-t interval and the sign test over them. For any
    other figure the same examples are drawn again for both, with replacement, 1,000 times, from a
    seed of its own: the percentiles of the difference are its interval, and p is twice the share of
    samples on the other side of 0.

    Args:
        figure: the measure.
        answers: of the first network (N, ...).
        other: of the second.
        labels: of the examples (N, ...).
        names: what the two are called.
        measure: the figure's name.
        unit: of the difference.

    Returns:
        The difference, its interval and its test.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    value = figure.of(answers, labels) - figure.of(other, labels)
    sums = [figure.sums(x, labels) for x in (answers, other)] if figure.sums else None
    counted_once = sums is not None and sums[0].shape[1] == 2 and bool((sums[0][:, 1] == 1).all())
    if sums is not None and figure.mean and counted_once:
        rows = (sums[0][:, 0].tolist(), sums[1][:, 0].tolist())
        result = between_seeds(*rows, names=names, measure=measure, unit=unit)
        return replace(result, of="examples")
    if not math.isfinite(value):
        drawn = torch.full((RESAMPLES,), math.nan, dtype=torch.float64)
    else:
        drawn = _resampled(figure, (answers, other), sums, labels)
    drawn = drawn[drawn.isfinite()]
    kind = f"paired bootstrap over examples, {100 * LEVEL:g} %"
    above, below = int((drawn > 0).sum()), int((drawn < 0).sum())
    edges = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = drawn.quantile(edges).tolist() if len(drawn) else (math.nan, math.nan)
    spread = drawn.std().item() if len(drawn) > 1 else math.nan
    wins = below if value < 0 else above
    interval = Interval(value, low, high, len(drawn), spread, wins, kind, LEVEL)
    opposite = len(drawn) - max(above, below)
    p = min(1.0, 2 * (1 + opposite) / (1 + len(drawn)))
    return Difference(
        *names, measure, unit, interval, above, below, p, "the bootstrap's", "resamples"
    )


def _resampled(
    figure: Figure, both: tuple[Tensor, Tensor], sums: list[Tensor] | None, labels: Tensor
) -> Tensor:
    """The difference in samples of the examples drawn with replacement (R,)."""
    generator, count = torch.Generator().manual_seed(0), len(labels)
    differences = []
    for start in range(0, RESAMPLES, BLOCK):
        size = min(BLOCK, RESAMPLES - start)
        drawn = torch.randint(count, (size, count), generator=generator)
        if sums is not None and figure.of_sums is not None:
            times = torch.zeros(size, count, dtype=torch.float64)
            times.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
            first, second = (figure.of_sums(times @ x.double()) for x in sums)
            differences.append(first - second)
        else:
            for index in drawn:
                a, b = (figure.of(x[index], labels[index]) for x in both)
                differences.append(torch.tensor([a - b], dtype=torch.float64))
    return torch.cat(differences)
