"""Figures that follow from an order: average precision, nDCG, reciprocal rank, Spearman.

Equal scores have no order among them. Each figure is then what a random order of the equals would
give on average, or, for average precision, what one threshold for all of them gives.
"""

import math

import torch
from torch import Tensor

__all__ = ["average_precision", "ndcg", "rank_correlation", "ranks_of", "reciprocal_rank"]


def average_precision(scores: Tensor, relevant: Tensor) -> float:
    """Average precision of one label in percent: sum over thresholds of precision x new recall.

    Args:
        scores: of the examples (N,).
        relevant: truth values (N,): which of them have the label.

    Returns:
        Percent; NaN where no example has the label.

    >>> average_precision(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([True, False, True]))
    83.33333333333333
    >>> average_precision(torch.zeros(4), torch.tensor([True, False, False, False]))  # chance
    25.0
    """
    total = int(relevant.sum())
    if total == 0:
        return math.nan
    ordered, order = scores.sort(descending=True)
    last_of_equals = torch.ones(len(scores), dtype=torch.bool)
    last_of_equals[:-1] = ordered[1:] != ordered[:-1]
    hits = relevant[order].double().cumsum(0)[last_of_equals]
    taken = torch.arange(1, len(scores) + 1).double()[last_of_equals]
    gained = hits.diff(prepend=torch.zeros(1, dtype=torch.float64))
    return 100 * float((gained * hits / taken).sum()) / total


def ndcg(scores: Tensor, relevance: Tensor) -> float:
    """Normalised discounted cumulative gain of one list in percent.

    Formula: sum_i relevance_i / log2(1 + rank_i) over that of the best order.

    Args:
        scores: of the candidates (L,).
        relevance: how good each is (L,), 0 or more.

    Returns:
        Percent; NaN where no candidate is relevant.

    Source: Jarvelin & Kekalainen 2002, ACM TOIS 20(4); equals as McSherry & Najork 2008.

    >>> round(ndcg(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([2.0, 1.0, 0.0])), 6)
    100.0
    """
    discount = 1 / torch.log2(torch.arange(2, len(scores) + 2).double())
    best = float((relevance.double().sort(descending=True)[0] * discount).sum())
    if best <= 0:
        return math.nan
    ordered, order = scores.sort(descending=True)
    _, group, counts = ordered.unique_consecutive(return_inverse=True, return_counts=True)
    gains = torch.zeros(len(counts), dtype=torch.float64)
    gains = gains.scatter_add(0, group, relevance[order].double()) / counts
    return 100 * float((gains[group] * discount).sum()) / best


def reciprocal_rank(scores: Tensor, relevance: Tensor) -> float:
    """One over the rank of the first relevant candidate of one list.

    Args:
        scores: of the candidates (L,).
        relevance: how good each is (L,); above 0 is relevant.

    Returns:
        A number up to 1; NaN where no candidate is relevant.

    >>> reciprocal_rank(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0.0, 1.0, 0.0]))
    0.5
    """
    relevant = relevance > 0
    if not bool(relevant.any()):
        return math.nan
    best = scores[relevant].max()
    before, equal = int((scores > best).sum()), int((scores == best).sum())
    good = int(((scores == best) & relevant).sum())
    chances = [math.comb(equal - k, good - 1) / math.comb(equal, good) for k in range(1, equal + 1)]
    return sum(chance / (before + k) for k, chance in enumerate(chances, start=1))


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's correlation of two rows of numbers: -1 to 1; 0 where either has no order.

    Args:
        first: numbers (N,).
        second: numbers (N,).

    Returns:
        The correlation of their ranks.

    >>> rank_correlation(torch.tensor([1.0, 5.0, 9.0]), torch.tensor([1.0, 2.0, 3.0]))
    1.0
    """
    a, b = (ranks_of(x) - (len(x) - 1) / 2 for x in (first, second))
    size = float((a.square().sum() * b.square().sum()).sqrt())
    return float((a * b).sum()) / size if size else 0.0


def ranks_of(values: Tensor) -> Tensor:
    """Ranks from 0 (N,), in float64; equal values share their mean rank.

    >>> ranks_of(torch.tensor([5.0, 1.0, 5.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    ordered = values.detach().sort()[0]
    below = torch.searchsorted(ordered, values.contiguous())
    upto = torch.searchsorted(ordered, values.contiguous(), right=True)
    return (below + upto - 1).double() / 2
