"""Each exercise of lesson 42 is solved by hand: no reference is taken on trust."""

import pytest
import torch

from distill_lab.course.check.examine import examine
from lesson_42.exercises import EXERCISES


def expected_errors(length, eps, r):
    """Add up the probability of each of the 2^length rows of right and wrong tokens."""
    total = 0.0
    for code in range(2**length):
        row, wrong, probability = [code >> i & 1 for i in range(length)], 0, 1.0
        for bit in row:
            stays = (1 - r) if wrong else eps
            probability *= stays if bit else 1 - stays
            wrong = bit
        total += probability * sum(row)
    return total


def sampled_loss(log_q, log_p, mask):
    total, count = 0.0, 0
    for b, i in mask.nonzero().tolist():
        total = total + (log_q[b, i].item() - log_p[b, i].item()) * log_q[b, i]
        count += 1
    return total / count


def nucleus(logits, T, top_p):
    rows = []
    for z in logits:
        p = (z / T).exp() / (z / T).exp().sum()
        order, kept = p.argsort(descending=True).tolist(), []
        while sum(p[j].item() for j in kept) < top_p and len(kept) < len(order):
            kept.append(order[len(kept)])
        row = torch.zeros_like(p)
        row[kept] = p[kept] / p[kept].sum()
        rows.append(row)
    return torch.stack(rows)


BY_HAND = {f.__name__: f for f in (expected_errors, sampled_loss, nucleus)}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
