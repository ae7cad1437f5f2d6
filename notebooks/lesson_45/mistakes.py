"""What learners get wrong on the loss of DPO, each with the cure."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["DPO"]


def _margin(s: Tensor, r: Tensor) -> Tensor:
    gap = s - r
    return gap[:, 0] - gap[:, 1]


def _loss(margin: Tensor) -> Tensor:
    return -F.logsigmoid(margin).mean()


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
    Mistake(
        "The chosen answer is missing. The margin is the difference of two moves.",
        lambda s, r, beta: _loss(-beta * (s[:, 1] - r[:, 1])),
    ),
    Mistake(
        "The two moves are averaged. Take their difference: chosen minus rejected.",
        lambda s, r, beta: _loss(beta * (s - r).mean(1)),
    ),
    Mistake(
        "The two moves are added. Take their difference: chosen minus rejected.",
        lambda s, r, beta: _loss(beta * (s - r).sum(1)),
    ),
    Mistake(
        "The sigmoid is missing. Without it the loss falls without end: use F.logsigmoid.",
        lambda s, r, beta: -(beta * _margin(s, r)).mean(),
    ),
    Mistake(
        "Beta multiplies the reference alone. It multiplies the whole difference of moves.",
        lambda s, r, beta: _loss(_margin(s, beta * r)),
    ),
    Mistake(
        "Ratios of probabilities are subtracted. Take their logarithms: student minus reference.",
        lambda s, r, beta: _loss(beta * _margin((s - r).exp(), torch.zeros_like(r))),
    ),
    Mistake(
        "This is a hinge loss. DPO has -log sigmoid in the place of max(0, 1 - margin).",
        lambda s, r, beta: (1 - beta * _margin(s, r)).clamp(min=0).mean(),
    ),
    Mistake(
        "Beta multiplies one move alone. Brackets are missing: beta times the whole difference.",
        lambda s, r, beta: _loss(beta * (s - r)[:, 0] - (s - r)[:, 1]),
    ),
    Mistake(
        "Beta multiplies one move alone. Brackets are missing: beta times the whole difference.",
        lambda s, r, beta: _loss((s - r)[:, 0] - beta * (s - r)[:, 1]),
    ),
    Mistake(
        "Brackets are missing around the rejected move. Inside them the reference is subtracted: "
        "(s_c - r_c) - (s_r - r_r).",
        lambda s, r, beta: _loss(beta * (s[:, 0] - r[:, 0] - s[:, 1] - r[:, 1])),
    ),
    Mistake(
        "The margin has no sign. A pair in the wrong order must cost more: leave out `abs`.",
        lambda s, r, beta: _loss(beta * _margin(s, r).abs()),
    ),
    Mistake(
        "This is 1 minus the sigmoid. The loss is -log sigmoid.",
        lambda s, r, beta: (1 - torch.sigmoid(beta * _margin(s, r))).mean(),
    ),
    Mistake(
        "The chosen and the rejected answer have a loss each. A pair has one, of the difference of "
        "its moves.",
        lambda s, r, beta: _loss(beta * (s - r)[:, 0]) + _loss(-beta * (s - r)[:, 1]),
    ),
    Mistake(
        "This is an exponential loss. DPO has -log sigmoid in the place of exp(-margin).",
        lambda s, r, beta: (-beta * _margin(s, r)).exp().mean(),
    ),
    Mistake(
        "This is the loss of IPO, a square. DPO has -log sigmoid of the margin.",
        lambda s, r, beta: ((_margin(s, r) - 1 / (2 * beta)) ** 2).mean(),
    ),
    Mistake(
        "Beta is subtracted. It multiplies the difference of the moves.",
        lambda s, r, beta: _loss(_margin(s, r) - beta),
    ),
    Mistake(
        "Two losses are subtracted. Take one loss, of the difference of the moves.",
        lambda s, r, beta: _loss(beta * (s - r)[:, 0]) - _loss(beta * (s - r)[:, 1]),
    ),
    Mistake(
        "The softmax runs down the batch. The two answers of a pair are on axis 1.",
        lambda s, r, beta: -(beta * (s - r)).log_softmax(0)[:, 0].mean(),
    ),
)
