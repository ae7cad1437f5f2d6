"""Right solutions in many styles: `check` has to accept each."""

import math

import torch
from torch import nn


def _counted(width, inner):
    with torch.device("meta"):
        parts = [nn.Linear(width, width) for _ in range(4)]
        parts += [nn.Linear(width, inner), nn.Linear(inner, width)]
        parts += [nn.LayerNorm(width), nn.LayerNorm(width)]
    return sum(p.numel() for part in parts for p in part.parameters())


def _loop(teacher_layers, student_layers):
    ends = [m * teacher_layers / student_layers for m in range(1, student_layers + 1)]
    return torch.tensor([float(math.floor(end) - 1) for end in ends])


def _task_by_task(student, teacher):
    return torch.stack([student[:, i].mean() / teacher[i] * 100 for i in range(len(teacher))])


RIGHT = {
    "layer_count": [
        _counted,
        lambda d, f: 4 * d * d + 2 * d * f + 9 * d + f,
        lambda d, f: torch.tensor(float((4 * d + 2 * f + 9) * d + f)),
    ],
    "layer_map": [
        _loop,
        lambda n, m: ((torch.arange(m) + 1) * n // m - 1).float(),
        lambda n, m: torch.arange(1.0, m + 1).mul(n).div(m).floor().sub(1),
    ],
    "kept_by_task": [
        _task_by_task,
        lambda s, t: (100 * s / t).mean(0),
        lambda s, t: s.double().mean(dim=0).div(t).mul(100),
    ],
}
