"""Answers as texts: those of the data, or those that the teacher writes to the prompts."""

import dataclasses
from pathlib import Path
from typing import Any

from distill_lab import methods
from distill_lab._util.jsonl import Row
from distill_lab.data.tokenized import Texts
from distill_lab.jobs.learning.learning import Learning, Material, Models
from distill_lab.jobs.rows import Exchanges
from distill_lab.jobs.setups.setup import Context, Log
from distill_lab.methods import Method
from distill_lab.synthesis.cards import Card, card_path, set_card
from distill_lab.synthesis.generate import generate
from distill_lab.teachers.text import LocalGenerator


class GivenAnswers(Learning):
    """Learn the answers of the training data."""

    def method(self, tokenizer: Any) -> Method:
        """Cross-entropy on the answers' tokens."""
        return methods.tokens(alpha=0.0)


class TeacherAnswers(GivenAnswers):
    """Let the teacher answer the training prompts once, and learn its answers."""

    prompts_only = True

    def material(self, rows: Exchanges, models: Models, context: Context) -> Material:
        """Ask the teacher, and tokenise what it wrote."""
        cards: list[Card] = []

        def ask() -> list[Row]:
            answers, card = self._answers(rows, models, context.log)
            cards.append(card)
            return answers

        answers = context.dist.once(ask)
        limit = self.limit(models, train=True)
        texts = Texts(answers, models.tokenizer, max_length=limit, **self.job.reading())
        return Material(texts, sets=cards)

    def _answers(self, rows: Exchanges, models: Models, log: Log) -> tuple[list[Row], Card]:
        """The training prompts with the teacher's answers, asked once, resumable; their card."""
        job = self.job
        path = Path(job.origin.out) / "answers.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        answers = generate(
            rows,
            LocalGenerator(models.teacher, models.teacher_tokenizer, template=job.template),
            path,
            temperature=job.temperature,
            max_tokens=job.max_new_tokens,
            seed=job.origin.training.seed,
        )
        log(str(answers))
        # its name is the folder's or the hub's: it decides the licence, as in every other method
        named = {**answers.teacher, "name": str(job.teacher)}
        card = set_card(dataclasses.replace(answers, teacher=named), prompts=str(job.train))
        card.write(card_path(path))
        return answers.rows, card
