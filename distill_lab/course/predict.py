"""Predict, then run: the learner commits to an answer before the result is shown.

With a kernel the question carries buttons, none of them pressed. The outcome is shown beside the
choice; a learner who has not chosen finds it folded away. Headless it answers itself, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from typing import Any

from distill_lab.course.options import Bins, Options
from distill_lab.course.records import GREEN, ORANGE, SKY, badge, card, in_kernel, publish

__all__ = ["Prediction", "headless"]


_NOBODY = "answered by itself, because nobody was at the keyboard"


def headless() -> bool:
    """Whether nobody is there to answer: `DISTILL_LAB_HEADLESS=1`, or no kernel."""
    return os.environ.get("DISTILL_LAB_HEADLESS") == "1" or not in_kernel()


class Prediction:
    """One question with its options, and what was chosen (`choice`, None until then)."""

    def __init__(
        self, question: str, options: Sequence[str] | Bins, *, unit: str | None = None
    ) -> None:
        self.question = _sentence(question)
        self._options = Options(self.question, options, unit=unit)
        self.options = self._options.labels
        self.automatic = headless()
        self.choice: str | None = self.options[0] if self.automatic else None
        self._buttons: Any = None
        self._box: Any = None
        self._outcome: Any = None
        self._answer: tuple[str, str] | None = None
        if not self.automatic:
            self._build()

    def __repr__(self) -> str:
        chosen = "nothing chosen yet" if self.choice is None else f"chosen: {self.choice}"
        return f"Prediction({self.question!r}, {chosen})"

    def _build(self) -> None:
        import ipywidgets

        heading = ipywidgets.HTML(value=self._question_html(with_options=False))
        self._buttons = ipywidgets.ToggleButtons(
            options=list(self.options),
            value=None,  # nothing chosen: a default would be somebody else's prediction
            tooltips=[f"predict: {option}" for option in self.options],
            style={"button_width": "auto"},
        )
        self._buttons.observe(self._chosen, names="value")
        self._box = ipywidgets.VBox([heading, self._buttons])

    def _chosen(self, change: Any) -> None:
        self.choice = change["new"]
        if self._outcome is not None:
            self._outcome.value = self._outcome_html()

    def ask(self) -> None:
        """Show the question."""
        text = f"Predict: {self.question}\n  options: {' | '.join(self.options)}"
        if self.automatic:
            text += f"\n  predicted: {self.choice} ({_NOBODY})"
        record = {
            "kind": "predict",
            "stage": "asked",
            "question": self.question,
            "options": list(self.options),
            "predicted": self.choice,
            "automatic": self.automatic,
        }
        html = self._question_html(with_options=True)
        publish(record, text=text, html=html, widget=self._box)

    def reveal(self, value: Any, because: str = "") -> None:
        """Show the outcome beside the prediction.

        Args:
            value: What was measured: see `Lesson.reveal`.
            because: A sentence with the figures; without it the measured value is shown.

        Raises:
            ValueError: If the value fits none of the options, or is not finite.
        """
        answer, figure = self._options.answer(value)
        because = because or (f"Measured: {figure}." if figure else "")
        self._answer = (answer, str(because))
        html = self._outcome_html()
        if not self.automatic:
            import ipywidgets

            self._outcome = ipywidgets.HTML(value=html)
        record = {
            "kind": "predict",
            "stage": "revealed",
            "question": self.question,
            "predicted": self.choice,
            "measured": answer,
            "agrees": None if self.choice is None else self.choice == answer,
            "because": self._answer[1],
            "automatic": self.automatic,
        }
        publish(record, text=self._outcome_text(), html=html, widget=self._outcome)

    def _question_html(self, *, with_options: bool) -> str:
        body = badge("?", "Predict", colour=SKY) + escape(self.question)
        if with_options:
            body += "<div>" + " &nbsp;·&nbsp; ".join(map(escape, self.options)) + "</div>"
        if self.automatic:
            body += f"<div>predicted: <b>{escape(self.choice or '')}</b> ({_NOBODY})</div>"
        return card(body, colour=SKY, label="Predict: " + self.question)

    def _verdict(self) -> tuple[str, str]:
        assert self._answer is not None
        return ("✓", "as predicted") if self.choice == self._answer[0] else ("!", "a surprise")

    def _outcome_text(self) -> str:
        answer, because = self._answer or ("", "")
        why = f" {because}" if because else ""
        if self.choice is None:
            return f"You have not predicted yet. Outcome: {answer}.{why}"
        sign, word = self._verdict()
        who = f" ({_NOBODY})" if self.automatic else ""
        opening = "Predicted" if self.automatic else "You predicted"
        return f"{sign} {word}. {opening}: {self.choice}{who}. Outcome: {answer}.{why}"

    def _outcome_html(self) -> str:
        answer, because = self._answer or ("", "")
        outcome = f"outcome: <b>{escape(answer)}</b>"
        why = f"<div>{escape(because)}</div>" if because else ""
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


def _sentence(question: str) -> str:
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"predict needs a question in words; got {question!r}.")
    return question.strip()
