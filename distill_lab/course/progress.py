"""How far a reader is, from the journal: exercises, predictions and how they miss, what to recall.

`distill-lab progress` prints it, `--html` writes it as a page, and `lesson.close()` shows a line.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from distill_lab._util.io import write_whole
from distill_lab.course import journal
from distill_lab.course.journal import Event, Log
from distill_lab.course.lab.own_copy import FOLDER
from distill_lab.course.lessons import LessonFile, RunnerError, all_lessons, find_root
from distill_lab.course.recall import Question, due, questions_of

__all__ = ["Progress", "as_html", "as_text", "exercises_of", "measure", "print_progress", "summary"]

PREDICT = re.compile(r"""lesson\.predict\(\s*["']([^"']+)["']""")
CHECK = re.compile(r"""^check(?:\.(\w+)\(|\(["'](\w+)["'])""", re.MULTILINE)
MISSED = {  # what the journal calls it, and how it is said to the reader
    "too high": "you expected more than was measured",
    "too low": "you expected less than was measured",
    "saw a difference": "you expected a difference, and none could be told",
    "saw none": "you expected no difference, and there was one",
    "": "another option in words",
}


@dataclass(frozen=True)
class Progress:
    """What is done of a course, and what to recall."""

    lessons: tuple[LessonFile, ...]
    opened: frozenset[str]
    closed: frozenset[str]
    exercises: tuple[tuple[str, str], ...]  # of the course: lesson, exercise
    solved: frozenset[tuple[str, str]]
    mistakes: dict[tuple[str, str], str]  # of what was tried last, and is not solved
    n_predictions: int  # of the course
    predictions: tuple[Event, ...]  # those made, each with its first answer
    recall: tuple[Question, ...]  # due today
    torn: int

    @property
    def right(self) -> int:
        """How many predictions were right."""
        return sum(bool(event["right"]) for event in self.predictions)

    @property
    def missed(self) -> dict[str, list[Event]]:
        """The predictions that were not right, by the direction in which they missed."""
        wrong = [event for event in self.predictions if not event["right"]]
        count = Counter(str(event.get("misjudged", "")) for event in wrong)
        return {
            kind: [event for event in wrong if event.get("misjudged", "") == kind]
            for kind, _ in count.most_common()
        }


def measure(lessons: Sequence[LessonFile], log: Log, today: date) -> Progress:
    """Hold a journal against the lessons there are.

    Args:
        lessons: The course.
        log: The reader's journal.
        today: The date, for what is due.

    Returns:
        The progress.

    >>> measure([], Log(), date(2026, 11, 28)).right
    0
    """
    exercises = exercises_of(lessons)
    solved, mistakes = set(), {}
    first: dict[str, Event] = {}
    for event in log.events:
        if event["event"] == "attempt":
            exercise = str(event["lesson"]), str(event["exercise"])
            if event["state"] == "right":
                solved.add(exercise)
            mistakes[exercise] = str(event.get("mistake", ""))
        if event["event"] == "prediction":
            first.setdefault(event["id"], event)
    opened = frozenset(e["lesson"] for e in log.events if e["event"] == "opened")
    asked = [
        q for lesson in lessons if lesson.number in opened for q in questions_of(lesson.folder)
    ]
    return Progress(
        lessons=tuple(lessons),
        opened=opened,
        closed=frozenset(e["lesson"] for e in log.events if e["event"] == "closed"),
        exercises=exercises,
        solved=frozenset(solved & set(exercises)),
        mistakes={k: v for k, v in mistakes.items() if k not in solved},
        n_predictions=sum(len(set(PREDICT.findall(_code(one.path)))) for one in lessons),
        predictions=tuple(first.values()),
        recall=tuple(q for q in asked if (due(log, q) or today) <= today),
        torn=log.torn,
    )


def exercises_of(lessons: Sequence[LessonFile]) -> tuple[tuple[str, str], ...]:
    """Find every exercise of some lessons: the lesson's number, and the exercise's name."""
    return tuple(
        (lesson.number, called or named)
        for lesson in lessons
        for called, named in CHECK.findall(_code(lesson.path))
    )


def _code(path: Path) -> str:
    """The code cells of a notebook as one text; empty where it cannot be read."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return ""
    return "\n".join("".join(c["source"]) for c in cells if c.get("cell_type") == "code")


def summary(progress: Progress) -> str:
    """The progress in one sentence."""
    return (
        f"{len(progress.solved)} of {len(progress.exercises)} exercises solved, "
        f"{progress.right} of {len(progress.predictions)} predictions right, "
        f"{len(progress.closed)} of {len(progress.lessons)} lessons read to the end, "
        f"{len(progress.recall)} questions to recall today."
    )


def _parts(progress: Progress) -> list[tuple[str, list[str]]]:
    """The progress in headed lists."""
    made = len(progress.predictions)
    lessons = [
        f"{lesson.number} {lesson.title} – {_state(lesson, progress)}"
        for lesson in progress.lessons
    ]
    exercises = [f"{len(progress.solved)} of {len(progress.exercises)} solved"]
    exercises += [
        f"{number} {name}: tried, not right yet. {mistake}".rstrip()
        for (number, name), mistake in progress.mistakes.items()
    ]
    predictions = [f"{progress.right} of {made} right; the course asks {progress.n_predictions}"]
    for kind, events in progress.missed.items():
        ids = ", ".join(str(event["id"]) for event in events)
        predictions.append(f"{len(events)} of {made}: {MISSED.get(kind, kind)} ({ids})")
    recall = [f"{question.id[:2]}: {question.question}" for question in progress.recall]
    return [
        ("Lessons", lessons),
        ("Exercises", exercises),
        ("Predictions", predictions),
        ("To recall today", recall or ["nothing: all your questions rest"]),
    ]


def _state(lesson: LessonFile, progress: Progress) -> str:
    if lesson.number in progress.closed:
        return "read to the end"
    return "opened" if lesson.number in progress.opened else "not opened yet"


def as_text(progress: Progress) -> str:
    """The progress for a terminal."""
    lines = [summary(progress)]
    for head, rows in _parts(progress):
        lines += ["", head, *(f"  {row}" for row in rows)]
    if progress.torn:
        lines += ["", f"{progress.torn} lines of the journal were cut short and are left out."]
    return "\n".join(lines)


def as_html(progress: Progress) -> str:
    """The progress as a page of its own."""
    from distill_lab.course.pages.shell import coded, page, table

    content = f"<h1>Your progress</h1><p>{coded(summary(progress))}</p>"
    for head, rows in _parts(progress):
        items = "".join(f"<li>{coded(row)}</li>" for row in rows)
        content += f"<h2>{head}</h2><ul>{items}</ul>"
    if progress.predictions:
        rows_html = [
            tuple(coded(str(event[key])) for key in ("id", "question", "choice", "answer", "why"))
            for event in progress.predictions
        ]
        heads = ("prediction", "question", "you said", "measured", "figures")
        content += f"<h2>Every prediction</h2>{table(heads, rows_html)}"
    return page("Distill Lab: your progress", content, navigation="", kind="map")


def print_progress(*, html: bool = False) -> int:
    """Print the reader's progress; with `html` write it as `my/progress.html`, too.

    Returns:
        1 where there is no course or the disk refuses, else 0.
    """
    try:
        root = find_root()
        path = journal.journal_path() or root / FOLDER / journal.NAME
        progress = measure(all_lessons(root), journal.read(path), date.today())
        print(as_text(progress))
        if not path.is_file():
            print(
                "\nThere is no journal yet: `distill-lab lab` opens your own copy, and keeps one."
            )
        if html:
            target = path.with_name("progress.html")
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, as_html(progress).encode())
            print(f"\nAs a page: {target}")
    except (RunnerError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
