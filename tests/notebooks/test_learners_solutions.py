"""Solutions as learners write them: a wrong one gets its own mistake's name, a right one passes.

A lesson keeps them in `wrong_solutions.py` (by exercise and the name that is due) and in
`right_solutions.py`.
"""

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill_lab.course.check import lesson_exercises, shared
from distill_lab.course.check.examine import examine
from distill_lab.course.check.exercise import Report

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = [folder.name for folder in sorted(NOTEBOOKS.glob("lesson_*"))]


def solutions(lesson: str, kind: str) -> dict[str, Any]:
    """What a lesson keeps of one kind, by exercise; nothing if it keeps none."""
    if importlib.util.find_spec(f"{lesson}.{kind}_solutions") is None:
        return {}
    module = importlib.import_module(f"{lesson}.{kind}_solutions")
    return dict(getattr(module, kind.upper()))


def judge(lesson: str, exercise: str, fn: Callable[..., Any]) -> Report:
    exercises = {**shared.EXERCISES, **lesson_exercises(NOTEBOOKS / lesson)}
    with warnings.catch_warnings():  # a wrong solution may call torch in a way that warns
        warnings.simplefilter("ignore")
        return examine(exercises[exercise], fn, exercise)


WRONG = [
    (lesson, exercise, name, fn)
    for lesson in LESSONS
    for exercise, named in solutions(lesson, "wrong").items()
    for name, fns in named.items()
    for fn in fns
]
RIGHT = [
    pytest.param(lesson, exercise, fn, id=f"{lesson}: {exercise} {i}")
    for lesson in LESSONS
    for exercise, fns in solutions(lesson, "right").items()
    for i, fn in enumerate(fns)
]


@pytest.fixture(scope="module")
def judged() -> list[tuple[str, Report]]:
    return [(f"{of}: {e}: {name}", judge(of, e, fn)) for of, e, name, fn in WRONG]


def test_there_are_many_of_both_kinds() -> None:
    assert len(WRONG) >= 190 and len(RIGHT) >= 60
    for lesson in LESSONS:
        exercises = lesson_exercises(NOTEBOOKS / lesson)
        assert set(exercises) <= {exercise for of, exercise, _, _ in WRONG if of == lesson}


def test_none_is_accepted_and_none_is_taken_for_a_blank(judged) -> None:
    assert [name for name, report in judged if report.state != "wrong"] == []


def test_nearly_every_one_gets_the_name_of_its_own_mistake(judged) -> None:
    others = [f"{due} -> {r.mistake}" for due, r in judged if due.split(": ", 2)[2] != r.mistake]
    assert len(others) <= 0.05 * len(judged), "\n".join(others)


def test_a_wrong_value_comes_with_the_smallest_case_that_fails(judged) -> None:
    for name, report in judged:
        if any("cases right" in f and "(100 %)" not in f for f in report.findings):
            assert report.case is not None or report.mistake == "The result is random", name
        if report.case and report.case.yours:
            assert report.case.yours != report.case.expected, name


@pytest.mark.parametrize(("lesson", "exercise", "fn"), RIGHT)
def test_a_right_one_is_accepted_in_any_style(lesson, exercise, fn) -> None:
    report = judge(lesson, exercise, fn)
    assert report.state == "right", report.findings
