"""What learners get wrong on a judge's verdicts in both orders, each with the cure."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["VERDICT", "verdict"]


def verdict(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean probability, over both orders, that answer 1 is better."""
    return (first + 1 - second) / 2


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
    Mistake(
        "Brackets are missing around the sum. Divide all of it by 2.", lambda a, b: a + (1 - b) / 2
    ),
    Mistake(
        "Brackets are missing around the sum. Divide all of it by 2.", lambda a, b: a + 1 - b / 2
    ),
    Mistake(
        "The 1 is missing. In the second order, answer 1 is better with probability 1 - second.",
        lambda a, b: (a - b) / 2,
    ),
    Mistake(
        "Both verdicts are turned. Only the second one is about the other answer.",
        lambda a, b: 1 - (a + b) / 2,
    ),
    Mistake(
        "The smaller of the two is taken. That favours answer 2: average them.",
        lambda a, b: torch.minimum(a, 1 - b),
    ),
    Mistake(
        "This is the share of the first verdict. Average the two instead.", lambda a, b: a / (a + b)
    ),
    Mistake(
        "The orders count as independent judges here. It is one judge twice: average them.",
        lambda a, b: a * (1 - b) / (a * (1 - b) + (1 - a) * b),
    ),
    Mistake(
        "The logits are averaged. Average the probabilities.",
        lambda a, b: ((a.logit() - b.logit()) / 2).sigmoid(),
    ),
    Mistake(
        "Brackets are missing around the sum. Divide all of it by 2.", lambda a, b: a / 2 + 1 - b
    ),
    Mistake(
        "1 - second is subtracted. Both are probabilities of answer 1: add them, then halve.",
        lambda a, b: (a - (1 - b)) / 2,
    ),
    Mistake(
        "The probabilities are multiplied and the root is taken. Average them: a sum divided by 2.",
        lambda a, b: (a * (1 - b)).sqrt(),
    ),
    Mistake(
        "This is the harmonic mean. Average the two: a sum divided by 2.",
        lambda a, b: 2 * a * (1 - b) / (a + 1 - b),
    ),
    Mistake(
        "This is the share of the first verdict. Average the two instead.",
        lambda a, b: a / (a + 1 - b),
    ),
    Mistake(
        "Answer 1 wins only if it wins in both orders here. Return the mean probability.",
        lambda a, b: ((a > 0.5) & (b < 0.5)).float(),
    ),
    Mistake(
        "This is whether A wins in both orders. Turn the second verdict, and return the mean.",
        lambda a, b: ((a > 0.5) == (b > 0.5)).float(),
    ),
    Mistake(
        "A softmax of probabilities is taken. Average them: a sum divided by 2.",
        lambda a, b: torch.stack((a, 1 - b)).softmax(0)[0],
    ),
    Mistake(
        "A softmax of probabilities is taken. Average them: a sum divided by 2.",
        lambda a, b: torch.stack((a, b)).softmax(0)[0],
    ),
    Mistake(
        "A sigmoid of probabilities is taken. They are probabilities already: average them.",
        lambda a, b: ((a - b) / 2).sigmoid(),
    ),
    Mistake(
        "The second verdict is inverted. The probability of the other answer is 1 - second, not "
        "1 / second.",
        lambda a, b: (a + 1 / b) / 2,
    ),
    Mistake(
        "The probabilities are squared. Average them as they are.",
        lambda a, b: (a**2 + (1 - b) ** 2) / 2,
    ),
    Mistake(
        "The division is by the number of pairs. Divide by 2, the number of orders.",
        lambda a, b: (a + 1 - b) / len(a),
    ),
    Mistake("The 1 is halved alone. Divide all of the sum by 2.", lambda a, b: a + 0.5 - b),
    Mistake(
        "The pairs are turned round. Each pair keeps its place: use 1 - second, not `flip`.",
        lambda a, b: (a + 1 - b.flip(0)) / 2,
    ),
    Mistake(
        "The pairs are turned round. Each pair keeps its place: use 1 - second, not `flip`.",
        lambda a, b: (a + b.flip(0)) / 2,
    ),
    Mistake(
        "Only verdicts that agree are counted. Return the mean probability.",
        lambda a, b: torch.where((a > 0.5) == (b < 0.5), (a > 0.5).float(), 0.5),
    ),
)
