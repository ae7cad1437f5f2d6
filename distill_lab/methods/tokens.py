"""Recipes for language models: next-token distributions, token by token.

Both models are asked at the tokens that count alone, and where they can say what their scores are
made of, the scores (B, L, C) of neither are made: see `models.scores_at`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.checks import fraction, one_of
from distill_lab._util.tensors import (
    Batch,
    Head,
    check_temperature,
    check_temperature_of,
    values_at_hand,
    warn_of_padding,
)
from distill_lab._util.tensors import next_tokens as next_tokens  # part of what this module offers
from distill_lab.losses import (
    chunked_forward_kl,
    chunked_jsd,
    chunked_reverse_kl,
    cross_entropy,
    skew_kl,
    total_variation,
)
from distill_lab.losses._checks import narrowed
from distill_lab.methods.answers import check_logits
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.scoring import DENSE, divergence
from distill_lab.models.networks import logits_of
from distill_lab.models.scores_at import Places, scores_at
from distill_lab.signals import Dense, Sampled, Text, TopK

KINDS: dict[str, Callable[..., Tensor]] = {
    "forward_kl": divergence,
    "reverse_kl": partial(divergence, kind="reverse_kl"),
    "jsd": partial(divergence, kind="jsd"),
    "skew_kl": skew_kl,
    "total_variation": total_variation,
}
BY_HAND: dict[str, Callable[..., Tensor]] = {
    "forward_kl": chunked_forward_kl,
    "reverse_kl": chunked_reverse_kl,
    "jsd": chunked_jsd,
}


def tokens(
    kind: str = "forward_kl", *, T: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> Method:
    """Distil a causal language model: a divergence at each answer token, beside the tokens.

    Formula: alpha T^2 D(p_i, q_i) + (1 - alpha) CE(q_i, token i + 1), each a mean over the tokens
    that count, whatever pieces or processes they are spread over.

    Args:
        kind: D: one of forward_kl (from any signal of a cache), reverse_kl or jsd (from logits,
            top-k or draws), skew_kl or total_variation (from logits).
        T: the temperature of both softmaxes.
        alpha: what the teacher's term weighs; with 0 the teacher is not asked: supervised
            fine-tuning.
        beta: the teacher's share in "jsd".

    Returns:
        A method. Its batches hold inputs (B, L), or a dict with input_ids, and labels (B, L) with
        -100 where nothing is to be learned.

    Raises:
        ValueError: for another kind, T <= 0 or alpha outside [0, 1]; when it runs, for data without
            labels, or a teacher whose answers hold at another temperature.

    Source: Hinton et al. 2015; Agarwal et al. 2023 (GKD), section 3.

    >>> tokens("reverse_kl", alpha=0.5).weights
    {'reverse_kl': 0.5, 'ce': 0.5}
    """
    one_of("kind", kind, KINDS)
    T = check_temperature(T)
    alpha = fraction("alpha", alpha, why=": it mixes two terms.")

    looked = False

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        nonlocal looked
        targets, mask = next_tokens(_labels(batch), batch.inputs)
        if not looked:
            here, looked = batch.at_hand, True
            warn_of_padding(_labels(here), here.inputs)
        weighed = _weighed(batch, mask)
        weights: Tensor | None = weighed
        answer: Any = None
        logits: Tensor | Head
        # only what counts: prompts are often four fifths of a batch. Inside torch.vmap each seed
        # has another number of such tokens, and there the losses leave the others out
        at = Places.to_predict(batch) if values_at_hand(mask) else None
        if alpha > 0:
            answer = teacher(batch) if not at else answers_at(teacher, batch, at)
            check_temperature_of(teacher, T)
        if at:
            targets, weights = at.take(targets), None if weighed is mask else at.take(weighed)
            head = alpha == 1 and kind in DENSE and isinstance(answer, Tensor | Head)
            logits = scores_at(student, batch.inputs, at, head=head)
        else:
            logits = logits_of(student, batch.inputs)
        check_logits(logits, answer)
        result: Terms = {}
        if alpha > 0:
            result[kind] = T**2 * _loss(kind, logits, answer, T, beta, weights)
        if alpha < 1:
            result["ce"] = cross_entropy(logits, targets, mask=weights)  # type: ignore[arg-type]
        return result

    weights = {kind: alpha, "ce": 1.0 - alpha}
    used = {term: weight for term, weight in weights.items() if weight > 0}
    name = f"tokens({kind}, T={T}, alpha={alpha}, beta={beta})"
    each = (kind,) if alpha > 0 else ()
    return Method(name, terms, used, alpha > 0, count=tokens_in, each_teacher=each)


def answers_at(teacher: TeacherFn, batch: Batch, at: Places) -> Any:
    """What a teacher says at some positions.

    Args:
        teacher: one that can be asked about a few positions is asked about these alone.
        batch: of B texts.
        at: the positions, n of them.

    Returns:
        Logits (n, C), a `Head` of them, or a signal (n,).
    """
    kind = type(teacher)
    own = next((base for base in kind.__mro__ if "__call__" in vars(base)), None)
    # not where a class of somebody's own answers otherwise and inherits the rest
    if own is not None and "scores_at" in vars(own):
        return teacher.scores_at(batch, at)  # type: ignore[attr-defined]
    answer = teacher(batch)
    answer = answer.logits if isinstance(answer, Dense) else answer
    if isinstance(answer, TopK | Sampled | Text):
        return answer.each(at.take)
    return at.scores(answer) if isinstance(answer, Tensor) else answer


def _loss(
    kind: str, student: Tensor | Head, teacher: Any, T: float, beta: float, weights: Tensor | None
) -> Tensor:
    """The divergence of what may be heads on either side."""
    options = {"beta": beta} if kind == "jsd" else {}
    if kind in DENSE and (isinstance(student, Head) or isinstance(teacher, Head)):
        return BY_HAND[kind](student, teacher, T=T, mask=weights, **options)
    teacher = teacher.logits if isinstance(teacher, Dense) else teacher
    if isinstance(teacher, Head):
        teacher = F.linear(*teacher)
    return KINDS[kind](student, teacher, T=T, mask=weights, **options)


def tokens_in(batch: Batch) -> float:
    """How many tokens of a batch are to be predicted, by weight: what the terms are a mean over."""
    mask = next_tokens(_labels(batch), batch.inputs)[1]
    if batch.weights is None:
        return int(mask.sum())
    return float(_weighed(batch, mask).sum())


def _weighed(batch: Batch, mask: Tensor) -> Tensor:
    """What each token weighs (B, L): its text's weight, where the batch has weights."""
    if batch.weights is None:
        return mask
    return narrowed(batch.weights.float().unsqueeze(-1).expand(mask.shape), mask)


def _labels(batch: Batch) -> Tensor:
    if batch.labels is None or batch.labels.dim() != 2:
        shape = "none" if batch.labels is None else f"shape {tuple(batch.labels.shape)}"
        raise ValueError(
            f"a language model learns from labels (B, L), one a token, and got {shape}: pass the "
            "input tokens, with -100 where nothing is to be learned."
        )
    if batch.labels.is_floating_point() or batch.labels.dtype == torch.bool:
        raise ValueError(
            f"a language model learns from the numbers of tokens, and the labels are "
            f"{batch.labels.dtype}: for several labels a text use binary_kd()."
        )
    return batch.labels
