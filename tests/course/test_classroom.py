"""For teachers: lessons without solutions, and grades that believe what ran."""

import csv
import io
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest

from distill_lab.course import journal
from distill_lab.course.classroom import grade, kernel, release
from distill_lab.course.lessons import LessonFile, all_lessons
from distill_lab.course.lint.anatomy import exercises
from distill_lab.course.records import MIME
from tests.notebooks.small_lesson import CLAIM, small_lesson

ROOT = Path(__file__).resolve().parents[2]
NAME = "11_soft_targets"
RIGHT = "def my_soften(logits, T):\n    return (logits / T).softmax(-1)\n\ncheck.soften(my_soften)"
EXERCISE = "11 soften"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[LessonFile]:
    """A course of one small lesson, and nothing else in sight."""
    notebooks = tmp_path / "course" / "notebooks"
    (notebooks / "lesson_11").mkdir(parents=True)
    (notebooks / "lesson_11" / "claims.toml").write_text(CLAIM)
    nbformat.write(small_lesson(), notebooks / f"{NAME}.ipynb")
    for module in (grade, release):
        monkeypatch.setattr(module, "find_root", lambda: tmp_path / "course")
    return all_lessons(tmp_path / "course")


def hand_in(folder: Path, source: str, *records: dict[str, Any]) -> Path:
    """A student's folder with the lesson, `source` in its exercises, and saved outputs."""
    folder.mkdir(parents=True)
    nb = small_lesson()
    cells = [
        c for c in nb.cells if c.cell_type == "code" and "exercise" in c.metadata.get("tags", [])
    ]
    for cell in cells:
        cell.source = source
    cells[0].outputs = [
        nbformat.v4.new_output("display_data", data={MIME: record}) for record in records
    ]
    nbformat.write(nb, folder / f"{NAME}.ipynb")
    return folder


def check(state: str, *findings: str, exercise: str = "soften") -> dict[str, Any]:
    return {"kind": "check", "exercise": exercise, "state": state, "findings": list(findings)}


CLAIMED = {"kind": "claim", "id": "11.a", "verdict": "holds"}


def test_saved_outputs_and_the_journal_count_and_the_best_attempt(course, tmp_path) -> None:
    folder = hand_in(
        tmp_path / "class" / "ann", "", check("wrong", "1.", "T² is missing."), CLAIMED
    )
    student = grade.collect(folder, course)
    assert student.exercises == {EXERCISE: "wrong"} and student.claims == {"11.a": "holds"}
    assert student.mistakes == {EXERCISE: "T² is missing."}
    facts = {"lesson": "11", "exercise": "soften"}
    journal.append(folder / "journal.jsonl", {"event": "attempt", **facts, "state": "right"})
    journal.append(folder / "journal.jsonl", {"event": "attempt", **facts, "state": "wrong"})
    assert grade.collect(folder, course).exercises == {EXERCISE: "right"}


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"cells": 3}', '{"cells": [{"outputs": [{"data": 3}]}]}', "\x00", "{}"]
)
def test_what_cannot_be_read_is_a_trouble_and_no_traceback(course, tmp_path, text) -> None:
    folder = tmp_path / "class" / "ben"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_text(text)
    student = grade.collect(folder, course)
    assert student.exercises == {} and "cannot be read" in student.troubles[0]


def test_records_of_no_exercise_of_the_course_do_not_count(course, tmp_path) -> None:
    rows = check("right", exercise="made up"), check("splendid"), {"kind": "check"}
    assert grade.collect(hand_in(tmp_path / "c" / "eve", "", *rows), course).exercises == {}


def test_the_table_and_the_page(course, tmp_path, capsys) -> None:
    folder = tmp_path / "class"
    hand_in(folder / "=HYPERLINK(1)", "", check("right"), CLAIMED)
    hand_in(folder / "ben <b>", "", check("wrong", "<i>T² is missing.</i>"))
    assert grade.grade(folder) == 0
    (heads, *rows) = csv.reader(io.StringIO((folder / "grades.csv").read_text("utf-8-sig")))
    assert heads[:3] == ["student", "solved", "trouble"] and EXERCISE in heads and "11.a" in heads
    assert [row[0] for row in rows] == ["'=HYPERLINK(1)", "ben <b>"]
    assert [row[heads.index("11.a")] for row in rows] == ["holds", ""]
    page = (folder / "grades.html").read_text()
    assert "<i>T²" not in page and "T² is missing." in page and "<b>" not in page.split("<h1>")[1]
    assert "=HYPERLINK(1): 1 of" in capsys.readouterr().out


def test_what_cannot_be_read_is_told_at_once(course, tmp_path, capsys) -> None:
    folder = hand_in(tmp_path / "class" / "ben", "")
    (folder / f"{NAME}.ipynb").write_text("{")
    assert grade.grade(folder.parent) == 0
    out = capsys.readouterr().out
    assert "ben: 0 of" in out and "  11: cannot be read" in out.splitlines()[1]
    (_, row) = csv.reader(io.StringIO((folder.parent / "grades.csv").read_text("utf-8-sig")))
    assert row[2].startswith("11: cannot be read")


def test_without_students_it_says_so(course, tmp_path, capsys) -> None:
    assert grade.grade(tmp_path / "none") == 1
    (tmp_path / "empty").mkdir()
    assert grade.grade(tmp_path / "empty") == 1
    assert "a folder for each student" in capsys.readouterr().err


def test_the_frame_is_the_courses_and_only_exercises_are_the_students(course, tmp_path) -> None:
    folder = hand_in(tmp_path / "c" / "eve", RIGHT)
    nb = json.loads((folder / f"{NAME}.ipynb").read_text())
    nb["cells"][2]["source"] = "raise SystemExit('not mine')"  # the imports
    framed = kernel.frame(course[0], nb)
    sources = ["".join(cell["source"]) for cell in framed["cells"]]
    assert not any("SystemExit" in source for source in sources)
    assert [s for s in sources if "check." in s] == [RIGHT] * 3
    assert any("Lesson(" in source for source in sources)


@pytest.mark.slow
def test_run_again_a_forged_output_is_found_out_and_a_right_answer_counts(course, tmp_path) -> None:
    forged = hand_in(tmp_path / "c" / "eve", "check.soften(...)", check("right"), CLAIMED)
    assert grade.collect(forged, course).exercises == {EXERCISE: "right"}
    again = grade.collect(forged, course, run=True)
    assert again.exercises == {EXERCISE: "not attempted"} and again.claims == {"11.a": "holds"}
    honest = hand_in(tmp_path / "c" / "ann", RIGHT)
    assert grade.collect(honest, course, run=True).exercises == {EXERCISE: "right"}


@pytest.mark.slow
def test_a_cell_that_does_not_end_is_ended_and_what_came_before_counts(
    course, tmp_path, monkeypatch
) -> None:
    """All three at once: two of them last as long as they are let, and sleep, to burn no core."""
    monkeypatch.setattr(kernel, "GRACE", 20.0)
    endings = {
        "endless": "import time\nwhile True:\n    time.sleep(0.1)",
        "deaf": "import time\nwhile True:\n    try:\n        while 1: time.sleep(0.1)\n"
        "    except BaseException: pass",
        "dead": "import os\nos._exit(3)",
    }
    folders = [hand_in(tmp_path / "c" / name, RIGHT) for name in endings]
    for folder, source in zip(folders, endings.values(), strict=True):
        nb = json.loads((folder / f"{NAME}.ipynb").read_text())
        stubs = [c for c in nb["cells"] if "exercise" in c["metadata"].get("tags", [])]
        stubs[-1]["source"] = source
        (folder / f"{NAME}.ipynb").write_text(json.dumps(nb))
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        graded = list(
            pool.map(partial(grade.collect, lessons=course, run=True, seconds=25), folders)
        )
    for student in graded:
        assert student.exercises == {EXERCISE: "right"}, student.name
        assert student.troubles == ["11: stopped after 25 s."], student.name
    assert time.monotonic() - began < 60, "the limit does not hold"  # ten times what it needs


@pytest.mark.slow
def test_no_line_of_a_student_runs_in_the_grading_process(course, tmp_path) -> None:
    mark = tmp_path / "pid"
    source = f"import os\nopen({str(mark)!r}, 'w').write(str(os.getpid()))"
    folder = hand_in(tmp_path / "c" / "eve", source)
    grade.collect(folder, course)
    assert not mark.exists(), "without --run nothing runs"
    grade.collect(folder, course, run=True)
    assert int(mark.read_text()) != os.getpid()


def test_the_release_has_hints_and_no_solution(tmp_path, monkeypatch, capsys) -> None:
    folder = tmp_path / "class"
    monkeypatch.setattr(release, "find_root", lambda: ROOT)
    assert release.release(folder) == 0
    for lesson in all_lessons(ROOT):
        before = nbformat.read(lesson.path, as_version=4)
        after = nbformat.read(folder / lesson.path.name, as_version=4)
        nbformat.validate(after)
        assert [cell.id for cell in before.cells] == [cell.id for cell in after.cells]
        for old, new in zip(exercises(before), exercises(after), strict=True):
            assert (old.title, old.stub, old.ladder[:2]) == (new.title, new.stub, new.ladder)
            assert old.solution not in json.dumps(after)
        changed = [i for i, c in enumerate(before.cells) if c != after.cells[i]]
        assert len(changed) == len(exercises(before)), "only the exercises' text is another"
    assert not [*folder.rglob("test_*.py"), *folder.rglob("*_solutions.py")]
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DISTILL_LAB_JOURNAL", raising=False)
    assert journal.journal_path() == folder / "journal.jsonl"
    assert release.release(folder) == 1
    assert "new or empty folder" in capsys.readouterr().err
