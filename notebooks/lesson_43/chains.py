"""Running sums of digits: what a teacher's errors do to its student, without any words around it.

The prompt is eight digits, `78391246=`, and the answer their running sums, last digits only:
`75876024`. One wrong step spoils all that follow. Every digit is a token.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from distill_lab.course.worlds import Task, Verdict
from distill_lab.course.worlds.world import is_for_test

LENGTH = 8


@dataclass(frozen=True)
class LastDigit:
    """What counts is the last running sum.

    >>> LastDigit(4).verdict("75876024").right, LastDigit(4).verdict("7587").reason
    (True, 'expected 8 digits and nothing else; got 7587')
    """

    gold: int

    def verdict(self, text: str) -> Verdict:
        """Judge an answer: eight digits, the last of them right."""
        digits = text.strip()
        if len(digits) != LENGTH or not digits.isdecimal():
            return Verdict(False, f"expected {LENGTH} digits and nothing else; got {digits[:20]}")
        if int(digits[-1]) != self.gold:
            return Verdict(False, f"the last sum is {self.gold}, not {digits[-1]}")
        return Verdict(True, "right")


def chains(n: int, *, seed: int = 0, test: bool = False, slips: bool | None = None) -> list[Task]:
    """Draw `n` different chains.

    Args:
        n: how many.
        seed: of the digits.
        test: for testing; training and test share none.
        slips: only chains in which 7 and 8 meet, or only those in which they do not.

    Returns:
        The tasks.

    >>> [task.prompt for task in chains(2)]
    ['29116153=', '61232833=']
    """
    rng = random.Random(f"chains, seed {seed}, test {test}")
    tasks: dict[str, Task] = {}
    while len(tasks) < n:
        digits = [rng.randrange(10) for _ in range(LENGTH)]
        task = _task(digits)
        if is_for_test(task.key) == test and slips in (None, is_affected(task)):
            tasks.setdefault(task.key, task)
    return list(tasks.values())


def is_affected(task: Task) -> bool:
    """Tell whether a sum of 7 and an 8 that comes, or the other way round, is on the way."""
    digits = [int(c) for c in task.key]
    sums = [int(c) for c in task.answer]
    return any({a, b} == {7, 8} for a, b in zip(sums, digits[1:], strict=False))


def with_slip(task: Task) -> Task:
    """Write what a teacher does who takes 7 + 8 for 4: one systematic error, carried on.

    >>> with_slip(chains(1, slips=True)[0]).answer == chains(1, slips=True)[0].answer
    False
    """
    return _carried_on(task, lambda a, b: -1 if {a, b} == {7, 8} else 0)


def with_noise(task: Task, share: float) -> Task:
    """Write what a teacher with random errors does: this share of its steps is off, by anything."""
    rng = random.Random(f"noise in {task.key}")
    return _carried_on(task, lambda a, b: rng.randint(1, 9) * (rng.random() < share))


def _task(digits: list[int]) -> Task:
    sums = _sums(digits, lambda a, b: 0)
    key = "".join(map(str, digits))
    text = "".join(map(str, sums))
    return Task("chains", f"{key}=", text, key, LastDigit(sums[-1]), level=1)


def _carried_on(task: Task, error: Callable[[int, int], int]) -> Task:
    sums = _sums([int(c) for c in task.key], error)
    return replace(task, answer="".join(map(str, sums)))


def _sums(digits: list[int], error: Callable[[int, int], int]) -> list[int]:
    sums = digits[:1]
    for digit in digits[1:]:
        sums.append((sums[-1] + digit + error(sums[-1], digit)) % 10)
    return sums
