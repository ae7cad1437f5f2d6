"""Relational distillation: how examples of a batch lie to each other, not where they lie.

Student and teacher may have other widths. Every row is compared with every other, so a batch of
four is not two batches of two, and a masked row is removed, not zeroed. Rows are the first axis
flattened, (B, ...) -> (B, D), or the axes that a mask covers.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab.losses.layout import rows, unit
from distill_lab.losses.logspace import kl

ROUNDING = 1e-6  # differences this much below the largest are rounding: they have no direction


def similarity_preserving_loss(
    student: Tensor, teacher: Tensor, *, mask: Tensor | None = None
) -> Tensor:
    """Match which examples excite the network alike.

    Formula: |G_s - G_t|_F^2 / B^2, where G = F F^T with each row scaled to Euclidean length 1.
    Shapes: (B, ...) both, mask (B,) -> scalar. Raises ValueError for batches that differ or fewer
    than two rows. Tung & Mori 2019, arXiv:1907.09682.

    >>> x = torch.eye(2)
    >>> round(similarity_preserving_loss(x, torch.ones(2, 2)).item(), 4)  # 1 - 1 / sqrt(2)
    0.2929
    """
    f_s, f_t = rows(student, teacher, mask)
    return (unit(f_s @ f_s.T) - unit(f_t @ f_t.T)).square().mean()


def rkd_distance_loss(student: Tensor, teacher: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Match the distances between examples, each side in units of its own mean distance.

    Formula: mean over all B^2 pairs of huber(d_s - d_t), d the Euclidean distance divided by the
    mean of the positive ones, huber(x) = x^2 / 2 up to 1 and |x| - 1/2 beyond. Distances come from
    differences, so a large common offset cancels nothing, and equal rows get no gradient.
    Shapes: (B, ...) both, mask (B,) -> scalar. Raises as ``similarity_preserving_loss``.
    Park et al. 2019, section 3.2.1.

    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> rkd_distance_loss(line, 7 * line + 1)  # scale and place do not matter
    tensor(0.)
    """
    f_s, f_t = rows(student, teacher, mask)
    return F.smooth_l1_loss(_relative_distances(f_s), _relative_distances(f_t))


def rkd_angle_loss(student: Tensor, teacher: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Match the angle that every two examples make, seen from every third.

    Formula: mean over all B^3 triples of huber(cos_s - cos_t), the cosine of the angle at i between
    j and k. Rows that are equal up to rounding have no direction: cosine 0 and no gradient.
    Memory grows with B^3. Shapes: (B, ...) both, mask (B,) -> scalar.
    Raises as ``similarity_preserving_loss``, for fewer than three rows. Park et al. 2019,
    section 3.2.2.

    >>> corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> rkd_angle_loss(corner, 5 - 2 * corner) < 1e-12  # turned, scaled and moved
    tensor(True)
    """
    f_s, f_t = rows(student, teacher, mask, at_least=3)
    return F.smooth_l1_loss(_angles(f_s), _angles(f_t))


def correlation_congruence_loss(
    student: Tensor,
    teacher: Tensor,
    *,
    gamma: float = 0.4,
    order: int = 2,
    mask: Tensor | None = None,
) -> Tensor:
    """Match a Gaussian kernel among examples, in the paper's Taylor form.

    Formula: |C_s - C_t|_F^2 / B^2, C_ij = exp(-2 gamma) sum_{p=0..order} (2 gamma c_ij)^p / p!,
    c the cosine: the expansion of exp(-gamma |x_i - x_j|^2) for rows of length 1.
    Shapes: (B, ...) both, mask (B,) -> scalar. Raises as ``similarity_preserving_loss``, and for
    gamma <= 0 or an order below 1. Peng et al. 2019, arXiv:1904.01802.

    >>> correlation_congruence_loss(torch.eye(2), 3 * torch.eye(2))
    tensor(0.)
    """
    if not 0 < gamma < math.inf or not isinstance(order, int) or order < 1:
        raise ValueError(
            f"the kernel needs gamma > 0 and a whole order of at least 1, got gamma = {gamma!r} "
            f"and order = {order!r}."
        )
    f_s, f_t = rows(student, teacher, mask)
    return (_taylor_kernel(f_s, gamma, order) - _taylor_kernel(f_t, gamma, order)).square().mean()


def pkt_loss(
    student: Tensor, teacher: Tensor, *, eps: float = 1e-7, mask: Tensor | None = None
) -> Tensor:
    """Match each example's probability of picking each other one as its neighbour.

    Formula: KL(P || Q), summed over the neighbours and mean over examples, with P and Q the rows of
    (1 + cosine) / 2 + eps scaled to sum 1, of the teacher and of the student. Published programs
    average over neighbours too and so give this divided by B.
    Shapes: (B, ...) both, mask (B,) -> scalar. Raises as ``similarity_preserving_loss``.
    Passalis & Tefas 2018, arXiv:1803.10837.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> pkt_loss(2 * x, x) < 1e-6
    tensor(True)
    """
    if not 0 < eps < 1:
        raise ValueError(f"eps must lie between 0 and 1, got {eps!r}: it keeps logarithms finite.")
    f_s, f_t = rows(student, teacher, mask)
    log_s, log_t = (_neighbours(f, eps) for f in (f_s, f_t))
    return kl(log_t, log_s).mean()


def _relative_distances(f: Tensor) -> Tensor:
    """Distances over their positive mean (B, B); all zero where every row is the same."""
    distances = torch.cdist(f, f, compute_mode="donot_use_mm_for_euclid_dist")
    mean = distances.sum() / (distances > 0).sum().clamp_min(1)
    return distances / torch.where(mean > 0, mean, 1.0)


def _angles(f: Tensor) -> Tensor:
    """Cosines (B, B, B): entry (i, j, k) is the angle at i between j and k."""
    differences = f.unsqueeze(0) - f.unsqueeze(1)  # (i, j, D)
    longest = torch.linalg.vector_norm(differences.detach(), dim=-1).max()
    directions = unit(differences, floor=ROUNDING * longest)
    return directions @ directions.transpose(1, 2)


def _cosines(f: Tensor) -> Tensor:
    directions = unit(f)
    return directions @ directions.T


def _taylor_kernel(f: Tensor, gamma: float, order: int) -> Tensor:
    cosines = _cosines(f)
    terms = [(2 * gamma * cosines) ** p / math.factorial(p) for p in range(1, order + 1)]
    return math.exp(-2 * gamma) * (1 + sum(terms[1:], start=terms[0]))


def _neighbours(f: Tensor, eps: float) -> Tensor:
    """Log-probability that row i picks row j: (B, B)."""
    # rounding may carry a cosine of -1 past -1 by more than eps
    similar = ((_cosines(f) + 1) / 2).clamp_min(0) + eps
    return similar.log() - similar.sum(-1, keepdim=True).log()
