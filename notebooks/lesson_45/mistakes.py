"""What learners get wrong on preferences, each with the cure: the mistakes of the exercises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["BEST_OF_N", "DPO", "VERDICT", "best", "verdict"]


def _margin(s: Tensor, r: Tensor) -> Tensor:
    gap = s - r
    return gap[:, 0] - gap[:, 1]


def _loss(margin: Tensor) -> Tensor:
    return -F.logsigmoid(margin).mean()


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


def verdict(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean probability, over both orders, that answer 1 is better."""
    return (first + 1 - second) / 2


DPO = (
    Mistake(
        "The reference is missing. Subtract its log-probability from the student's, answer by "
        "answer: without it nothing says how far the student has moved.",
        lambda s, r, beta: _loss(beta * (s[:, 0] - s[:, 1])),
    ),
    Mistake(
        "The margin has the wrong sign. It is chosen minus rejected, and student minus reference.",
        lambda s, r, beta: _loss(-beta * _margin(s, r)),
    ),
    Mistake(
        "Beta is missing. It multiplies the difference, inside the sigmoid.",
        lambda s, r, beta: _loss(_margin(s, r)),
    ),
    Mistake(
        "Beta is outside the sigmoid. There it only scales the gradient: multiply the margin.",
        lambda s, r, beta: beta * _loss(_margin(s, r)),
    ),
    Mistake(
        "The margin is divided by beta. A larger beta makes the margin larger: multiply.",
        lambda s, r, beta: _loss(_margin(s, r) / beta),
    ),
    Mistake(
        "The logarithm is missing. The loss is -log sigmoid, not -sigmoid.",
        lambda s, r, beta: -torch.sigmoid(beta * _margin(s, r)).mean(),
    ),
    Mistake(
        "The minus sign is missing. A loss is minimised: -log sigmoid.",
        lambda s, r, beta: F.logsigmoid(beta * _margin(s, r)).mean(),
    ),
    Mistake(
        "The rejected answer is missing. The margin is the difference of two moves.",
        lambda s, r, beta: _loss(beta * (s[:, 0] - r[:, 0])),
    ),
    Mistake(
        "The reference is added. Subtract it: the move is student minus reference.",
        lambda s, r, beta: _loss(beta * (s[:, 0] + r[:, 0] - s[:, 1] - r[:, 1])),
    ),
    Mistake(
        "Probabilities are subtracted. The inputs are log-probabilities already, and their "
        "difference is the log-ratio.",
        lambda s, r, beta: _loss(beta * _margin(s.exp(), r.exp())),
    ),
    Mistake(
        "The log-probabilities are divided. The logarithm of a ratio is a difference: s - r.",
        lambda s, r, beta: _loss(beta * (s[:, 0] / r[:, 0] - s[:, 1] / r[:, 1])),
    ),
    Mistake(
        "Beta multiplies the student alone. It multiplies the whole difference of moves.",
        lambda s, r, beta: _loss(_margin(beta * s, r)),
    ),
    Mistake(
        "Each answer has a loss of its own. A pair has one, of the difference of its moves.",
        lambda s, r, beta: _loss(beta * (s - r)),
    ),
    Mistake(
        "The rows are compared. Column 0 is chosen and column 1 rejected: use `[:, 0]`.",
        lambda s, r, beta: _loss(beta * ((s - r)[0] - (s - r)[1])),
    ),
    Mistake(
        "The mean comes before the sigmoid. Take the loss of each pair, then the mean.",
        lambda s, r, beta: _loss(beta * _margin(s, r).mean()),
    ),
    Mistake(
        "The pairs are summed. Take the mean over the pairs.",
        lambda s, r, beta: -F.logsigmoid(beta * _margin(s, r)).sum(),
    ),
    Mistake(
        "There is no mean. One number is returned, the mean over the pairs.",
        lambda s, r, beta: -F.logsigmoid(beta * _margin(s, r)),
    ),
)

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
)

VERDICT = (
    Mistake(
        "The second verdict is not turned. It is about the other answer: use 1 - second.",
        lambda a, b: (a + b) / 2,
    ),
    Mistake("Only the first order is used.", lambda a, b: a),
    Mistake("Only the second order is used. Average both.", lambda a, b: 1 - b),
    Mistake(
        "This is the probability that answer 2 is better. Turn the second verdict, not the first.",
        lambda a, b: 1 - verdict(a, b),
    ),
    Mistake("The division by 2 is missing.", lambda a, b: a + 1 - b),
    Mistake(
        "The two probabilities are multiplied. The orders are two readings of one pair: "
        "average them.",
        lambda a, b: a * (1 - b),
    ),
    Mistake(
        "The verdicts are rounded. Return the mean probability.",
        lambda a, b: (verdict(a, b) > 0.5).float(),
    ),
    Mistake(
        "The larger of the two is taken. That favours answer 1: average them.",
        lambda a, b: torch.maximum(a, 1 - b),
    ),
    Mistake("This is the difference of the two. Average them.", lambda a, b: a - b),
    Mistake(
        "One mean is taken over the pairs. Each pair keeps a verdict of its own.",
        lambda a, b: verdict(a, b).mean(),
    ),
)
