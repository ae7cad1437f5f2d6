"""Questions on earlier lessons, asked again after growing pauses; wrong ones come back at once.

A lesson keeps its questions in `lesson_NN/recall.toml`:

    [[question]]
    id = "11.zero-logit"
    question = "What does T = 1 do to a softmax?"
    options = ["nothing", "it makes it flat"]
    answer = "nothing"
    why = "The logits are divided by 1."

The schedule is Leitner's boxes: a right answer moves a question one box on, to a longer pause; a
wrong one puts it back into the first. Headless the choice is fixed, so that a page stays as it is.
"""

import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any

from distill_lab.course import journal
from distill_lab.course.journal import Log, headless
from distill_lab.course.lessons import LessonFile
from distill_lab.course.records import GREEN, ORANGE, SKY, badge, card, publish, show_widget

__all__ = ["Question", "choose", "due", "questions_of", "show"]

FILE = "recall.toml"
PAUSES = (0, 1, 3, 7, 21)  # days, by box
ASKED = 3  # questions at the top of a lesson


@dataclass(frozen=True)
class Question:
    """One question with its options, of which one is the answer."""

    id: str
    question: str
    options: tuple[str, ...]
    answer: str
    why: str

    def record(self) -> dict[str, Any]:
        """The question as a machine reads it."""
        return {"kind": "recall", **vars(self), "options": list(self.options)}


def questions_of(folder: Path) -> list[Question]:
    """Read the questions of a lesson's folder; a folder without the file has none.

    The options are put into an order that depends on the id alone, so that the answer has no
    fixed place.

    Raises:
        ValueError: For a file that is no TOML, or a question that cannot be asked; it names both.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("question", [])
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}.") from error
    questions = [_question(row, path) for row in rows]
    ids = [question.id for question in questions]
    if len(set(ids)) < len(ids):
        raise ValueError(f"{path}: every question has an id of its own; got {ids}.")
    return questions


def _question(row: dict[str, Any], path: Path) -> Question:
    names = {field.name for field in fields(Question)}
    id, options = str(row.get("id")), list(row.get("options", []))
    if set(row) != names or not all(str(row[name]).strip() for name in names):
        raise ValueError(f"{path}, question {id}: it needs {', '.join(sorted(names))}, no more.")
    if not id.startswith(f"{path.parent.name[-2:]}."):
        raise ValueError(f"{path}: the id {id!r} must begin with the number of its lesson.")
    if len(set(options)) < max(2, len(options)) or row["answer"] not in options:
        raise ValueError(f"{path}, question {id}: two or more different options, one the answer.")
    random.Random(id).shuffle(options)
    return Question(id, row["question"], tuple(options), row["answer"], row["why"])


def due(log: Log, question: Question) -> date | None:
    """The day on which a question is to be asked again; None where it was never asked."""
    box, last = 0, None
    for event in log.events:
        if event["event"] == "recalled" and event.get("id") == question.id:
            box = min(box + 1, len(PAUSES) - 1) if event["right"] else 0
            last = date.fromisoformat(event["time"][:10])
    return None if last is None else last + timedelta(days=PAUSES[box])


def choose(earlier: Sequence[LessonFile], log: Log, today: date, n: int = ASKED) -> list[Question]:
    """Choose questions on earlier lessons: those that are due, then new ones, then the others.

    Args:
        earlier: The lessons before the present one, in the order of the course.
        log: The reader's journal; an empty one gives the choice that is fixed.
        today: The date.
        n: How many at most.

    Returns:
        The questions: first from the lesson just before, then from the one before that.
    """
    by_lesson = [questions_of(lesson.folder) for lesson in reversed(earlier)]
    mixed = [question for row in zip_longest(*by_lesson) for question in row if question]

    def rank(question: Question) -> tuple[int, date]:
        day = due(log, question)
        if day is None:
            return 1, today
        return (0 if day <= today else 2), day

    return sorted(mixed, key=rank)[:n]


def show(earlier: Sequence[LessonFile], today: date) -> None:
    """Ask three questions on earlier lessons, with buttons where somebody can press them."""
    log = Log() if headless() else journal.read(journal.journal_path())
    for question in choose(earlier, log, today):
        _Asked(question).show()


class _Asked:
    """A question as it is shown; the first answer counts."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.choice: str | None = None
        self.buttons: Any = None

    def show(self) -> None:
        """Show it, and the buttons."""
        self._publish()
        if headless():
            return
        import ipywidgets

        self.buttons = ipywidgets.ToggleButtons(
            options=list(self.question.options),
            value=None,
            tooltips=[f"answer: {option}" for option in self.question.options],
            style={"button_width": "auto"},
        )
        self.buttons.observe(self._pressed, names="value")
        show_widget(self.buttons, "options: " + " | ".join(self.question.options))

    def _pressed(self, change: Any) -> None:
        if self.choice is not None:
            self.buttons.value = self.choice
            return
        self.choice = change["new"]
        self.buttons.disabled = True
        right = self.choice == self.question.answer
        id = self.question.id
        journal.note("recalled", id[:2], id=id, choice=self.choice, right=right)
        self._publish(update=True)

    def _publish(self, *, update: bool = False) -> None:
        q = self.question
        body = badge("?", "Recall", colour=SKY) + escape(q.question)
        text, colour = f"Recall: {q.question}\n  options: {' | '.join(q.options)}", SKY
        solution = f"<div><b>{escape(q.answer)}</b></div><div>{escape(q.why)}</div>"
        if self.choice is not None:
            right = self.choice == q.answer
            sign, word, colour = ("✓", "right", GREEN) if right else ("✗", "not so", ORANGE)
            body += f"<div>{badge(sign, word, colour=colour)}you answered: {escape(self.choice)}"
            body += f"</div>{solution}"
            text += f"\n  {sign} {word}: {q.answer}. {q.why}"
        elif headless():
            body += f"<div>{' &nbsp;·&nbsp; '.join(map(escape, q.options))}</div>"
            body += f"<details><summary>Answer</summary>{solution}</details>"
        record = {**q.record(), "choice": self.choice}
        html = card(body, colour=colour, label="Recall: " + q.question)
        publish(record, text=text, html=html, display_id=f"{q.id} recall", update=update)
