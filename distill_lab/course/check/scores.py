"""Exercises on logits: the distillation gradient, a bias shift, standardising."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same
from distill_lab.losses import response

__all__ = ["EXERCISES"]

_Z, _Z2 = logits(4, 5, 21), logits(6, 3, 22)
_S, _T = logits(4, 5, 23), logits(4, 5, 24)
_S2, _T2 = logits(6, 3, 25), logits(6, 3, 26)


def _gradient(s: Tensor, t: Tensor, T: float) -> Tensor:
    return T * (response.soften(s, T=T) - response.soften(t, T=T))


def _centred(z: Tensor) -> Tensor:
    return z - z.mean(-1, keepdim=True)


def _by_autograd(s: Tensor, t: Tensor, T: float) -> Tensor:
    student = s.clone().requires_grad_()
    loss = T**2 * len(s) * response.forward_kl(student, t, T=T)  # times rows: a gradient a row
    return torch.autograd.grad(loss, student)[0]


kd_gradient = Exercise(
    name="kd_gradient",
    formula="the gradient of T² KL(p ‖ q) for the student's logits, row by row: T (q - p)",
    reference=_gradient,
    cases=tuple(
        {"student_logits": s, "teacher_logits": t, "T": T}
        for T in (1.0, 4.0, 8.0)
        for s, t in ((_S, _T), (_S2, _T2))
    ),
    invariances=(
        Invariance(
            "autograd finds the same", lambda f: same(f(_S, _T, 3.0), _by_autograd(_S, _T, 3.0))
        ),
        Invariance("equal inputs give 0", lambda f: same(f(_S, _S, 4.0), torch.zeros(4, 5))),
        Invariance("each row sums to 0", lambda f: same(f(_S, _T, 4.0).sum(-1), torch.zeros(4))),
        Invariance(
            "for large T it is the difference of the centred logits, divided by the classes",
            lambda f: same(f(_S, _T, 1000.0), (_centred(_S) - _centred(_T)) / 5, 5e-3),
            "This is matching logits: the limit is why T² KL and MSE on logits agree at high T.",
        ),
    ),
    mistakes=(
        Mistake(
            "The sign is turned round: it is q - p, student minus teacher.",
            lambda s, t, T: -_gradient(s, t, T),
        ),
        Mistake(
            "This is the gradient of KL alone, (q - p) / T. The loss has a T² in front.",
            lambda s, t, T: _gradient(s, t, T) / T**2,
        ),
        Mistake(
            "A factor T is missing: T² from the loss, times 1 / T from the inner derivative, is T.",
            lambda s, t, T: _gradient(s, t, T) / T,
        ),
        Mistake(
            "The inner derivative 1 / T of the softened softmax is missing: T²/T = T, not T².",
            lambda s, t, T: _gradient(s, t, T) * T,
        ),
        Mistake(
            "It is divided by the rows, as the gradient of a mean over the batch is. "
            "Here each row stands for itself.",
            lambda s, t, T: _gradient(s, t, T) / len(s),
        ),
        Mistake(
            "The probabilities are not softened: q and p are softmax(z / T).",
            lambda s, t, T: T * _gradient(s, t, 1.0),
        ),
        Mistake(
            "This is the limit for large T already; at a finite T it is T (q - p).",
            lambda s, t, T: (_centred(s) - _centred(t)) / s.shape[-1],
        ),
    ),
)


def _shifted(z: Tensor, classes: list[int], shift: float) -> Tensor:
    shifted = z.clone()
    shifted[:, classes] += shift
    return shifted


bias_shift = Exercise(
    name="bias_shift",
    formula="the logits, with `shift` added to the columns `classes` and to no other",
    reference=_shifted,
    cases=(
        {"logits": _Z, "classes": [3], "shift": 4.1},
        {"logits": _Z, "classes": [0, 2], "shift": -6.2},
        {"logits": _Z2, "classes": [1], "shift": 0.5},
    ),
    invariances=(
        Invariance("a shift of 0 changes nothing", lambda f: same(f(_Z, [1, 2], 0.0), _Z)),
        Invariance(
            "a shift and its opposite cancel", lambda f: same(f(f(_Z, [1], 2.5), [1], -2.5), _Z)
        ),
        Invariance(
            "shifting every class leaves the probabilities as they were",
            lambda f: same(f(_Z, [0, 1, 2, 3, 4], 9.0).softmax(-1), _Z.softmax(-1)),
        ),
    ),
    mistakes=(
        Mistake(
            "The shift is added to every class; add it to the chosen columns alone.",
            lambda z, classes, shift: z + shift,
        ),
        Mistake(
            "The shift is taken away; add it.",
            lambda z, classes, shift: _shifted(z, classes, -shift),
        ),
        Mistake(
            "Rows are shifted, not classes: the columns are `logits[:, classes]`.",
            lambda z, classes, shift: _shifted(z.T, classes, shift).T,
        ),
        Mistake(
            "The shift is added to the classes that were *not* chosen.",
            lambda z, classes, shift: z + shift - _shifted(torch.zeros_like(z), classes, shift),
        ),
        Mistake(
            "The logits come back as they were: is the shifted tensor the one returned?",
            lambda z, classes, shift: z,
        ),
    ),
)

standardize_logits = Exercise(
    name="standardize_logits",
    formula="(z - mean) / std over the classes of each row, std with correction=0",
    reference=lambda z: response.standardize_logits(z),
    cases=({"logits": _Z}, {"logits": _Z2 + 3.0}),
    invariances=(
        Invariance("each row has mean 0", lambda f: same(f(_Z).mean(-1), torch.zeros(4))),
        Invariance(
            "a row multiplied by a positive number gives the same", lambda f: same(f(7 * _Z), f(_Z))
        ),
        Invariance("a constant added to a row changes nothing", lambda f: same(f(_Z + 5), f(_Z))),
    ),
    mistakes=(
        Mistake(
            "`std` divides by C - 1 unless told otherwise; here it is `std(..., correction=0)`.",
            lambda z: _centred(z) / z.std(-1, keepdim=True),
        ),
        Mistake(
            "It is divided by the variance, not by its root.",
            lambda z: _centred(z) / z.var(-1, keepdim=True, correction=0),
        ),
        Mistake(
            "The mean is taken away, but nothing is divided by the standard deviation.", _centred
        ),
        Mistake("The mean is not taken away.", lambda z: z / z.std(-1, keepdim=True, correction=0)),
        Mistake(
            "It runs down the batch (axis 0). Each row is standardised by itself: `dim=-1`.",
            lambda z: (z - z.mean(0)) / z.std(0, correction=0),
        ),
        Mistake(
            "One mean and deviation for all rows. Each row has its own: `dim=-1`.",
            lambda z: (z - z.mean()) / z.std(correction=0),
        ),
    ),
)

EXERCISES = {e.name: e for e in (kd_gradient, bias_shift, standardize_logits)}
