"""The exercises of lesson 44: wrong steps in a chain, advantages of a group, and pass@k."""

from __future__ import annotations

from typing import Any

import torch

from distill_lab.course.check.exercise import Exercise, Invariance
from distill_lab.course.check.invariances import same
from lesson_44 import mistakes, reward_mistakes

__all__ = ["EXERCISES"]

_CHAINS = (
    ([7, 8, 3], [7, 5, 8]),
    ([7, 8, 3], [7, 4, 7]),
    ([7, 8, 3, 9], [7, 4, 7, 7]),
    ([2, 2, 2, 2], [2, 5, 7, 8]),
    ([4, 0, 6, 1, 3], [5, 5, 1, 2, 5]),
    ([9, 9, 9, 9, 9, 9], [9, 8, 7, 6, 5, 4]),
    ([1, 2, 3, 4, 5, 6], [1, 3, 7, 1, 6, 3]),
    ([8, 1], [8, 0]),
    ([3, 3, 3], [4, 8, 2]),
)

wrong_steps = Exercise(
    name="wrong_steps",
    formula="how often step i is not (step i-1 + digit i) mod 10; step 0 must be digit 0",
    reference=mistakes.wrong_steps,
    cases=tuple({"digits": digits, "steps": steps} for digits, steps in _CHAINS),
    number_is_fine=True,
    invariances=(
        Invariance(
            "one error that is carried on counts once",
            lambda f: same(float(f([7, 8, 3, 9], [7, 4, 7, 6])), 1.0),
            "Compare with the step before, as it was written.",
        ),
        Invariance(
            "a chain without errors has none", lambda f: same(float(f([5, 5, 5], [5, 0, 5])), 0.0)
        ),
    ),
    mistakes=mistakes.WRONG_STEPS,
)

_REWARDS = (
    torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0]]),
    torch.tensor([[0.2, 0.9, 0.4], [1.0, 0.0, 0.0], [0.5, 0.7, 0.1]]),
    torch.tensor([[0.0, 2.0, -1.0, 0.5, 3.0, 1.0]]),
    torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
)
_EQUAL = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.0]])

advantages = Exercise(
    name="advantages",
    formula="(r - mean of its row) / (std of its row + 1e-4), std with G - 1; without scale, the "
    "difference alone",
    reference=reward_mistakes.advantages,
    cases=(
        *({"rewards": r, "scale": scale} for r in _REWARDS for scale in (True, False)),
        {"rewards": _EQUAL, "scale": True},
    ),
    defaults={"scale": True},
    invariances=(
        Invariance(
            "a group with equal rewards has the advantages 0",
            lambda f: same(f(_EQUAL, True)[0], torch.zeros(4)),
            "0 / 0 is NaN: add 1e-4 to the standard deviation.",
        ),
        Invariance(
            "a number added to all rewards changes nothing",
            lambda f: same(f(_REWARDS[0] + 3.0, True), f(_REWARDS[0], True)),
            "Subtract the group's mean.",
        ),
        Invariance(
            "one group does not change another one",
            lambda f: same(f(_REWARDS[1], False)[:1], f(_REWARDS[1][:1], False)),
            "The mean belongs to one row: `mean(1, keepdim=True)`.",
        ),
    ),
    mistakes=reward_mistakes.ADVANTAGES,
)

_COUNTS = (
    (16, 3, 4),
    (16, 0, 4),
    (16, 16, 4),
    (10, 5, 1),
    (8, 7, 2),
    (5, 1, 5),
    (20, 2, 10),
    (4, 2, 3),
    (6, 3, 3),
)

pass_at_k = Exercise(
    name="pass_at_k",
    formula="1 - C(n - c, k) / C(n, k)",
    reference=reward_mistakes.pass_at_k,
    cases=tuple({"n": n, "c": c, "k": k} for n, c, k in _COUNTS),
    number_is_fine=True,
    invariances=(
        Invariance(
            "with k = 1 it is the share of right answers", lambda f: same(float(f(10, 3, 1)), 0.3)
        ),
        Invariance(
            "all n answers are drawn: one right answer is enough",
            lambda f: same(float(f(7, 1, 7)), 1.0) and same(float(f(7, 0, 7)), 0.0),
        ),
        Invariance("large numbers of answers work", lambda f: same(float(f(2000, 1, 1000)), 0.5)),
    ),
    mistakes=reward_mistakes.PASS_AT_K,
)

EXERCISES: dict[str, Any] = {
    exercise.name: exercise for exercise in (wrong_steps, advantages, pass_at_k)
}
