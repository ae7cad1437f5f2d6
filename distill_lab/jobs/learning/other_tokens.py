"""A teacher with another tokenizer: its sorted probabilities, at the answer's tokens in order."""

from collections.abc import Callable, Iterable
from typing import Any

from distill_lab import methods
from distill_lab._util.jsonl import Row
from distill_lab.data.two_tokenizers import TwoTokenizers
from distill_lab.jobs.learning.learning import Learning, Material
from distill_lab.jobs.rows import Exchanges, length_limit, say_left_out
from distill_lab.jobs.setups.setup import Context, counting
from distill_lab.jobs.vocabularies import Models
from distill_lab.methods import Method


class OtherTokens(Learning):
    """Compare sorted probabilities, beside the answers' own tokens."""

    def method(self, tokenizer: Any) -> Method:
        """Universal logit distillation."""
        return methods.uld(T=self.job.T, alpha=self.job.alpha)

    def limit(self, models: Models, *, train: bool) -> int:
        """The student's own: the teacher counts other tokens."""
        return length_limit(self.job, models.student)

    def texts(
        self,
        rows: Exchanges,
        models: Models,
        some: Iterable[Row] | None = None,
        place: Callable[[int], str] | None = None,
        **keeping: Any,
    ) -> Any:
        """Both tokenisations, side by side."""
        if models.teacher is None:  # it lies on a hub, and nothing is known of it
            return super().texts(rows, models, some, place)
        return TwoTokenizers(
            rows if some is None else list(some),
            models.tokenizer,
            models.teacher_tokenizer,
            max_length=self.limit(models, train=True),
            teacher_length=length_limit(self.job, models.teacher),
            place=place or rows.table.place,
            **self.job.reading(),
            **keeping,
        )

    def material(self, rows: Exchanges, models: Models, context: Context) -> Material:
        """Texts as both read them, and the teacher that is asked about its own."""
        progress = counting(context.log, "train")
        texts = self.texts(rows, models, folder=rows.folder, progress=progress)
        say_left_out(texts, self.limit(models, train=True), context.log, "train")
        return Material(texts, teacher=self.frozen(models), teachers=[str(self.job.teacher)])
