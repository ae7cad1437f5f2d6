"""What learners get wrong in the exercises of lesson 13, each with the sentence for it."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake


def solve(x: Tensor, z: Tensor) -> Tensor:
    """The reference of exercise 1."""
    return torch.linalg.pinv(x) @ z


def _ridge(x: Tensor, z: Tensor, weight: float = 1.0) -> Tensor:
    gram = x.T @ x + weight * torch.eye(x.shape[1], dtype=x.dtype)
    return torch.linalg.solve(gram, x.T @ z)


RECOVER = (
    Mistake(
        "Only the signs of the logits are used. These are hard labels: use the logits.",
        lambda x, z: solve(x, z.sign()),
    ),
    Mistake(
        "Only the signs of the logits are used. These are hard labels: use the logits.",
        lambda x, z: solve(x, (z > 0).to(x)),
    ),
    Mistake("The inverse of X^T X is missing. X^T z alone mixes the inputs.", lambda x, z: x.T @ z),
    Mistake(
        "The inverse of X^T X is missing. A mean of x · z mixes the inputs.",
        lambda x, z: x.T @ z / len(z),
    ),
    Mistake(
        "The weights are pulled towards 0. A ridge is not wanted: use the pseudoinverse.", _ridge
    ),
    Mistake(
        "The weights are pulled towards 0. A ridge is not wanted: use the pseudoinverse.",
        lambda x, z: _ridge(x, z, 0.1),
    ),
    Mistake(
        "The logits went through a sigmoid. The equation is X v = z, with the logits.",
        lambda x, z: solve(x, z.sigmoid()),
    ),
    Mistake(
        "The inputs are centred. The teacher has no bias: leave them as they are.",
        lambda x, z: solve(x - x.mean(0), z - z.mean()),
    ),
    Mistake(
        "The weights have length 1. Only their direction is right: do not normalise.",
        lambda x, z: torch.nn.functional.normalize(solve(x, z), dim=0),
    ),
)


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.argmax(-1) == labels


def only(t: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """The reference of exercise 2."""
    return 100 * (_right(t, y) & ~_right(s, y)).double().mean()


ONLY = (
    Mistake("This is a fraction. Multiply by 100.", lambda t, s, y: only(t, s, y) / 100),
    Mistake(
        "This counts where only the student is right. Teacher and student have changed places.",
        lambda t, s, y: only(s, t, y),
    ),
    Mistake(
        "This is the headroom: the difference of two accuracies. Count the examples that only the "
        "teacher gets right.",
        lambda t, s, y: 100 * (_right(t, y).double().mean() - _right(s, y).double().mean()),
    ),
    Mistake(
        "Both directions are counted. Leave out the examples that only the student gets right.",
        lambda t, s, y: 100 * (_right(t, y) ^ _right(s, y)).double().mean(),
    ),
    Mistake(
        "The student is not asked. This is the teacher's accuracy.",
        lambda t, s, y: 100 * _right(t, y).double().mean(),
    ),
    Mistake(
        "The labels are not used. This counts where the two answers differ.",
        lambda t, s, y: 100 * (t.argmax(-1) != s.argmax(-1)).double().mean(),
    ),
    Mistake(
        "Both are right here. The student has to be wrong: use `~right_s`.",
        lambda t, s, y: 100 * (_right(t, y) & _right(s, y)).double().mean(),
    ),
    Mistake(
        "Examples are counted. Divide by their number.",
        lambda t, s, y: (_right(t, y) & ~_right(s, y)).double().sum(),
    ),
    Mistake(
        "The division is by the student's errors. Divide by all examples.",
        lambda t, s, y: (
            100 * (_right(t, y) & ~_right(s, y)).double().sum() / (~_right(s, y)).double().sum()
        ),
    ),
    Mistake(
        "The division is by the teacher's right answers. Divide by all examples.",
        lambda t, s, y: (
            100 * (_right(t, y) & ~_right(s, y)).double().sum() / _right(t, y).double().sum()
        ),
    ),
)


def bill(f: float, F: float, n: float, n_t: float, m: float) -> float:
    """The reference of exercise 3."""
    return 3 * f * n + (F * n + 3 * F * n_t) / m


BILL = (
    Mistake(
        "The teacher's training is missing. Somebody has to pay for it: add 3 F n_t / m.",
        lambda f, F, n, n_t, m: 3 * f * n + F * n / m,
    ),
    Mistake(
        "The teacher's training is missing. Somebody has to pay for it: add 3 F n_t / m.",
        lambda f, F, n, n_t, m: 3 * f * n + F * n,
    ),
    Mistake(
        "Asking the teacher is missing. It answers each of the n examples once: add F n / m.",
        lambda f, F, n, n_t, m: 3 * f * n + 3 * F * n_t / m,
    ),
    Mistake(
        "The backward pass is missing. A training step costs three forward passes.",
        lambda f, F, n, n_t, m: f * n + (F * n + F * n_t) / m,
    ),
    Mistake(
        "The backward pass of the student is missing. A training step costs three forward passes.",
        lambda f, F, n, n_t, m: f * n + (F * n + 3 * F * n_t) / m,
    ),
    Mistake(
        "The backward pass of the teacher's training is missing. It costs 3 F n_t.",
        lambda f, F, n, n_t, m: 3 * f * n + (F * n + F * n_t) / m,
    ),
    Mistake(
        "The frozen teacher has no backward pass. Asking costs F n, not 3 F n.",
        lambda f, F, n, n_t, m: 3 * f * n + 3 * (F * n + F * n_t) / m,
    ),
    Mistake(
        "Everything is divided by the number of students. Each student has its own training.",
        lambda f, F, n, n_t, m: bill(f, F, n, n_t, 1) / m,
    ),
    Mistake(
        "Asking is not shared. The students read one cache: divide F n by m, too.",
        lambda f, F, n, n_t, m: 3 * f * n + F * n + 3 * F * n_t / m,
    ),
    Mistake(
        "The teacher is not shared. Divide what it costs by the number of students.",
        lambda f, F, n, n_t, m: bill(f, F, n, n_t, 1),
    ),
    Mistake(
        "The teacher's cost is multiplied by the number of students. Divide by it.",
        lambda f, F, n, n_t, m: 3 * f * n + (F * n + 3 * F * n_t) * m,
    ),
    Mistake(
        "This is the bill of all students together. Return what one of them pays.",
        lambda f, F, n, n_t, m: m * 3 * f * n + F * n + 3 * F * n_t,
    ),
    Mistake(
        "The teacher's training uses the student's examples. It learned from n_t examples.",
        lambda f, F, n, n_t, m: 3 * f * n + (F * n + 3 * F * n) / m,
    ),
)
