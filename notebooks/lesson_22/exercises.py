"""The exercises on attention: maps of activations, scores, and divergences between them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same, teaches

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
    trained=("features",),
    invariances=(
        Invariance(
            "features ten times as large give the same map",
            lambda f: same(f(10 * _F), f(_F)),
            "Divide each map by its own Euclidean length.",
        ),
        Invariance(
            "changing every sign gives the same map",
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
            "The maps are not divided by their length. A network with large activations then "
            "counts more.",
            lambda f: f.square().sum(1).flatten(1),
        ),
        Mistake(
            "The square is missing. Positive and negative values cancel each other out.",
            lambda f: _unit(f.sum(1).flatten(1)),
        ),
        Mistake(
            "Absolute values are summed, not squares. The paper's formula has squares.",
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
        Mistake(
            "A softmax replaces the norm. Divide by the Euclidean length.",
            lambda f: f.square().sum(1).flatten(1).softmax(-1),
        ),
        Mistake(
            "The maps are divided by their largest value. Divide by the Euclidean length.",
            lambda f: (
                f.square().sum(1).flatten(1) / f.square().sum(1).flatten(1).amax(-1, keepdim=True)
            ),
        ),
        Mistake(
            "The maps are divided by the square of their length. Divide by the length.",
            lambda f: (
                _unit(f.square().sum(1).flatten(1))
                / f.square().sum(1).flatten(1).norm(dim=-1, keepdim=True)
            ),
        ),
        Mistake(
            "Height and width have changed places. Flatten the axes as they come.",
            lambda f: _unit(f.square().sum(1).transpose(1, 2).flatten(1)),
        ),
        Mistake(
            "The root of the sum is taken. Leave it out.",
            lambda f: _unit(f.square().sum(1).sqrt().flatten(1)),
        ),
        Mistake(
            "The largest channel is taken. Sum over the channels.",
            lambda f: _unit(f.square().amax(1).flatten(1)),
        ),
        Mistake(
            "The norm runs down the batch (axis 0). Each picture's map has its own: `dim=-1`.",
            lambda f: _unit(f.square().sum(1).flatten(1), 0),
        ),
        Mistake(
            "The mean is subtracted. Divide the map by its length as it is.",
            lambda f: _unit(
                f.square().sum(1).flatten(1) - f.square().sum(1).flatten(1).mean(-1, keepdim=True)
            ),
        ),
        Mistake(
            "The channels are not summed. Sum over axis 1 before you flatten.",
            lambda f: _unit(f.square().flatten(1)),
        ),
        Mistake(
            "The sum runs over another axis. The channels are axis 1.",
            lambda f: _unit(f.square().sum(-1).flatten(1)),
        ),
        Mistake(
            "The sum runs over another axis. The channels are axis 1.",
            lambda f: _unit(f.square().sum(2).flatten(1)),
        ),
        Mistake(
            "The sum runs over another axis. The channels are axis 1.",
            lambda f: _unit(f.square().sum(0).flatten(1)),
        ),
    ),
)

_Q, _K = _draw(2, 5, 12, seed=63), _draw(2, 5, 12, seed=64)


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _scores(q: Tensor, k: Tensor, heads: int) -> Tensor:
    q, k = _heads(q, heads), _heads(k, heads)
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])


def _crosswise(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (-1, heads)).transpose(-1, -2).flatten(-2)


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
    trained=("query", "key"),
    invariances=(
        Invariance(
            "row i belongs to the query of token i",
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
            "The scale is missing. Divide by the root of one head's width.",
            lambda q, k, h: _heads(q, h) @ _heads(k, h).transpose(-1, -2),
        ),
        Mistake(
            "The division is by the width, not by its root. Divide by the root.",
            lambda q, k, h: _scores(q, k, h) / math.sqrt(q.shape[-1] // h),
        ),
        Mistake(
            "The scores are multiplied by the root of the width. Divide by it.",
            lambda q, k, h: _scores(q, k, h) * (q.shape[-1] // h),
        ),
        Mistake(
            "The division is by the root of the number of heads. Divide by the root of the width "
            "of one head.",
            lambda q, k, h: _scores(q, k, h) * math.sqrt(q.shape[-1] // h / h),
        ),
        Mistake(
            "The division is by the root of the number of tokens. Divide by the root of the width "
            "of one head.",
            lambda q, k, h: _scores(q, k, h) * math.sqrt(q.shape[-1] // h / q.shape[1]),
        ),
        Mistake(
            "The heads are taken crosswise. A head is a block of columns side by side: "
            "unflatten(-1, (heads, -1)).",
            lambda q, k, h: _scores(_crosswise(q, h), _crosswise(k, h), h),
        ),
        Mistake(
            "The width is not cut into heads. Each head has its own scores.",
            lambda q, k, h: q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]),
        ),
        Mistake(
            "The heads are compared with each other. Bring them before the tokens: "
            "`.transpose(1, 2)` after the cut.",
            lambda q, k, h: q.unflatten(-1, (h, -1)) @ k.unflatten(-1, (h, -1)).transpose(-1, -2),
        ),
        Mistake(
            "The heads are compared with each other. Bring them before the tokens: "
            "`.transpose(1, 2)` after the cut.",
            lambda q, k, h: (
                q.unflatten(-1, (h, -1))
                @ k.unflatten(-1, (h, -1)).transpose(-1, -2)
                / math.sqrt(q.shape[-1] // h)
            ),
        ),
        Mistake(
            "The division is by the root of the whole width. One head has width / heads.",
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
_MASK3 = torch.tensor([[False, False, True, True], [True, True, True, True]])  # padded in front


def _kl(
    s: Tensor,
    t: Tensor,
    mask: Tensor,
    *,
    keys: bool = True,
    queries: bool = True,
    over: str = "sum",
    fill: float = -1e30,
    invert: bool = False,
) -> Tensor:
    """KL over keys, mean over heads and real queries, with one part left out."""
    if keys:
        hidden = mask if invert else ~mask
        s, t = (x.masked_fill(hidden[:, None, None, :], fill) for x in (s, t))
    log_s, log_t = s.log_softmax(-1), t.log_softmax(-1)
    terms = log_t.exp() * (log_t - log_s)
    each = terms.sum(-1) if over == "sum" else terms.mean(-1)
    each = each.mean(1)  # (B, L)
    return each[mask].mean() if queries else each.mean()


def _rowwise(s: Tensor, t: Tensor, mask: Tensor, *, entropy: bool = True) -> Tensor:
    """KL of each query, mean over the heads, (B, L); or the cross-entropy."""
    s, t = (x.masked_fill(~mask[:, None, None, :], -1e30) for x in (s, t))
    log_s, log_t = s.log_softmax(-1), t.log_softmax(-1)
    inner = log_t - log_s if entropy else -log_s
    return (log_t.exp() * inner).sum(-1).mean(1)


def _masked_afterwards(s: Tensor, t: Tensor, mask: Tensor) -> Tensor:
    log_s, log_t = s.log_softmax(-1), t.log_softmax(-1)
    terms = log_t.exp() * (log_t - log_s) * mask[:, None, None, :]
    return terms.sum(-1).mean(1)[mask].mean()


def _first_places(s: Tensor, t: Tensor, mask: Tensor) -> Tensor:
    """As many tokens as the mask counts, from the first place on, wherever the real ones stand."""
    ends = torch.arange(mask.shape[1]) < mask.sum(-1, keepdim=True)
    return _kl(s, t, ends)


def _padded(x: Tensor) -> Tensor:
    """Padding whose scores are far above the real ones: they have to be replaced."""
    return torch.nn.functional.pad(x, (0, 2, 0, 2), value=60.0)


attention_kl = Exercise(
    name="attention_kl",
    formula="sum over real keys of a_t (log a_t - log a_s), a the softmax of the scores over the "
    "real keys; mean over heads and over all real queries",
    reference=_kl,
    cases=(
        {"student_scores": _S, "teacher_scores": _T, "mask": _MASK},
        {"student_scores": _S2, "teacher_scores": _T2, "mask": _MASK2},
        {"student_scores": _T, "teacher_scores": _S, "mask": _MASK3},
    ),
    trained=("student_scores",),
    invariances=(
        Invariance("equal scores give 0", lambda f: same(f(_S, _S, _MASK), 0.0, 1e-5)),
        Invariance(
            "more padding changes nothing",
            lambda f: same(
                f(_padded(_S), _padded(_T), torch.nn.functional.pad(_MASK, (0, 2))),
                f(_S, _T, _MASK),
            ),
            "Padding counts neither as a key nor as a query, whatever its scores are.",
        ),
        Invariance(
            "scores far below 0 give the same",
            lambda f: same(f(_S - 200.0, _T - 200.0, _MASK), f(_S, _T, _MASK)),
            "Fill the masked keys with a number below any score, -1e30, and use `log_softmax`.",
        ),
        Invariance(
            "a gradient reaches the student's scores",
            lambda f: teaches(lambda s: f(s, _T, _MASK), _S),
            "Do not detach the student.",
        ),
        Invariance(
            "a constant added to all scores of a query changes nothing",
            lambda f: same(f(_S + 3.0, _T - 2.0, _MASK), f(_S, _T, _MASK)),
        ),
    ),
    mistakes=(
        Mistake(
            "The softmax is applied twice. `log_softmax` wants the scores themselves.",
            lambda s, t, m: _kl(s.softmax(-1), t.softmax(-1), m),
        ),
        Mistake(
            "The mask is not used. Padding may be neither a key nor a query.",
            lambda s, t, m: _kl(s, t, m, keys=False, queries=False),
        ),
        Mistake(
            "Padding still gets attention. Mask the keys before the softmax: "
            "`mask[:, None, None, :]`, along the last axis.",
            lambda s, t, m: _kl(s, t, m, keys=False),
        ),
        Mistake(
            "The mask is filled with -inf. Where both sides are -inf, their difference is NaN: "
            "fill with a large negative number, -1e30.",
            lambda s, t, m: _kl(s, t, m, fill=-math.inf),
        ),
        Mistake(
            "The mask is filled with 0. A score of 0 still gets attention: fill with -1e30.",
            lambda s, t, m: _kl(s, t, m, fill=0.0),
        ),
        Mistake(
            "The padding is taken to be at the end. It may be in front: use the mask itself, not "
            "the number of real tokens.",
            _first_places,
        ),
        Mistake(
            "The mask is inverted. True stands for a real token: hide the keys where it is False.",
            lambda s, t, m: _kl(s, t, m, invert=True),
        ),
        Mistake(
            "The mask is inverted. True stands for a real token: keep the queries that are True.",
            lambda s, t, m: _kl(s, t, ~m),
        ),
        Mistake(
            "The mask is inverted. True stands for a real token: keep the queries that are True.",
            lambda s, t, m: _rowwise(s, t, m)[~m].mean(),
        ),
        Mistake(
            "The heads are summed. Take their mean.", lambda s, t, m: s.shape[1] * _kl(s, t, m)
        ),
        Mistake("The queries are summed. Take their mean.", lambda s, t, m: m.sum() * _kl(s, t, m)),
        Mistake(
            "The padding counts in the mean as zeros. Divide by the number of real queries.",
            lambda s, t, m: (_rowwise(s, t, m) * m).mean(),
        ),
        Mistake(
            "The division is by the number of texts. Divide by the number of real queries.",
            lambda s, t, m: (_rowwise(s, t, m) * m).sum() / len(m),
        ),
        Mistake(
            "Each text is averaged first. Take one mean over all real queries.",
            lambda s, t, m: ((_rowwise(s, t, m) * m).sum(-1) / m.sum(-1)).mean(),
        ),
        Mistake(
            "The keys are masked after the softmax. The rest no longer sums to 1: mask the scores "
            "before it.",
            lambda s, t, m: _masked_afterwards(s, t, m),
        ),
        Mistake(
            "These are squared differences of scores. Take the KL of their softmax.",
            lambda s, t, m: (s - t).square().mean(-1).mean(1)[m].mean(),
        ),
        Mistake(
            "These are squared differences of scores. Take the KL of their softmax.",
            lambda s, t, m: (s - t).square().mean(),
        ),
        Mistake(
            "This is the cross-entropy. Subtract the teacher's own entropy.",
            lambda s, t, m: _rowwise(s, t, m, entropy=False)[m].mean(),
        ),
        Mistake(
            "Padding counts as a query. Take the mean over real queries: `each[mask]`.",
            lambda s, t, m: _kl(s, t, m, queries=False),
        ),
        Mistake(
            "There is a mean over the keys. A divergence sums over them.",
            lambda s, t, m: _kl(s, t, m, over="mean"),
        ),
        Mistake(
            "The direction is turned round. Weight by the teacher's attention.",
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
    trained=("x",),
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
            "The scale is missing. Divide by the root of one group's width.",
            lambda x, h: (_heads(x, h) @ _heads(x, h).transpose(-1, -2)).softmax(-1),
        ),
        Mistake(
            "The division is by the root of the whole width. One group has width / relation_heads.",
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
        Mistake(
            "The softmax runs over the groups. It runs over the last axis: `dim=-1`.",
            lambda x, h: _scores(x, x, h).softmax(1),
        ),
        Mistake(
            "The division is by the width, not by its root. Divide by the root.",
            lambda x, h: (_scores(x, x, h) / math.sqrt(x.shape[-1] // h)).softmax(-1),
        ),
        Mistake(
            "The scale comes after the softmax. Divide before it.",
            lambda x, h: (
                (_heads(x, h) @ _heads(x, h).transpose(-1, -2)).softmax(-1)
                / math.sqrt(x.shape[-1] // h)
            ),
        ),
        Mistake(
            "The division is by the root of the number of groups. Divide by the root of the "
            "width of one group.",
            lambda x, h: (_scores(x, x, h) * math.sqrt(x.shape[-1] // h / h)).softmax(-1),
        ),
        Mistake(
            "The groups are taken crosswise. A group is a block of columns side by side: "
            "unflatten(-1, (relation_heads, -1)).",
            lambda x, h: _relation(_crosswise(x, h), h),
        ),
        Mistake(
            "The rows are brought to length 1 first. Use x as it is.",
            lambda x, h: _relation(_unit(x), h),
        ),
        Mistake(
            "The rows are brought to length 1 first. Use x as it is.",
            lambda x, h: (_unit(_heads(x, h)) @ _unit(_heads(x, h)).transpose(-1, -2)).softmax(-1),
        ),
        Mistake(
            "The scores are multiplied by the root of the width. Divide by it.",
            lambda x, h: (_scores(x, x, h) * (x.shape[-1] // h)).softmax(-1),
        ),
        Mistake(
            "The columns are compared, not the tokens. It is x x^T: `g @ g.transpose(-1, -2)`.",
            lambda x, h: (_heads(x, h).transpose(-1, -2) @ _heads(x, h)).softmax(-1),
        ),
        Mistake(
            "The columns are compared, not the tokens. It is x x^T: `g @ g.transpose(-1, -2)`.",
            lambda x, h: (
                _heads(x, h).transpose(-1, -2) @ _heads(x, h) / math.sqrt(x.shape[-1] // h)
            ).softmax(-1),
        ),
        Mistake(
            "The width is not cut into groups. Each group has its own relation.",
            lambda x, h: (x @ x.transpose(-1, -2) / math.sqrt(x.shape[-1])).softmax(-1),
        ),
    ),
)


def _rotation(width: int) -> Tensor:
    return torch.linalg.qr(_draw(width, width, seed=71)).Q


EXERCISES = {e.name: e for e in (attention_map, attention_scores, attention_kl, relation)}
