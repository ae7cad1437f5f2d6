"""Attention distillation: where the student looks against where the teacher looks.

For convolutional maps, `attention_transfer_loss`; for transformers, the scores before the
softmax (TinyBERT) or the relations among queries, keys and values (MiniLM).
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from distill_lab._util.checks import plain_number
from distill_lab._util.tensors import in_float32, kl, readable
from distill_lab.losses._checks import (
    blank_features,
    check_features,
    check_leading_mask,
    check_mask_shape,
    mean_over,
    unit,
)

# which of (queries, keys, values) meet in each relation
RELATIONS = {1: ((0, 1), (2, 2)), 2: ((0, 0), (1, 1), (2, 2))}
NOTHING = -1e30  # a score whose softmax is exactly 0, with no infinity to subtract


def attention_transfer_loss(
    student: Tensor,
    teacher: Tensor,
    *,
    form: Literal["code", "paper"] = "code",
    mask: Tensor | None = None,
) -> Tensor:
    """Match where two convolutional layers are active, whatever their number of channels.

    Formula: Q = sum_c f_c^2 over channels, flattened over space and scaled to length 1. "code" is
    what the authors' program computes, mean (Q_s - Q_t)^2 over examples and space; "paper" is what
    they print, |Q_s - Q_t|_2, mean over examples: H W times larger, and a root.

    Args:
        student: maps (B, C_s, H, ...).
        teacher: maps (B, C_t, H, ...); C_t may differ from C_s.
        form: "code" or "paper".
        mask: True (B,) at the examples that count; None for all.

    Returns:
        A scalar without unit, the mean over examples.

    Raises:
        ValueError: for spatial axes that differ, an unknown form or a mask that keeps nothing.

    Source: Zagoruyko & Komodakis 2017, arXiv:1612.03928.

    >>> left, right = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
    >>> attention_transfer_loss(left, right), attention_transfer_loss(left, right, form="paper")
    (tensor(1.), tensor(1.4142))
    """
    if form not in ("code", "paper"):
        raise ValueError(
            f"form must be 'code' (mean square, as published programs do) or 'paper' (a norm), "
            f"got {form!r}."
        )
    check_features(
        student, teacher, "B C H ...", free="C", mend="Resize one map, as with adaptive_avg_pool2d."
    )
    mask = check_leading_mask(mask, student, 1)
    maps = (in_float32(blank_features(f, mask)) for f in (student, teacher))
    q_s, q_t = (unit(f.square().sum(1).flatten(1)) for f in maps)
    if form == "code":
        return mean_over((q_s - q_t).square().mean(-1), mask)
    return mean_over(torch.linalg.vector_norm(q_s - q_t, dim=-1), mask)


def tinybert_attention_loss(
    student_scores: Tensor, teacher_scores: Tensor, *, mask: Tensor | None = None
) -> Tensor:
    """Match attention scores before the softmax, head by head, over real tokens only.

    Formula: mean (a_s - a_t)^2 over heads and keys of each query, then over queries. The authors'
    program averages over padding too, so its value shrinks as padding grows.

    Args:
        student_scores: attention scores (B, heads, Q, K) before the softmax. Each student layer
            meets every (L_t / L_s)-th teacher layer.
        teacher_scores: the teacher's, of the same shape. Another number of heads is refused, since
            no head of the one answers to a head of the other: average both sides over their heads,
            or use `minilm_relation_loss`, which regroups them. So is another length: pad both with
            the same tokenizer, and mask.
        mask: True (B, Q) at real tokens where Q = K, or (B, Q, K) at pairs (causal attention).

    Returns:
        A scalar in squared scores, the mean over queries.

    Raises:
        ValueError: for shapes that differ, a mask that keeps nothing, or teacher scores that are
            probabilities (Hugging Face's `attentions` come after the softmax).

    Source: Jiao et al. 2020 (TinyBERT), section 3.1, eq. 7.

    >>> tinybert_attention_loss(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 3.0))
    tensor(9.)
    """
    check_features(
        student_scores,
        teacher_scores,
        "B heads Q K",
        mend="Where heads differ, average them with scores.mean(1, keepdim=True), or use "
        "minilm_relation_loss, which regroups them.",
    )
    _refuse_probabilities(teacher_scores)
    pairs = _pairs(mask, teacher_scores)
    kept = pairs.unsqueeze(1)
    a_s, a_t = (
        torch.where(kept, in_float32(scores), 0.0) for scores in (student_scores, teacher_scores)
    )
    keys = pairs.sum(-1)
    per_query = (a_s - a_t).square().mean(1).sum(-1) / keys.clamp_min(1)
    return mean_over(per_query, None if mask is None else keys > 0)


def minilm_relation_loss(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    *,
    relation_heads: int,
    version: Literal[1, 2] = 2,
    mask: Tensor | None = None,
) -> Tensor:
    """Match how tokens relate to each other in one layer, whatever the widths and head counts.

    Formula: sum over relations of KL(R_t || R_s), R = softmax(A B^T / sqrt(d)) over keys, mean over
    relation heads and query tokens. Version 1: attention (queries with keys) and values with
    values, `relation_heads` being the models' own number of heads. Version 2: queries, keys and
    values each with themselves, the last axis cut anew into `relation_heads` groups, so the
    models may have other numbers of heads.

    Args:
        student: (queries, keys, values), each (B, L, width) with the heads side by side.
        teacher: the same of the teacher; its width may differ.
        relation_heads: into how many groups the width is cut.
        version: 1 or 2.
        mask: True (B, L) at real tokens; None for all.

    Returns:
        A scalar in nats, summed over relations.

    Raises:
        ValueError: for lengths that differ (both must read the same tokens), a width that
            relation_heads does not divide, another version, or a mask that keeps nothing.

    Source: Wang et al. 2020 (MiniLM), section 3; Wang et al. 2021 (MiniLMv2), arXiv:2012.15828.

    >>> x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    >>> wider = torch.cat((x, x), -1)
    >>> minilm_relation_loss((x, x, x), (x, x, x), relation_heads=4).item()
    0.0
    >>> minilm_relation_loss((x, x, x), (wider, wider, wider), relation_heads=2) > 0
    tensor(True)
    """
    if version not in RELATIONS:
        raise ValueError(
            f"version must be 1 (attention, values) or 2 (queries, keys, values), got {version!r}."
        )
    for name, layer in (("student", student), ("teacher", teacher)):
        if not isinstance(layer, Sequence) or len(layer) != 3:
            raise TypeError(
                f"{name} must be the three tensors (queries, keys, values) of one layer, got "
                f"{type(layer).__name__}."
            )
    for s, t in zip(student, teacher, strict=True):
        check_features(
            s, t, "B L width", free="width", mend="Give both models the same tokens, or pool them."
        )
    if mask is not None:
        shape = teacher[0].shape
        mask = check_mask_shape(mask, shape[:2], f"the queries have shape {tuple(shape)}")
    terms = []
    for i, j in RELATIONS[version]:
        log_s = _log_relation(student[i], student[j], relation_heads, mask)
        log_t = _log_relation(teacher[i], teacher[j], relation_heads, mask)
        terms.append(mean_over(kl(log_t, log_s).mean(1), mask))
    return torch.stack(terms).sum()


def _log_relation(a: Tensor, b: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """log softmax(A B^T / sqrt(d)) a head: (B, L, width) twice -> (B, heads, L, L)."""
    a, b = (_regroup(in_float32(blank_features(x, mask)), heads) for x in (a, b))
    scores = a @ b.transpose(-1, -2) / math.sqrt(a.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :], NOTHING)
    return scores.log_softmax(-1)


def _regroup(x: Tensor, heads: int) -> Tensor:
    """Cut the width into relation heads: (B, L, width) -> (B, heads, L, width / heads)."""
    heads = plain_number(heads)
    if not isinstance(heads, int) or heads < 1 or x.shape[-1] % heads:
        raise ValueError(
            f"relation_heads = {heads!r} does not divide the width {x.shape[-1]}: expected a "
            "positive common divisor of both models' widths."
        )
    return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)


def _pairs(mask: Tensor | None, scores: Tensor) -> Tensor:
    """Which (query, key) pairs count: (B, Q, K) booleans."""
    shape = (scores.shape[0], scores.shape[2], scores.shape[3])
    beside = f"the scores have shape {tuple(scores.shape)}"
    if mask is None:
        return torch.ones(shape, dtype=torch.bool, device=scores.device)
    if isinstance(mask, Tensor) and mask.dim() == 2 and shape[1] == shape[2]:
        tokens = check_mask_shape(mask, shape[:2], beside)
        return tokens.unsqueeze(-1) & tokens.unsqueeze(1)
    return check_mask_shape(mask, shape, beside)


def _refuse_probabilities(scores: Tensor) -> None:
    if not readable(scores) or scores.shape[-1] < 2:
        return
    rows = scores.detach().sum(-1)
    if (rows - 1).abs().max() < 1e-2 and scores.min() >= 0:
        raise ValueError(
            "the teacher's attention scores are non-negative and every row sums to one: they look "
            "like probabilities. This loss needs the scores before the softmax: take q k^T / "
            "sqrt(d) from the layer's queries and keys."
        )
