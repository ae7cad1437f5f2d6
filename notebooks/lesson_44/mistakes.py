"""What learners get wrong in the exercises of lesson 44, each with the sentence for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import comb, prod

from torch import Tensor

from distill_lab.course.check.exercise import Mistake
from distill_lab.losses import group_advantages

Steps = Sequence[int]


def _expected(digits: Steps, steps: Steps) -> list[int]:
    """What each step should be, given the step before it as written."""
    return [digits[0], *((s + d) % 10 for s, d in zip(steps[:-1], digits[1:], strict=True))]


def wrong_steps(digits: Steps, steps: Steps) -> float:
    """The reference of exercise 1."""
    return float(sum(a != b for a, b in zip(steps, _expected(digits, steps), strict=True)))


def _from_the_problem(digits: Steps, steps: Steps) -> float:
    sums = [sum(digits[: i + 1]) % 10 for i in range(len(digits))]
    return float(sum(a != b for a, b in zip(steps, sums, strict=True)))


def _places(digits: Steps, steps: Steps) -> list[int]:
    return [
        i for i, (a, b) in enumerate(zip(steps, _expected(digits, steps), strict=True)) if a != b
    ]


def _no_modulo(digits: Steps, steps: Steps) -> float:
    expected = [digits[0], *(s + d for s, d in zip(steps[:-1], digits[1:], strict=True))]
    return float(sum(a != b for a, b in zip(steps, expected, strict=True)))


def _one_digit_late(digits: Steps, steps: Steps) -> float:
    expected = [digits[0], *((s + d) % 10 for s, d in zip(steps[:-1], digits[:-1], strict=True))]
    return float(sum(a != b for a, b in zip(steps, expected, strict=True)))


def _against_itself(digits: Steps, steps: Steps) -> float:
    return float(sum((s + d) % 10 != s for s, d in zip(steps, digits, strict=True)))


def _digits_only(digits: Steps, steps: Steps) -> float:
    expected = [digits[0], *((a + b) % 10 for a, b in itertools.pairwise(digits))]
    return float(sum(a != b for a, b in zip(steps, expected, strict=True)))


WRONG_STEPS = (
    Mistake(
        "An error that is carried on is counted again. Compare each step with the step before "
        "it, as written: `(steps[i - 1] + digits[i]) % 10`.",
        _from_the_problem,
    ),
    Mistake("The modulo is missing. Only the last digit of a sum is written.", _no_modulo),
    Mistake(
        "The first step is not checked. It must be the first digit.",
        lambda digits, steps: float(len([i for i in _places(digits, steps) if i > 0])),
    ),
    Mistake(
        "The result says only whether there is an error. Count the errors.",
        lambda digits, steps: float(bool(_places(digits, steps))),
    ),
    Mistake(
        "The result is turned round: 1 means that all is right. Count the errors.",
        lambda digits, steps: float(not _places(digits, steps)),
    ),
    Mistake(
        "These are the right steps. Count the wrong ones.",
        lambda digits, steps: len(steps) - wrong_steps(digits, steps),
    ),
    Mistake(
        "This is a share of the steps. Return their number.",
        lambda digits, steps: wrong_steps(digits, steps) / len(steps),
    ),
    Mistake(
        "This is the place of the first wrong step. Count all of them.",
        lambda digits, steps: float(next(iter(_places(digits, steps)), -1)),
    ),
    Mistake(
        "Only the last step is checked. Each step has to be.",
        lambda digits, steps: float(steps[-1] != sum(digits) % 10),
    ),
    Mistake(
        "The digit is the one before. Step i adds `digits[i]` to `steps[i - 1]`.", _one_digit_late
    ),
    Mistake(
        "Two digits are added. Step i adds a digit to the step before it, not to a digit.",
        _digits_only,
    ),
    Mistake(
        "Each step is compared with itself plus a digit. Compare it with the step before it "
        "plus the digit.",
        _against_itself,
    ),
    Mistake(
        "The last step is not checked. Run to the end of the list.",
        lambda digits, steps: float(len([i for i in _places(digits, steps) if i < len(steps) - 1])),
    ),
)


def advantages(rewards: Tensor, scale: bool) -> Tensor:
    """The reference of exercise 2."""
    return group_advantages(rewards, scale=scale)


def _over(difference: Tensor, divisor: Tensor, scale: bool) -> Tensor:
    return difference / divisor if scale else difference


def _centred(rewards: Tensor, dim: int | None = 1) -> Tensor:
    return rewards - (rewards.mean() if dim is None else rewards.mean(dim, keepdim=True))


ADVANTAGES = (
    Mistake(
        "Equal rewards give NaN. Add 1e-4 to the standard deviation.",
        lambda r, scale: _over(_centred(r), r.std(1, keepdim=True), scale),
    ),
    Mistake(
        "The mean is over all prompts. A group is one row: `mean(1, keepdim=True)`.",
        lambda r, scale: _over(_centred(r, None), r.std(1, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "Mean and standard deviation are over all prompts. A group is one row.",
        lambda r, scale: _over(_centred(r, None), r.std() + 1e-4, scale),
    ),
    Mistake(
        "The standard deviation is over all prompts. Each group has its own: `std(1, "
        "keepdim=True)`.",
        lambda r, scale: _over(_centred(r), r.std() + 1e-4, scale),
    ),
    Mistake(
        "The groups are taken as columns (dim 0). The answers to one prompt are one row.",
        lambda r, scale: _over(_centred(r, 0), r.std(0, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "The standard deviation divides by G. Divide by G - 1, as `std` does by itself.",
        lambda r, scale: _over(_centred(r), r.std(1, keepdim=True, correction=0) + 1e-4, scale),
    ),
    Mistake(
        "The division is by the variance. Take its root, the standard deviation.",
        lambda r, scale: _over(_centred(r), r.var(1, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "The group's mean is not subtracted. Without it every right answer is raised, and no "
        "wrong one is lowered.",
        lambda r, scale: _over(r, r.std(1, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "`scale` has no effect: the division is always made. With scale=False there is none.",
        lambda r, scale: advantages(r, True),
    ),
    Mistake(
        "`scale` has no effect: the division is never made. With scale=True divide by the "
        "standard deviation.",
        lambda r, scale: advantages(r, False),
    ),
    Mistake(
        "`scale` is turned round. Divide where it is True.",
        lambda r, scale: advantages(r, not scale),
    ),
    Mistake(
        "The sign is turned round. It is reward minus mean.", lambda r, scale: -advantages(r, scale)
    ),
    Mistake(
        "The mean leaves out the answer itself. Here it is the mean of the whole group.",
        lambda r, scale: _over(
            _centred(r) * r.shape[1] / (r.shape[1] - 1), r.std(1, keepdim=True) + 1e-4, scale
        ),
    ),
    Mistake(
        "The division is by the range. Divide by the standard deviation.",
        lambda r, scale: _over(
            _centred(r), r.amax(1, keepdim=True) - r.amin(1, keepdim=True) + 1e-4, scale
        ),
    ),
    Mistake(
        "These are absolute values. A wrong answer has a negative advantage.",
        lambda r, scale: advantages(r, scale).abs(),
    ),
    Mistake(
        "The median is subtracted. Subtract the mean.",
        lambda r, scale: _over(
            r - r.median(1, keepdim=True).values, r.std(1, keepdim=True) + 1e-4, scale
        ),
    ),
)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The reference of exercise 3."""
    return 1 - comb(n - c, k) / comb(n, k)


PASS_AT_K = (
    Mistake(
        "Answers are put back after each draw. Without that the chance is larger: count the "
        "ways to draw with `comb`.",
        lambda n, c, k: 1 - (1 - c / n) ** k,
    ),
    Mistake(
        "The chances of k draws are added up. They can be above 1 together.",
        lambda n, c, k: k * c / n,
    ),
    Mistake(
        "The chances of k draws are added up and cut at 1. Two drawn answers may both be right.",
        lambda n, c, k: min(1.0, k * c / n),
    ),
    Mistake("This is pass@1: `k` has no effect.", lambda n, c, k: c / n),
    Mistake(
        "1 minus is missing. This is the chance that all drawn answers are wrong.",
        lambda n, c, k: comb(n - c, k) / comb(n, k),
    ),
    Mistake(
        "This is the chance that all drawn answers are right. One right answer is enough.",
        lambda n, c, k: comb(c, k) / comb(n, k),
    ),
    Mistake(
        "Right and wrong are exchanged. Take n - c wrong answers in place of c.",
        lambda n, c, k: 1 - comb(c, k) / comb(n, k),
    ),
    Mistake(
        "This asks only whether any answer of the n is right. Only k of them are drawn.",
        lambda n, c, k: float(c > 0),
    ),
    Mistake(
        "This is a vote: over half of the answers are right. One right answer is enough.",
        lambda n, c, k: float(c > n / 2),
    ),
    Mistake("This is in percent. Return a probability.", lambda n, c, k: 100 * pass_at_k(n, c, k)),
    Mistake(
        "This is the chance of exactly one right answer. More than one counts, too.",
        lambda n, c, k: c * comb(n - c, k - 1) / comb(n, k),
    ),
    Mistake(
        "One factor too many stands in the product. k answers are drawn, so it has k factors.",
        lambda n, c, k: 1 - prod(max(0, n - c - i) / max(1, n - i) for i in range(k + 1)),
    ),
    Mistake(
        "One factor of the product is missing. k answers are drawn, so it has k factors.",
        lambda n, c, k: 1 - prod((n - c - i) / (n - i) for i in range(k - 1)),
    ),
)
