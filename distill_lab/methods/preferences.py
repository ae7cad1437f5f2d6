"""Recipes for pairs of answers, of which one is preferred."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab._util.checks import positive_finite
from distill_lab._util.tensors import Batch, Head, in_float32, next_tokens
from distill_lab.losses import dpo_loss
from distill_lab.losses._checks import check_fraction
from distill_lab.methods.answers import check_logits
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.tokens import answers_at
from distill_lab.models.scores_at import Places, scores_at

NO_REFERENCE = (
    "{}: expected the two log-probabilities (B, 2) of each pair. Pass "
    "teacher=methods.Reference(freeze(a copy of the student))."
)


def dpo(*, beta: float = 0.1, label_smoothing: float = 0.0) -> Method:
    """Direct preference optimisation: raise the chosen answer over the rejected one.

    Formula: `dpo_loss` of the answers' log-probabilities, summed over their own tokens.

    The teacher is a `Reference`: the student as it was before the first step, or what a cache or
    `record` kept of it, so that no second model is in memory.

    Args:
        beta: how strongly the student is held to its reference; larger holds more.
        label_smoothing: the share of pairs thought to be ranked the wrong way.

    Returns:
        A method. Its batches are those of `Preferences`: inputs and labels (B, 2, L).

    Raises:
        ValueError: for beta <= 0 or a smoothing outside [0, 1]; when it runs, for data of another
            form.

    Source: Rafailov et al. 2023, section 4, eq. 7.

    >>> dpo(beta=0.3).weights
    {'dpo': 1.0}
    """
    beta = positive_finite(
        "beta", beta, why=": it says how far the student may move; 0.1 is usual."
    )
    label_smoothing = check_fraction("label_smoothing", label_smoothing)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        if hasattr(teacher, "scores_at"):  # it would be shown both answers as one text
            raise ValueError(NO_REFERENCE.format(f"{type(teacher).__name__} says logits"))
        reference = teacher(batch)
        if not isinstance(reference, Tensor) or reference.shape != (len(batch.ids), 2):
            shape = tuple(getattr(reference, "shape", ())) or type(reference).__name__
            raise ValueError(NO_REFERENCE.format(f"the reference answered with {shape}"))
        sides = (*pair_log_probabilities(student, batch).unbind(1), *reference.unbind(1))
        return {"dpo": dpo_loss(*sides, beta=beta, label_smoothing=label_smoothing)}

    smoothing = f", label_smoothing={label_smoothing}" if label_smoothing else ""
    return Method(f"dpo(beta={beta}{smoothing})", terms, {"dpo": 1.0})


def pair_log_probabilities(model: Any, batch: Batch) -> Tensor:
    """How probable a model finds both answers of each pair, in nats.

    Formula: sum over the answer's tokens of log softmax(z_i)_{y_(i+1)}.

    Args:
        model: a causal language model.
        batch: of `Preferences`.

    Returns:
        Log-probabilities (B, 2), the chosen answer's first.

    Raises:
        ValueError: for a batch of another form.
    """
    flat, at = _side_by_side(batch)
    scores = scores_at(model, flat.inputs, at, head=False)
    assert isinstance(scores, Tensor)
    check_logits(scores)
    return _of_answers(scores, flat, at)


class Reference:
    """What a frozen model says of pairs: how probable it finds both answers, in nats.

    Formula: sum over the answer's tokens of log softmax(z_i)_{y_(i+1)}.

    Args:
        teacher: a live teacher, as `freeze` makes one.

    Raises:
        TypeError: for a network that nobody froze.

    >>> from distill_lab.teachers import freeze
    >>> pair = torch.tensor([[[1, 2, 3], [1, 2, 0]]])
    >>> labels = torch.tensor([[[-100, 2, 3], [-100, 2, -100]]])
    >>> table = torch.nn.Embedding.from_pretrained(torch.zeros(4, 4))  # finds all tokens alike
    >>> Reference(freeze(table))(Batch({"input": pair}, labels, torch.tensor([0])))  # - n ln 4
    tensor([[-2.7726, -1.3863]])
    """

    says = "values"

    def __init__(self, teacher: Any) -> None:
        if isinstance(teacher, nn.Module):
            raise TypeError(
                f"a reference answers about pairs, and {type(teacher).__name__} is a network: pass "
                "Reference(freeze(network)), of a copy of the student."
            )
        self.teacher = teacher

    @property
    def identity(self) -> str:
        """That of the model."""
        return f"Reference-{self.teacher.identity}"

    @property
    def model(self) -> Any:
        """The network, by which a batch finds its device."""
        return self.teacher.model

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        """Log-probabilities (B, 2), the chosen answer's first.

        Args:
            batch: of `Preferences`.

        Returns:
            Nats.

        Raises:
            ValueError: for a batch of another form.
        """
        flat, at = _side_by_side(batch)
        scores = answers_at(self.teacher, flat, at)
        check_logits(None, scores)
        return _of_answers(F.linear(*scores) if isinstance(scores, Head) else scores, flat, at)


def _side_by_side(batch: Batch) -> tuple[Batch, Places]:
    """The 2 B texts of a batch of pairs, and where they predict a token of an answer (2 B, L)."""
    labels = batch.labels
    if labels is None or labels.dim() != 3 or labels.shape[1] != 2 or batch.weights is not None:
        shape = "no labels" if labels is None else f"labels {tuple(labels.shape)}"
        what = "weights" if batch.weights is not None else shape
        raise ValueError(
            f"preferences are learned from pairs, labels (B, 2, L) without weights; got {what}: "
            "pass data.Preferences(rows, tokenizer)."
        )
    # which tokens count is looked up where the batch was before it was moved
    return _flat(batch), Places.to_predict(_flat(batch.at_hand)).to(labels.device)


def _flat(batch: Batch) -> Batch:
    assert batch.labels is not None
    inputs = {name: part.flatten(0, 1) for name, part in batch.inputs.items()}
    return Batch(inputs, batch.labels.flatten(0, 1), torch.arange(2 * len(batch.labels)))


def _of_answers(scores: Tensor, flat: Batch, at: Places) -> Tensor:
    """Scores (n, C) at the positions that count -> log-probabilities (B, 2)."""
    assert flat.labels is not None
    targets = at.take(next_tokens(flat.labels, flat.inputs)[0]).unsqueeze(-1)
    each = in_float32(scores).log_softmax(-1).gather(-1, targets).squeeze(-1)  # (n,)
    placed = each.new_zeros(at.shape).index_put((at.rows, at.columns), each)
    return placed.sum(-1).view(-1, 2)
