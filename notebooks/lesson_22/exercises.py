"""The exercises on attention: maps of activations, scores, and divergences between them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same

__all__ = ["EXERCISES"]


def _draw(*shape: int, seed: int) -> Tensor:
    return logits(1, math.prod(shape), seed, scale=1.0).reshape(shape)


_F, _F2 = _draw(3, 4, 2, 5, seed=61), _draw(2, 6, 3, 3, seed=62)


def _unit(maps: Tensor, dim: int | tuple[int, ...] = -1) -> Tensor:
    return maps / torch.linalg.vector_norm(maps, dim=dim, keepdim=True)


attention_map = Exercise(
    name="attention_map",
    formula="sum over channels of the squares, flattened over space, divided by its own length",
    reference=lambda f: _unit(f.square().sum(1).flatten(1)),
    cases=({"features": _F}, {"features": 30 * _F2}),
    invariances=(
        Invariance(
            "features ten times as large give the same map",
            lambda f: same(f(10 * _F), f(_F)),
            "Divide each map by its own Euclidean length.",
        ),
        Invariance(
            "turning every sign gives the same map",
            lambda f: same(f(-_F), f(_F)),
            "Square the activations first.",
        ),
        Invariance(
            "channels in another order, or each of them twice, give the same map",
            lambda f: same(f(_F.flip(1)), f(_F)) and same(f(torch.cat((_F, _F), 1)), f(_F)),
        ),
        Invariance(
            "a picture's map does not depend on the others in the batch",
            lambda f: same(f(_F[:1]), f(_F)[:1]),
            "Each row has a length of its own: norm over the last axis.",
        ),
    ),
    mistakes=(
        Mistake(
            "The maps are not divided by their length: a network with large activations then "
            "counts more.",
            lambda f: f.square().sum(1).flatten(1),
        ),
        Mistake(
            "The channels are summed without squaring: positive and negative activity cancels.",
            lambda f: _unit(f.sum(1).flatten(1)),
        ),
        Mistake(
            "The absolute values are summed. The paper's formula has squares.",
            lambda f: _unit(f.abs().sum(1).flatten(1)),
        ),
        Mistake(
            "The sum over channels is squared. Square first, then sum.",
            lambda f: _unit(f.sum(1).square().flatten(1)),
        ),
        Mistake(
            "The whole batch shares one length. Each picture's map has its own.",
            lambda f: f.square().sum(1).flatten(1) / f.square().sum(1).norm(),
        ),
        Mistake(
            "The maps are divided by their sum. Divide by the Euclidean length.",
            lambda f: f.square().sum(1).flatten(1) / f.square().sum((1, 2, 3)).unsqueeze(1),
        ),
    ),
)

_Q, _K = _draw(2, 5, 12, seed=63), _draw(2, 5, 12, seed=64)


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _scores(q: Tensor, k: Tensor, heads: int) -> Tensor:
    q, k = _heads(q, heads), _heads(k, heads)
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])


def _by_view(q: Tensor, k: Tensor, heads: int) -> Tensor:
    shape = (len(q), heads, q.shape[1], -1)
    q, k = q.reshape(shape), k.reshape(shape)
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])


attention_scores = Exercise(
    name="attention_scores",
    formula="q k^T / sqrt(width of one head), head by head: (B, L, width) -> (B, heads, L, L)",
    reference=_scores,
    cases=(
        {"query": _Q, "key": _K, "heads": 3},
        {"query": _Q, "key": _K, "heads": 4},
        {"query": 2 * _K, "key": _Q, "heads": 1},
    ),
    invariances=(
        Invariance(
            "row i holds what token i asks of every other",
            lambda f: same(
                f(torch.cat((_Q[:, :1], 0 * _Q[:, 1:]), 1), _K, 3)[:, :, 1:],
                torch.zeros(2, 3, 4, 5),
            ),
            "Queries along the rows, keys along the columns: q @ k.transpose(-1, -2).",
        ),
        Invariance(
            "each head reads its own slice of the width",
            lambda f: same(f(_Q[..., :4], _K[..., :4], 1)[:, 0], f(_Q, _K, 3)[:, 0]),
            "Cut the last axis: x.unflatten(-1, (heads, -1)), then bring the heads forward.",
        ),
    ),
    mistakes=(
        Mistake(
            "The scale is missing: divide by the root of one head's width.",
            lambda q, k, h: _heads(q, h) @ _heads(k, h).transpose(-1, -2),
        ),
        Mistake(
            "It divides by the root of the whole width. One head has width / heads.",
            lambda q, k, h: _scores(q, k, h) / math.sqrt(h),
        ),
        Mistake(
            "These are probabilities. The scores are what goes into the softmax.",
            lambda q, k, h: _scores(q, k, h).softmax(-1),
        ),
        Mistake("Queries and keys have changed places.", lambda q, k, h: _scores(k, q, h)),
        Mistake(
            "The heads are cut across the tokens. Cut the last axis first, then transpose: a plain "
            "reshape to (B, heads, L, d) mixes tokens.",
            _by_view,
        ),
    ),
)

_S, _T = 2 * _draw(2, 3, 4, 4, seed=65), 2 * _draw(2, 3, 4, 4, seed=66)
_S2, _T2 = 3 * _draw(1, 2, 5, 5, seed=67), 3 * _draw(1, 2, 5, 5, seed=68)
_MASK = torch.tensor([[True, True, True, False], [True, True, True, True]])
_MASK2 = torch.tensor([[True, True, False, False, False]])


def _kl(
    s: Tensor,
    t: Tensor,
    mask: Tensor,
    *,
    keys: bool = True,
    queries: bool = True,
    over: str = "sum",
) -> Tensor:
    """KL over keys, mean over heads and real queries, with one part left out."""
    if keys:
        s, t = (x.masked_fill(~mask[:, None, None, :], -1e30) for x in (s, t))
    log_s, log_t = s.log_softmax(-1), t.log_softmax(-1)
    terms = log_t.exp() * (log_t - log_s)
    each = terms.sum(-1) if over == "sum" else terms.mean(-1)
    each = each.mean(1)  # (B, L)
    return each[mask].mean() if queries else each.mean()


def _padded(x: Tensor) -> Tensor:
    return torch.nn.functional.pad(x, (0, 2, 0, 2), value=7.0)


attention_kl = Exercise(
    name="attention_kl",
    formula="sum over real keys of a_t (log a_t - log a_s), a the softmax of the scores over the "
    "real keys; mean over heads and over all real queries",
    reference=_kl,
    cases=(
        {"student_scores": _S, "teacher_scores": _T, "mask": _MASK},
        {"student_scores": _S2, "teacher_scores": _T2, "mask": _MASK2},
    ),
    invariances=(
        Invariance("equal scores give 0", lambda f: same(f(_S, _S, _MASK), 0.0, 1e-5)),
        Invariance(
            "more padding changes nothing",
            lambda f: same(
                f(_padded(_S), _padded(_T), torch.nn.functional.pad(_MASK, (0, 2))),
                f(_S, _T, _MASK),
            ),
            "Padding is neither looked at (keys) nor asked (queries).",
        ),
        Invariance(
            "a constant added to all scores of a query changes nothing",
            lambda f: same(f(_S + 3.0, _T - 2.0, _MASK), f(_S, _T, _MASK)),
        ),
    ),
    mistakes=(
        Mistake(
            "The softmax is applied twice: the scores are made into shares, and these again.",
            lambda s, t, m: _kl(s.softmax(-1), t.softmax(-1), m),
        ),
        Mistake(
            "Padding is not masked at all: it is looked at, and it is asked.",
            lambda s, t, m: _kl(s, t, m, keys=False, queries=False),
        ),
        Mistake(
            "Padding still gets attention: mask the keys before the softmax.",
            lambda s, t, m: _kl(s, t, m, keys=False),
        ),
        Mistake(
            "The queries that are padding count in the mean.",
            lambda s, t, m: _kl(s, t, m, queries=False),
        ),
        Mistake(
            "It averages over the keys. A divergence sums over them.",
            lambda s, t, m: _kl(s, t, m, over="mean"),
        ),
        Mistake(
            "The direction is turned round: weigh by the teacher's attention.",
            lambda s, t, m: _kl(t, s, m),
        ),
    ),
)

_V, _V2 = _draw(2, 5, 12, seed=69), _draw(3, 4, 6, seed=70)


def _relation(x: Tensor, heads: int) -> Tensor:
    return _scores(x, x, heads).softmax(-1)


relation = Exercise(
    name="relation",
    formula="softmax(x x^T / sqrt(width / relation_heads)) over the last axis, in relation_heads "
    "groups",
    reference=_relation,
    cases=(
        {"x": _V, "relation_heads": 3},
        {"x": _V, "relation_heads": 1},
        {"x": _V2, "relation_heads": 2},
    ),
    invariances=(
        Invariance("rows sum to one", lambda f: same(f(_V, 3).sum(-1), torch.ones(2, 3, 5))),
        Invariance(
            "turning every group by one rotation changes nothing",
            lambda f: same(f(_V @ _rotation(12), 1), f(_V, 1)),
        ),
    ),
    mistakes=(
        Mistake("The softmax is missing.", lambda x, h: _scores(x, x, h)),
        Mistake(
            "The scale is missing: divide by the root of one group's width.",
            lambda x, h: (_heads(x, h) @ _heads(x, h).transpose(-1, -2)).softmax(-1),
        ),
        Mistake(
            "It divides by the root of the whole width. One group has width / relation_heads.",
            lambda x, h: (_scores(x, x, h) / math.sqrt(h)).softmax(-1),
        ),
        Mistake(
            "The softmax runs down the queries. Each row is one token's relations: dim=-1.",
            lambda x, h: _scores(x, x, h).softmax(-2),
        ),
        Mistake(
            "The groups are cut across the tokens. Cut the last axis first, then transpose.",
            lambda x, h: _by_view(x, x, h).softmax(-1),
        ),
    ),
)


def _rotation(width: int) -> Tensor:
    return torch.linalg.qr(_draw(width, width, seed=71)).Q


EXERCISES = {e.name: e for e in (attention_map, attention_scores, attention_kl, relation)}
