"""Lesson 46's feedback: attempts at a sum, a verifier, and one of the right ones as the hint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distill_lab.methods import tokens
from lesson_46 import experiments, world

__all__ = ["direct_share", "feedback", "is_direct", "is_right", "sums"]


def is_right(digits: str, attempt: str) -> bool:
    """Tell whether the last digit of an attempt at `sum` is right, and nothing follows it.

    >>> is_right("1 2 3 4 5", "so 1 3 6 0 5 : 5"), is_right("1 2 3 4 5", "so : 6")
    (True, False)
    """
    _, mark, result = attempt.rpartition(f"{world.RESULT} ")
    return bool(mark) and result == str(sum(map(int, digits.split())) % 10)


def is_direct(attempt: str) -> bool:
    """Tell whether an attempt gives the result without the sums before it."""
    return attempt.split()[1:2] == [world.RESULT]


def sums(model: Any, digits: Sequence[str], seed: int, answers: int) -> list[list[str]]:
    """Let a model attempt sums, each question so many times."""
    prompts = [world.question("sum", each) for each in digits]
    texts = experiments.write(model, prompts, seed, answers=answers)
    return [texts[i : i + answers] for i in range(0, len(texts), answers)]


def direct_share(digits: Sequence[str], groups: Sequence[Sequence[str]]) -> dict[str, float]:
    """Percent right, percent direct, and percent right of the direct ones."""
    pairs = [(d, text) for d, group in zip(digits, groups, strict=True) for text in group]
    direct = [is_right(d, text) for d, text in pairs if is_direct(text)]
    return {
        "right": 100 * sum(is_right(d, text) for d, text in pairs) / len(pairs),
        "direct": 100 * len(direct) / len(pairs),
        "right of direct": 100 * sum(direct) / max(1, len(direct)),
    }


def feedback(
    start: Any,
    pick: Callable[[Sequence[str]], str],
    *,
    seed: int,
    rounds: int,
    group: int = 32,
    questions: int = 16,
    scored: int = 8,
    steps: int = 4,
    lr: float = 1e-3,
) -> tuple[Any, list[dict[str, float]]]:
    """Let a student attempt, verify, show its teacher a right attempt, and score some attempts.

    Args:
        start: the base: the student's first weights, and its teacher, frozen.
        pick: chooses one of the right attempts of a group.
        seed: of questions and attempts.
        rounds: how many times.
        group: attempts at each question.
        questions: new ones each round.
        scored: attempts of a group from which the student learns.
        steps: of the student each round.
        lr: of the first step of a round.

    Returns:
        The student, and what its attempts were like at the start of each round and at the end.
    """
    student, log = experiments.student_of(start), []
    for number in range(rounds + 1):
        digits = world.numbers(questions, f"sums {seed}, round {number}")
        groups = sums(student, digits, 1000 * seed + number, group)
        log.append(direct_share(digits, groups))
        if number == rounds:
            break
        rows = _hinted_rows(digits, groups, pick, scored)
        if rows:
            student = experiments.learn(
                student,
                rows,
                experiments.view(start, rows, lambda row: world.with_system(*row["view"])),
                tokens("forward_kl"),
                steps=steps,
                seed=1000 * seed + number,
                lr=lr,
            )
    return student, log


def _hinted_rows(
    digits: Sequence[str],
    groups: Sequence[Sequence[str]],
    pick: Callable[[Sequence[str]], str],
    scored: int,
) -> list[dict[str, Any]]:
    """Some attempts with the hint of their group; none where no attempt was right."""
    rows = []
    for each, attempts in zip(digits, groups, strict=True):
        right = [text for text in attempts if is_right(each, text)]
        if right:
            prompt = world.question("sum", each)
            view = (world.hint_of(pick(right)), prompt)
            rows += [{"prompt": prompt, "answer": t, "view": view} for t in attempts[:scored] if t]
    return rows
