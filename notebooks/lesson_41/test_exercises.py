"""Each exercise of lesson 41 is solved by hand, in plain torch: no reference is taken on trust."""

import pytest
import torch
from torch.nn import functional as F

from distill_lab.course.check.examine import examine
from lesson_41.exercises import EXERCISES


def forward_kl(student, teacher, T=1.0):
    log_q = F.log_softmax(student / T, -1)
    return F.kl_div(log_q, F.softmax(teacher / T, -1), reduction="batchmean")


def jsd(student, teacher, T=1.0, beta=0.5):
    q, p = (student / T).softmax(-1), (teacher / T).softmax(-1)
    log_m = (beta * p + (1 - beta) * q).clamp_min(1e-38).log()
    left = F.kl_div(log_m, p, reduction="batchmean")
    return beta * left + (1 - beta) * F.kl_div(log_m, q, reduction="batchmean")


def token_kl(student, teacher, labels):
    total, count = 0.0, 0
    for b, row in enumerate(labels):
        for i in range(len(row) - 1):
            if row[i + 1] >= 0:
                total = total + forward_kl(student[b, i : i + 1], teacher[b, i : i + 1])
                count += 1
    return total / count


def token_jsd(student, teacher, labels, beta=0.5):
    kept = labels[:, 1:] != -100
    return jsd(student[:, :-1][kept], teacher[:, :-1][kept], 1.0, beta)


def top_k_kl(student, teacher, k):
    p, q = teacher.softmax(-1), student.softmax(-1)
    ids = p.argsort(-1, descending=True)[:, :k]
    p, q = (torch.cat((x.gather(1, ids), 1 - x.gather(1, ids).sum(1, True)), 1) for x in (p, q))
    return F.kl_div(q.log(), p, reduction="batchmean")


BY_HAND = {f.__name__: f for f in (token_kl, token_jsd, top_k_kl)}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
    assert "100 %" in report.findings[0]
