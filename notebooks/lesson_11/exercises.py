"""The exercises of lesson 11: the loss by hand, its gradient, and a shift of the biases."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab import losses
from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same, shared_by_losses
from distill_lab.course.check.shared import Soft, kl, kl_errors, log_soft, pairs, soft_ce

__all__ = ["EXERCISES"]

_S, _T = logits(4, 5, 1), logits(4, 5, 2)
_S2, _T2 = logits(6, 3, 3), logits(6, 3, 4)
_Y, _Y2 = torch.tensor([0, 4, 2, 1]), torch.tensor([2, 0, 0, 1, 2, 1])
_Z, _Z2 = logits(4, 5, 21), logits(6, 3, 22)


soft_cross_entropy = Exercise(
    name="soft_cross_entropy",
    formula="-sum over classes of p log q, mean over the batch, with p = softmax(teacher / T) "
    "and q = softmax(student / T)",
    reference=lambda s, t, T: losses.soft_cross_entropy(s, t, T=T),
    cases=pairs({"T": 1.0}, {"T": 2.0}, {"T": 5.0}),
    defaults={"T": 1.0},
    trained=("student_logits",),
    invariances=(
        Invariance(
            "on equal logits it is the entropy of the teacher, not 0",
            lambda f: same(f(_T, _T, 1.0), soft_ce(_T, _T, 1.0)),
        ),
        *shared_by_losses(soft_ce, (1.0,)),
    ),
    mistakes=(
        Mistake(
            "This is the divergence KL(p ‖ q), not the cross-entropy. Leave log p out.",
            lambda s, t, T: kl(t, s, T, T),
        ),
        Mistake(
            "Student and teacher have changed places: it is -sum p log q, with p the teacher's.",
            lambda s, t, T: soft_ce(t, s, T),
        ),
        Mistake(
            "There is a mean over the classes. Sum over classes, then average over the batch.",
            lambda s, t, T: -((t / T).softmax(-1) * log_soft(s, T)).mean(),
        ),
        Mistake(
            "The rows are added up. Divide by their number: `.sum(-1).mean()`.",
            lambda s, t, T: -((t / T).softmax(-1) * log_soft(s, T)).sum(),
        ),
        Mistake(
            "T is on the student only. The teacher's logits are divided by T too.",
            lambda s, t, T: -(t.softmax(-1) * log_soft(s, T)).sum(-1).mean(),
        ),
        Mistake(
            "T is on the teacher only. The student's logits are divided by T too.",
            lambda s, t, T: -((t / T).softmax(-1) * s.log_softmax(-1)).sum(-1).mean(),
        ),
        Mistake(
            "The minus sign is missing: a log-probability is never above 0.",
            lambda s, t, T: -soft_ce(s, t, T),
        ),
        Mistake(
            "There is a T² in it. Here we want the plain cross-entropy.",
            lambda s, t, T: T**2 * soft_ce(s, t, T),
        ),
        Mistake(
            "Only the teacher's most probable class is used. Weigh every class by its p.",
            lambda s, t, T: F.cross_entropy(s / T, t.argmax(-1)),
        ),
        Mistake(
            "The logarithm is missing. It is p times log q: `log_softmax` for the student.",
            lambda s, t, T: -((t / T).softmax(-1) * (s / T).softmax(-1)).sum(-1).mean(),
        ),
        Mistake(
            "The softmax is applied twice to the student. `F.cross_entropy` and `log_softmax` "
            "want logits, not probabilities.",
            lambda s, t, T: F.cross_entropy((s / T).softmax(-1), (t / T).softmax(-1)),
        ),
        Mistake(
            "The teacher's logits stand where its probabilities should. Take their softmax first.",
            lambda s, t, T: F.cross_entropy(s / T, t / T),
        ),
        Mistake(
            "The softmax runs down the batch (axis 0). Classes lie along the last axis: `dim=-1`.",
            lambda s, t, T: -((t / T).softmax(0) * (s / T).log_softmax(0)).sum(-1).mean(),
        ),
        Mistake(
            "This is the teacher's own entropy. The logarithm is of the student's q.",
            lambda s, t, T: soft_ce(t, t, T),
        ),
    ),
)


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
    return 0.8 * sizes[0] < sizes[1] < 1.25 * sizes[0]


kd_loss = Exercise(
    name="kd_loss",
    formula="alpha · T² · KL(p ‖ q) + (1 - alpha) · cross-entropy(student, labels); the "
    "cross-entropy is at T = 1",
    reference=lambda s, t, y, T, alpha: losses.kd_loss(s, t, y, T=T, alpha=alpha),
    cases=tuple(
        {"student_logits": s, "teacher_logits": t, "labels": y, "T": T, "alpha": alpha}
        for T, alpha in ((1.0, 0.5), (2.0, 0.5), (4.0, 0.9), (4.0, 0.3))
        for s, t, y in ((_S, _T, _Y), (_S2, _T2, _Y2))
    ),
    trained=("student_logits",),
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
        *shared_by_losses(_blend(_right_kl), (2.0, 0.5), _Y),
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
            "The logits are divided by T twice. Once is enough.",
            _blend(lambda s, t, T: _right_kl(s / T, t / T, T)),
        ),
        Mistake(
            "The labels' part is added up over the rows. Take the mean over the batch.",
            lambda s, t, y, T, alpha: (
                alpha * T**2 * _right_kl(s, t, T)
                + (1 - alpha) * F.cross_entropy(s, y, reduction="sum")
            ),
        ),
        Mistake(
            "The soft part is divided by T². Multiply by T²: it makes up for the small gradient.",
            _blend(_right_kl, lambda T: T**-2),
        ),
        Mistake(
            "The labels' part lacks its weight 1 - alpha.",
            lambda s, t, y, T, alpha: alpha * T**2 * _right_kl(s, t, T) + F.cross_entropy(s, y),
        ),
        Mistake(
            "The soft part lacks its weight alpha.",
            lambda s, t, y, T, alpha: (
                T**2 * _right_kl(s, t, T) + (1 - alpha) * F.cross_entropy(s, y)
            ),
        ),
        Mistake(
            "The labels' part gets probabilities. `F.cross_entropy` wants logits: leave the "
            "softmax out.",
            lambda s, t, y, T, alpha: (
                alpha * T**2 * _right_kl(s, t, T) + (1 - alpha) * F.cross_entropy(s.softmax(-1), y)
            ),
        ),
        Mistake(
            "The labels' part is the teacher's. The student learns from the labels.",
            lambda s, t, y, T, alpha: (
                alpha * T**2 * _right_kl(s, t, T) + (1 - alpha) * F.cross_entropy(t, y)
            ),
        ),
        Mistake(
            "The labels' part is missing. Add (1 - alpha) times the cross-entropy.",
            lambda s, t, y, T, alpha: alpha * T**2 * _right_kl(s, t, T),
        ),
        Mistake(
            "Both parts are added up over the rows. Take the mean over the batch.",
            lambda s, t, y, T, alpha: len(s) * _blend(_right_kl)(s, t, y, T, alpha),
        ),
        Mistake(
            "The soft part is a squared difference of logits. It is KL of probabilities.",
            _blend(lambda s, t, T: F.mse_loss(s / T, t / T)),
        ),
        Mistake(
            "The soft part is a squared difference of probabilities. It is a KL.",
            _blend(lambda s, t, T: F.mse_loss((s / T).softmax(-1), (t / T).softmax(-1))),
        ),
        Mistake(
            "The labels' part is multiplied by T² as well, and the soft part is not.",
            lambda s, t, y, T, alpha: (
                alpha * _right_kl(s, t, T) + (1 - alpha) * T**2 * F.cross_entropy(s, y)
            ),
        ),
        Mistake(
            "alpha and 1 - alpha have changed places. alpha weighs the soft part.",
            lambda s, t, y, T, alpha: _blend(_right_kl)(s, t, y, T, 1 - alpha),
        ),
        Mistake(
            "The labels' part is softened as well. Its cross-entropy is taken at T = 1.",
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


def _gradient(s: Tensor, t: Tensor, T: float) -> Tensor:
    return T * (losses.soften(s, T=T) - losses.soften(t, T=T))


def _centred(z: Tensor) -> Tensor:
    return z - z.mean(-1, keepdim=True)


def _by_autograd(s: Tensor, t: Tensor, T: float) -> Tensor:
    student = s.clone().requires_grad_()
    loss = T**2 * len(s) * losses.forward_kl(student, t, T=T)  # times rows: a gradient a row
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
            "The sign is turned round. It is q - p, student minus teacher.",
            lambda s, t, T: -_gradient(s, t, T),
        ),
        Mistake(
            "This is the gradient of KL alone, (q - p) / T. The loss has a T² in front.",
            lambda s, t, T: _gradient(s, t, T) / T**2,
        ),
        Mistake(
            "A factor T is missing. T² from the loss, times 1 / T from the inner derivative, is T.",
            lambda s, t, T: _gradient(s, t, T) / T,
        ),
        Mistake(
            "The factor is T, not T². The softened softmax has the inner derivative 1 / T, and "
            "T² times 1 / T is T.",
            lambda s, t, T: _gradient(s, t, T) * T,
        ),
        Mistake(
            "Each row is divided by the number of rows, as in the gradient of a mean. "
            "Here each row stands for itself.",
            lambda s, t, T: _gradient(s, t, T) / len(s),
        ),
        Mistake(
            "The probabilities are not softened. q and p are softmax(z / T).",
            lambda s, t, T: T * _gradient(s, t, 1.0),
        ),
        Mistake(
            "This is the limit for large T. At a finite T it is T (q - p).",
            lambda s, t, T: (_centred(s) - _centred(t)) / s.shape[-1],
        ),
        Mistake(
            "These are differences of logits. Take the softmax of both sides first.",
            lambda s, t, T: T * (s - t),
        ),
        Mistake(
            "These are differences of logits. Take the softmax of both sides first.",
            lambda s, t, T: s - t,
        ),
        Mistake(
            "The sign is turned round and nothing is softened. It is T (q - p), with q and p "
            "softmax(z / T).",
            lambda s, t, T: -T * _gradient(s, t, 1.0),
        ),
        Mistake(
            "The teacher's logits stand where its probabilities should. Take their softmax first.",
            lambda s, t, T: T * ((s / T).softmax(-1) - t / T),
        ),
        Mistake(
            "These are differences of log-probabilities. Take `softmax`, not `log_softmax`.",
            lambda s, t, T: T * ((s / T).log_softmax(-1) - (t / T).log_softmax(-1)),
        ),
        Mistake(
            "The softmax runs down the batch (axis 0). Classes lie along the last axis: `dim=-1`.",
            lambda s, t, T: T * ((s / T).softmax(0) - (t / T).softmax(0)),
        ),
        Mistake(
            "This is the loss, not its gradient. Return one row a picture: T (q - p).",
            lambda s, t, T: T**2 * losses.forward_kl(s, t, T=T),
        ),
    ),
)


def _shifted(z: Tensor, classes: list[int], shift: float) -> Tensor:
    shifted = z.clone()
    shifted[:, classes] += shift
    return shifted


def _set(z: Tensor, classes: list[int], values: Tensor) -> Tensor:
    changed = z.clone()
    changed[:, classes] = values[:, classes]
    return changed


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
            "The shift is added to every class. Add it to the chosen columns alone.",
            lambda z, classes, shift: z + shift,
        ),
        Mistake(
            "The shift is subtracted. Add it.",
            lambda z, classes, shift: _shifted(z, classes, -shift),
        ),
        Mistake(
            "Rows are shifted, not classes. The columns are `logits[:, classes]`.",
            lambda z, classes, shift: _shifted(z.T, classes, shift).T,
        ),
        Mistake(
            "The chosen logits are replaced by the shift. Add it to them: `+=`.",
            lambda z, classes, shift: _set(z, classes, z * 0 + shift),
        ),
        Mistake(
            "The chosen logits are multiplied by the shift. Add it to them: `+=`.",
            lambda z, classes, shift: _set(z, classes, z * shift),
        ),
        Mistake(
            "Only the first of the classes is shifted. Take all of the list.",
            lambda z, classes, shift: _shifted(z, classes[:1], shift),
        ),
        Mistake(
            "Only the last of the classes is shifted. Take all of the list.",
            lambda z, classes, shift: _shifted(z, classes[-1:], shift),
        ),
        Mistake(
            "The column beside the right one is shifted. Classes are counted from 0.",
            lambda z, classes, shift: _shifted(z, [k - 1 for k in classes], shift),
        ),
        Mistake(
            "The column beside the right one is shifted. Classes are counted from 0.",
            lambda z, classes, shift: _shifted(z, [(k + 1) % z.shape[1] for k in classes], shift),
        ),
        Mistake(
            "The softmax is applied first. Shift the logits themselves.",
            lambda z, classes, shift: _shifted(z.softmax(-1), classes, shift),
        ),
        Mistake(
            "The softmax is applied to the result. Return the logits themselves.",
            lambda z, classes, shift: _shifted(z, classes, shift).softmax(-1),
        ),
        Mistake(
            "The columns stand alone. Return all logits, the chosen ones shifted.",
            lambda z, classes, shift: z[:, classes] + shift,
        ),
        Mistake(
            "The shift is added to the classes that were not chosen.",
            lambda z, classes, shift: z + shift - _shifted(torch.zeros_like(z), classes, shift),
        ),
        Mistake(
            "The logits come back unchanged. Is the shifted tensor the one returned?",
            lambda z, classes, shift: z,
        ),
    ),
)

EXERCISES = {e.name: e for e in (soft_cross_entropy, kd_loss, kd_gradient, bias_shift)}
