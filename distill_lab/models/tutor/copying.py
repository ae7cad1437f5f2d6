"""Words and numbers to say again: the first thing the tutor learns, before it reads any text."""

from __future__ import annotations

import random

from distill_lab.datasets.worlds import Task
from distill_lab.datasets.worlds.checks import Exact
from distill_lab.datasets.worlds.support import ITEMS
from distill_lab.datasets.worlds.words import CITIES, DAYS, HE, SHE

WORDS = (*SHE, *HE, *CITIES, *ITEMS, *DAYS)


def copies(n: int, *, seed: int = 0) -> list[list[Task]]:
    """`n` conversations of one task each: a row of three to twelve words and numbers, said again.

    Answers in every world hold names and figures from the prompt. Where copying is learnt with all
    the rest, a small network copies the digits of a number in any order, and stays there; learnt
    first, it is there within 250 steps. Olsson et al. 2022 (2209.11895), on the heads that do it.

    >>> copies(1)[0][0].prompt
    'Repeat: 6851 Turin 41'
    """
    rng = random.Random(f"copies, seed {seed}")
    return [[_task(rng)] for _ in range(n)]


def _task(rng: random.Random) -> Task:
    row = " ".join(
        _number(rng) if rng.random() < 0.5 else rng.choice(WORDS) for _ in range(rng.randint(3, 12))
    )
    return Task("copies", f"Repeat: {row}", row, key=row, check=Exact((row,)), level=1)


def _number(rng: random.Random) -> str:
    """Of one, two or four digits, as the worlds have them."""
    least = rng.choice((0, 10, 10, 1000))
    return str(rng.randint(least, {0: 9, 10: 99, 1000: 9999}[least]))
