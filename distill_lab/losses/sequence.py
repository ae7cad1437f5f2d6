"""Sequence distillation: token by token, the student's next-token distribution to the teacher's.

Align once with `shift_for_next_token`; then every loss of this package that takes a mask is a
token loss, for example forward and reverse KL over the answer's tokens:

    pair = shift_for_next_token(student_logits, labels, teacher_logits)
    forward_kl(pair.student_logits, pair.teacher_logits, mask=pair.mask)
"""

from typing import NamedTuple

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE, check_temperature, check_tensor
from distill_lab.losses._checks import (
    blank_out,
    check_classes,
    check_labels,
    check_mask,
    check_mask_shape,
    check_some,
    mean_over,
)


class NextToken(NamedTuple):
    """Logits beside the tokens they predict, and which of these count.

    Args:
        student_logits: scores (B, L - 1, C).
        labels: tokens (B, L - 1), -100 where there is nothing to learn.
        mask: True (B, L - 1) where there is.
        teacher_logits: scores (B, L - 1, C_t), or None.
    """

    student_logits: Tensor  # (B, L - 1, C)
    labels: Tensor  # (B, L - 1), -100 where there is nothing to learn
    mask: Tensor  # (B, L - 1), True where there is
    teacher_logits: Tensor | None  # (B, L - 1, C_t)


def shift_for_next_token(
    student_logits: Tensor, labels: Tensor, teacher_logits: Tensor | None = None
) -> NextToken:
    """Align causal logits with the tokens they predict: position i predicts token i + 1.

    The labels are the input tokens with -100 on the prompt and padding, not shifted. The teacher's
    vocabulary may differ (for `uld_loss`).

    Args:
        student_logits: scores (B, L, C).
        labels: the input tokens (B, L), not shifted, with -100 on the prompt and padding.
        teacher_logits: scores (B, L, C_t); the vocabulary may differ.

    Returns:
        A `NextToken` of L - 1 positions.

    Raises:
        ValueError: for fewer than two tokens, labels of another shape or out of range, or no label
            left after the shift.

    >>> pair = shift_for_next_token(torch.zeros(1, 3, 9), torch.tensor([[-100, 7, 8]]))
    >>> pair.labels, pair.mask, pair.student_logits.shape
    (tensor([[7, 8]]), tensor([[True, True]]), torch.Size([1, 2, 9]))
    """
    check_tensor("student_logits", student_logits)
    if student_logits.dim() != 3 or student_logits.shape[1] < 2:
        raise ValueError(
            f"student_logits have shape {tuple(student_logits.shape)}: expected (B, L, C) with at "
            "least two tokens, since the first has nothing before it to be predicted from."
        )
    if teacher_logits is not None:
        check_tensor("teacher_logits", teacher_logits)
        if teacher_logits.shape[:-1] != student_logits.shape[:-1]:
            raise ValueError(
                f"teacher_logits have shape {tuple(teacher_logits.shape)} and student_logits "
                f"{tuple(student_logits.shape)}: expected the same (B, L). Give both models the "
                "same tokens."
            )
        teacher_logits = teacher_logits[:, :-1]
    check_labels(labels, student_logits)
    labels = labels[:, 1:]
    mask = check_mask_shape(labels != IGNORE, labels.shape, "the labels were shifted")
    return NextToken(student_logits[:, :-1], labels, mask, teacher_logits)


def pair_by_order(
    student_logits: Tensor, student_mask: Tensor, teacher_logits: Tensor, teacher_mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Put the n-th answer token of one tokenisation beside the n-th of the other, for `uld_loss`.

    Two tokenisers cut one answer into different numbers of tokens, and at different places. Of each
    example as many positions are kept as the shorter answer has; the rest of the longer one is not
    compared at all, and what stands side by side need not be the same piece of text.

    Args:
        student_logits: scores (B, L_s, C_s).
        student_mask: True (B, L_s) where an answer token is predicted.
        teacher_logits: scores (B, L_t, C_t).
        teacher_mask: True (B, L_t) where an answer token is predicted.

    Returns:
        Student (B, L, C_s), teacher (B, L, C_t) and mask (B, L).

    Raises:
        ValueError: for another number of texts, masks of another shape, or no token on one side.

    Source: Boizard et al. 2024 (ULD), arXiv:2402.12030, who cut both answers to the shorter.

    >>> z_s, z_t = torch.arange(4.0).view(1, 4, 1), torch.arange(3.0).view(1, 3, 1)
    >>> a, b, mask = pair_by_order(
    ...     z_s, torch.tensor([[False, True, True, True]]), z_t, torch.tensor([[True, False, True]])
    ... )
    >>> a.flatten().tolist(), b.flatten().tolist(), mask.tolist()
    ([1.0, 2.0], [0.0, 2.0], [[True, True]])
    """
    if len(student_logits) != len(teacher_logits):
        raise ValueError(
            f"student_logits hold {len(student_logits)} texts and teacher_logits "
            f"{len(teacher_logits)}: give both models the same texts in the same order."
        )
    kept = [
        check_mask(mask, logits)
        for mask, logits in ((student_mask, student_logits), (teacher_mask, teacher_logits))
    ]
    common = torch.minimum(kept[0].sum(1), kept[1].sum(1))
    longest = int(common.max())
    if longest == 0:
        raise ValueError(
            "no text has an answer token on both sides, so there is nothing to compare: look at "
            "the two masks."
        )
    sides = []
    for logits, mask in zip((student_logits, teacher_logits), kept, strict=True):
        first = (~mask).to(torch.int8).argsort(dim=1, stable=True)[:, :longest]  # the True ones
        sides.append(logits.gather(1, first.unsqueeze(-1).expand(-1, -1, logits.shape[-1])))
    return sides[0], sides[1], torch.arange(longest, device=common.device) < common.unsqueeze(1)


def uld_loss(
    student_logits: Tensor, teacher_logits: Tensor, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Universal logit distillation: compare sorted probabilities, so vocabularies may differ.

    Formula: sum_i |p_(i) - q_(i)|, both sorted downwards and the shorter one filled with zeros;
    mean over positions. It is blind to which token is meant: p against a permutation of p costs 0,
    however large their KL. Match shared tokens by another loss beside it.

    Args:
        student_logits: scores (..., C_s).
        teacher_logits: scores (..., C_t) of the aligned positions.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar, a probability from 0 to 2, the mean over positions.

    Raises:
        ValueError: for positions that differ, one class, T <= 0 or a mask that keeps nothing.

    Source: Boizard et al. 2024, arXiv:2402.12030.

    >>> from distill_lab.losses import forward_kl
    >>> p = torch.tensor([[0.7, 0.2, 0.1]]).log()
    >>> uld_loss(p[:, [2, 0, 1]], p) < 1e-6, round(forward_kl(p[:, [2, 0, 1]], p).item(), 2)
    (tensor(True), 1.04)
    """
    check_some("student_logits", student_logits)
    check_tensor("teacher_logits", teacher_logits)
    check_classes("student_logits", student_logits)
    check_classes("teacher_logits", teacher_logits)
    T = check_temperature(T)
    if student_logits.shape[:-1] != teacher_logits.shape[:-1]:
        raise ValueError(
            f"student_logits have shape {tuple(student_logits.shape)} and teacher_logits "
            f"{tuple(teacher_logits.shape)}: expected the same positions (...). Align the two "
            "tokenisations first; only the vocabularies may differ."
        )
    mask = None if mask is None else check_mask(mask, student_logits)
    z_s, z_t = blank_out((student_logits, teacher_logits), mask)
    q, p = ((z / T).softmax(-1).sort(-1, descending=True).values for z in (z_s, z_t))
    width = max(q.shape[-1], p.shape[-1])
    q, p = (torch.nn.functional.pad(x, (0, width - x.shape[-1])) for x in (q, p))
    return mean_over((p - q).abs().sum(-1), mask)
