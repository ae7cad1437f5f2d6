"""What learners get wrong on advantages and on pass@k, and the right functions beside it."""

from __future__ import annotations

from math import comb, prod

from torch import Tensor

from distill_lab.course.check.exercise import Mistake
from distill_lab.losses import group_advantages

__all__ = ["ADVANTAGES", "PASS_AT_K", "advantages", "pass_at_k"]


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
        "The divisor has no 1e-4, or another small number. Divide by std + 1e-4.",
        lambda r, scale: _over(_centred(r), r.std(1, keepdim=True) + 1e-8, scale),
    ),
    Mistake(
        "1e-4 is added to the variance. Take the root first, then add 1e-4 to the standard "
        "deviation.",
        lambda r, scale: _over(_centred(r), (r.var(1, keepdim=True) + 1e-4).sqrt(), scale),
    ),
    Mistake(
        "1e-4 is added to the quotient. Put brackets round the divisor: / (std + 1e-4).",
        lambda r, scale: _centred(r) / r.std(1, keepdim=True) + 1e-4 if scale else _centred(r),
    ),
    Mistake(
        "The mean alone is divided. Put brackets round the difference: (r - mean) / (std + 1e-4).",
        lambda r, scale: r - _over(r.mean(1, keepdim=True), r.std(1, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "The mean alone is divided. Put brackets round the difference: (r - mean) / (std + 1e-4).",
        lambda r, scale: r - r.mean(1, keepdim=True) / (r.std(1, keepdim=True) + 1e-4),
    ),
    Mistake(
        "Without `scale` nothing is subtracted. The mean goes in both cases; only the division "
        "depends on `scale`.",
        lambda r, scale: advantages(r, True) if scale else r,
    ),
    Mistake(
        "`scale` is used as a factor. It only decides whether there is a division.",
        lambda r, scale: advantages(r, True) * float(scale),
    ),
    Mistake(
        "The sum of the group is subtracted. Subtract its mean.",
        lambda r, scale: _over(r - r.sum(1, keepdim=True), r.std(1, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "The best reward of the group is subtracted. Subtract the mean.",
        lambda r, scale: _over(r - r.amax(1, keepdim=True), r.std(1, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "It is multiplied by the standard deviation. Divide by it.",
        lambda r, scale: _centred(r) * (r.std(1, keepdim=True) + 1e-4) if scale else _centred(r),
    ),
    Mistake(
        "The division is by the mean distance from the mean. Divide by the standard deviation.",
        lambda r, scale: _over(_centred(r), _centred(r).abs().mean(1, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "The division is by the length (norm) of the group. Divide by the standard deviation.",
        lambda r, scale: _over(_centred(r), _centred(r).norm(dim=1, keepdim=True) + 1e-4, scale),
    ),
    Mistake(
        "Negative advantages are cut to 0. Wrong answers have to become less probable.",
        lambda r, scale: advantages(r, scale).clamp_min(0),
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
        "One right answer among the n is enough here. Only k of them are drawn; and `//` cuts off "
        "the fraction, `/` keeps it.",
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
    Mistake(
        "The total does not shrink. With each drawn answer one less is left: divide by n - i.",
        lambda n, c, k: 1 - prod((n - c - i) / n for i in range(k)),
    ),
    Mistake(
        "The wrong answers do not shrink in number. After i draws, n - c - i of them are left.",
        lambda n, c, k: 1 - prod((n - c) / (n - i) for i in range(k)),
    ),
    Mistake(
        "This is the chance that all drawn answers are right, each put back. One right answer is "
        "enough, and none is put back.",
        lambda n, c, k: (c / n) ** k,
    ),
    Mistake(
        "1 minus is missing, and answers are put back. Count the ways to draw with `comb`.",
        lambda n, c, k: (1 - c / n) ** k,
    ),
    Mistake(
        "The case with k right answers is missing. Sum to k, which is `range(1, k + 1)`.",
        lambda n, c, k: sum(comb(c, j) * comb(n - c, k - j) for j in range(1, k)) / comb(n, k),
    ),
    Mistake(
        "This asks for two right answers or more. One is enough.",
        lambda n, c, k: sum(comb(c, j) * comb(n - c, k - j) for j in range(2, k + 1)) / comb(n, k),
    ),
    Mistake(
        "This is a vote of the drawn answers. One right answer is enough.",
        lambda n, c, k: (
            sum(comb(c, j) * comb(n - c, k - j) for j in range(k // 2 + 1, k + 1)) / comb(n, k)
        ),
    ),
    Mistake(
        "With fewer than k wrong answers this gives 0. Then one drawn answer is right for sure: 1.",
        lambda n, c, k: pass_at_k(n, c, k) if n - c >= k else 0.0,
    ),
    Mistake(
        "The product has one factor too many. It runs over i from n - c + 1 to n.",
        lambda n, c, k: 1 - prod(1 - k / i for i in range(max(1, n - c), n + 1)),
    ),
    Mistake(
        "The product has one factor too few. It runs over i from n - c + 1 to n, n included.",
        lambda n, c, k: 1 - prod(1 - k / i for i in range(n - c + 1, n)),
    ),
)
