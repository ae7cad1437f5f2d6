"""The divergences as one reads them: a few lines each, and autograd does the rest.

`losses.forward_kl`, `reverse_kl` and `jsd` compute the same. Over many classes they do it from a
gradient worked out by hand, in a fraction of the time and memory; these are what they are held to.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.checks import fraction
from distill_lab._util.tensors import check_temperature, kl, kl_terms, readable, values_at_hand
from distill_lab.losses._checks import blank_out, check_logits, check_mask, mean_over


def forward_kl(
    student_logits: Tensor, teacher_logits: Tensor, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """`losses.forward_kl` in readable form: KL(p || q), mean over positions."""
    log_q, log_p, mask = log_probabilities(student_logits, teacher_logits, T, mask)
    return mean_kl(log_p, log_q, mask)


def reverse_kl(
    student_logits: Tensor, teacher_logits: Tensor, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """`losses.reverse_kl` in readable form: KL(q || p), mean over positions."""
    log_q, log_p, mask = log_probabilities(student_logits, teacher_logits, T, mask)
    return mean_kl(log_q, log_p, mask)


def jsd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    T: float = 1.0,
    beta: float = 0.5,
    mask: Tensor | None = None,
) -> Tensor:
    """`losses.jsd` in readable form: beta KL(p || m) + (1 - beta) KL(q || m), mean over positions.

    >>> far = jsd(torch.tensor([[0.0, 99.0]]), torch.tensor([[99.0, 0.0]]))
    >>> round(far.item(), 4)  # ln 2
    0.6931
    """
    check_inner_fraction("beta", beta)
    log_q, log_p, mask = log_probabilities(student_logits, teacher_logits, T, mask)
    return mean_over(mixture_divergence(log_p, log_q, beta), mask)


def log_probabilities(
    student_logits: Tensor, teacher_logits: Tensor, T: float, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Checked log q, log p of shape (..., C), and the mask as booleans."""
    check_logits(student_logits, teacher_logits)
    T = check_temperature(T)
    mask = None if mask is None else check_mask(mask, student_logits)
    z_s, z_t = blank_out((student_logits, teacher_logits), mask)
    return (z_s / T).log_softmax(-1), (z_t / T).log_softmax(-1), mask


def mean_kl(log_a: Tensor, log_b: Tensor, mask: Tensor | None, *, times: float = 1) -> Tensor:
    """times KL(a || b), mean over positions."""
    if mask is None and values_at_hand(log_b):
        # one sum and one factor: each further operation costs a small step two per cent
        factor = times / (log_a.numel() // log_a.shape[-1])
        if readable(log_b):  # torch's fused kernel is faster, but 0 log 0 is NaN to it
            fused = F.kl_div(log_b, log_a, reduction="sum", log_target=True) * factor
            if math.isfinite(fused.item()):
                return fused
        value = kl_terms(log_a, log_b).sum() * factor
    else:
        value = times * mean_over(kl(log_a, log_b), mask)
    refuse_infinite(value, "the KL")
    return value


class InfiniteTermError(ValueError):
    """A divergence is infinite: one side rules out what the other does not."""


def refuse_infinite(value: Tensor, what: str) -> None:
    """Refuse to learn from an infinite divergence, where that can be read: it has no slope."""
    if value.requires_grad and readable(value) and value.item() == math.inf:
        raise InfiniteTermError(
            f"{what} is infinite, and its gradient NaN: one side rules a class out, with a logit "
            "of -inf, and the other does not. Rule it out on both sides, or on neither. Where the "
            "teacher alone does, forward_kl is finite; jsd and skew_kl are in any case."
        )


def check_inner_fraction(name: str, value: float) -> None:
    """Refuse a share of a mixture that is not strictly between 0 and 1."""
    fraction(
        name,
        value,
        ends=False,
        why=": at the ends the divergence is zero for every student. Use forward_kl or reverse_kl "
        "there.",
    )


def mixture_divergence(log_p: Tensor, log_q: Tensor, beta: float) -> Tensor:
    """beta KL(p || m) + (1 - beta) KL(q || m) a position: (..., C) -> (...)."""
    log_m = log_mixture(log_p, log_q, beta)
    return beta * kl(log_p, log_m) + (1 - beta) * kl(log_q, log_m)


def log_mixture(log_a: Tensor, log_b: Tensor, share: float) -> Tensor:
    """log(share a + (1 - share) b), for a share strictly between 0 and 1."""
    # a floor under -inf: the gradient of logaddexp(-inf, -inf) is NaN
    floor_a, floor_b = log_a.clamp_min(-1e30), log_b.clamp_min(-1e30)
    return torch.logaddexp(floor_a + math.log(share), floor_b + math.log1p(-share))
