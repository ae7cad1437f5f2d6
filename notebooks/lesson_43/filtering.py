"""The filters as a machine: switches, an order, and the students that were trained on the result.

Nothing here trains. A setting runs the filters on stored answers of the tutor, sampled at four
temperatures (`python -m lesson_43.make --answers`). Students exist for three settings only
(`TRAINED`), all of them at temperature 1 and for other prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_lab.course import worlds
from distill_lab.course.stored import DATA, load
from distill_lab.course.worlds import Task
from distill_lab.synthesis import filters
from distill_lab.synthesis.pipeline import FilterResult
from distill_lab.synthesis.verifiers import Verdict
from lesson_43.arms import FRESH
from lesson_43.experiments import flat, held_out_tasks

FILE, REMAKE = "answers.json", "python -m lesson_43.make --answers"
TEMPERATURES = (0.5, 1.0, 1.5, 2.0)

Filter = Callable[[Iterable[Any]], tuple[list[Any], Any]]

NAMES = ("leakage", "verified", "near-duplicates", "balance")
ORDERS = {
    "as above": NAMES,
    "duplicates first": ("near-duplicates", "leakage", "verified", "balance"),
    "balance first": ("balance", "leakage", "verified", "near-duplicates"),
}
# The filters behind each variant of stored students. No prompt of theirs is a test question, so
# that the leakage filter had nothing to do and was left out.
TRAINED = {
    (): "raw",
    ("verified",): "verified",
    ("verified", "near-duplicates", "balance"): "filtered",
}


def chosen(order: str, switches: Sequence[bool]) -> tuple[str, ...]:
    """List the filters that are switched on, in their order.

    Args:
        order: One of `ORDERS`.
        switches: Whether each of `NAMES` is on.

    Returns:
        Names.

    >>> chosen("balance first", (True, False, False, True))
    ('balance', 'leakage')
    """
    on = dict(zip(NAMES, switches, strict=True))
    return tuple(name for name in ORDERS[order] if on[name])


def figure_tasks() -> list[Task]:
    """Draw the prompts of the lesson's first section, those of seed 0, with five test questions."""
    each = [worlds.load(name).train(20, seed=FRESH + 100) for name in worlds.NAMES]
    return [*(task for of_world in each for task in of_world), *(x[0] for x in _tests().values())]


def _tests() -> dict[str, list[Task]]:
    return held_out_tasks(50, seed=0)


def _filters(tasks: Sequence[Task]) -> dict[str, Filter]:
    def verify(row: dict[str, Any]) -> Verdict:
        verdict = tasks[row["about"]["task"]].check.verdict(row["answer"])
        return Verdict(verdict.right, verdict.reason)

    tests = [task.prompt for task in flat(_tests())]
    return {
        "leakage": filters.not_leaked(tests),
        "verified": filters.verified(verify),
        "near-duplicates": filters.distinct(0.8, of=filters.asked_and_answered),
        "balance": filters.balanced("world"),
    }


@dataclass(frozen=True)
class Stored:
    """The stored answers: `rows[T]` at temperature T, to `tasks`, and the four `filters`."""

    tasks: Sequence[Task]
    rows: Mapping[float, Sequence[dict[str, Any]]]
    filters: Mapping[str, Filter]
    done: dict[tuple[Any, ...], Any] = field(default_factory=dict)  # settings share first filters

    @classmethod
    def read(cls, folder: Path | None = None) -> Stored:
        """Read them; `folder` is the repository's by default."""
        data = load(FILE, folder=folder or DATA / "students", remake=REMAKE)
        tasks = figure_tasks()
        rows = {
            float(T): [
                {
                    "id": f"{i:016x}",
                    "prompt": [{"role": "user", "content": tasks[number].prompt}],
                    "answer": text,
                    "about": {"task": number, "world": tasks[number].world},
                }
                for i, (number, text) in enumerate(answers)
            ]
            for T, answers in data["answers"].items()
        }
        return cls(tasks, rows, _filters(tasks))

    def run(self, T: float, names: Sequence[str]) -> FilterResult:
        """Run the filters of these names, in this order; none keeps every row."""
        rows, steps = self.rows[T], []
        for i, name in enumerate(names):
            before = (T, *names[: i + 1])
            if before not in self.done:
                self.done[before] = self.filters[name](rows)
            rows, step = self.done[before]
            steps.append(step)
        return FilterResult(list(rows), tuple(steps))


def score(T: float, names: Sequence[str], scores: Mapping[str, float]) -> float | None:
    """Percent right of the students that were trained on this setting; None where none were.

    Args:
        T: The temperature of the answers.
        names: The filters, in their order.
        scores: The result of each variant of stored students.

    Returns:
        The variant's result.

    >>> scores = {"raw": 69.0, "verified": 70.0, "filtered": 71.0}
    >>> score(1.0, ("leakage", "verified"), scores) is None, score(1.0, ("verified",), scores)
    (True, 70.0)
    """
    arm = TRAINED.get(tuple(names)) if T == 1 else None
    return None if arm is None else scores[arm]
