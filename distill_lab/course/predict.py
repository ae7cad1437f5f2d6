"""Predict, then run: the learner commits to an answer before the result is shown.

With a kernel the question carries buttons, none of them pressed. What was chosen, and the outcome
beside it, are plain HTML, so that both are there when the notebook is saved and opened again
without a kernel. A learner who has not chosen finds the outcome folded away. The choice that stood
when the outcome was shown is kept: changing one's mind afterwards changes nothing. Headless the
question answers itself, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from distill_lab.course import journal
from distill_lab.course.journal import headless
from distill_lab.course.options import Bins, Options
from distill_lab.course.records import GREEN, ORANGE, SKY, badge, card, publish, show_widget

__all__ = ["Prediction", "Predictions"]

_NOBODY = "answered by itself, because nobody was at the keyboard"


class Prediction:
    """One question with its options, and what was chosen (`choice`, None until then)."""

    def __init__(
        self, id: str, question: str, options: Sequence[str] | Bins, *, unit: str | None = None
    ) -> None:
        self.id = id
        self.question = _sentence(question)
        self._options = Options(self.question, options, unit=unit)
        self.options = self._options.labels
        self.automatic = headless()
        self.choice: str | None = self.options[0] if self.automatic else None
        self.outcome: tuple[str, str] | None = None  # the option that came out, and why
        self._kept = False  # the choice counts: its outcome was shown, now or another day
        if not self.automatic:
            self._remember()
        self.buttons: Any = None

    def __repr__(self) -> str:
        chosen = "nothing chosen yet" if self.choice is None else f"chosen: {self.choice}"
        return f"Prediction({self.id!r}, {self.question!r}, {chosen})"

    def _remember(self) -> None:
        earlier = journal.read(journal.journal_path()).answer(self.id)
        if earlier is not None and earlier[0] in self.options:
            self.choice, self._kept = earlier

    def ask(self) -> None:
        """Show the question, and the buttons where somebody can press them."""
        self._publish_question()
        if self.automatic:
            return
        import ipywidgets

        if self.buttons is None:
            self.buttons = ipywidgets.ToggleButtons(
                options=list(self.options),
                value=self.choice,  # None at first: a default would be somebody else's prediction
                tooltips=[f"predict: {option}" for option in self.options],
                style={"button_width": "auto"},
                disabled=self._kept,
            )
            self.buttons.observe(self._pressed, names="value")
        show_widget(self.buttons, "options: " + " | ".join(self.options))

    def reveal(self, value: Any, because: str = "") -> None:
        """Show the outcome beside the prediction.

        Args:
            value: What was measured: see `Lesson.reveal`.
            because: A sentence with the figures; without it the measured value is shown.

        Raises:
            ValueError: If the value fits none of the options, or is not finite.
        """
        answer, figure = self._options.answer(value)
        self.outcome = answer, str(because or (f"Measured: {figure}." if figure else ""))
        self._publish_outcome()
        self._keep()

    def _keep(self) -> None:
        """Once the outcome stands beside the choice, that choice counts."""
        if self._kept or self.choice is None or self.outcome is None:
            return
        self._kept = True
        if self.buttons is not None:
            self.buttons.disabled = True
        answer, why = self.outcome
        journal.note(
            "prediction",
            self.id[:2],
            id=self.id,
            question=self.question,
            choice=self.choice,
            answer=answer,
            right=self.choice == answer,
            misjudged=self._options.misjudged(self.choice, answer),
            why=why,
        )

    def _pressed(self, change: Any) -> None:
        if self._kept:
            self.buttons.value = self.choice
            return
        self.choice = change["new"]
        journal.note("choice", self.id[:2], id=self.id, choice=self.choice)
        self._publish_question(update=True)
        if self.outcome is not None:
            self._publish_outcome(update=True)
            self._keep()

    def _publish_question(self, *, update: bool = False) -> None:
        text = f"Predict: {self.question}\n  options: {' | '.join(self.options)}"
        body = badge("?", "Predict", colour=SKY) + escape(self.question)
        if self.automatic:
            body += "<div>" + " &nbsp;·&nbsp; ".join(map(escape, self.options)) + "</div>"
            body += f"<div>predicted: <b>{escape(self.choice or '')}</b> ({_NOBODY})</div>"
            text += f"\n  predicted: {self.choice} ({_NOBODY})"
        elif self.choice is not None:
            body += f"<div>you predicted: <b>{escape(self.choice)}</b></div>"
            text += f"\n  you predicted: {self.choice}"
        record = {
            "kind": "predict",
            "stage": "asked",
            "id": self.id,
            "question": self.question,
            "options": list(self.options),
            "predicted": self.choice,
            "automatic": self.automatic,
        }
        html = card(body, colour=SKY, label="Predict: " + self.question)
        publish(record, text=text, html=html, display_id=f"{self.id} asked", update=update)

    def _publish_outcome(self, *, update: bool = False) -> None:
        answer, why = self.outcome or ("", "")
        record = {
            "kind": "predict",
            "stage": "revealed",
            "id": self.id,
            "question": self.question,
            "options": list(self.options),
            "predicted": self.choice,
            "answer": answer,
            "agrees": None if self.choice is None else self.choice == answer,
            "why": why,
            "automatic": self.automatic,
        }
        text, html = self._outcome_text(), self._outcome_html()
        publish(record, text=text, html=html, display_id=f"{self.id} revealed", update=update)

    def _verdict(self) -> tuple[str, str]:
        assert self.outcome is not None
        return ("✓", "as predicted") if self.choice == self.outcome[0] else ("!", "a surprise")

    def _outcome_text(self) -> str:
        answer, why = self.outcome or ("", "")
        why = f" {why}" if why else ""
        if self.choice is None:
            return f"You have not predicted yet. Outcome: {answer}.{why}"
        sign, word = self._verdict()
        who = f" ({_NOBODY})" if self.automatic else ""
        opening = "Predicted" if self.automatic else "You predicted"
        return f"{sign} {word}. {opening}: {self.choice}{who}. Outcome: {answer}.{why}"

    def _outcome_html(self) -> str:
        answer, why = self.outcome or ("", "")
        outcome = f"outcome: <b>{escape(answer)}</b>"
        why = f"<div>{escape(why)}</div>" if why else ""
        if self.choice is None:
            body = (
                "You have not predicted yet. Choose above first: it is worth the ten seconds."
                "<details><summary>Show the outcome without a prediction</summary>"
                f"<div>{outcome}</div>{why}</details>"
            )
            return card(body, colour=SKY, label="Outcome, folded until you predict")
        sign, word = self._verdict()
        colour = GREEN if word == "as predicted" else ORANGE
        who = f" ({_NOBODY})" if self.automatic else ""
        opening = "predicted" if self.automatic else "you predicted"
        body = (
            f"{badge(sign, word, colour=colour)}"
            f"{opening}: <b>{escape(self.choice)}</b>{who}; {outcome}{why}"
        )
        return card(body, colour=colour, label=f"Prediction and outcome: {word}")


class Predictions:
    """The questions of one lesson by their ids, such as "11.missing-digit".

    >>> Predictions("11").checked("12.narrow")
    Traceback (most recent call last):
    ValueError: An id of lesson 11 is "11." and a few words with hyphens; got '12.narrow'.
    """

    def __init__(self, number: str) -> None:
        self.number = number
        self._asked: dict[str, Prediction] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def __getitem__(self, id: str) -> Prediction:
        return self._asked[id]

    def ask(
        self, id: str, question: str, options: Sequence[str] | Bins, unit: str | None
    ) -> Prediction:
        """Ask a question; asked again, it is the same question and keeps its answer.

        Raises:
            ValueError: For an id of another form or lesson, for one that is asked twice with
                nobody at the keyboard, and for what `Prediction` refuses.
        """
        prediction = Prediction(self.checked(id), question, options, unit=unit)
        earlier = self._asked.get(id)
        # In Lab a cell may be run again; headless, the same id twice is two questions by one name.
        if earlier is not None and headless():
            raise ValueError(f"The prediction {id!r} is asked twice. Give the second its own id.")
        same = earlier is not None and (earlier.question, earlier.options) == (
            prediction.question,
            prediction.options,
        )
        if earlier is not None and same:
            prediction = earlier
        self._asked[id] = prediction
        prediction.ask()
        return prediction

    def reveal(self, id: str, value: Any, because: str) -> Prediction:
        """Show the outcome of a question that was asked.

        Raises:
            ValueError: For an id of another form or lesson, or whose question was not asked
                before, and for what `Prediction.reveal` refuses.
        """
        if self.checked(id) not in self._asked:
            raise ValueError(
                f"The outcome of {id!r} comes after its question, and that was not asked since the "
                f"kernel started: run the cell with lesson.predict({id!r}, ...) first. Asked so "
                f"far: {', '.join(self._asked) or 'nothing'}."
            )
        self._asked[id].reveal(value, because)
        return self._asked[id]

    def checked(self, id: Any) -> str:
        """Return the id; ValueError if it has another form or belongs to another lesson."""
        if not isinstance(id, str) or not re.fullmatch(rf"{self.number}\.[a-z0-9-]+", id):
            raise ValueError(
                f'An id of lesson {self.number} is "{self.number}." and a few words with hyphens; '
                f"got {id!r}."
            )
        return id


def _sentence(question: str) -> str:
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"predict needs a question in words; got {question!r}.")
    return question.strip()
