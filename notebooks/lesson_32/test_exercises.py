"""Each exercise of lesson 32 is solved by hand: no reference is taken on trust."""

import math

import pytest
import torch

from distill_lab.course.check.examine import examine
from lesson_32.exercises import EXERCISES


def sure_loss(student_logits, teacher_logits, threshold):
    losses = []
    for s, z in zip(student_logits.double(), teacher_logits.double(), strict=True):
        p, q = z.exp() / z.exp().sum(), s.exp() / s.exp().sum()
        best = max(range(len(p)), key=lambda k: float(p[k]))
        if p[best] > threshold:
            losses.append(-q[best].log())
    return sum(losses) / len(losses)


def out_of_fold_answers(answers, fold):
    return torch.stack([answers[int(fold[i])][i] for i in range(len(fold))])


def vote_entropy(votes, classes):
    result = []
    for column in votes.T.tolist():
        shares = [column.count(k) / len(column) for k in range(classes)]
        result.append(-sum(v * math.log(v) for v in shares if v > 0))
    return torch.tensor(result)


BY_HAND = {f.__name__: f for f in (sure_loss, out_of_fold_answers, vote_entropy)}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
