"""Texts as student and teacher read them, each cut by a tokenizer of its own."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from torch import Tensor

from distill_lab._util.runtime import Progress
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.data.preferences import kept_together
from distill_lab.data.rendering import Reasoning
from distill_lab.data.tokenized import Texts


class TwoTokenizers:
    """Prompts and answers, cut into the tokens of the student and into those of its teacher.

    Batches: inputs {"input_ids", "attention_mask"} (B, L) and labels (B, L) of the student, as
    `Texts` has them; beside them in inputs "teacher_ids", "teacher_mask" and "teacher_labels"
    (B, L_t) of the same texts.

    Args:
        rows: as in `Texts`; they are read twice.
        tokenizer: the student's.
        teacher_tokenizer: the teacher's.
        max_length: texts of more of the student's tokens are left out, counted by `too_long`.
        teacher_length: those of more of the teacher's tokens too.
        place: where the row of a number stands, for the words of an error.
        learn: as in `Texts`.
        reasoning: as in `Texts`.
        template: options of both chat templates.
        folder: where tokens are kept, as in `Texts`.
        progress: as in `distill`.

    Raises:
        ValueError: as `Texts`.
    """

    draws = False  # nothing by chance

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        tokenizer: Any,
        teacher_tokenizer: Any,
        *,
        max_length: int = 512,
        teacher_length: int = 512,
        place: Callable[[int], str] = "row {}".format,
        learn: Literal["last", "all"] = "last",
        reasoning: Reasoning = "learn",
        template: Mapping[str, Any] | None = None,
        folder: str | os.PathLike[str] | None = None,
        progress: Progress = None,
    ) -> None:
        sides = [
            Texts(
                rows,
                each,
                max_length=2**40,  # a text is kept or left out as one, below
                place=place,
                learn=learn,
                reasoning=reasoning,
                template=template,
                folder=folder,
                progress=progress,
            )
            for each in (tokenizer, teacher_tokenizer)
        ]
        self.student, self.teacher = kept_together(sides, [max_length, teacher_length])
        self.too_long, self.empty = len(sides[0]) - len(self.student), sides[0].empty

    def __len__(self) -> int:
        return len(self.student)

    @property
    def lengths(self) -> Tensor:
        """The student's tokens of each text (N,)."""
        return self.student.lengths

    @property
    def longest(self) -> int:
        """The student's tokens of the longest text."""
        return int(self.lengths.max())

    @property
    def fingerprint(self) -> str:
        """A short name for the content, by which a checkpoint knows its data again."""
        return fingerprints.of_facts([self.student.fingerprint, self.teacher.fingerprint])

    def batch(self, index: Tensor) -> Batch:
        """The texts of these numbers, as both read them."""
        own, other = self.student.batch(index), self.teacher.batch(index)
        inputs = {
            **own.inputs,
            "teacher_ids": other.inputs["input_ids"],
            "teacher_mask": other.inputs["attention_mask"],
            "teacher_labels": other.labels,
        }
        return own._replace(inputs=inputs)
