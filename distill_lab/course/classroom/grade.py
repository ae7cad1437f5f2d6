"""`distill-lab grade DIR`: students by exercises and claims, as a CSV file and a page.

DIR holds a folder for each student, as they handed it in. What counts is what the lessons recorded:
the outputs of the saved notebooks, and the journal. With `--run` the exercises are run again, in a
kernel of their own: saved outputs can be changed by hand. No student's code runs in this process.
"""

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from distill_lab._util.io import write_whole
from distill_lab.course import journal
from distill_lab.course.classroom.kernel import executed
from distill_lab.course.lessons import LessonFile, RunnerError, all_lessons, find_root
from distill_lab.course.progress import exercises_of
from distill_lab.course.records import MIME

__all__ = ["Student", "as_csv", "as_page", "collect", "grade"]

SECONDS = 120.0
CHECKPOINTS = (".ipynb_checkpoints", "earlier")
FIRST = ("student", "solved", "trouble")  # the columns before those of exercises and claims
RANK = {"": 0, "not attempted": 1, "wrong": 2, "right": 3}


@dataclass
class Student:
    """What one student did, by the names of exercises ("11 kd_loss") and of claims."""

    name: str
    exercises: dict[str, str] = field(default_factory=dict)  # right, wrong, not attempted
    mistakes: dict[str, str] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)  # the verdicts
    troubles: list[str] = field(default_factory=list)

    def saw(self, exercise: str, state: str, mistake: str = "") -> None:
        """Take note of an attempt: the best one counts, and the last mistake is kept."""
        if state not in RANK:
            return
        if RANK[state] >= RANK[self.exercises.get(exercise, "")]:
            self.exercises[exercise] = state
        if state == "wrong" and mistake:
            self.mistakes[exercise] = mistake


def collect(
    folder: Path, lessons: Sequence[LessonFile], *, run: bool = False, seconds: float = SECONDS
) -> Student:
    """Read what one student handed in.

    Args:
        folder: The student's folder; its name is the student's.
        lessons: The course.
        run: Whether to run the exercises again, instead of believing outputs and journal.
        seconds: How long the exercises of one lesson may run.

    Returns:
        The student's exercises and claims; what could not be read is a trouble.
    """
    student = Student(folder.name)
    for lesson in lessons:
        known = {name for _, name in exercises_of([lesson])}
        for path in sorted(folder.rglob(f"{lesson.name}.ipynb"), key=lambda p: len(p.parts))[:1]:
            if set(path.relative_to(folder).parts) & set(CHECKPOINTS) or path.is_symlink():
                continue
            try:
                nb = json.loads(path.read_text(encoding="utf-8"))
                records = records_of(nb)
                if run:
                    ran = executed(lesson, nb, seconds=seconds)
                    records = [r for r in records if r.get("kind") != "check"] + records_of(ran)
                    if any(c["source"] and not c["execution_count"] for c in ran["cells"]):
                        student.troubles.append(f"{lesson.number}: stopped after {seconds:g} s.")
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                student.troubles.append(f"{lesson.number}: cannot be read ({error}).")
                continue
            for record in records:
                if record.get("kind") == "check" and record.get("exercise") in known:
                    exercise = f"{lesson.number} {record['exercise']}"
                    findings = [str(line) for line in record.get("findings", [])]
                    student.saw(exercise, str(record.get("state")), (findings or [""])[-1])
                if record.get("kind") == "claim":
                    student.claims[str(record.get("id"))] = str(record.get("verdict"))
    if not run:
        _from_journal(student, folder, {f"{a} {b}" for a, b in exercises_of(lessons)})
    return student


def records_of(nb: dict[str, Any]) -> list[dict[str, Any]]:
    """The records in the outputs of a notebook."""
    outputs = [output for cell in nb["cells"] for output in cell.get("outputs", [])]
    records = [output.get("data", {}).get(MIME) for output in outputs]
    return [record for record in records if isinstance(record, dict)]


def _from_journal(student: Student, folder: Path, known: set[str]) -> None:
    for path in sorted(folder.rglob(journal.NAME)):
        for event in journal.read(path).events:
            exercise = f"{event['lesson']} {event.get('exercise')}"
            if event["event"] == "attempt" and exercise in known:
                student.saw(exercise, str(event.get("state")), str(event.get("mistake", "")))


def grade(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    run: bool = False,
    seconds: float = SECONDS,
) -> int:
    """Grade every folder in a folder; write `grades.csv` and `grades.html`.

    Args:
        folder: It holds a folder for each student.
        out: Where to write; None for `folder`.
        run: Whether to run the exercises again.
        seconds: How long the exercises of one lesson may run.

    Returns:
        0, or 1 where there are no students, no course, or the disk refuses; this is said.
    """
    folder = Path(folder)
    try:
        lessons = all_lessons(find_root())
        folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        if not folders:
            raise RunnerError(f"Expected a folder for each student in {folder}, but it has none.")
        students = []
        for one in folders:
            students.append(collect(one, lessons, run=run, seconds=seconds))
            solved = sum(state == "right" for state in students[-1].exercises.values())
            print(f"{one.name}: {solved} of {len(exercises_of(lessons))} exercises", flush=True)
            for trouble in students[-1].troubles:
                print(f"  {trouble}", flush=True)
        target = Path(out) if out is not None else folder
        target.mkdir(parents=True, exist_ok=True)
        write_whole(target / "grades.csv", as_csv(students, lessons).encode("utf-8-sig"))
        write_whole(target / "grades.html", as_page(students, lessons).encode())
    except (RunnerError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"As a table: {target / 'grades.csv'}; as a page: {target / 'grades.html'}")
    return 0


def _names(students: Sequence[Student], lessons: Sequence[LessonFile]) -> list[tuple[str, bool]]:
    """The columns: each exercise, and each claim that a student made (True)."""
    exercises = [(f"{number} {name}", False) for number, name in exercises_of(lessons)]
    known = {id for lesson in lessons for id in lesson.claims}
    made = sorted({id for student in students for id in student.claims} & known)
    return [*exercises, *((id, True) for id in made)]


def as_csv(students: Sequence[Student], lessons: Sequence[LessonFile]) -> str:
    """A row a student, a column an exercise or a claim, and how many are solved."""
    columns = _names(students, lessons)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*FIRST, *(name for name, _ in columns)])
    for student in students:
        states = [(s.claims if claim else s.exercises).get(name, "")
                  for s in [student] for name, claim in columns]  # fmt: skip
        solved = sum(state == "right" for state in student.exercises.values())
        row = [student.name, str(solved), " ".join(student.troubles), *states]
        writer.writerow([_no_formula(cell) for cell in row])
    return file.getvalue()


def _no_formula(text: str) -> str:
    """What begins like a formula is text, also to a spreadsheet."""
    return "'" + text if text[:1] in tuple("=+-@\t\r") else text


def as_page(students: Sequence[Student], lessons: Sequence[LessonFile]) -> str:
    """The same as a page, with the mistake that each wrong answer makes."""
    from distill_lab.course.pages.shell import coded, page, table

    columns = _names(students, lessons)
    rows = []
    for student in students:
        solved = sum(state == "right" for state in student.exercises.values())
        cells = [escape(student.name), str(solved), coded(" ".join(student.troubles))]
        for name, claim in columns:
            state = (student.claims if claim else student.exercises).get(name, "")
            mistake = student.mistakes.get(name, "") if state == "wrong" else ""
            why = f"<small>{coded(mistake)}</small>" if mistake else ""
            cells.append(escape(state) + why)
        rows.append(cells)
    heads = [*FIRST, *(name for name, _ in columns)]
    content = f"<h1>Grades</h1>{table(heads, rows)}"
    return page("Distill Lab: grades", content, navigation="", kind="map")
