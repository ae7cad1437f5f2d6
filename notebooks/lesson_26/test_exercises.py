"""Each exercise of lesson 26 is solved by hand: no reference is taken on trust."""

import pytest
import torch

from distill_lab.course.check.examine import examine
from lesson_26.exercises import EXERCISES


def layer_count(width, inner):
    layer = torch.nn.TransformerEncoderLayer(width, 1, inner)
    return sum(parameter.numel() for parameter in layer.parameters())


def layer_map(teacher_layers, student_layers):
    ends = torch.linspace(0, teacher_layers, student_layers + 1, dtype=torch.float64)[1:]
    return ((ends + 1e-9).floor() - 1).float()


def kept_by_task(student, teacher):
    seeds = len(student)
    total = torch.zeros_like(teacher)
    for row in student:
        total = total + row / teacher
    return 100 * total / seeds


BY_HAND = {f.__name__: f for f in (layer_count, layer_map, kept_by_task)}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
