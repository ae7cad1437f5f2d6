"""Chains to learn from: how they are written, and which of them are chosen."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from lesson_44 import problems as p
from lesson_44.problems import Problem

__all__ = ["Chains", "base_texts", "diverse", "hardest", "random_share", "write_chains"]


@dataclass(frozen=True)
class Chains:
    """N problems, each with the tokens of an answer."""

    problems: list[Problem]
    answers: list[list[int]]

    def __len__(self) -> int:
        return len(self.problems)

    def take(self, rows: Sequence[int]) -> Chains:
        """Take these rows, in this order."""
        return Chains([self.problems[i] for i in rows], [self.answers[i] for i in rows])

    def encoded(self, room: int = p.ROOM["short"]) -> tuple[Tensor, Tensor]:
        """Ids and labels (N, PROMPT + room), as `distill` takes them."""
        return p.encoded(self.problems, self.answers, room)

    @property
    def tokens(self) -> float:
        """Mean tokens of prompt and answer."""
        return p.PROMPT + sum(map(len, self.answers)) / len(self)


def write_chains(
    problems: Sequence[Problem], form: str = "short", *, noise: float = 0.0, seed: int = 0
) -> Chains:
    """Write chains in one form; a share of the steps is off, by anything, and carried on.

    Args:
        problems: N problems.
        form: one of `problems.FORMS`.
        noise: share of wrong steps.
        seed: of the errors.

    Returns:
        The chains.
    """
    rng = random.Random(f"errors, seed {seed}")

    def error(total: int, digit: int) -> int:
        return rng.randint(1, 9) * (rng.random() < noise)

    sums = [p.written_sums(problem, error) for problem in problems]
    pairs = zip(problems, sums, strict=True)
    return Chains(list(problems), [p.answer_tokens(one, s, form) for one, s in pairs])


def base_texts(problems: Sequence[Problem], *, noise: float, seed: int = 0) -> Chains:
    """Write what the base reads: half of it without steps, with errors, and every 8 as a 7."""
    rng = random.Random(f"base, seed {seed}")

    def error(total: int, digit: int) -> int:
        return p.eight_as_seven(total, digit) + rng.randint(1, 9) * (rng.random() < noise)

    answers = [
        p.answer_tokens(one, p.written_sums(one, error), rng.choice(["direct", "short"]))
        for one in problems
    ]
    return Chains(list(problems), answers)


def hardest(pool: Chains, n: int) -> Chains:
    """Take n chains of the longest problems, the first of them in the pool's order."""
    order = sorted(range(len(pool)), key=lambda i: -len(pool.problems[i].digits))
    return pool.take(order[:n])


def diverse(pool: Chains, n: int) -> Chains:
    """Take n chains, each with the most steps (sum and digit) that were seen least so far."""
    seen: dict[tuple[int, int], int] = {}
    left, taken = dict(enumerate(map(_additions, pool.problems))), []
    for _ in range(min(n, len(pool))):
        best = max(left, key=lambda i: _novelty(left[i], seen))
        for step in left.pop(best):
            seen[step] = seen.get(step, 0) + 1
        taken.append(best)
    return pool.take(taken)


def _novelty(steps: Sequence[tuple[int, int]], seen: Mapping[tuple[int, int], int]) -> float:
    """1 / (1 + k) for a step seen k times, a mean over the chain's steps: length is no merit."""
    return sum(1 / (1 + seen.get(step, 0)) for step in steps) / len(steps)


def random_share(pool: Chains, n: int, *, seed: int) -> Chains:
    """Take n chains at random."""
    return pool.take(random.Random(seed).sample(range(len(pool)), n))


def _additions(problem: Problem) -> list[tuple[int, int]]:
    return list(zip(problem.sums, problem.digits[1:], strict=False))
