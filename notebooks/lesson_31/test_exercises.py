"""Each exercise of lesson 31 is solved by hand, in plain torch: no reference is taken on trust."""

import pytest
import torch

from distill_lab.course.check.examine import examine
from lesson_31.exercises import EXERCISES


def mean_of_probabilities(logits, T):
    total = torch.zeros_like(logits[0])
    for z in logits:
        e = torch.exp((z - z.amax(-1, keepdim=True)) / T)
        total += e / e.sum(-1, keepdim=True)
    return total / len(logits)


def disagreement(logits):
    p = [torch.exp(z) / torch.exp(z).sum(-1, keepdim=True) for z in logits.double()]
    mean = sum(p) / len(p)
    return sum((q * (q.clamp_min(1e-300) / mean).log()).sum(-1) for q in p) / len(p)


def routed_logits(logits, choice):
    result = torch.empty_like(logits[0])
    for i in range(len(choice)):
        result[i] = logits[choice[i]][i]
    return result


BY_HAND = {f.__name__: f for f in (mean_of_probabilities, disagreement, routed_logits)}


def test_every_exercise_is_here():
    assert set(BY_HAND) == set(EXERCISES)


@pytest.mark.parametrize("name", BY_HAND)
def test_the_reference_agrees_with_the_solution_by_hand(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
