"""The exercises of lesson 26: counting a layer, choosing layers, the accuracy kept on each task."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import same

__all__ = ["EXERCISES"]


def _layer(width: int, inner: int) -> int:
    attention = 4 * (width * width + width)
    forward = width * inner + inner + inner * width + width
    return attention + forward + 2 * 2 * width


layer_count = Exercise(
    name="layer_count",
    formula="4 (d² + d) + (2 d f + f + d) + 4 d, with width d and inner width f",
    reference=_layer,
    cases=({"width": 768, "inner": 3072}, {"width": 312, "inner": 1200}, {"width": 4, "inner": 7}),
    number_is_fine=True,
    invariances=(
        Invariance(
            "one more inner unit adds 2 d + 1 numbers",
            lambda f: f(10, 31) - f(10, 30) == 21,
            "An inner unit has d weights in, d weights out, and one bias.",
        ),
    ),
    mistakes=(
        Mistake(
            "The biases are missing. Each linear layer has one bias for each output.",
            lambda d, f: 4 * d * d + 2 * d * f + 4 * d,
        ),
        Mistake(
            "4 d numbers are missing. The two layer norms have a scale and a shift each, and the "
            "four matrices of attention have a bias each.",
            lambda d, f: _layer(d, f) - 4 * d,
        ),
        Mistake(
            "2 d numbers are missing. There are two layer norms, after attention and at the end, "
            "each with a scale and a shift.",
            lambda d, f: _layer(d, f) - 2 * d,
        ),
        Mistake(
            "The output matrix of attention is missing. There are four: query, key, value, output.",
            lambda d, f: _layer(d, f) - d * d - d,
        ),
        Mistake(
            "Only one of the two inner matrices is counted. One goes up to f, one goes back to d.",
            lambda d, f: _layer(d, f) - d * f,
        ),
        Mistake(
            "The biases of the two inner matrices are missing. They are f numbers and d numbers.",
            lambda d, f: _layer(d, f) - f - d,
        ),
        Mistake(
            "The inner width is not used. It is an argument, and not always 4 d.",
            lambda d, f: _layer(d, 4 * d),
        ),
        Mistake(
            "Biases and layer norms are missing. A linear layer has biases too, and the layer "
            "has two norms.",
            lambda d, f: 4 * d * d + 2 * d * f,
        ),
        Mistake(
            "The arguments have changed places. The width comes first.", lambda d, f: _layer(f, d)
        ),
        Mistake(
            "The result is in millions. Return the number itself.", lambda d, f: _layer(d, f) / 1e6
        ),
    ),
)


def _map(teacher: int, student: int) -> Tensor:
    return torch.tensor([float((m + 1) * teacher // student - 1) for m in range(student)])


layer_map = Exercise(
    name="layer_map",
    formula="student layer m starts from teacher layer floor((m + 1) N / M) - 1, from 0",
    reference=_map,
    cases=(
        {"teacher_layers": 12, "student_layers": 4},
        {"teacher_layers": 12, "student_layers": 6},
        {"teacher_layers": 6, "student_layers": 4},
        {"teacher_layers": 6, "student_layers": 1},
    ),
    invariances=(
        Invariance(
            "a student as deep as its teacher gets every layer",
            lambda f: same(f(5, 5), torch.arange(5.0)),
            "With N = M the formula gives m.",
        ),
        Invariance(
            "the last layer is always among them",
            lambda f: float(f(24, 7)[-1]) == 23,
            "(M - 1 + 1) N / M - 1 = N - 1.",
        ),
    ),
    mistakes=(
        Mistake(
            "Layers are counted from 1. The package counts from 0: subtract 1.",
            lambda n, m: _map(n, m) + 1,
        ),
        Mistake(
            "Each group gives its first layer. The formula takes its last one.",
            lambda n, m: torch.tensor([float(k * n // m) for k in range(m)]),
        ),
        Mistake(
            "These are the first layers. Spread them over the teacher.",
            lambda n, m: torch.arange(float(m)),
        ),
        Mistake(
            "These are the last layers. Spread them over the teacher.",
            lambda n, m: torch.arange(float(m)) + n - m,
        ),
        Mistake(
            "The step is rounded too early. Multiply by N first, then divide by M.",
            lambda n, m: torch.tensor([float((k + 1) * (n // m) - 1) for k in range(m)]),
        ),
        Mistake(
            "The layers are not whole numbers. Use the floor: //.",
            lambda n, m: torch.tensor([(k + 1) * n / m - 1 for k in range(m)]),
        ),
        Mistake(
            "The division is rounded up. Use the floor: //.",
            lambda n, m: torch.tensor([float(-(-(k + 1) * n // m) - 1) for k in range(m)]),
        ),
        Mistake(
            "The layers come in reverse. Student layer 0 gets the lowest one.",
            lambda n, m: _map(n, m).flip(0),
        ),
    ),
)

_STUDENT = torch.tensor([[80.0, 90.0, 40.0], [84.0, 94.0, 20.0], [82.0, 98.0, 30.0]])
_TEACHER = torch.tensor([85.0, 95.0, 60.0])
_STUDENT2, _TEACHER2 = torch.tensor([[50.0, 70.0], [60.0, 90.0]]), torch.tensor([50.0, 100.0])


def _kept(student: Tensor, teacher: Tensor) -> Tensor:
    return 100 * student.mean(0) / teacher


kept_by_task = Exercise(
    name="kept_by_task",
    formula="100 mean over seeds of a task's accuracy / the teacher's accuracy on that task",
    reference=_kept,
    cases=(
        {"student": _STUDENT, "teacher": _TEACHER},
        {"student": _STUDENT2, "teacher": _TEACHER2},
    ),
    invariances=(
        Invariance(
            "a student equal to its teacher keeps 100 % of every task",
            lambda f: same(f(_TEACHER.expand(3, 3), _TEACHER), torch.full((3,), 100.0)),
        ),
        Invariance(
            "one task's value does not depend on the others",
            lambda f: same(f(_STUDENT[:, :1], _TEACHER[:1]), f(_STUDENT, _TEACHER)[:1]),
            "Keep the axis of tasks: take the mean over axis 0 alone.",
        ),
    ),
    mistakes=(
        Mistake(
            "The tasks are averaged away. Take the mean over seeds, axis 0, alone.",
            lambda s, t: 100 * s.mean() / t.mean(),
        ),
        Mistake(
            "The tasks are averaged away. Take the mean over seeds, axis 0, alone.",
            lambda s, t: (100 * s.mean(0) / t).mean(),
        ),
        Mistake(
            "The mean runs over tasks. Seeds are axis 0.", lambda s, t: 100 * s.mean(1) / t.mean()
        ),
        Mistake(
            "This is a difference. The share that is kept is a ratio.", lambda s, t: s.mean(0) - t
        ),
        Mistake(
            "The ratio is turned round. Divide the student by the teacher.",
            lambda s, t: 100 * t / s.mean(0),
        ),
        Mistake(
            "The result is a fraction. Multiply by 100 for percent.", lambda s, t: s.mean(0) / t
        ),
        Mistake("The seeds are summed. Take their mean.", lambda s, t: 100 * s.sum(0) / t),
        Mistake(
            "The best seed is taken. Take the mean over seeds.", lambda s, t: 100 * s.amax(0) / t
        ),
        Mistake(
            "Every task is divided by the teacher's mean. Divide by the same task of the teacher.",
            lambda s, t: 100 * s.mean(0) / t.mean(),
        ),
        Mistake("The seeds are still there. Take the mean over axis 0.", lambda s, t: 100 * s / t),
    ),
)

EXERCISES = {one.name: one for one in (layer_count, layer_map, kept_by_task)}
