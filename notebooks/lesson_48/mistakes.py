"""What learners get wrong on drafts, each with the cure: the mistakes of the exercises."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["ACCEPTANCE", "RESIDUAL", "SPEED_UP", "accepted", "missing", "scaled", "tokens"]


def missing(p: Tensor, q: Tensor) -> Tensor:
    return (p - q).clamp(min=0)


def scaled(x: Tensor) -> Tensor:
    return x / x.sum(-1, keepdim=True)


def accepted(s: Tensor, t: Tensor) -> Tensor:
    return torch.minimum(s.softmax(-1), t.softmax(-1)).sum(-1)


def _ratio(s: Tensor, t: Tensor) -> Tensor:
    return (t.softmax(-1) / s.softmax(-1)).clamp(max=1)


def tokens(a: float, n: int) -> float:
    return float(sum(a**i for i in range(n + 1)))


RESIDUAL = (
    Mistake("The rows are not scaled. They are no distributions: divide each by its sum.", missing),
    Mistake(
        "Draft and target are exchanged. The new token comes from what the draft gives too "
        "little of: max(p - q, 0).",
        lambda p, q: scaled(missing(q, p)),
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
        lambda p, q: scaled((p - q).abs()),
    ),
    Mistake(
        "This is the part that was accepted. After a rejection, the other part of p is drawn.",
        lambda p, q: scaled(torch.minimum(p, q)),
    ),
    Mistake(
        "There is one sum for all rows. Each row is a distribution: `sum(-1, keepdim=True)`.",
        lambda p, q: missing(p, q) / missing(p, q).sum(),
    ),
    Mistake(
        "The sum runs down the batch. Classes are on the last axis: `sum(-1, keepdim=True)`.",
        lambda p, q: missing(p, q) / missing(p, q).sum(0, keepdim=True),
    ),
    Mistake(
        "This is a softmax of the differences. They are probabilities already: divide by "
        "their sum.",
        lambda p, q: missing(p, q).softmax(-1),
    ),
    Mistake(
        "The ratio is used in place of the difference. Use max(p - q, 0).",
        lambda p, q: scaled((p / q - 1).clamp(min=0)),
    ),
    Mistake(
        "Logarithms are subtracted. Use the probabilities themselves: max(p - q, 0).",
        lambda p, q: scaled((p.log() - q.log()).clamp(min=0)),
    ),
    Mistake(
        "Only the token that is missing most is drawn. Every token with p > q has its share.",
        lambda p, q: torch.nn.functional.one_hot((p - q).argmax(-1), p.shape[-1]).float(),
    ),
)


ACCEPTANCE = (
    Mistake(
        "This is the total variation. Acceptance is 1 minus it.",
        lambda s, t: 1 - accepted(s, t).mean(),
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
        lambda s, t: accepted(s, t).mean() / s.shape[-1],
    ),
    Mistake("The rows are summed. Take their mean.", lambda s, t: accepted(s, t).sum()),
    Mistake("The mean over the rows is missing. Return one number.", accepted),
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
    Mistake(
        "The log-probabilities are compared. Use `softmax`, not `log_softmax`.",
        lambda s, t: torch.minimum(s.log_softmax(-1), t.log_softmax(-1)).sum(-1).mean(),
    ),
    Mistake(
        "Only the target has a softmax. Take the softmax of the draft's logits, too.",
        lambda s, t: torch.minimum(s, t.softmax(-1)).sum(-1).mean(),
    ),
    Mistake(
        "Only the draft has a softmax. Take the softmax of the target's logits, too.",
        lambda s, t: torch.minimum(s.softmax(-1), t).sum(-1).mean(),
    ),
    Mistake(
        "A sigmoid stands in the place of the softmax. The classes of a row exclude each other.",
        lambda s, t: torch.minimum(s.sigmoid(), t.sigmoid()).sum(-1).mean(),
    ),
    Mistake(
        "The logarithm of the acceptance is returned. Return the acceptance itself.",
        lambda s, t: -accepted(s, t).log().mean(),
    ),
    Mistake(
        "The logarithm of the acceptance is returned. Return the acceptance itself.",
        lambda s, t: accepted(s, t).log().mean(),
    ),
    Mistake(
        "There is a mean over the classes in the total variation. Sum over them.",
        lambda s, t: 1 - (t.softmax(-1) - s.softmax(-1)).abs().mean() / 2,
    ),
    Mistake(
        "The ratios are summed without weights. The draft proposes: weigh min(1, p / q) by q.",
        lambda s, t: _ratio(s, t).sum(-1).mean(),
    ),
    Mistake(
        "The ratio is not cut at 1. So the sum is that of p, always 1: use min(1, p / q).",
        lambda s, t: t.softmax(-1).sum(-1).mean(),
    ),
    Mistake(
        "This is the KL divergence. Acceptance sums the smaller probability of each pair.",
        lambda s, t: (t.softmax(-1) * (t.log_softmax(-1) - s.log_softmax(-1))).sum(-1).mean(),
    ),
)


SPEED_UP = (
    Mistake(
        "The target's own token is missing. A pass always yields one token more than the draft "
        "gets accepted.",
        lambda a, c, n: (tokens(a, n) - 1) / (n * c + 1),
    ),
    Mistake(
        "The last power is missing. The sum goes up to a^n: `range(drafts + 1)`.",
        lambda a, c, n: (tokens(a, n) - a**n) / (n * c + 1),
    ),
    Mistake(
        "The pass of the target is missing in the cost. A pass costs n c + 1.",
        lambda a, c, n: tokens(a, n) / (n * c),
    ),
    Mistake("The cost has no effect. Divide by n c + 1.", lambda a, c, n: tokens(a, n)),
    Mistake(
        "The draft is paid once. It is called once for each drafted token: n c + 1.",
        lambda a, c, n: tokens(a, n) / (c + 1),
    ),
    Mistake(
        "The draft is called once too often. It is called n times, and the target once.",
        lambda a, c, n: tokens(a, n) / ((n + 1) * c + 1),
    ),
    Mistake(
        "Tokens after a rejection are counted. Token i is kept only if all before it are: use "
        "powers of a.",
        lambda a, c, n: (1 + n * a) / (n * c + 1),
    ),
    Mistake(
        "This is the time, not the speed. Divide the tokens by the cost.",
        lambda a, c, n: (n * c + 1) / tokens(a, n),
    ),
    Mistake(
        "Only the case that all are accepted is counted. Fewer accepted tokens count, too.",
        lambda a, c, n: (1 + n * a**n) / (n * c + 1),
    ),
    Mistake(
        "The target is called once for each token. It reads all drafted tokens in one pass.",
        lambda a, c, n: tokens(a, n) / (n * c + n),
    ),
    Mistake(
        "Brackets are missing around the cost. Divide by all of it: `/ (drafts * cost + 1)`.",
        lambda a, c, n: tokens(a, n) / (n * c) + 1,
    ),
    Mistake(
        "Brackets are missing around the cost. Divide by all of it: `/ (drafts * cost + 1)`.",
        lambda a, c, n: tokens(a, n) / n * c + 1,
    ),
    Mistake(
        "There is a power too many. The sum goes up to a^n: `range(drafts + 1)`.",
        lambda a, c, n: tokens(a, n + 1) / (n * c + 1),
    ),
    Mistake(
        "Only the last power is counted. Sum all of them, from 1 to a^n.",
        lambda a, c, n: a**n / (n * c + 1),
    ),
    Mistake(
        "The sum has no end. A pass has only n drafted tokens: stop at a^n.",
        lambda a, c, n: 1 / (1 - a) / (n * c + 1),
    ),
    Mistake(
        "Acceptance is multiplied by i. It has to be raised to the power i: `acceptance**i`.",
        lambda a, c, n: a * n * (n + 1) / 2 / (n * c + 1),
    ),
    Mistake(
        "This is the gain, not the speed. Leave out the last `- 1`.",
        lambda a, c, n: tokens(a, n) / (n * c + 1) - 1,
    ),
    Mistake(
        "The result is rounded. Keep the fraction: use `/`, not `//`.",
        lambda a, c, n: tokens(a, n) // (n * c + 1),
    ),
)
