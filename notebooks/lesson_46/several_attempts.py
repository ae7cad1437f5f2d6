"""The exercise on pass@k: what k of n attempts are worth, without putting back."""

from __future__ import annotations

from math import comb, perm, prod

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import same

__all__ = ["pass_at_k"]

_COUNTS = (
    {"right": torch.tensor([0, 1, 3, 8]), "n": 8, "k": 2},
    {"right": torch.tensor([2, 5, 0]), "n": 10, "k": 4},
    {"right": torch.tensor([1, 4, 6, 2, 0]), "n": 6, "k": 1},
)


def _mean(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).mean()


def _pass_at_k(right: Tensor, n: int, k: int) -> Tensor:
    return _mean([1 - comb(n - c, k) / comb(n, k) for c in right.tolist()])


pass_at_k = Exercise(
    name="pass_at_k",
    formula="1 - C(n - c, k) / C(n, k), mean over the questions, c the number of right attempts",
    reference=_pass_at_k,
    cases=_COUNTS,
    number_is_fine=True,
    invariances=(
        Invariance(
            "no right attempt gives 0, only right ones give 1",
            lambda f: (
                same(f(torch.tensor([0]), 5, 3), 0.0) and same(f(torch.tensor([5]), 5, 3), 1.0)
            ),
        ),
        Invariance(
            "with k = n every question with a right attempt counts 1",
            lambda f: same(f(torch.tensor([0, 1, 4, 0]), 6, 6), 0.5),
        ),
    ),
    mistakes=(
        Mistake(
            "The attempts are put back. 1 - (1 - c/n)^k is too small on average: use binomials.",
            lambda right, n, k: _mean([1 - (1 - c / n) ** k for c in right.tolist()]),
        ),
        Mistake(
            "This is pass@1. Count how often k attempts contain a right one.",
            lambda right, n, k: _mean([c / n for c in right.tolist()]),
        ),
        Mistake(
            "This is the probability that all fail. Subtract it from 1.",
            lambda right, n, k: _mean([comb(n - c, k) / comb(n, k) for c in right.tolist()]),
        ),
        Mistake(
            "All k attempts have to be right here. One right attempt is enough.",
            lambda right, n, k: _mean([comb(c, k) / comb(n, k) for c in right.tolist()]),
        ),
        Mistake(
            "This subtracts the probability that all are right. Count the wrong ones: C(n - c, k).",
            lambda right, n, k: _mean([1 - comb(c, k) / comb(n, k) for c in right.tolist()]),
        ),
        Mistake(
            "The questions are averaged first. Compute pass@k of each question, then the mean.",
            lambda right, n, k: torch.as_tensor(
                1 - (1 - right.double().mean() / n) ** k, dtype=torch.float64
            ),
        ),
        Mistake(
            "The probability is multiplied by k. Attempts that are both right count once.",
            lambda right, n, k: _mean([min(1.0, k * c / n) for c in right.tolist()]),
        ),
        Mistake(
            "This counts the questions with any right attempt. Only k of the n attempts are "
            "drawn; and a fraction needs `/`, not `//`.",
            lambda right, n, k: _mean([float(c > 0) for c in right.tolist()]),
        ),
        Mistake(
            "The questions are summed. Take their mean.",
            lambda right, n, k: len(right) * _pass_at_k(right, n, k),
        ),
        Mistake(
            "The probability is multiplied by k. Attempts that are both right count once.",
            lambda right, n, k: k * right.double().mean() / n,
        ),
        Mistake(
            "The division is by n. Take the mean over the questions: divide by `len(right)`.",
            lambda right, n, k: len(right) * _pass_at_k(right, n, k) / n,
        ),
        Mistake(
            "Orders are counted above and not below. Use `comb` twice, not `perm`.",
            lambda right, n, k: _mean([1 - perm(n - c, k) / comb(n, k) for c in right.tolist()]),
        ),
        Mistake(
            "Only the first question counts. Take the mean over the questions.",
            lambda right, n, k: _pass_at_k(right[:1], n, k),
        ),
        Mistake(
            "The counts are averaged first. Compute pass@k of each question, then the mean.",
            lambda right, n, k: _pass_at_k(right.double().mean().round().int()[None], n, k),
        ),
        Mistake(
            "This is the probability that any question is solved. Take the mean of all questions.",
            lambda right, n, k: _mean(
                [1 - prod(comb(n - c, k) / comb(n, k) for c in right.tolist())]
            ),
        ),
        Mistake(
            "The questions are multiplied. Take their mean.",
            lambda right, n, k: _mean(
                [prod(1 - comb(n - c, k) / comb(n, k) for c in right.tolist())]
            ),
        ),
        Mistake(
            "The binomial below is C(n, c). It counts the ways to draw k of n: C(n, k).",
            lambda right, n, k: _mean([1 - comb(n - c, k) / comb(n, c) for c in right.tolist()]),
        ),
        Mistake(
            "One attempt too few is drawn. All k have to be wrong: C(n - c, k).",
            lambda right, n, k: _mean(
                [1 - comb(n - c, k - 1) / comb(n, k) for c in right.tolist()]
            ),
        ),
        Mistake(
            "The attempts are put back, and this is the probability that all fail. Use binomials.",
            lambda right, n, k: _mean([(1 - c / n) ** k for c in right.tolist()]),
        ),
        Mistake(
            "The attempts are put back, and all have to be right. One right attempt is enough.",
            lambda right, n, k: _mean([(c / n) ** k for c in right.tolist()]),
        ),
        Mistake(
            "The attempts are put back, and 1 - (c/n)^k says that one of them is wrong. At least "
            "one right attempt is meant.",
            lambda right, n, k: _mean([1 - (c / n) ** k for c in right.tolist()]),
        ),
        Mistake(
            "The division by C(n, k) is missing. A probability divides by all ways to draw.",
            lambda right, n, k: _mean([1.0 - comb(n - c, k) for c in right.tolist()]),
        ),
        Mistake(
            "The division is by k. Take the mean over the questions: divide by `len(right)`.",
            lambda right, n, k: len(right) * _pass_at_k(right, n, k) / k,
        ),
        Mistake(
            "All attempts are put into one group. Compute pass@k of each question, then the mean.",
            lambda right, n, k: _mean(
                [1 - comb(len(right) * n - int(right.sum()), k) / comb(len(right) * n, k)]
            ),
        ),
        Mistake(
            "Only the best question counts. Take the mean over the questions.",
            lambda right, n, k: _pass_at_k(right.max()[None], n, k),
        ),
        Mistake(
            "The product begins or ends at the wrong factor. It runs over n - c + 1 to n.",
            lambda right, n, k: _mean(
                [1 - prod(1 - k / i for i in range(n - c + 1, n)) for c in right.tolist()]
            ),
        ),
        Mistake(
            "The product begins or ends at the wrong factor. It runs over n - c + 1 to n.",
            lambda right, n, k: _mean(
                [1 - prod(1 - k / i for i in range(max(1, n - c), n + 1)) for c in right.tolist()]
            ),
        ),
        Mistake(
            "Exactly one right attempt is counted. At least one is meant.",
            lambda right, n, k: _mean(
                [c * comb(n - c, k - 1) / comb(n, k) for c in right.tolist()]
            ),
        ),
    ),
)
