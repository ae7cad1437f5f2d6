"""The exercise on Hinton's distillation loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same, shared_by_losses
from distill_lab.course.check.wrong_kl import Soft, kl, kl_errors
from distill_lab.losses import response

__all__ = ["EXERCISES"]

_S, _T = logits(4, 5, 1), logits(4, 5, 2)
_S2, _T2 = logits(6, 3, 3), logits(6, 3, 4)
_Y, _Y2 = torch.tensor([0, 4, 2, 1]), torch.tensor([2, 0, 0, 1, 2, 1])


def _blend(soft: Soft, scale: Callable[[float], float] = lambda T: T**2) -> Callable[..., Tensor]:
    """alpha * scale(T) * soft + (1 - alpha) * CE: Hinton's loss with one part put in wrong."""
    return lambda s, t, y, T, alpha: (
        alpha * scale(T) * soft(s, t, T) + (1 - alpha) * F.cross_entropy(s, y)
    )


def _teacher_first(divergence: Soft) -> Soft:
    return lambda s, t, T: divergence(t, s, T)


def _right_kl(s: Tensor, t: Tensor, T: float) -> Tensor:
    return kl(t, s, T, T)


def _keeps_its_size(f: Callable[..., Tensor]) -> bool:
    """Whether the gradient of the soft part is as large at T = 32 as it is at T = 8."""
    sizes = []
    for T in (8.0, 32.0):
        student = (_S / 2).clone().requires_grad_()
        loss = f(student, _T / 2, _Y, T, 1.0)
        if not loss.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(loss, student)
        sizes.append(gradient.norm().item())
    return 0.8 < sizes[1] / sizes[0] < 1.25


kd_loss = Exercise(
    name="kd_loss",
    formula="alpha · T² · KL(p ‖ q) + (1 - alpha) · cross-entropy(student, labels); the "
    "cross-entropy is at T = 1",
    reference=lambda s, t, y, T, alpha: response.kd_loss(s, t, y, T=T, alpha=alpha),
    cases=tuple(
        {"student_logits": s, "teacher_logits": t, "labels": y, "T": T, "alpha": alpha}
        for T, alpha in ((1.0, 0.5), (2.0, 0.5), (4.0, 0.9), (4.0, 0.3))
        for s, t, y in ((_S, _T, _Y), (_S2, _T2, _Y2))
    ),
    invariances=(
        Invariance(
            "alpha = 0 gives the plain cross-entropy",
            lambda f: same(f(_S, _T, _Y, 4.0, 0.0), F.cross_entropy(_S, _Y)),
            "alpha weighs the soft part, 1 - alpha the labels; T does not touch the labels' part.",
        ),
        Invariance(
            "at alpha = 1 the labels do not matter",
            lambda f: same(f(_S, _T, _Y, 4.0, 1.0), f(_S, _T, (_Y + 1) % 5, 4.0, 1.0)),
        ),
        Invariance(
            "at alpha = 1 equal inputs give 0", lambda f: same(f(_S, _S, _Y, 4.0, 1.0), 0.0, 1e-5)
        ),
        Invariance(
            "the soft part's gradient keeps its size as T grows",
            _keeps_its_size,
            "The gradient of the KL shrinks as 1/T²; the factor T² makes up for it.",
        ),
        *shared_by_losses((2.0, 0.5), _Y),
    ),
    mistakes=(
        Mistake(
            "T² is missing. Without it the soft part's gradient shrinks as 1/T², and at a high T "
            "only the labels still teach.",
            _blend(_right_kl, lambda T: 1.0),
        ),
        Mistake(
            "T² stands before the whole loss. It belongs to the soft part alone.",
            lambda s, t, y, T, alpha: T**2 * _blend(_right_kl, lambda _: 1.0)(s, t, y, T, alpha),
        ),
        Mistake("The soft part is multiplied by T, not by T².", _blend(_right_kl, lambda T: T)),
        Mistake(
            "alpha and 1 - alpha have changed places: alpha weighs the soft part.",
            lambda s, t, y, T, alpha: _blend(_right_kl)(s, t, y, T, 1 - alpha),
        ),
        Mistake(
            "The labels' part is softened too. Its cross-entropy is taken at T = 1.",
            lambda s, t, y, T, alpha: (
                alpha * T**2 * _right_kl(s, t, T) + (1 - alpha) * F.cross_entropy(s / T, y)
            ),
        ),
        Mistake(
            "The two parts are added without alpha and 1 - alpha.",
            lambda s, t, y, T, alpha: T**2 * _right_kl(s, t, T) + F.cross_entropy(s, y),
        ),
        Mistake(
            "The soft part has the teacher twice, and the student is missing from it.",
            _blend(lambda s, t, T: kl(t, t, T, T)),
        ),
        *(
            Mistake("In the soft part " + words, _blend(_teacher_first(fn)))
            for words, fn in kl_errors("teacher", "student", "p")
        ),
    ),
)

EXERCISES = {kd_loss.name: kd_loss}
