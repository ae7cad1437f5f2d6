"""Whether a ranking of methods would come out alike a second time."""

import torch
from torch import Tensor

__all__ = ["rank_agreement"]


def rank_agreement(scores: Tensor) -> Tensor:
    """Spearman's correlation of each column's ranking with that of all the other columns' mean.

    A column is one replication of the whole comparison: a seed, or a pair of networks in a table.
    1 is the same order, 0 none in common, -1 the reverse. Equal scores share their mean rank; a
    column in which all are equal ranks nothing and gets 0.

    Args:
        scores: one row a method, one column a replication, (M, S).

    Returns:
        Correlations (S,), in float64. They are not independent: each is measured against the rest.

    Raises:
        ValueError: for another shape, fewer than two rows or columns, or values not finite.

    Source: Spearman 1904, Am. J. Psychol. 15(1).

    >>> rank_agreement(torch.tensor([[1.0, 2, 9], [5, 6, 8], [8, 20, 7]])).tolist()
    [1.0, 1.0, -1.0]
    """
    if scores.ndim != 2 or min(scores.shape) < 2 or not scores.isfinite().all():
        raise ValueError(
            "scores must be finite and (methods, replications), at least two of each; got shape "
            f"{tuple(scores.shape)}. Leave out what was not measured."
        )
    scores = scores.detach().double()
    count = scores.shape[1]
    others = (scores.sum(1, keepdim=True) - scores) / (count - 1)
    a, b = (_ranks(x) - (len(scores) - 1) / 2 for x in (scores, others))
    size = (a.square().sum(0) * b.square().sum(0)).sqrt()
    return torch.where(size > 0, (a * b).sum(0) / torch.where(size > 0, size, 1.0), 0.0)


def _ranks(scores: Tensor) -> Tensor:
    """Ranks within each column from 0, the mean rank where scores are equal: (M, S) -> (M, S)."""
    below = (scores[None] < scores[:, None]).double().sum(1)
    equal = (scores[None] == scores[:, None]).double().sum(1)
    return below + (equal - 1) / 2
