"""The exercises of lesson 13: recover a teacher, where only it is right, the bill of two stages."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance
from distill_lab.course.check.invariances import logits as draw
from distill_lab.course.check.invariances import same
from lesson_13.mistakes import BILL, ONLY, RECOVER, bill, only, solve

__all__ = ["EXERCISES"]

_X, _FEW = draw(7, 4, 41).double(), draw(3, 5, 42).double()
_W, _W2 = draw(1, 4, 43)[0].double(), draw(1, 5, 44)[0].double()
_T, _S = draw(12, 4, 45), draw(12, 4, 46)
_Y = torch.tensor([0, 3, 1, 2, 2, 0, 1, 3, 3, 1, 0, 2])
_T2, _S2 = draw(9, 3, 47), draw(9, 3, 48)
_Y2 = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 1])


def _sure(labels: Tensor, classes: int) -> Tensor:
    return 9.0 * torch.nn.functional.one_hot(labels, classes).float()


recover_weights = Exercise(
    name="recover_weights",
    formula="the shortest v with X v = z in least squares: v = pinv(X) z, shape (d,)",
    reference=solve,
    cases=({"inputs": _X, "logits": _X @ _W + 0.3}, {"inputs": _FEW, "logits": _FEW @ _W2}),
    invariances=(
        Invariance(
            "with n ≥ d examples it is the teacher", lambda f: same(f(_X, _X @ _W).double(), _W)
        ),
        Invariance(
            "with fewer, it fits every example",
            lambda f: same(_FEW @ f(_FEW, _FEW @ _W2).double(), _FEW @ _W2),
        ),
        Invariance(
            "logits twice as large give weights twice as large",
            lambda f: same(f(_X, 2 * (_X @ _W)), 2 * f(_X, _X @ _W)),
        ),
    ),
    mistakes=RECOVER,
)

only_teacher = Exercise(
    name="only_teacher",
    formula="100 · mean over the examples of (teacher right and student wrong)",
    reference=only,
    cases=(
        {"teacher_logits": _T, "student_logits": _S, "labels": _Y},
        {"teacher_logits": _T2, "student_logits": _S2, "labels": _Y2},
        {"teacher_logits": _sure(_Y, 4), "student_logits": _S, "labels": _Y},
        {"teacher_logits": _T, "student_logits": _sure(_Y.roll(1), 4), "labels": _Y},
    ),
    number_is_fine=True,
    invariances=(
        Invariance("a student equal to its teacher gives 0", lambda f: same(f(_T, _T, _Y), 0.0)),
        Invariance(
            "a teacher that is always right and a student that never is give 100",
            lambda f: same(f(_sure(_Y, 4), _sure((_Y + 1) % 4, 4), _Y), 100.0),
        ),
        Invariance(
            "the same examples twice over change nothing",
            lambda f: same(f(_T.repeat(2, 1), _S.repeat(2, 1), _Y.repeat(2)), f(_T, _S, _Y)),
        ),
    ),
    mistakes=ONLY,
)

_ONE = {"student": 10.0, "teacher": 70.0, "examples": 100, "teacher_examples": 900, "students": 1}
_MANY = {"student": 3.0, "teacher": 11.0, "examples": 40, "teacher_examples": 500, "students": 8}

two_stage_bill = Exercise(
    name="two_stage_bill",
    formula="3 f n + (F n + 3 F n_t) / m",
    reference=bill,
    cases=(_ONE, _MANY),
    number_is_fine=True,
    invariances=(
        Invariance(
            "a teacher that costs nothing leaves 3 f n",
            lambda f: same(f(10.0, 0.0, 100, 900, 3), 3000.0),
        ),
        Invariance(
            "ten students pay a tenth of the teacher's training each",
            lambda f: same(
                f(3.0, 11.0, 40, 500, 10) - f(3.0, 11.0, 40, 0, 10),
                (f(3.0, 11.0, 40, 500, 1) - f(3.0, 11.0, 40, 0, 1)) / 10,
            ),
        ),
    ),
    mistakes=BILL,
)

EXERCISES = {e.name: e for e in (recover_weights, only_teacher, two_stage_bill)}
