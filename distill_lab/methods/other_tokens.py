"""A recipe for a teacher that cuts text into other tokens."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.checks import fraction
from distill_lab._util.tensors import (
    Batch,
    Head,
    check_temperature,
    check_temperature_of,
    next_tokens,
)
from distill_lab.losses import cross_entropy, uld_loss
from distill_lab.methods.answers import check_logits
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.tokens import answers_at
from distill_lab.models.scores_at import Places, scores_at


def uld(*, T: float = 1.0, alpha: float = 0.6) -> Method:
    """Universal logit distillation: sorted probabilities, beside the answer's own tokens.

    Formula: alpha ULD(p, q) + (1 - alpha) CE(q_i, token i + 1). The n-th answer token of one
    tokenisation stands beside the n-th of the other, up to the end of the shorter one; the mean is
    over these. The paper's CE + 1.5 ULD is alpha = 0.6 but for a factor. Sorted probabilities do
    not say which token is meant: with alpha = 1 nothing does.

    Args:
        T: the temperature of both softmaxes; no factor T squared.
        alpha: what the teacher's term weighs.

    Returns:
        A method. Its batches are those of `TwoTokenizers`, and its teacher is a live one.

    Raises:
        ValueError: for T <= 0 or alpha outside [0, 1]; when it runs, for data of another form, or a
            teacher whose answers hold at another temperature.

    Source: Boizard et al. 2024, arXiv:2402.12030, section 3.

    >>> uld().weights
    {'uld': 0.6, 'ce': 0.4}
    """
    T = check_temperature(T)
    alpha = fraction("alpha", alpha, why=": it mixes two terms.")

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        sides = _sides(batch)
        common = _common(sides)
        own = _Side(*sides[0])
        at = Places.of(own.mask if alpha < 1 else _first(own.mask, common))
        logits = scores_at(student, own.batch.inputs, at, head=False)
        assert isinstance(logits, Tensor)
        check_logits(logits)
        result: Terms = {}
        if alpha > 0:
            other = sides[1]
            theirs = answers_at(teacher, other.batch, Places.of(_first(other.mask, common)))
            check_temperature_of(teacher, T)
            check_logits(None, theirs)
            if isinstance(theirs, Head):
                theirs = F.linear(*theirs)
            compared = at.take(_first(own.mask, common))  # of the student's answer tokens
            # answers that one side cut to nothing are left out: 0, and not counted
            none = not len(theirs)
            result["uld"] = logits.sum() * 0 if none else uld_loss(logits[compared], theirs, T=T)
        if alpha < 1:
            result["ce"] = cross_entropy(logits, at.take(own.targets))
        return result

    def count(batch: Batch) -> dict[str, float]:
        sides = _sides(batch)
        counts = {"uld": int(_common(sides).sum()), "ce": int(sides[0].mask.sum())}
        return {name: counts[name] for name in used}

    weights = {"uld": alpha, "ce": round(1.0 - alpha, 12)}
    used = {term: weight for term, weight in weights.items() if weight > 0}
    return Method(f"uld(T={T}, alpha={alpha})", terms, used, alpha > 0, count=count)


class _Side(NamedTuple):
    """The texts of a batch as one of the two models reads them."""

    batch: Batch
    targets: Tensor  # (B, L)
    mask: Tensor  # (B, L)


def _sides(batch: Batch) -> tuple[_Side, _Side]:
    inputs, labels = batch.inputs, batch.labels
    if labels is None or not isinstance(inputs, Mapping) or "teacher_labels" not in inputs:
        raise ValueError(
            "uld learns from texts as both tokenizers cut them: pass "
            "data.TwoTokenizers(rows, tokenizer, teacher_tokenizer)."
        )
    if batch.weights is not None:
        raise ValueError("uld knows no weights of examples: leave them out.")
    sides = []
    for ids, mask, learned in (
        (inputs["input_ids"], inputs["attention_mask"], labels),
        (inputs["teacher_ids"], inputs["teacher_mask"], inputs["teacher_labels"]),
    ):
        own = {"input_ids": ids, "attention_mask": mask}
        sides.append(_Side(Batch(own, learned, batch.ids), *next_tokens(learned, own)))
    return sides[0], sides[1]


def _common(sides: tuple[_Side, _Side]) -> Tensor:
    """How many answer tokens both have of each text (B,)."""
    return torch.minimum(sides[0].mask.sum(1), sides[1].mask.sum(1))


def _first(mask: Tensor, common: Tensor) -> Tensor:
    """The first so many True ones of each row."""
    return mask & (mask.cumsum(1) <= common[:, None])
