"""Divergences between two softmaxes.

Over many classes the first three work out their gradient by hand, in a fraction of the time and
memory: the readable form is `losses.reference`.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from distill_lab._util.checks import fraction
from distill_lab._util.tensors import kl, values_at_hand
from distill_lab.losses import reference
from distill_lab.losses._checks import check_fraction, check_logits, mean_over
from distill_lab.losses.chunked import by_hand, kernels
from distill_lab.losses.reference import check_inner_fraction, log_mixture, log_probabilities

# numbers from which a gradient by hand is faster; on a GPU it compiles a kernel first, and waits
MANY = {"cpu": 2**18, "cuda": 2**24}


def forward_kl(
    student_logits: Tensor, teacher_logits: Tensor, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Forward Kullback-Leibler divergence KL(p || q), in nats: the student must cover the teacher.

    Formula: sum_k p_k (log p_k - log q_k), mean over positions; no factor T squared.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: for shapes that differ, T <= 0 or a mask that keeps nothing.

    Source: Hinton, Vinyals & Dean 2015, section 2.

    >>> p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    >>> round(forward_kl(q, p).item(), 6)
    0.368064
    """
    if worth_by_hand(student_logits, teacher_logits):
        sides = student_logits, teacher_logits
        return by_hand(*sides, kernels.forward_kl, reference.forward_kl, T, mask, twice=True)
    return reference.forward_kl(student_logits, teacher_logits, T=T, mask=mask)


def reverse_kl(
    student_logits: Tensor, teacher_logits: Tensor, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Reverse Kullback-Leibler divergence KL(q || p), in nats: the student may pick one mode.

    Formula: sum_k q_k (log q_k - log p_k), mean over positions; no factor T squared.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: for shapes that differ, T <= 0 or a mask that keeps nothing.

    Source: Gu et al. 2023 (MiniLLM), section 2.

    >>> p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    >>> round(reverse_kl(q, p).item(), 6)
    0.510826
    """
    if worth_by_hand(student_logits, teacher_logits):
        sides = student_logits, teacher_logits
        return by_hand(*sides, kernels.reverse_kl, reference.reverse_kl, T, mask, twice=True)
    return reference.reverse_kl(student_logits, teacher_logits, T=T, mask=mask)


def jsd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    T: float = 1.0,
    beta: float = 0.5,
    mask: Tensor | None = None,
) -> Tensor:
    """Generalised Jensen-Shannon divergence, in nats; symmetric and at most ln 2 for beta = 0.5.

    Formula: beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q.
    As beta -> 0, jsd / beta -> KL(p || q); the value itself goes to 0, so the ends are refused.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        T: temperature of both softmaxes.
        beta: the teacher's share of the mixture.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: as `forward_kl`, and for beta outside the open interval (0, 1).

    Source: Agarwal et al. 2023 (GKD), section 2.

    >>> far = jsd(torch.tensor([[0.0, 99.0]]), torch.tensor([[99.0, 0.0]]))
    >>> round(far.item(), 4)  # ln 2
    0.6931
    """
    check_inner_fraction("beta", beta)
    if worth_by_hand(student_logits, teacher_logits):
        kernel, plain = partial(kernels.jsd, beta=beta), partial(reference.jsd, beta=beta)
        return by_hand(student_logits, teacher_logits, kernel, plain, T, mask, twice=True)
    return reference.jsd(student_logits, teacher_logits, T=T, mask=mask, beta=beta)


def generalised_jsd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    beta: float = 0.5,
    T: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """GKD's family of divergences: `jsd` inside, forward KL at beta = 0, reverse KL at beta = 1.

    Formula: beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q, and the KL itself
    at the ends, as TRL and Liger have it. The family jumps there: the value goes to 0 as beta -> 0
    or 1 (jsd / beta -> KL), and then is the whole KL. Near an end, raise the weight or use the end.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        beta: the teacher's share of the mixture, from 0 to 1.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: as `forward_kl`, and for beta outside [0, 1].

    Source: Agarwal et al. 2023 (GKD), section 2.

    >>> z_s, z_t = torch.tensor([[0.0, 9.0]]), torch.tensor([[9.0, 0.0]])
    >>> [round(generalised_jsd(z_s, z_t, beta=b).item(), 3) for b in (0.0, 0.001, 0.5, 1.0)]
    [8.998, 0.008, 0.692, 8.998]
    """
    beta = check_fraction("beta", beta)
    if beta == 0:
        return forward_kl(student_logits, teacher_logits, T=T, mask=mask)
    if beta == 1:
        return reverse_kl(student_logits, teacher_logits, T=T, mask=mask)
    return jsd(student_logits, teacher_logits, T=T, beta=beta, mask=mask)


def skew_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    alpha: float = 0.1,
    direction: Literal["forward", "reverse"] = "forward",
    T: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """KL to a mixture with a share of the other side, so that it is at most -log(alpha).

    Formula: "forward" KL(p || alpha p + (1 - alpha) q); "reverse" KL(q || alpha q + (1 - alpha) p).
    The divergence itself: published programs drop the entropy and so are not 0 for equal models.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        alpha: the share of the distribution itself in the mixture.
        direction: which side is compared with the mixture.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: as `forward_kl`, for alpha outside (0, 1) or another direction.

    Source: Ko et al. 2024 (DistiLLM), arXiv:2402.03898.

    >>> far = skew_kl(torch.tensor([[0.0, 999.0]]), torch.tensor([[999.0, 0.0]]), alpha=0.1)
    >>> round(far.item(), 4)  # ln 10
    2.3026
    """
    why = ": at 0 it is forward_kl or reverse_kl, at 1 it is zero for every student."
    alpha = fraction("alpha", alpha, ends=False, why=why)
    if direction not in ("forward", "reverse"):
        raise ValueError(f"direction must be 'forward' or 'reverse', got {direction!r}.")
    log_q, log_p, mask = log_probabilities(student_logits, teacher_logits, T, mask)
    log_a, log_b = (log_p, log_q) if direction == "forward" else (log_q, log_p)
    return mean_over(kl(log_a, log_mixture(log_a, log_b, alpha)), mask)


def total_variation(
    student_logits: Tensor, teacher_logits: Tensor, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Half the absolute difference of the two distributions: the probability that is misplaced.

    Formula: sum_k |p_k - q_k| / 2, mean over positions; between 0 and 1, symmetric.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar, a probability, the mean over positions; no factor T squared.

    Raises:
        ValueError: as `forward_kl`.

    Source: Wen et al. 2023 (f-distill), arXiv:2307.15190.

    >>> p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    >>> round(total_variation(q, p).item(), 4)
    0.4
    """
    log_q, log_p, mask = log_probabilities(student_logits, teacher_logits, T, mask)
    return mean_over((log_p.exp() - log_q.exp()).abs().sum(-1) / 2, mask)


def worth_by_hand(student_logits: Tensor, teacher_logits: Tensor) -> bool:
    """Whether a divergence of these is better worked out by hand, its gradient with it.

    Not where values are traced or stand for many, nor for a teacher that learns as well.
    """
    if not isinstance(student_logits, Tensor):
        return False  # the readable form refuses it, in words
    if student_logits.numel() < MANY.get(student_logits.device.type, 2**18):
        return False
    check_logits(student_logits, teacher_logits)
    learns = torch.is_grad_enabled() and teacher_logits.requires_grad
    return not learns and all(values_at_hand(z) for z in (student_logits, teacher_logits))
