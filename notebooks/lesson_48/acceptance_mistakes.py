"""What learners get wrong on the acceptance of a draft, each with the cure."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["ACCEPTANCE", "accepted"]


def accepted(s: Tensor, t: Tensor) -> Tensor:
    return torch.minimum(s.softmax(-1), t.softmax(-1)).sum(-1)


def _ratio(s: Tensor, t: Tensor) -> Tensor:
    return (t.softmax(-1) / s.softmax(-1)).clamp(max=1)


def _kl(s: Tensor, t: Tensor) -> Tensor:
    return (t.softmax(-1) * (t.log_softmax(-1) - s.log_softmax(-1))).sum(-1)


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
        "The result is always 1, the sum of a distribution. Cut the ratio with min(1, p / q), or "
        "sum the smaller of p and q.",
        lambda s, t: t.softmax(-1).sum(-1).mean(),
    ),
    Mistake(
        "This is the sum of |p - q|, twice the total variation. Acceptance is 1 minus half of it.",
        lambda s, t: 2 - 2 * accepted(s, t).mean(),
    ),
    Mistake(
        "This is 1 minus the KL divergence. Acceptance is 1 minus the total variation.",
        lambda s, t: 1 - _kl(s, t).mean(),
    ),
    Mistake(
        "This is exp of minus the KL divergence. Acceptance sums the smaller probability of each "
        "pair.",
        lambda s, t: (-_kl(s, t).mean()).exp(),
    ),
    Mistake(
        "The smallest of each row is taken. `torch.minimum` compares p with q; then sum.",
        lambda s, t: torch.minimum(s.softmax(-1), t.softmax(-1)).amin(-1).mean(),
    ),
    Mistake(
        "The root of the product is summed. Sum the smaller one of each pair.",
        lambda s, t: (s.softmax(-1) * t.softmax(-1)).sqrt().sum(-1).mean(),
    ),
    Mistake(
        "The draft is taken to propose its most probable token. It samples: sum over all tokens.",
        lambda s, t: _ratio(s, t).gather(-1, s.argmax(-1, keepdim=True)).mean(),
    ),
    Mistake(
        "The difference is squared. Total variation has its absolute value.",
        lambda s, t: 1 - (t.softmax(-1) - s.softmax(-1)).square().sum(-1).mean() / 2,
    ),
    Mistake(
        "A token with p below q counts 0. It is still accepted with probability p / q.",
        lambda s, t: (s.softmax(-1) * (t.softmax(-1) >= s.softmax(-1))).sum(-1).mean(),
    ),
    Mistake(
        "The share of tokens with p above q is returned. Sum the smaller one of each pair.",
        lambda s, t: (t.softmax(-1) >= s.softmax(-1)).float().mean(),
    ),
    Mistake(
        "The exponentials are not scaled. Take the softmax: exp divided by its sum.",
        lambda s, t: torch.minimum(s.exp(), t.exp()).sum(-1).mean(),
    ),
    Mistake(
        "This is the KL divergence. Acceptance sums the smaller probability of each pair.",
        lambda s, t: _kl(s, t).mean(),
    ),
)
