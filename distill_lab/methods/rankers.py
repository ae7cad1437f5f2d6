"""Recipes on rankings: which of a query's candidates the teacher prefers, and by how much.

A student gives scores (B, K), candidates in the order of the teacher's: `models.Ranker` makes such
a student of an encoder, for inputs {"query": ..., "positive": ..., "negative": ...}, for pairs
without a query, and for {"query": ..., "candidates": ..., "mask": ...} with K of them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.tensors import Batch, check_temperature, check_temperature_of
from distill_lab.losses import listwise_kl
from distill_lab.losses import margin_mse as margin_loss
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.models.networks import logits_of


def margin_mse() -> Method:
    """Match by how much the teacher puts the positive above each negative: MarginMSE.

    The teacher's scores are (B, 2), the positive's first, (B, K) with more negatives, or the
    margins (B,); a mask among the inputs says which candidates there are.

    Formula: mean ((s_0 - s_j) - (t_0 - t_j))^2 over queries and negatives j.

    Returns:
        A method with the term "margin".

    Raises:
        ValueError: when it runs, for a student without scores (B, K), or other teacher's scores.

    Source: Hofstaetter et al. 2020, arXiv:2010.02666, section 3.2.

    >>> margin_mse().weights
    {'margin': 1.0}
    """

    def pairs(kept: Tensor) -> Tensor:
        return kept[:, :1] & kept[:, 1:]

    return _on_scores("margin_mse()", "margin", margin_loss, pairs)


def listwise(T: float = 1.0) -> Method:
    """Match the teacher's distribution over the candidates of each query.

    A mask among the inputs, (B, K), says which candidates there are; a list of one is left out.

    Formula: T^2 KL(softmax(t / T) || softmax(s / T)), mean over queries.

    Args:
        T: the temperature of both softmaxes.

    Returns:
        A method with the term "listwise".

    Raises:
        ValueError: for T <= 0; when it runs, as `margin_mse`, and for a teacher whose answers hold
            at another temperature.

    Source: Cao et al. 2007 (ListNet), section 4; Reddi et al. 2021 (RankDistil), section 3.

    >>> listwise(T=2.0).weights
    {'listwise': 1.0}
    """
    T = check_temperature(T)

    def loss(student: Tensor, teacher: Tensor, **options: Any) -> Tensor:
        if teacher.dim() == 1:
            raise ValueError(
                f"the teacher gives one number a query, shape {tuple(teacher.shape)}, and a list "
                "needs a score of each candidate: use margin_mse(), or scores (B, K)."
            )
        return T**2 * listwise_kl(student, teacher, T=T, **options)

    def lists(kept: Tensor) -> Tensor:
        return kept.sum(1) > 1

    return _on_scores(f"listwise(T={T})", "listwise", loss, lists, T)


def _on_scores(
    name: str,
    term: str,
    loss: Callable[..., Tensor],
    counted: Callable[[Tensor], Tensor],
    T: float | None = None,
) -> Method:
    """A loss on scores; `counted` says, of the candidates there are, which terms of it count."""
    seen: list[bool] = []  # the first answer alone is looked at

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        scores = _scores_of(student, batch.inputs)
        answer = teacher(batch)
        if not isinstance(answer, Tensor):
            raise ValueError(
                f"the teacher's scores came as {type(answer).__name__}: a ranking needs every "
                "score, as keep.dense() keeps them."
            )
        answer = answer.detach()
        if T is not None:
            check_temperature_of(teacher, T)
        if not seen:
            seen.append(True)
            _refuse_no_score(answer, batch, ruled_out=term == "listwise")
        return {term: loss(scores, answer, mask=_mask_of(batch), weights=batch.weights)}

    def count(batch: Batch) -> Any:
        mask, weights = _mask_of(batch), batch.weights
        if mask is None:
            return len(batch.ids) if weights is None else float(weights.sum())
        each = counted(mask)
        if weights is not None:
            return float((each * (weights if each.dim() == 1 else weights[:, None])).sum())
        return int(each.sum())

    return Method(name, terms, {term: 1.0}, count=count)


def _refuse_no_score(answer: Tensor, batch: Batch, *, ruled_out: bool) -> None:
    """Refuse a score that is none; of a list -inf rules a candidate out, a margin it has not."""
    wrong = answer.isnan() if ruled_out else ~answer.isfinite()
    mask = _mask_of(batch)
    if mask is not None and mask.shape == wrong.shape:
        wrong = wrong & mask
    if bool(wrong.any()):
        query, *candidate = wrong.nonzero()[0].tolist()
        at = f" to candidate {candidate[0]}" if candidate else ""
        score = str(answer[query, *candidate].item()).replace("nan", "NaN")
        raise ValueError(
            f"the teacher gives {score} as score{at} of example {int(batch.ids[query])} of the "
            "data: where there is no such candidate, say so by a mask among the inputs, "
            "{'candidates': ..., 'mask': ...}."
        )


def _scores_of(student: Student, inputs: Any) -> Tensor:
    try:
        scores = logits_of(student, inputs)
    except TypeError as error:
        named = isinstance(inputs, Mapping) and {"query", "positive", "candidates"} & set(inputs)
        if not named:
            raise
        raise ValueError(
            f"{type(student).__name__} did not take inputs named {sorted(inputs)} ({error}): an "
            "encoder becomes a ranker as models.Ranker(encoder, read='mean')."
        ) from error
    return scores


def _mask_of(batch: Batch) -> Tensor | None:
    """Which candidates (B, K) there are, where the inputs say so."""
    mask = batch.inputs.get("mask") if isinstance(batch.inputs, Mapping) else None
    return mask.to(torch.bool) if isinstance(mask, Tensor) else None
