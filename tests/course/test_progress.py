"""Progress: what the journal says of exercises, predictions, and what to recall."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import pytest

from distill_lab.course import journal, progress
from distill_lab.course.journal import Log
from distill_lab.course.lessons import LessonFile, all_lessons
from distill_lab.course.lint.anatomy import all_calls, exercises, literal

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 28)
CODE = (
    'lesson.predict(\n    "11.a", "?", {})\ncheck.kd_loss(my_kd_loss)',
    'lesson.predict("11.b", "?", [])\ncheck("ece", my_ece)',
)


@pytest.fixture
def course(tmp_path: Path) -> list[LessonFile]:
    cells = [{"cell_type": "code", "source": source.splitlines(True)} for source in CODE]
    (tmp_path / "11_soft.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "12_hard.ipynb").write_text("not a notebook")
    return [LessonFile(name, tmp_path / f"{name}.ipynb") for name in ("11_soft", "12_hard")]


def event(event: str, lesson: str = "11", **facts: Any) -> dict[str, Any]:
    return {"event": event, "lesson": lesson, "time": "2026-11-28T10:00:00+00:00", **facts}


def prediction(id: str, choice: str, answer: str, misjudged: str = "") -> dict[str, Any]:
    facts = {"question": "<How>?", "why": "Measured: 3.", "misjudged": misjudged}
    return event("prediction", id=id, choice=choice, answer=answer, right=choice == answer, **facts)


DONE = (
    event("opened"),
    event("attempt", exercise="kd_loss", state="wrong", mistake="T² is missing."),
    event("attempt", exercise="kd_loss", state="right"),
    event("attempt", exercise="kd_loss", state="wrong", mistake="Tried something else."),
    event("attempt", exercise="ece", state="wrong", mistake="The bins are not weighted."),
    event("attempt", exercise="of another day", state="right"),
    prediction("11.a", "rises", "falls", "too high"),
    prediction("11.a", "falls", "falls"),  # another day: the first answer counts
    prediction("11.b", "one", "one"),
    event("closed"),
)


def test_what_is_solved_stays_solved_and_first_answers_count(course) -> None:
    done = progress.measure(course, Log(DONE, 1), TODAY)
    assert done.exercises == (("11", "kd_loss"), ("11", "ece"))
    assert done.solved == {("11", "kd_loss")}
    assert done.mistakes == {("11", "ece"): "The bins are not weighted."}
    assert (done.right, len(done.predictions), done.n_predictions) == (1, 2, 2)
    assert [(kind, len(events)) for kind, events in done.missed.items()] == [("too high", 1)]
    assert (done.opened, done.closed) == ({"11"}, {"11"})


def test_in_words(course) -> None:
    text = progress.as_text(progress.measure(course, Log(DONE, 1), TODAY))
    for part in (
        "1 of 2 exercises solved, 1 of 2 predictions right, 1 of 2 lessons read to the end",
        "11 ece: tried, not right yet. The bins are not weighted.",
        "1 of 2: you expected more than was measured (11.a)",
        "11 soft – read to the end",
        "12 hard – not opened yet",
        "1 lines of the journal were cut short",
    ):
        assert part in text


def test_as_a_page(course) -> None:
    page = progress.as_html(progress.measure(course, Log(DONE), TODAY))
    assert "&lt;How&gt;?" in page and "<How>" not in page and "<h1>Your progress</h1>" in page


@pytest.mark.parametrize("answered", [None, True, False])
def test_questions_of_opened_lessons_are_due(course, answered) -> None:
    for lesson in course:
        lesson.folder.mkdir()
        (lesson.folder / "recall.toml").write_text(
            f'[[question]]\nid = "{lesson.number}.q"\nquestion = "What?"\noptions = ["a", "b"]\n'
            'answer = "a"\nwhy = "So."\n'
        )
    events = [event("opened")]
    if answered is not None:
        events.append(event("recalled", id="11.q", right=answered))
    done = progress.measure(course, Log(tuple(events)), TODAY)
    assert [q.id for q in done.recall] == ([] if answered else ["11.q"])


def test_the_command_prints_and_writes_the_page(tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "journal.jsonl"
    monkeypatch.setenv("DISTILL_LAB_JOURNAL", str(path))
    assert progress.print_progress() == 0
    assert "There is no journal yet" in capsys.readouterr().out
    journal.append(path, {"event": "opened", "lesson": "11"})
    assert progress.print_progress(html=True) == 0
    assert "opened" in capsys.readouterr().out
    assert (tmp_path / "progress.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("lesson", all_lessons(ROOT), ids=lambda lesson: lesson.name)
def test_the_counts_of_the_course_are_those_of_its_cells(lesson: LessonFile) -> None:
    nb = nbformat.read(lesson.path, as_version=4)
    done = progress.measure([lesson], Log(), TODAY)
    assert len(done.exercises) == len(exercises(nb))
    asked = [literal(call) for dotted, call in all_calls(nb) if dotted == "lesson.predict"]
    assert done.n_predictions == len(asked)
