"""What learners get wrong after a rejection and on the speed of a draft, each with the cure."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["RESIDUAL", "SPEED_UP", "missing", "scaled", "tokens"]


def missing(p: Tensor, q: Tensor) -> Tensor:
    return (p - q).clamp(min=0)


def scaled(x: Tensor) -> Tensor:
    return x / x.sum(-1, keepdim=True)


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
        "The positive differences are gone, and the negative ones stay. Use `clamp(min=0)`, not "
        "`clamp(max=0)`.",
        lambda p, q: (p - q).clamp(max=0),
    ),
    Mistake(
        "This is a softmax of the differences. Set the negative ones to 0, and divide by the sum.",
        lambda p, q: (p - q).softmax(-1),
    ),
    Mistake(
        "The larger of p and q is taken. Subtract q from it: max(p, q) - q = max(p - q, 0).",
        lambda p, q: scaled(torch.maximum(p, q)),
    ),
    Mistake(
        "The larger of p and q is taken. Subtract q from it: max(p, q) - q = max(p - q, 0).",
        torch.maximum,
    ),
    Mistake(
        "This is the part that was accepted. After a rejection, the other part of p is drawn.",
        torch.minimum,
    ),
    Mistake(
        "The accepted part is subtracted from 1. Subtract it from p: p - min(p, q).",
        lambda p, q: scaled(1 - torch.minimum(p, q)),
    ),
    Mistake(
        "These are the ratios p / q. Use the difference: max(p - q, 0).", lambda p, q: scaled(p / q)
    ),
    Mistake(
        "This is how often each token is accepted. The new token comes from max(p - q, 0).",
        lambda p, q: scaled((p / q).clamp(max=1)),
    ),
    Mistake(
        "The ratio 1 - p / q is used. It is positive where the draft gives too much: p - q is due.",
        lambda p, q: scaled((1 - p / q).clamp(min=0)),
    ),
    Mistake(
        "q is not subtracted. Tokens with p > q keep p - q, not p.",
        lambda p, q: torch.where(p > q, p, 0.0),
    ),
    Mistake(
        "q is not subtracted. Tokens with p > q keep p - q, not p.",
        lambda p, q: scaled(torch.where(p > q, p, 0.0)),
    ),
    Mistake(
        "All missing tokens have the same weight. Each has the weight p - q.",
        lambda p, q: scaled((p > q).float()),
    ),
    Mistake(
        "The division comes before the clamp. p - q sums to 0: clamp first, then divide.",
        lambda p, q: ((p - q) / (p - q).sum(-1, keepdim=True)).clamp(min=0),
    ),
    Mistake(
        "Only the token that is missing most is drawn. Every token with p > q has its share.",
        lambda p, q: torch.nn.functional.one_hot((p - q).argmax(-1), p.shape[-1]).float(),
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
        "The draft's calls are added to c. Each of the n calls costs c: n c + 1.",
        lambda a, c, n: tokens(a, n) / (n + c),
    ),
    Mistake(
        "The target's call costs c here. It costs 1: n c + 1.",
        lambda a, c, n: tokens(a, n) / ((n + 1) * c),
    ),
    Mistake(
        "The cost is subtracted. Divide the tokens by the cost.",
        lambda a, c, n: tokens(a, n) - (n * c + 1),
    ),
    Mistake(
        "The cost is multiplied. Divide the tokens by the cost.",
        lambda a, c, n: tokens(a, n) * (n * c + 1),
    ),
    Mistake(
        "Only drafted tokens are counted, as if each were kept. Sum the powers 1 to a^n.",
        lambda a, c, n: n * a / (n * c + 1),
    ),
    Mistake(
        "Only the case that all are accepted is counted. Fewer accepted tokens count, too.",
        lambda a, c, n: n * a**n / (n * c + 1),
    ),
    Mistake(
        "Base and exponent are exchanged. It is `acceptance**i`.",
        lambda a, c, n: sum(i**a for i in range(n + 1)) / (n * c + 1),
    ),
    Mistake(
        "The cost is raised to the power n. n calls cost n times c.",
        lambda a, c, n: tokens(a, n) / (c**n + 1),
    ),
    Mistake(
        "The draft is paid only for accepted tokens. Each drafted token costs a call: n c + 1.",
        lambda a, c, n: tokens(a, n) / (a * n * c + 1),
    ),
    Mistake(
        "The draft is paid only for accepted tokens. Each drafted token costs a call: n c + 1.",
        lambda a, c, n: tokens(a, n) / (tokens(a, n) * c + 1),
    ),
    Mistake(
        "The target's own token is counted twice. a^0 = 1 is this token already.",
        lambda a, c, n: (tokens(a, n) + 1) / (n * c + 1),
    ),
    Mistake(
        "The fraction is turned round. It is (1 - a^(n+1)) / (1 - a).",
        lambda a, c, n: 1 / tokens(a, n) / (n * c + 1),
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
