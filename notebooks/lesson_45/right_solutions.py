"""Right solutions in many styles: `check` has to accept each."""

import itertools
import math

import torch
from torch.nn import functional as F


def _dpo_by_names(student, reference, beta=0.1):
    chosen, rejected = (student - reference).unbind(-1)
    return -F.logsigmoid(beta * (chosen - rejected)).mean()


def _dpo_by_softplus(student, reference, beta=0.1):
    margin = (student[:, 0] - student[:, 1]) - (reference[:, 0] - reference[:, 1])
    return F.softplus(-beta * margin).mean()


def _dpo_as_two_classes(student, reference, beta=0.1):
    rewards = beta * (student - reference)  # a softmax over the two answers, the first is right
    return F.cross_entropy(rewards, torch.zeros(len(rewards), dtype=torch.long))


def _dpo_by_bce(student, reference, beta=0.1):
    rewards = beta * (student - reference)
    margin = rewards[:, 0] - rewards[:, 1]
    return F.binary_cross_entropy_with_logits(margin, torch.ones_like(margin))


def _best_by_rows(p, rewards, n):
    result = []
    for reward, own in zip(rewards, p, strict=True):
        below = p[rewards < reward].sum()
        result.append((below + own) ** n - below**n)
    return torch.stack(result)


def _best_by_matrix(p, rewards, n):
    below = (rewards[None] < rewards[:, None]).to(p.dtype) @ p
    return (below + p) ** n - below**n


def _best_by_diff(p, rewards, n):
    order = rewards.argsort()
    powers = F.pad(p[order].cumsum(0) ** n, (1, 0)).diff()
    return powers[order.argsort()]


def _best_by_all_draws(p, rewards, n):
    result = torch.zeros(len(p))
    for draws in itertools.product(range(len(p)), repeat=n):
        best = max(draws, key=lambda a: rewards[a].item())
        result[best] += math.prod(p[a].item() for a in draws)
    return result


RIGHT = {
    "dpo": [
        _dpo_by_names,
        _dpo_by_softplus,
        _dpo_as_two_classes,
        _dpo_by_bce,
        lambda student, reference, beta=0.1: _dpo_by_names(  # what is common to both cancels
            student.log_softmax(-1), reference.log_softmax(-1), beta
        ),
        lambda student, reference, beta=0.1: _dpo_by_names(
            student.double(), reference.double(), beta
        ),
    ],
    "best_of_n": [_best_by_rows, _best_by_matrix, _best_by_diff, _best_by_all_draws],
    "swapped_verdict": [
        lambda first, second: (first + (1 - second)) / 2,
        lambda first, second: 0.5 + 0.5 * (first - second),
        lambda first, second: torch.stack([first, 1 - second]).mean(0),
        lambda first, second: torch.lerp(first, 1 - second, 0.5),
    ],
}
