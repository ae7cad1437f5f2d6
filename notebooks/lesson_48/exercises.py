"""The exercises of lesson 48: after a rejection, acceptance from logits, and what a draft saves."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same

__all__ = ["EXERCISES"]

_P, _Q = logits(4, 5, 81, scale=1.0).softmax(-1), logits(4, 5, 82, scale=1.0).softmax(-1)
_P2, _Q2 = logits(3, 7, 83).softmax(-1), logits(3, 7, 84).softmax(-1)


def _missing(p: Tensor, q: Tensor) -> Tensor:
    return (p - q).clamp(min=0)


def _scaled(x: Tensor) -> Tensor:
    return x / x.sum(-1, keepdim=True)


def _gives_the_target(f: object) -> bool:
    """What is accepted and what is drawn again are p together."""
    kept = torch.minimum(_P, _Q)
    again = torch.as_tensor(f(_P, _Q))  # type: ignore[operator]
    return same(kept + (1 - kept.sum(-1, keepdim=True)) * again, _P)


residual = Exercise(
    name="residual",
    formula="max(p - q, 0) of each row, divided by its sum",
    reference=lambda p, q: _scaled(_missing(p, q)),
    cases=({"p": _P, "q": _Q}, {"p": _P2, "q": _Q2}),
    invariances=(
        Invariance(
            "each row sums to 1", lambda f: same(torch.as_tensor(f(_P, _Q)).sum(-1), torch.ones(4))
        ),
        Invariance("accepted and redrawn tokens together are distributed as p", _gives_the_target),
    ),
    mistakes=(
        Mistake(
            "The rows are not scaled. They are no distributions: divide each by its sum.", _missing
        ),
        Mistake(
            "Draft and target are exchanged. The new token comes from what the draft gives too "
            "little of: max(p - q, 0).",
            lambda p, q: _scaled(_missing(q, p)),
        ),
        Mistake(
            "This is the target's distribution. What was accepted already covers min(p, q), so "
            "only max(p - q, 0) is missing.",
            lambda p, q: p,
        ),
        Mistake(
            "The negative differences are still there. Set them to 0 with `clamp(min=0)`.",
            lambda p, q: p - q,
        ),
        Mistake(
            "This is the absolute difference. Tokens that the draft gives too often must not be "
            "drawn again: use `clamp(min=0)`.",
            lambda p, q: _scaled((p - q).abs()),
        ),
        Mistake(
            "This is the part that was accepted. After a rejection, the other part of p is drawn.",
            lambda p, q: _scaled(torch.minimum(p, q)),
        ),
        Mistake(
            "There is one sum for all rows. Each row is a distribution: `sum(-1, keepdim=True)`.",
            lambda p, q: _missing(p, q) / _missing(p, q).sum(),
        ),
        Mistake(
            "The sum runs down the batch. Classes are on the last axis: `sum(-1, keepdim=True)`.",
            lambda p, q: _missing(p, q) / _missing(p, q).sum(0, keepdim=True),
        ),
        Mistake(
            "This is a softmax of the differences. They are probabilities already: divide by "
            "their sum.",
            lambda p, q: _missing(p, q).softmax(-1),
        ),
        Mistake(
            "The ratio is used in place of the difference. Use max(p - q, 0).",
            lambda p, q: _scaled((p / q - 1).clamp(min=0)),
        ),
    ),
)


def _accepted(s: Tensor, t: Tensor) -> Tensor:
    return torch.minimum(s.softmax(-1), t.softmax(-1)).sum(-1)


def _ratio(s: Tensor, t: Tensor) -> Tensor:
    return (t.softmax(-1) / s.softmax(-1)).clamp(max=1)


_S, _T = logits(4, 5, 85), logits(4, 5, 86)
_S2, _T2 = logits(6, 3, 87), logits(6, 3, 88)

acceptance = Exercise(
    name="acceptance",
    formula="sum over classes of min(p, q), mean over the rows",
    reference=lambda s, t: _accepted(s, t).mean(),
    cases=({"draft_logits": _S, "target_logits": _T}, {"draft_logits": _S2, "target_logits": _T2}),
    invariances=(
        Invariance("a perfect draft is always accepted", lambda f: same(f(_T, _T), 1.0)),
        Invariance(
            "a constant added to all logits of a row changes nothing",
            lambda f: same(f(_S + 3.0, _T - 2.0), f(_S, _T)),
            "Take the softmax of both before you compare.",
        ),
        Invariance(
            "the same rows twice over change nothing",
            lambda f: same(f(torch.cat((_S, _S)), torch.cat((_T, _T))), f(_S, _T)),
            "Take the mean over the rows.",
            "The rows are summed",
        ),
        Invariance(
            "finite for logits of ±10,000",
            lambda f: bool(torch.isfinite(torch.as_tensor(f(5e3 * _S, 5e3 * _T))).all()),
            "A quotient p / q becomes 0 / 0. `torch.minimum(p, q)` needs no division.",
            "A division by a probability of zero",
        ),
    ),
    mistakes=(
        Mistake(
            "This is the total variation. Acceptance is 1 minus it.",
            lambda s, t: 1 - _accepted(s, t).mean(),
        ),
        Mistake(
            "The half is missing. Total variation is half the sum of |p - q|.",
            lambda s, t: 1 - (t.softmax(-1) - s.softmax(-1)).abs().sum(-1).mean(),
        ),
        Mistake(
            "The probabilities are multiplied. Sum the smaller one of each pair.",
            lambda s, t: (s.softmax(-1) * t.softmax(-1)).sum(-1).mean(),
        ),
        Mistake(
            "The logits are compared. Take the softmax of both first.",
            lambda s, t: torch.minimum(s, t).sum(-1).mean(),
        ),
        Mistake(
            "This is the larger one of each pair. Use `torch.minimum`.",
            lambda s, t: torch.maximum(s.softmax(-1), t.softmax(-1)).sum(-1).mean(),
        ),
        Mistake(
            "There is a mean over the classes. Sum over them.",
            lambda s, t: _accepted(s, t).mean() / s.shape[-1],
        ),
        Mistake("The rows are summed. Take their mean.", lambda s, t: _accepted(s, t).sum()),
        Mistake("The mean over the rows is missing. Return one number.", _accepted),
        Mistake(
            "Each token has the same weight here. The draft proposes token x with probability "
            "q(x): weigh min(1, p / q) by q.",
            lambda s, t: _ratio(s, t).mean(),
        ),
        Mistake(
            "The target's probabilities are the weights. The draft proposes: weigh by q.",
            lambda s, t: (t.softmax(-1) * _ratio(s, t)).sum(-1).mean(),
        ),
        Mistake(
            "The ratio is turned round. A token is accepted with probability min(1, p / q).",
            lambda s, t: (s.softmax(-1) * _ratio(t, s)).sum(-1).mean(),
        ),
        Mistake(
            "This is how often both have the same most probable token. Acceptance compares whole "
            "distributions.",
            lambda s, t: (s.argmax(-1) == t.argmax(-1)).float().mean(),
        ),
        Mistake(
            "The softmax runs down the batch. Classes are on the last axis: `softmax(-1)`.",
            lambda s, t: torch.minimum(s.softmax(0), t.softmax(0)).sum(-1).mean(),
        ),
    ),
)


def _tokens(a: float, n: int) -> float:
    return float(sum(a**i for i in range(n + 1)))


speed_up = Exercise(
    name="speed_up",
    formula="(1 + a + ... + a^n) / (n c + 1), with a the acceptance, c the cost, n the drafts",
    reference=lambda a, c, n: _tokens(a, n) / (n * c + 1),
    cases=(
        {"acceptance": 0.8, "cost": 0.25, "drafts": 3},
        {"acceptance": 0.5, "cost": 0.1, "drafts": 1},
        {"acceptance": 0.9, "cost": 0.5, "drafts": 5},
    ),
    invariances=(
        Invariance(
            "a draft that is never accepted only costs", lambda f: same(f(0.0, 0.25, 4), 0.5)
        ),
        Invariance(
            "a perfect draft that costs nothing gives one token more than it drafts",
            lambda f: same(f(1.0, 0.0, 4), 5.0),
            "At acceptance 1 the fraction (1 - a^(n+1)) / (1 - a) is 0 / 0. Use the sum.",
            "At acceptance 1 there is a division by zero",
        ),
    ),
    mistakes=(
        Mistake(
            "The target's own token is missing. A pass always yields one token more than the draft "
            "gets accepted.",
            lambda a, c, n: (_tokens(a, n) - 1) / (n * c + 1),
        ),
        Mistake(
            "The last power is missing. The sum goes up to a^n: `range(drafts + 1)`.",
            lambda a, c, n: (_tokens(a, n) - a**n) / (n * c + 1),
        ),
        Mistake(
            "The pass of the target is missing in the cost. A pass costs n c + 1.",
            lambda a, c, n: _tokens(a, n) / (n * c),
        ),
        Mistake("The cost has no effect. Divide by n c + 1.", lambda a, c, n: _tokens(a, n)),
        Mistake(
            "The draft is paid once. It is called once for each drafted token: n c + 1.",
            lambda a, c, n: _tokens(a, n) / (c + 1),
        ),
        Mistake(
            "The draft is called once too often. It is called n times, and the target once.",
            lambda a, c, n: _tokens(a, n) / ((n + 1) * c + 1),
        ),
        Mistake(
            "Tokens after a rejection are counted. Token i is kept only if all before it are: use "
            "powers of a.",
            lambda a, c, n: (1 + n * a) / (n * c + 1),
        ),
        Mistake(
            "This is the time, not the speed. Divide the tokens by the cost.",
            lambda a, c, n: (n * c + 1) / _tokens(a, n),
        ),
        Mistake(
            "Only the case that all are accepted is counted. Fewer accepted tokens count, too.",
            lambda a, c, n: (1 + n * a**n) / (n * c + 1),
        ),
        Mistake(
            "The target is called once for each token. It reads all drafted tokens in one pass.",
            lambda a, c, n: _tokens(a, n) / (n * c + n),
        ),
    ),
    number_is_fine=True,
)

EXERCISES = {e.name: e for e in (residual, acceptance, speed_up)}
