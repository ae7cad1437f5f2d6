"""Mistakes that the exercises of this lesson recognise, each with the sentence that mends it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab.course.check.exercise import Mistake

__all__ = ["NEIGHBOURS", "RECALL", "RELATIVE", "SAFE"]


def _squares(x: Tensor) -> Tensor:
    return (x[:, None] - x[None]).square().sum(-1)


def _apart(x: Tensor) -> Tensor:
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


def _over_mean(d: Tensor) -> Tensor:
    return d / d[d > 0].mean()


RELATIVE = (
    Mistake("The distances are not divided by their mean.", _apart),
    Mistake(
        "The mean includes the zeros. Take it over the positive distances: the diagonal is no "
        "distance between two points.",
        lambda x: _apart(x) / _apart(x).mean(),
    ),
    Mistake(
        "The distance 0 of two equal rows is in the mean. Take it over the positive distances.",
        lambda x: _apart(x) * len(x) * (len(x) - 1) / _apart(x).sum(),
    ),
    Mistake(
        "The largest distance is 1. Divide by the mean.", lambda x: _apart(x) / _apart(x).max()
    ),
    Mistake("The sum of all is 1. Divide by the mean.", lambda x: _apart(x) / _apart(x).sum()),
    Mistake(
        "Each row has its own mean. One number serves the whole matrix.",
        lambda x: _apart(x) * (len(x) - 1) / _apart(x).sum(1, keepdim=True),
    ),
    Mistake(
        "Each row has its own mean. One number serves the whole matrix.",
        lambda x: _apart(x) * (_apart(x) > 0).sum(1, keepdim=True) / _apart(x).sum(1, keepdim=True),
    ),
    Mistake(
        "Each row has its own mean. One number serves the whole matrix.",
        lambda x: _apart(x) / _apart(x).mean(1, keepdim=True),
    ),
    Mistake("The root is missing. These are squared distances.", lambda x: _over_mean(_squares(x))),
    Mistake(
        "The divisor is the mean of the squares. Take the mean of the distances.",
        lambda x: _apart(x) / _squares(x)[_squares(x) > 0].mean(),
    ),
    Mistake(
        "The absolute differences are summed. Use the Euclidean distance.",
        lambda x: _over_mean(torch.cdist(x, x, p=1)),
    ),
    Mistake(
        "The median is 1. Divide by the mean.",
        lambda x: _apart(x) / _apart(x)[_apart(x) > 0].median(),
    ),
    Mistake("These are cosines, not distances.", lambda x: F.normalize(x) @ F.normalize(x).T),
    Mistake(
        "The columns are compared. Compare rows: each row is one example.",
        lambda x: _over_mean(_apart(x.T)),
    ),
)

SAFE = (
    Mistake("The root is missing. These are squared distances.", _squares),
    *(
        Mistake(
            "The root has a floor. Then equal rows are not at distance 0.",
            lambda x, floor=floor: (_squares(x) + floor).sqrt(),
        )
        for floor in (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
    ),
    *(
        Mistake(
            "The root has a floor. Then equal rows are not at distance 0.",
            lambda x, floor=floor: _squares(x).clamp_min(floor).sqrt(),
        )
        for floor in (1e-4, 1e-6)
    ),
    Mistake(
        "The absolute differences are summed. Use the Euclidean distance.",
        lambda x: (x[:, None] - x[None]).abs().sum(-1),
    ),
    Mistake(
        "The mean over the features is taken. Sum the squares.",
        lambda x: (x[:, None] - x[None]).square().mean(-1).sqrt(),
    ),
    Mistake(
        "The differences are summed before they are squared. Square first.",
        lambda x: (x[:, None] - x[None]).sum(-1).abs(),
    ),
    Mistake("Only neighbouring rows are compared. Compare all pairs.", lambda x: x.diff(dim=0)),
)


def _near(x: Tensor, eps: float = 1e-7) -> Tensor:
    cosines = F.normalize(x, dim=1) @ F.normalize(x, dim=1).T
    return (cosines + 1) / 2 + eps


def _share(near: Tensor) -> Tensor:
    return near / near.sum(1, keepdim=True)


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum(1).mean()


NEIGHBOURS = (
    Mistake(
        "The mean is over all pairs. Sum over the neighbours j, then take the mean over i: "
        "otherwise the loss shrinks as the batch grows.",
        lambda s, t, eps: (_share(_near(t)) * (_share(_near(t)) / _share(_near(s))).log()).mean(),
    ),
    Mistake(
        "Everything is summed. Take the mean over the examples i.",
        lambda s, t, eps: len(s) * _divergence(_share(_near(t)), _share(_near(s))),
    ),
    Mistake(
        "The divergence is reversed. The teacher's p stands in front of the logarithm.",
        lambda s, t, eps: _divergence(_share(_near(s)), _share(_near(t))),
    ),
    Mistake(
        "The sign is wrong. The logarithm is of p / q.",
        lambda s, t, eps: -_divergence(_share(_near(t)), _share(_near(s))),
    ),
    Mistake(
        "The rows do not sum to 1. Divide each row by its sum.",
        lambda s, t, eps: _divergence(_near(t), _near(s)),
    ),
    Mistake(
        "The whole matrix sums to 1. Divide each row by its own sum.",
        lambda s, t, eps: _divergence(_near(t) / _near(t).sum(), _near(s) / _near(s).sum()),
    ),
    Mistake(
        "A softmax is used. Divide each row by its sum.",
        lambda s, t, eps: _divergence(*((2 * _near(x) - 1).softmax(1) for x in (t, s))),
    ),
    Mistake(
        "A softmax is used. Divide each row by its sum.",
        lambda s, t, eps: _divergence(*(_near(x).softmax(1) for x in (t, s))),
    ),
    Mistake(
        "These are inner products, not cosines. Divide each row of the features by its length.",
        lambda s, t, eps: _divergence(*(_share((x @ x.T + 1) / 2 + eps) for x in (t, s))),
    ),
    Mistake(
        "The entropy of the teacher is missing. This is the cross-entropy.",
        lambda s, t, eps: -(_share(_near(t)) * _share(_near(s)).log()).sum(1).mean(),
    ),
    Mistake(
        "This is the mean square, not the KL divergence.",
        lambda s, t, eps: (_share(_near(t)) - _share(_near(s))).square().mean(),
    ),
    Mistake(
        "The cosines are not shifted. Use (1 + cosine) / 2, which is never negative.",
        lambda s, t, eps: _divergence(
            *(_share((2 * _near(x) - 1).clamp_min(0) + eps) for x in (t, s))
        ),
    ),
)


def _cosines(e: Tensor) -> Tensor:
    return F.normalize(e, dim=1) @ F.normalize(e, dim=1).T


def _others(e: Tensor) -> Tensor:
    return _cosines(e).fill_diagonal_(-9.0)


def _percent(index: Tensor, y: Tensor) -> Tensor:
    return 100 * (y[index] == y).double().mean()


def _by_distance(e: Tensor, y: Tensor) -> Tensor:
    return _percent((_apart(e) + 1e9 * torch.eye(len(e))).argmin(1), y)


RECALL = (
    Mistake(
        "Each row finds itself, so everything is right. Put -inf on the diagonal.",
        lambda e, y: _percent(_cosines(e).argmax(1), y) * 0 + 100,
    ),
    Mistake(
        "Each row finds itself, so everything is right. Put -inf on the diagonal.",
        lambda e, y: _percent(_cosines(e).argmax(1), y),
    ),
    Mistake(
        "This is a share of 1. Multiply by 100.",
        lambda e, y: _percent(_others(e).argmax(1), y) / 100,
    ),
    Mistake(
        "The row farthest away is taken. A large cosine is near.",
        lambda e, y: _percent(_cosines(e).argmin(1), y),
    ),
    Mistake(
        "The diagonal is 0. All other cosines of a row may be below 0: put -inf there.",
        lambda e, y: _percent(_cosines(e).fill_diagonal_(0).argmax(1), y),
    ),
    Mistake(
        "The second largest cosine is taken. Of two equal rows, that may be the row itself: put "
        "-inf on the diagonal, then take the largest.",
        lambda e, y: _percent(_cosines(e).topk(2).indices[:, 1], y),
    ),
    Mistake(
        "The second largest cosine is taken. Of two equal rows, that may be the row itself: put "
        "-inf on the diagonal, then take the largest.",
        lambda e, y: _percent(_cosines(e).argsort(1, descending=True)[:, 1], y),
    ),
    Mistake(
        "Equal rows are left out. An equal row is another row, and the nearest one: put -inf on "
        "the diagonal alone.",
        lambda e, y: _percent(_cosines(e).masked_fill(_cosines(e) > 0.99999, -9.0).argmax(1), y),
    ),
    Mistake(
        "Each label is averaged first. Take one mean over all rows.",
        lambda e, y: (
            100
            * torch.stack(
                [(y[_others(e).argmax(1)] == y)[y == k].double().mean() for k in y.unique()]
            ).mean()
        ),
    ),
    Mistake("Lengths matter here. Compare directions, by cosine.", _by_distance),
    Mistake(
        "Lengths matter here. Compare directions, by cosine.",
        lambda e, y: _percent((e @ e.T).fill_diagonal_(-1e9).argmax(1), y),
    ),
    Mistake(
        "The number of hits is returned. Take their mean, times 100.",
        lambda e, y: _percent(_others(e).argmax(1), y) * len(y) / 100,
    ),
    Mistake(
        "The misses are counted. Count where the labels are equal.",
        lambda e, y: 100 - _percent(_others(e).argmax(1), y),
    ),
    Mistake(
        "All other rows are counted, not the nearest one.",
        lambda e, y: 100 * ((y[:, None] == y).double().sum() - len(y)) / (len(y) * (len(y) - 1)),
    ),
)
