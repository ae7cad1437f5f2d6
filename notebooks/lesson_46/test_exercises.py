"""Each exercise of lesson 46 is solved by hand, in plain torch: no reference is taken on trust."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from distill_lab.course.check.examine import examine
from lesson_46.exercises import EXERCISES


def view_kl(student, teacher, s, t, n):
    pairs = zip(student[s - 1 : -1], teacher[t - 1 : -1], strict=True)
    values = [F.kl_div(a.log_softmax(-1), b.softmax(-1), reduction="sum") for a, b in pairs]
    return torch.stack(values).mean()


def left_over(share, teachers):
    joint = share[:, None] * teachers
    apart = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return (joint * (joint / apart).log()).sum()  # mutual information


def pass_at_k(right, n, k):
    each = []
    for c in right.tolist():
        drawn = list(itertools.combinations([1] * c + [0] * (n - c), k))
        each.append(sum(map(any, drawn)) / len(drawn))
    return sum(each) / len(each)


BY_HAND = {f.__name__: f for f in (view_kl, left_over, pass_at_k)}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
