"""Decoupled distillation: what is said of the true class, apart from what is said of the others."""

import math

import torch
from torch import Tensor

from distill_lab.losses.logspace import kl
from distill_lab.losses.positions import (
    IGNORE,
    blank_out,
    check_labels,
    check_logits,
    check_mask,
    check_temperature,
    mean_over,
)


def dkd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    T: float = 4.0,
    alpha: float = 1.0,
    beta: float = 8.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Decoupled distillation: the target class against the rest, and the rest among themselves.

    Formula: T^2 (alpha TCKD + beta NCKD), where TCKD = KL of the pair (p_y, 1 - p_y) and NCKD = KL
    over the classes other than y; KL(p || q) = TCKD + (1 - p_y) NCKD. Everything stays in log
    space (logsumexp), so the loss is finite however confident the student is.
    Shapes: logits (..., C), labels and mask (...) -> scalar. Positions labelled -100 are left out.
    Raises as ``kd_loss``. Zhao et al. 2022, section 3.3, eq. 7.

    >>> z = torch.tensor([[9.0, 1.0, 0.0]])
    >>> dkd_loss(z, z, torch.tensor([0]))
    tensor(0.)
    """
    check_logits(student_logits, teacher_logits)
    check_temperature(T)
    check_labels(labels, student_logits)
    labelled = labels != IGNORE
    mask = check_mask(labelled if mask is None else labelled & mask.bool(), student_logits)
    z_s, z_t = blank_out((student_logits, teacher_logits), mask)
    y = torch.where(mask, labels, 0).long().unsqueeze(-1)

    target_q, others_q = _target_against_rest(z_s / T, y)
    target_p, others_p = _target_against_rest(z_t / T, y)
    return mean_over(T**2 * (alpha * kl(target_p, target_q) + beta * kl(others_p, others_q)), mask)


def _target_against_rest(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of (target, all others) (..., 2), and among the others (..., C)."""
    is_target = torch.zeros_like(z, dtype=torch.bool).scatter(-1, y, True)
    others = z.masked_fill(is_target, -math.inf)
    pair = torch.cat((z.gather(-1, y), others.logsumexp(-1, keepdim=True)), -1)
    return pair.log_softmax(-1), others.log_softmax(-1)
