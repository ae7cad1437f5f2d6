"""What learners get wrong on the best of n, each with the cure."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["BEST_OF_N", "best"]


def best(p: Tensor, rewards: Tensor, n: int) -> Tensor:
    """Return the probability of each of A answers to be the best of n, all rewards different."""
    order = rewards.argsort()
    up_to = p[order].cumsum(0)
    result = torch.zeros_like(p)
    result[order] = up_to**n - (up_to - p[order]) ** n
    return result


def _sorted(p: Tensor, rewards: Tensor, n: int) -> Tensor:
    return best(p, rewards, n)[rewards.argsort()]


def _one(values: Tensor) -> Tensor:
    return values / values.sum()


def _up_to(p: Tensor, rewards: Tensor, n: int) -> Tensor:
    order = rewards.argsort()
    result = torch.zeros_like(p)
    result[order] = p[order].cumsum(0) ** n
    return result


def _below(p: Tensor, rewards: Tensor) -> Tensor:
    return (_up_to(p, rewards, 1) - p).clamp(min=0)


def _rolled(p: Tensor, rewards: Tensor, n: int) -> Tensor:
    order = rewards.argsort()
    powers = p[order].cumsum(0) ** n
    result = torch.zeros_like(p)
    result[order] = powers - powers.roll(1)
    return result


def _not_sorted(p: Tensor, rewards: Tensor, n: int) -> Tensor:
    order = rewards.argsort()
    up_to = p[order].cumsum(0)
    result = torch.zeros_like(p)
    result[order] = up_to**n - (up_to - p) ** n
    return result


def _power_first(p: Tensor, rewards: Tensor, n: int) -> Tensor:
    order = rewards.argsort()
    result = torch.zeros_like(p)
    result[order] = (p[order] ** n).cumsum(0)
    return result


BEST_OF_N = (
    Mistake(
        "The result is sorted by reward. Put each number back to its answer: "
        "`result[order] = ...`.",
        _sorted,
    ),
    Mistake(
        "This is the worst of n. Sort from the smallest reward to the largest.",
        lambda p, v, n: best(p, -v, n),
    ),
    Mistake(
        "This is p(r <= r_a)^n alone. It is the chance that no sample is better: subtract the "
        "chance that all are worse.",
        _up_to,
    ),
    Mistake(
        "This is the formula for densities. Answers have probabilities: take the difference "
        "of two powers.",
        lambda p, v, n: n * p * _up_to(p, v, 1) ** (n - 1),
    ),
    Mistake(
        "This is the chance that an answer is drawn at least once. It also has to be the best.",
        lambda p, v, n: 1 - (1 - p) ** n,
    ),
    Mistake(
        "The probabilities are raised to the power n. That sharpens p, and the rewards have no "
        "effect.",
        lambda p, v, n: _one(p**n),
    ),
    Mistake(
        "p is tilted by the rewards. The best of n knows their order alone.",
        lambda p, v, n: _one(p * (v * n).exp()),
    ),
    Mistake(
        "The power is n - 1. All n samples have to be no better.",
        lambda p, v, n: best(p, v, max(1, n - 1)),
    ),
    Mistake(
        "Only the best answer of all is kept. It has to be drawn first.",
        lambda p, v, n: F.one_hot(v.argmax(), len(v)).float(),
    ),
    Mistake(
        "The result is indexed with `order` once more. That sorts it: write "
        "`result[order] = ...` to put it back.",
        lambda p, v, n: _sorted(p, v, n)[v.argsort()],
    ),
    Mistake(
        "This is the chance that all samples are worse. Subtract it from the chance that none is "
        "better.",
        lambda p, v, n: _below(p, v) ** n,
    ),
    Mistake(
        "This is 1 minus the chance that all samples are worse. The best must also be no better "
        "than a: begin with p(r <= r_a)^n.",
        lambda p, v, n: 1 - _below(p, v) ** n,
    ),
    Mistake(
        "p(a)^n is subtracted. Subtract the chance that all samples are worse: p(r < r_a)^n.",
        lambda p, v, n: _up_to(p, v, n) - p**n,
    ),
    Mistake(
        "Only the first sample may be the answer here. Any of the n may be it, and several: "
        "take the difference of two powers.",
        lambda p, v, n: p * _up_to(p, v, 1) ** (n - 1),
    ),
    Mistake(
        "Exactly one sample is the answer here. It may be drawn several times: take the "
        "difference of two powers.",
        lambda p, v, n: n * p * _below(p, v) ** (n - 1),
    ),
    Mistake(
        "p(r <= r_a)^n is divided by its sum. Subtract p(r < r_a)^n instead: then the sum is 1.",
        lambda p, v, n: _one(_up_to(p, v, n)),
    ),
    Mistake(
        "This is 1 - (1 - P(r <= r_a))^n. It is the chance that at least one sample is no better: "
        "subtract two powers of P(r <= r_a) and P(r < r_a).",
        lambda p, v, n: 1 - (1 - _up_to(p, v, 1)) ** n,
    ),
    Mistake(
        "Brackets are missing before the power. The sum without p(a) is raised to n as a whole.",
        lambda p, v, n: _up_to(p, v, n) - (_up_to(p, v, 1) - p**n),
    ),
    Mistake(
        "`p` is not sorted where it is subtracted. Subtract `p[order]`, as in the sums.",
        _not_sorted,
    ),
    Mistake(
        "Powers are summed. Sum the probabilities first, then raise the sum to n.", _power_first
    ),
    Mistake(
        "The worst answer gets a negative probability. `roll` brings the last power to the front: "
        "nothing is below the worst answer, so subtract 0 there.",
        _rolled,
    ),
)
