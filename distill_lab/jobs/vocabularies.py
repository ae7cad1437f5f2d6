"""Teachers beside students: whether both score the same tokens, and how many of them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.tensors import Head
from distill_lab.data.batches import Batch
from distill_lab.models.networks import logits_of
from distill_lab.models.scores_at import Places
from distill_lab.teachers import Live, freeze


@dataclass(frozen=True)
class Models:
    """Student and teacher, with weights or without, and what each reads with.

    Args:
        student: the student's network.
        tokenizer: and its tokenizer.
        teacher: the teacher's network; None where there is none.
        teacher_tokenizer: and its tokenizer.
    """

    student: Any
    tokenizer: Any
    teacher: Any = None
    teacher_tokenizer: Any = None

    @property
    def same_words(self) -> bool:
        """Whether both cut text into the same tokens."""
        words: bool = self.teacher_tokenizer.get_vocab() == self.tokenizer.get_vocab()
        return words


class SharedVocabulary(Live):
    """A teacher whose logits are cut to the classes that the student has as well.

    Models of one family pad their vocabularies to different widths; beyond the tokenizer's own
    tokens there is nothing to compare.

    Args:
        model: The teacher's network, frozen.
        width: How many classes the student has.
    """

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__(model)
        self.width = width

    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch with logits."""
        with torch.no_grad():
            logits: Tensor = logits_of(self.model, batch.inputs)
        return logits[..., : self.width]

    def scores_at(self, batch: Batch, at: Places, *, head: bool = True) -> Tensor | Head:
        """Answer about some positions, cut alike."""
        scores = super().scores_at(batch, at, head=head)
        if isinstance(scores, Tensor):
            return scores[..., : self.width]
        hidden, weight, bias = scores
        return Head(hidden, weight[: self.width], None if bias is None else bias[: self.width])


def check_beside(models: Models, *, token_wise: bool) -> None:
    """Refuse a teacher that a student cannot be compared with; neither needs weights.

    Args:
        models: both.
        token_wise: Whether distributions are compared token by token.

    Raises:
        ValueError: For tokens that mean different things, or a student that scores more of them.
    """
    if not token_wise:
        return
    if not models.same_words:
        raise ValueError(
            "teacher and student cut text into different tokens, so their distributions cannot be "
            "compared token by token: use method seq-kd or uld, or a student with its tokenizer."
        )
    wide, narrow = width_of(models.teacher), width_of(models.student)
    if wide < narrow:
        raise ValueError(
            f"the student scores {narrow} tokens and the teacher only {wide}: shrink the student's "
            "output with resize_token_embeddings(len(tokenizer)) and save it again."
        )


def frozen_beside(models: Models, *, token_wise: bool) -> Live:
    """Freeze a teacher, its logits cut to the student's width where they are compared.

    Args:
        models: it and its student, with their weights.
        token_wise: As in `check_beside`, which refuses some.

    Returns:
        The teacher.
    """
    check_beside(models, token_wise=token_wise)
    narrow = width_of(models.student)
    if not token_wise or width_of(models.teacher) == narrow:
        return freeze(models.teacher)
    return SharedVocabulary(freeze(models.teacher).model, narrow)


def width_of(model: Any) -> int:
    """How many tokens a model scores."""
    width: int = model.get_input_embeddings().weight.shape[0]
    return width
