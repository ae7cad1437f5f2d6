"""What the tutor learns before it reads any text: to copy, to look up, to tell more from less."""

from __future__ import annotations

import random

from distill_lab.course.worlds import Task
from distill_lab.course.worlds.checks import Exact
from distill_lab.course.worlds.support import ITEMS
from distill_lab.course.worlds.words import CITIES, DAYS, HE, SHE

KEYS = (*SHE, *HE, *ITEMS)
WORDS = (*KEYS, *CITIES, *DAYS)
TURNS = 5
MOST = (9, 40, 99)  # figures to compare are drawn up to one of these


def drills(n: int, *, seed: int = 0) -> list[list[Task]]:
    """`n` conversations: in turn a row to say again, a table to look up in, pairs of figures.

    Answers in every world hold names and figures of the prompt, and which ones depends on whose
    they are and on which is larger. Where that is to be learnt with all the rest, a small network
    stays for long at the answer of another order, or with the digits of a number in any order.
    Olsson et al. 2022 (2209.11895), on the heads that copy.

    >>> for talk in drills(3, seed=10):
    ...     print(talk[0].prompt, "->", talk[0].answer)
    Repeat: Mark 3007 3012 67 3 89 Hull York -> Mark 3007 3012 67 3 89 Hull York
    Table: Luke: Friday, Florence. Emil: 66 euro, Thursday. Find: day of Luke -> Friday
    Compare: 2 to 1 -> down
    """
    rng = random.Random(f"drills, seed {seed}")
    kinds = (_copy, _look_up, _compare)
    return [kinds[i % len(kinds)](rng) for i in range(n)]


def _copy(rng: random.Random) -> list[Task]:
    row = " ".join(
        _number(rng) if rng.random() < 0.5 else rng.choice(WORDS) for _ in range(rng.randint(3, 12))
    )
    return [_task(f"Repeat: {row}", row)]


def _number(rng: random.Random) -> str:
    """Of one, two or four digits, as the worlds have them."""
    least = rng.choice((0, 10, 10, 1000))
    return str(rng.randint(least, {0: 9, 10: 99, 1000: 9999}[least]))


def _look_up(rng: random.Random) -> list[Task]:
    """Whose is it, and what has that one: asked both ways about rows of two to four fields."""
    keys = rng.sample(KEYS, rng.randint(2, 4))
    fields = {
        "order": [str(x) for x in rng.sample(range(1000, 10_000), len(keys))],
        "price": [str(x) for x in rng.sample(range(10, 100), len(keys))],
        "day": rng.sample(DAYS, len(keys)),
        "city": rng.sample(CITIES, len(keys)),
    }
    wordings = {"order": "order {}", "price": "{} euro", "day": "{}", "city": "{}"}
    lines, questions = [], []
    for i, key in enumerate(keys):
        shown = rng.sample(list(fields), rng.randint(2, 4))
        lines.append(f"{key}: {', '.join(wordings[f].format(fields[f][i]) for f in shown)}.")
        for field in shown:
            value = fields[field][i]
            questions.append((f"Find: {field} of {key}", value))
            questions.append((f"Find: who has {wordings[field].format(value)}", key))
    table = f"Table: {' '.join(lines)}"
    chosen = rng.sample(questions, min(TURNS, len(questions)))
    return [_task(f"{table} {question}", answer, question) for question, answer in chosen]


def _compare(rng: random.Random) -> list[Task]:
    """Pairs of figures, as they come: up, down or as before."""
    tasks = []
    for _ in range(TURNS):
        most = rng.choice(MOST)
        before, after = rng.randint(0, most), rng.randint(0, most)
        trend = "up" if after > before else "down" if after < before else "the same"
        question = f"Compare: {before} to {after}"
        tasks.append(_task(question, trend, question))
    return tasks


def _task(prompt: str, answer: str, follow: str = "") -> Task:
    check = Exact((answer,))
    return Task("drills", prompt, answer, key=prompt, check=check, level=1, follow=follow)
