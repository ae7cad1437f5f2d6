"""Teachers beside students: whether both score the same tokens, and how many of them."""

from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.tensors import Head
from distill_lab.data.batches import Batch
from distill_lab.models.networks import logits_of
from distill_lab.models.scores_at import Places
from distill_lab.teachers import Live, freeze


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


def check_beside(
    teacher: Any, teacher_tokenizer: Any, student: Any, tokenizer: Any, *, token_wise: bool
) -> None:
    """Refuse a teacher that a student cannot be compared with; neither needs weights.

    Args:
        teacher: The teacher's model.
        teacher_tokenizer: And its tokenizer.
        student: The student's model.
        tokenizer: And its tokenizer.
        token_wise: Whether distributions are compared token by token.

    Raises:
        ValueError: For tokens that mean different things, or a student that scores more of them.
    """
    if token_wise and teacher_tokenizer.get_vocab() != tokenizer.get_vocab():
        raise ValueError(
            "teacher and student cut text into different tokens, so their distributions cannot be "
            "compared token by token: use method seq-kd or uld, or a student with its tokenizer."
        )
    wide, narrow = width_of(teacher), width_of(student)
    if token_wise and wide < narrow:
        raise ValueError(
            f"the student scores {narrow} tokens and the teacher only {wide}: shrink the student's "
            "output with resize_token_embeddings(len(tokenizer)) and save it again."
        )


def frozen_beside(
    teacher: Any, teacher_tokenizer: Any, student: Any, tokenizer: Any, *, token_wise: bool
) -> Live:
    """Freeze a teacher, its logits cut to the student's width where they are compared.

    Args:
        teacher: The teacher's model.
        teacher_tokenizer: And its tokenizer.
        student: The student's model.
        tokenizer: And its tokenizer.
        token_wise: Whether distributions are compared token by token.

    Returns:
        The teacher.

    Raises:
        ValueError: As `check_beside`.
    """
    check_beside(teacher, teacher_tokenizer, student, tokenizer, token_wise=token_wise)
    if not token_wise or width_of(teacher) == width_of(student):
        return freeze(teacher)
    return SharedVocabulary(freeze(teacher).model, width_of(student))


def width_of(model: Any) -> int:
    """How many tokens a model scores."""
    width: int = model.get_input_embeddings().weight.shape[0]
    return width
