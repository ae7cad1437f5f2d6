"""What people get wrong on temperature and top-p, and the right function beside it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["NUCLEUS", "nucleus"]

_FIRST = torch.tensor([0])


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


def _mask_in_sorted_order(logits: Tensor, T: float, top_p: float) -> Tensor:
    """What is kept is decided in sorted order, and applied to tokens that are not sorted."""
    p = (logits / T).softmax(-1)
    return _scaled(p, _before(p.sort(-1, descending=True).values) < top_p)


def _cut_to_zero_logits(logits: Tensor, T: float, top_p: float) -> Tensor:
    kept = nucleus(logits, T, top_p) > 0
    return (logits / T).masked_fill(~kept, 0.0).softmax(-1)


def _share_of_tokens(logits: Tensor, T: float, top_p: float) -> Tensor:
    rank = (logits / T).argsort(-1, descending=True).argsort(-1)
    return _scaled((logits / T).softmax(-1), rank < max(1, int(top_p * logits.shape[-1])))


def _divided_probabilities(logits: Tensor, T: float, top_p: float) -> Tensor:
    p, order = (logits.softmax(-1) / T).sort(-1, descending=True)
    return torch.zeros_like(p).scatter(-1, order, _scaled(p, _before(p) < top_p))


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
    Mistake(
        "The mask is in sorted order, the probabilities are not. Bring the mask back with scatter, "
        "or cut the sorted probabilities.",
        _mask_in_sorted_order,
    ),
    Mistake(
        "Cut tokens get the logit 0. A logit of 0 is not a probability of 0: use `-inf`.",
        _cut_to_zero_logits,
    ),
    Mistake(
        "The probabilities are divided by T. Divide the logits, before the softmax.",
        _divided_probabilities,
    ),
    Mistake(
        "One token too many is kept. Look at the sum before each token: cumsum - p.",
        lambda z, T, t: nucleus(
            z, T, t, keep=lambda p, top: (_before(p) < top).roll(1, -1).index_fill(-1, _FIRST, True)
        ),
    ),
    Mistake(
        "top_p is used as a share of the tokens. It is a sum of probabilities.", _share_of_tokens
    ),
    Mistake(
        "All kept tokens get the same probability. Keep their own, and divide by their sum.",
        lambda z, T, t: torch.nn.functional.normalize((nucleus(z, T, t) > 0).float(), 1.0, -1),
    ),
)
