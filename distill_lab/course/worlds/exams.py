"""A world's test as an exam file: `python -m distill_lab.course.worlds nli exam.jsonl`.

The file is one that a job's `task:` takes (`distill_lab.jobs.exam`). Each verifier is written as
regular expressions on the answer in lower case and single spaces, and judges as it does here.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

from distill_lab._util.io import write_whole
from distill_lab.course.worlds.checks import Exact, Facts, Label, Number, plain

__all__ = ["write_exam"]


def write_exam(world: str, path: str | Path, *, n: int = 200, seed: int = 0, level: int = 2) -> int:
    """Write a world's test as an exam file.

    Args:
        world: One of `worlds.NAMES`.
        path: The .jsonl file; what was there is replaced.
        n: How many questions.
        seed: Which of the world's test questions.
        level: How hard: 1, 2 or 3.

    Returns:
        How many questions were written.

    Raises:
        ValueError: For another world, or where it has not that many questions.
    """
    from distill_lab.course.worlds import load  # which imports this module

    tasks = load(world).test(n, seed=seed, level=level)
    lines = [
        {"prompt": task.prompt, "answer": task.answer, "check": "regex"} | patterns(task.check)
        for task in tasks
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_whole(Path(path), text.encode())
    return len(lines)


@singledispatch
def patterns(check: Any) -> dict[str, Any]:
    """What a verifier looks for: the entries "require", "refuse" and "max_words" of a line."""
    raise TypeError(f"there are no patterns for {type(check).__name__}.")


@patterns.register
def _(check: Label) -> dict[str, Any]:
    return {"require": [_alone([check.gold])]}


@patterns.register
def _(check: Exact) -> dict[str, Any]:
    return {"require": [_alone(check.accepted)]}


@patterns.register
def _(check: Number) -> dict[str, Any]:
    digits = f"{'-' if check.gold < 0 else '-?' if check.gold == 0 else ''}0*{abs(check.gold)}"
    unit = f"(?: {re.escape(check.unit)})?" if check.unit else ""
    steps = "(?:(?:(?!answer).)*answer)?(?: is)? ?[:=]? ?"
    return {"require": [rf"\A{steps}{digits}{unit}[.! ]*\Z"]}


@patterns.register
def _(check: Facts) -> dict[str, Any]:
    others = "|".join(map(re.escape, check.numbers))
    number = rf"(?<!\d)(?!(?:{others})(?!\d))\d+" if others else r"\d"
    return {
        "require": [_word(some) for _, some in check.required],
        "refuse": [
            *(_word(some) for _, some in check.refused),
            number,
            *(_word([re.escape(name.lower())]) for name in check.names),
        ],
        "max_words": check.max_words,
    }


def _alone(accepted: Iterable[str]) -> str:
    """One of these and nothing else, but for a full stop."""
    return rf"\A(?:{'|'.join(re.escape(plain(one)) for one in accepted)})[.! ]*\Z"


def _word(some: Iterable[str]) -> str:
    """One of these patterns, with no letter before or after it."""
    return rf"(?<!\w)(?:{'|'.join(f'(?:{one})' for one in some)})(?!\w)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write an exam file from the command line."""
    from distill_lab.course.worlds import NAMES

    parser = argparse.ArgumentParser(
        prog="python -m distill_lab.course.worlds",
        description="Write a text world's test as an exam file, for a job's task.",
    )
    parser.add_argument("world", choices=NAMES)
    parser.add_argument("out", type=Path, metavar="OUT.jsonl")
    parser.add_argument("--n", type=int, default=200, help="questions (default: 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", type=int, default=2, choices=(1, 2, 3), help="how hard")
    options = parser.parse_args(arguments)
    n = write_exam(options.world, options.out, n=options.n, seed=options.seed, level=options.level)
    print(f"{n} questions in {options.out}")
    return 0
