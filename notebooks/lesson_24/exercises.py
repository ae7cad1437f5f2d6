"""The exercises of lesson 24: rounds of self-distillation, teaching an exit, leaving early."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same, shared_by_losses
from distill_lab.losses import kd_loss

__all__ = ["EXERCISES"]

_D, _D2 = torch.tensor([4.0, 1.0, 0.25, 0.0]), torch.tensor([9.0, 0.5])


def _factor(d: Tensor, penalty: float, rounds: int) -> Tensor:
    return (d / (d + penalty)) ** rounds


shrinkage = Exercise(
    name="shrinkage",
    formula="(d / (d + lambda))^t, one number for each eigenvalue d",
    reference=_factor,
    cases=(
        {"eigenvalues": _D, "penalty": 0.5, "rounds": 1},
        {"eigenvalues": _D, "penalty": 0.5, "rounds": 3},
        {"eigenvalues": _D2, "penalty": 2.0, "rounds": 2},
    ),
    invariances=(
        Invariance(
            "two rounds are one round, applied twice",
            lambda f: same(f(_D, 0.5, 2), torch.as_tensor(f(_D, 0.5, 1)) ** 2),
        ),
        Invariance("without a penalty nothing shrinks", lambda f: same(f(_D2, 0.0, 5), [1.0, 1.0])),
        Invariance("many rounds leave nothing", lambda f: bool((f(_D, 0.5, 10_000) < 1e-6).all())),
    ),
    mistakes=(
        Mistake(
            "The rounds multiply the penalty. Each round multiplies by d / (d + λ) again: use a "
            "power.",
            lambda d, p, t: d / (d + t * p),
        ),
        Mistake(
            "The rounds multiply the factor. Each round applies it once more: use a power.",
            lambda d, p, t: t * d / (d + p),
        ),
        Mistake("The rounds have no effect. Use a power.", lambda d, p, t: d / (d + p)),
        Mistake(
            "This is the part that is lost in a round. The part that stays is d / (d + λ).",
            lambda d, p, t: (p / (d + p)) ** t,
        ),
        Mistake(
            "This is boosting: each round learns what the last one missed. Here each round learns "
            "what the last one predicted.",
            lambda d, p, t: 1 - (p / (d + p)) ** t,
        ),
        Mistake(
            "Only the numerator has the power. The whole fraction is applied in every round.",
            lambda d, p, t: d**t / (d + p),
        ),
        Mistake(
            "Only the denominator has the power. The whole fraction is applied in every round.",
            lambda d, p, t: d / (d + p) ** t,
        ),
        Mistake(
            "The eigenvalue is missing above. The factor is d / (d + λ), not 1 / (d + λ).",
            lambda d, p, t: (1 / (d + p)) ** t,
        ),
        Mistake(
            "There is one round too many. Round 1 has the power 1.",
            lambda d, p, t: _factor(d, p, t + 1),
        ),
    ),
)


def _soft(shallow: Tensor, deep: Tensor, T: float) -> Tensor:
    return kd_loss(shallow, deep.detach(), T=T, alpha=1.0)


def _kl(a: Tensor, b: Tensor, T: float, reduction: str = "batchmean") -> Tensor:
    """KL(softmax(b / T) || softmax(a / T))."""
    loss = F.kl_div((a / T).log_softmax(-1), (b / T).softmax(-1), reduction="none")
    return {"batchmean": loss.sum(-1).mean(), "sum": loss.sum(), "mean": loss.mean()}[reduction]


def _deep_is_left_alone(loss: Callable[..., Tensor]) -> bool:
    shallow = logits(4, 5, 61).requires_grad_()
    deep = logits(4, 5, 62).requires_grad_()
    value = torch.as_tensor(loss(shallow, deep, 2.0))
    if not value.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(value, deep, allow_unused=True)
    return gradient is None or not bool(gradient.any())


exit_loss = Exercise(
    name="exit_loss",
    formula="T^2 KL(softmax(deep / T) || softmax(shallow / T)), mean over the batch; deep detached",
    reference=_soft,
    cases=tuple(
        {"shallow": logits(4, c, 63), "deep": logits(4, c, 64), "T": T}
        for c, T in ((5, 1.0), (5, 2.0), (3, 4.0))
    ),
    defaults={"T": 4.0},
    trained=("shallow",),
    invariances=(
        *shared_by_losses(_soft, (2.0,)),
        Invariance(
            "equal answers give 0", lambda f: same(f(logits(4, 5, 65), logits(4, 5, 65), 2.0), 0.0)
        ),
        Invariance(
            "no gradient reaches the deep exit",
            _deep_is_left_alone,
            "The shallow exit would move its own teacher. Use `deep.detach()`.",
            "The deep exit is not detached",
        ),
    ),
    mistakes=(
        Mistake("T² is missing. Without it the gradient shrinks with T.", _kl),
        Mistake(
            "The divergence is reversed. The deep exit is the teacher: KL(deep || shallow).",
            lambda s, d, T: T**2 * _kl(d.detach(), s, T),
        ),
        Mistake(
            "There is a mean over the classes. Sum over them, then take the mean over the batch.",
            lambda s, d, T: T**2 * _kl(s, d.detach(), T, "mean"),
        ),
        Mistake(
            "The batch is summed. Take the mean.",
            lambda s, d, T: T**2 * _kl(s, d.detach(), T, "sum"),
        ),
        Mistake(
            "T is applied to the deep exit only. Divide both by T.",
            lambda s, d, T: (
                T**2
                * F.kl_div(s.log_softmax(-1), (d / T).softmax(-1).detach(), reduction="batchmean")
            ),
        ),
        Mistake(
            "T is applied to the shallow exit only. Divide both by T.",
            lambda s, d, T: (
                T**2
                * F.kl_div((s / T).log_softmax(-1), d.softmax(-1).detach(), reduction="batchmean")
            ),
        ),
        Mistake(
            "This is T, not T². The gradient of the KL divergence shrinks with 1/T².",
            lambda s, d, T: T * _kl(s, d.detach(), T),
        ),
        Mistake(
            "The logits are multiplied by T. Divide them.",
            lambda s, d, T: T**2 * _kl(s * T * T, d.detach() * T * T, T),
        ),
        Mistake(
            "This is the cross-entropy. The entropy of the deep exit's answer is missing, so equal "
            "answers do not give 0.",
            lambda s, d, T: T**2 * F.cross_entropy(s / T, (d / T).softmax(-1).detach()),
        ),
        Mistake(
            "The deep exit's decision is used as a label. Use its probabilities.",
            lambda s, d, T: F.cross_entropy(s, d.argmax(-1)),
        ),
    ),
)

_SURE = torch.tensor([[0.30, 0.95, 0.80, 0.40], [0.70, 0.60, 0.85, 0.50], [0.60, 0.99, 0.90, 0.55]])
_COSTS = torch.tensor([1.0, 2.0, 5.0])
_FOUR = torch.cat((_SURE, torch.tensor([[0.9, 0.98, 0.95, 0.6]])))  # four exits


def _first(confidence: Tensor, threshold: float) -> Tensor:
    leaves = confidence >= threshold
    leaves = torch.cat([leaves[:-1], torch.ones_like(leaves[-1:])])
    return leaves.int().argmax(0)


exit_cost = Exercise(
    name="exit_cost",
    formula="cost of the first exit whose confidence is at least the threshold, else of the last",
    reference=lambda confidence, costs, threshold: costs[_first(confidence, threshold)],
    cases=(
        *({"confidence": _SURE, "costs": _COSTS, "threshold": t} for t in (0.8, 0.65, 0.5, 0.97)),
        {"confidence": _FOUR, "costs": torch.tensor([1.0, 2.0, 5.0, 7.0]), "threshold": 0.97},
    ),
    invariances=(
        Invariance(
            "with threshold 0 every picture leaves at the first exit",
            lambda f: same(f(_SURE, _COSTS, 0.0), torch.ones(4)),
        ),
        Invariance(
            "with a threshold that no exit reaches, every picture leaves at the last",
            lambda f: same(f(_SURE, _COSTS, 0.999), torch.full((4,), 5.0)),
            "Where no exit is confident, argmax of the comparison gives 0. Let the last exit "
            "always accept.",
            "A picture that no exit is sure of leaves at the first",
        ),
    ),
    mistakes=(
        Mistake(
            "A picture that no exit is sure of leaves at the first. It has to go to the last exit.",
            lambda c, costs, t: costs[(c >= t).int().argmax(0)],
        ),
        Mistake(
            "Three exits are counted, whatever there are. The last one is `costs[-1]`.",
            lambda c, costs, t: costs[:3][_first(c[:3], t)],
        ),
        Mistake(
            "The most confident exit is taken. Take the first one above the threshold.",
            lambda c, costs, t: costs[c.argmax(0)],
        ),
        Mistake(
            "The last confident exit is taken. The picture leaves at the first one.",
            lambda c, costs, t: costs[
                (len(c) - 1 - (c >= t).flip(0).int().argmax(0)) * (c >= t).any(0)
                + (len(c) - 1) * ~(c >= t).any(0)
            ],
        ),
        Mistake(
            "The comparison is reversed. A picture leaves where its confidence is high enough.",
            lambda c, costs, t: costs[_first(-c, -t)],
        ),
        Mistake(
            "Equal is not enough in your comparison. Use >=.",
            lambda c, costs, t: costs[_first(c, t + 1e-6)],
        ),
        Mistake(
            "The costs of all exits on the way are added up. `costs` counts the whole way already.",
            lambda c, costs, t: costs.cumsum(0)[_first(c, t)],
        ),
        Mistake(
            "This is the mean over the pictures. Keep one number for each.",
            lambda c, costs, t: costs[_first(c, t)].mean(),
        ),
        Mistake(
            "This is the number of the exit. Return what it costs.",
            lambda c, costs, t: _first(c, t).float(),
        ),
        Mistake(
            "This is the number of the exit, from 1. Return what it costs.",
            lambda c, costs, t: _first(c, t).float() + 1,
        ),
        Mistake(
            "This is one exit too late. The first confident exit is the one that answers.",
            lambda c, costs, t: costs[(_first(c, t) + 1).clamp(max=len(c) - 1)],
        ),
    ),
)

EXERCISES = {e.name: e for e in (shrinkage, exit_loss, exit_cost)}
