"""What a method of language models says of itself, so that one road checks and runs them all."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_lab._util.jsonl import Row
from distill_lab.data.tokenized import Texts
from distill_lab.jobs.job import Job
from distill_lab.jobs.learning.views import check_room, check_view, prompts_of, second_view
from distill_lab.jobs.rows import Exchanges, held_out_rows, length_limit, read_exchanges, texts_of
from distill_lab.jobs.setups.setup import Context
from distill_lab.jobs.vocabularies import Models, check_beside, frozen_beside
from distill_lab.methods import Method
from distill_lab.synthesis.cards import Card
from distill_lab.synthesis.pipeline import FilterResult
from distill_lab.teachers import Live, Teacher


@dataclass(frozen=True)
class Material:
    """What a student learns from.

    Args:
        data: what `distill` takes as data.
        teacher: whom the method asks; None for nobody.
        reference: whom the student's distributions are compared with; None for nobody.
        sets: cards of texts that were written for it.
        answers: what became of those that were written for it, where not all are kept.
        teachers: names of those that teach without writing, for the student's card.
    """

    data: Any
    teacher: Teacher | None = None
    reference: Live | None = None
    sets: Sequence[Path | Card] = ()
    answers: FilterResult | None = None
    teachers: Sequence[str] = ()


class Learning(ABC):
    """How a method learns: which rows it reads, whom it asks, what it minimises.

    Args:
        job: the job with its settings.
    """

    prompts_only = False  # whether the training rows are prompts, answered by somebody else
    student_answers = False  # whether that is the student, in each step
    unit = "texts"  # what it learns from, in words
    token_wise = False  # whether distributions are compared token by token

    def __init__(self, job: Job) -> None:
        self.job = job

    @abstractmethod
    def method(self, tokenizer: Any) -> Method:
        """Make the recipe.

        Args:
            tokenizer: what the student reads with.

        Returns:
            What is minimised.
        """

    @property
    def beside(self) -> set[str]:
        """The columns that are read beside prompts: those that the teacher's own prompt names."""
        return set() if self.job.view is None else {*self.job.view.columns}

    def rows(self) -> Exchanges:
        """Read the training rows."""
        job, beside = self.job, self.beside
        rows = read_exchanges(job, job.train, prompt_only=self.prompts_only, beside=beside)
        return check_view(job, rows)

    def held_out(self) -> Exchanges:
        """Read the rows that figures are measured on."""
        rows = held_out_rows(self.job)
        return check_view(self.job, rows) if self.token_wise else rows

    def reference(self, teacher: Live, rows: Exchanges, texts: Texts, tokenizer: Any) -> Teacher:
        """Whom the student is compared with on held-out rows.

        Args:
            teacher: the teacher, frozen.
            rows: held-out rows.
            texts: and the texts that were made of them.
            tokenizer: of both models.

        Returns:
            The teacher, behind its own prompts where it has such.
        """
        return second_view(self.job, teacher, rows, texts, tokenizer)

    def limit(self, models: Models, *, train: bool) -> int:
        """Count the tokens that a text may have.

        Args:
            models: with their positions.
            train: whether it is one of the training texts.

        Returns:
            The number of tokens.

        Raises:
            ValueError: where no room is left for a prompt.
        """
        answers = train and self.student_answers
        return length_limit(self.job, models.student, models.teacher, answers=answers)

    def check_teacher(self, models: Models) -> None:
        """Refuse a teacher that the student cannot be compared with.

        Args:
            models: both, with weights or without.

        Raises:
            ValueError: in words.
        """
        if models.teacher is not None:
            check_beside(models, token_wise=self.token_wise)

    def frozen(self, models: Models) -> Live | None:
        """Freeze the teacher, refusing one that the student cannot be compared with.

        Args:
            models: both.

        Returns:
            The teacher; None where there is none.

        Raises:
            ValueError: in words.
        """
        if models.teacher is None:
            return None
        return frozen_beside(models, token_wise=self.token_wise)

    def forecast(self, rows: Exchanges, models: Models, tokens: int) -> Iterator[str]:
        """What this method would leave besides a student, before anything is loaded.

        Args:
            rows: the training rows.
            models: without their weights.
            tokens: of the training texts, about.

        Yields:
            Sentences.

        Raises:
            ValueError: for what the method alone would stumble over, in words.
        """
        yield from ()

    def check_prompts(self, rows: Sequence[Row] | Exchanges, models: Models, texts: Any) -> None:
        """Refuse a teacher's own prompts that leave no room for an answer, as the run would.

        Args:
            rows: some of those that it is asked about.
            models: without their weights.
            texts: that became of them; what stands before others is asked by nobody.

        Raises:
            ValueError: saying how many tokens are too many.
        """
        if self.token_wise and self.job.view is not None and models.teacher is not None:
            own = (rows[number] for number in dict.fromkeys(texts.rows.tolist()))
            prompts = prompts_of(self.job, own, models.teacher_tokenizer)
            check_room(prompts, self.longest_answer(texts), models.teacher)

    def longest_answer(self, texts: Texts) -> int:
        """Count the tokens of the longest answer; a student's own may be as long as allowed."""
        return self.job.max_new_tokens if texts.prompts_only else texts.longest_answer

    def texts(
        self,
        rows: Exchanges,
        models: Models,
        some: Iterable[Row] | None = None,
        place: Callable[[int], str] | None = None,
    ) -> Any:
        """Tokenise training rows, as `--check` looks at them.

        Args:
            rows: the training rows.
            models: with their tokenizers.
            some: some of the rows; None for all.
            place: where the row of a number stands; needed for some of them.

        Returns:
            The texts.

        Raises:
            ValueError: for what cannot be written, with its place.
        """
        return rows.texts(models.tokenizer, self.limit(models, train=True), some, place)

    def material(self, rows: Exchanges, models: Models, context: Context) -> Material:
        """Make ready what the student learns from.

        Args:
            rows: the training rows.
            models: with their weights.
            context: where; its log is told what is left out, and what a teacher wrote.

        Returns:
            Data and teacher.

        Raises:
            ValueError: for what cannot be learned, in words.
        """
        limit = self.limit(models, train=True)
        return Material(texts_of(rows, models.tokenizer, limit, context.log, "train"))
