"""What divergences between two softmaxes are made of: log-probabilities and KL, in log space."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab.losses.positions import (
    blank_out,
    check_logits,
    check_mask,
    check_temperature,
    mean_over,
    values_at_hand,
)


def log_probabilities(
    student_logits: Tensor, teacher_logits: Tensor, T: float, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Checked log q, log p of shape (..., C), and the mask as booleans."""
    check_logits(student_logits, teacher_logits)
    check_temperature(T)
    mask = None if mask is None else check_mask(mask, student_logits)
    z_s, z_t = blank_out((student_logits, teacher_logits), mask)
    return (z_s / T).log_softmax(-1), (z_t / T).log_softmax(-1), mask


def mean_kl(log_a: Tensor, log_b: Tensor, mask: Tensor | None, *, times: float = 1) -> Tensor:
    """times KL(a || b), mean over positions: torch's fused kernel where its answer is finite."""
    if mask is None and values_at_hand(log_b):
        positions = log_a.numel() // log_a.shape[-1]
        # one factor for both: each further operation costs a small step two per cent
        quick = F.kl_div(log_b, log_a, reduction="sum", log_target=True) * (times / positions)
        if math.isfinite(quick.item()):
            return quick
    return times * mean_over(kl(log_a, log_b), mask)


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a || b) a position: (..., C) -> (...). A class to which a gives nothing costs nothing."""
    a = log_a.exp()
    # where() on the ratio, not the product: -inf - -inf would send NaN into the gradient
    return (a * torch.where(a > 0, log_a - log_b, 0.0)).sum(-1)


def log_mixture(log_a: Tensor, log_b: Tensor, share: float) -> Tensor:
    """log(share a + (1 - share) b), for a share strictly between 0 and 1."""
    # a floor under -inf: the gradient of logaddexp(-inf, -inf) is NaN
    floor_a, floor_b = log_a.clamp_min(-1e30), log_b.clamp_min(-1e30)
    return torch.logaddexp(floor_a + math.log(share), floor_b + math.log1p(-share))
