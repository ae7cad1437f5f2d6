"""Exercises on two views: one answer behind two prompts, what hints leave over, pass@k."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance
from distill_lab.course.check.invariances import same
from lesson_46 import hint_mistakes, mistakes
from lesson_46.several_attempts import pass_at_k

__all__ = ["EXERCISES"]


def _draw(rows: int, classes: int, seed: int) -> Tensor:
    return 2 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


def _views(s: int, t: int, n: int, classes: int, seed: int) -> dict[str, Any]:
    return {
        "student_logits": _draw(s + n, classes, seed),
        "teacher_logits": _draw(t + n, classes, seed + 1),
        "s": s,
        "t": t,
        "n": n,
    }


_VIEWS = (_views(3, 6, 4, 5, 1), _views(2, 3, 3, 7, 3), _views(4, 9, 2, 4, 5))


def _teaches(f: Callable[..., Any]) -> bool:
    views = _VIEWS[0]
    student = views["student_logits"].clone().requires_grad_()
    loss = f(student, *list(views.values())[1:])
    if not loss.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(loss, student, allow_unused=True)
    return gradient is not None and bool(gradient.abs().sum() > 0)


view_kl = Exercise(
    name="view_kl",
    formula="KL(p ‖ q) of rows t - 1 ... t + n - 2 of the teacher and s - 1 ... s + n - 2 of the "
    "student, mean over the n tokens",
    reference=mistakes.view_kl,
    cases=_VIEWS,
    trained=("student_logits",),
    invariances=(
        Invariance(
            "a gradient reaches the student's logits",
            _teaches,
            "Do not detach the student, and let its logits enter the loss.",
            "No gradient reaches the student",
        ),
        Invariance(
            "the same logits behind two prompts give 0",
            lambda f: same(
                f(_VIEWS[0]["student_logits"], _VIEWS[0]["student_logits"], 3, 3, 4), 0.0, 1e-5
            ),
        ),
        Invariance(
            "the logits at other tokens of the prompts change nothing",
            lambda f: same(
                f(
                    torch.cat((_draw(2, 5, 8), _VIEWS[0]["student_logits"][2:])),
                    torch.cat((_draw(5, 5, 9), _VIEWS[0]["teacher_logits"][5:])),
                    3,
                    6,
                    4,
                ),
                mistakes.view_kl(*_VIEWS[0].values()),
            ),
        ),
    ),
    mistakes=mistakes.VIEW_KL,
)


def _hints(rows: int, classes: int, seed: int) -> dict[str, Any]:
    share = _draw(1, rows, seed)[0].softmax(-1)
    return {"share": share, "teachers": _draw(rows, classes, seed + 1).softmax(-1)}


_HINTS = (_hints(3, 4, 11), _hints(2, 5, 13), _hints(5, 5, 15))


left_over = Exercise(
    name="left_over",
    formula="sum_z p(z) KL(p_z ‖ q) with q = sum_z p(z) p_z",
    reference=hint_mistakes.left_over,
    cases=_HINTS,
    invariances=(
        Invariance(
            "hints that say the same leave nothing over",
            lambda f: same(
                f(_HINTS[0]["share"], _HINTS[0]["teachers"][:1].expand(3, 4)), 0.0, 1e-5
            ),
        ),
        Invariance(
            "two sure and equally frequent hints leave ln 2",
            lambda f: same(
                f(torch.tensor([0.5, 0.5]), torch.eye(2) * (1 - 2e-7) + 1e-7), 0.693147, 1e-4
            ),
        ),
    ),
    mistakes=hint_mistakes.LEFT_OVER,
)

EXERCISES = {each.name: each for each in (view_kl, left_over, pass_at_k)}
