"""What people get wrong on temperature and top-p, and the right function beside it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["NUCLEUS", "nucleus"]


def nucleus(
    logits: Tensor,
    T: float,
    top_p: float,
    *,
    keep: Callable[[Tensor, float], Tensor] = lambda p, top_p: p.cumsum(-1) - p < top_p,
    descending: bool = True,
    normalise: bool = True,
    back: bool = True,
) -> Tensor:
    p, order = (logits / T).softmax(-1).sort(-1, descending=descending)
    p = torch.where(keep(p, top_p), p, 0.0)
    if normalise:
        p = p / p.sum(-1, keepdim=True).clamp_min(1e-12)
    return torch.zeros_like(p).scatter(-1, order, p) if back else p


def _cut_first(logits: Tensor, T: float, top_p: float) -> Tensor:
    """The cut is made at T = 1, the temperature acts on what is left."""
    kept = nucleus(logits, 1.0, top_p) > 0
    return (logits / T).masked_fill(~kept, -torch.inf).softmax(-1)


def _scaled(p: Tensor, keep: Tensor) -> Tensor:
    """NaN where a row keeps nothing."""
    p = torch.where(keep, p, 0.0)
    return p / p.sum(-1, keepdim=True)


def _before(p: Tensor) -> Tensor:
    return p.cumsum(-1) - p


def _crossing_cut(logits: Tensor, T: float, top_p: float) -> Tensor:
    p, order = (logits / T).softmax(-1).sort(-1, descending=True)
    return torch.zeros_like(p).scatter(-1, order, _scaled(p, p.cumsum(-1) <= top_p))


def _sum_of_logits(logits: Tensor, T: float, top_p: float) -> Tensor:
    z, order = (logits / T).sort(-1, descending=True)
    p = z.masked_fill(_before(z) >= top_p, -1e9).softmax(-1)
    return torch.zeros_like(p).scatter(-1, order, p)


NUCLEUS = (
    Mistake(
        "The token that crosses top_p is cut too. Look at the sum before each token: cumsum - p.",
        lambda z, T, t: nucleus(z, T, t, keep=lambda p, top: p.cumsum(-1) <= top),
    ),
    Mistake(
        "The kept probabilities do not sum to 1. Divide them by their sum.",
        lambda z, T, t: nucleus(z, T, t, normalise=False),
    ),
    Mistake(
        "The result is in sorted order. Bring it back with scatter.",
        lambda z, T, t: nucleus(z, T, t, back=False),
    ),
    Mistake(
        "The least probable tokens are kept. Sort with descending=True.",
        lambda z, T, t: nucleus(z, T, t, descending=False),
    ),
    Mistake(
        "The temperature is missing. Divide the logits by T.", lambda z, T, t: nucleus(z, 1.0, t)
    ),
    Mistake("The logits are multiplied by T. Divide by it.", lambda z, T, t: nucleus(z, 1 / T, t)),
    Mistake("The cut is made before the temperature. Divide by T first.", _cut_first),
    Mistake(
        "The token that crosses top_p is cut too. Look at the sum before each token: cumsum - p.",
        _crossing_cut,
    ),
    Mistake(
        "Each probability is compared with top_p. It is their sum, from the largest on, that "
        "is compared.",
        lambda z, T, t: nucleus(z, T, t, keep=lambda p, top: p >= top),
    ),
    Mistake(
        "Each probability is compared with top_p. It is their sum, from the largest on, that "
        "is compared.",
        lambda z, T, t: _scaled((z / T).softmax(-1), (z / T).softmax(-1) >= t),
    ),
    Mistake(
        "Each probability is compared with a share of the largest. This is min-p; top-p compares "
        "a sum.",
        lambda z, T, t: _scaled(
            (z / T).softmax(-1),
            (z / T).softmax(-1) >= t * (z / T).softmax(-1).amax(-1, keepdim=True),
        ),
    ),
    Mistake(
        "The probabilities are not sorted. Sum them from the most probable token on.",
        lambda z, T, t: _scaled((z / T).softmax(-1), _before((z / T).softmax(-1)) < t),
    ),
    Mistake(
        "`gather` stands in the place of `scatter`. `gather` sorts; `scatter` brings back.",
        lambda z, T, t: nucleus(z, T, t, back=False).gather(-1, z.argsort(-1, descending=True)),
    ),
    Mistake(
        "The sum runs down the batch. Each row has a sum of its own: `cumsum(-1)`.",
        lambda z, T, t: nucleus(z, T, t, keep=lambda p, top: p.cumsum(0) - p < top),
    ),
    Mistake(
        "The kept and the cut tokens are exchanged. Keep what comes before the sum is reached.",
        lambda z, T, t: nucleus(z, T, t, keep=lambda p, top: p.cumsum(-1) - p >= top),
    ),
    Mistake(
        "A softmax is taken of probabilities. To sum to 1, they are divided by their sum.",
        lambda z, T, t: nucleus(z, T, t, normalise=False).softmax(-1),
    ),
    Mistake(
        "Logits are summed. Take the softmax first, then sum the probabilities.", _sum_of_logits
    ),
    Mistake(
        "Each probability is compared with top_p. It is their sum, from the largest on, that "
        "is compared.",
        lambda z, T, t: nucleus(z, T, t, keep=lambda p, top: p >= 1 - top),
    ),
    Mistake(
        "Nothing is cut. Tokens after the sum has reached top_p get 0.",
        lambda z, T, t: (z / T).softmax(-1),
    ),
)
