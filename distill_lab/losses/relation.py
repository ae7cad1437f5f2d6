"""Relational distillation: how examples of a batch lie to each other, not where they lie.

Student and teacher may have other widths. Every row is compared with every other, so a batch of
four is not two batches of two, and a masked row is removed, not zeroed. Rows are the first axis
flattened, (B, ...) -> (B, D), or the axes that a mask covers.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.checks import plain_number
from distill_lab._util.tensors import check_temperature, in_float32, kl
from distill_lab.losses._checks import (
    check_examples,
    check_logits,
    check_mask,
    kept_by,
    mean_over,
    rows,
    unit,
)

ROUNDING = 1e-6  # differences this much below the largest are rounding: they have no direction


def similarity_preserving_loss(
    student: Tensor, teacher: Tensor, *, mask: Tensor | None = None
) -> Tensor:
    """Match which examples excite the network alike.

    Formula: |G_s - G_t|_F^2 / B^2, where G = F F^T with each row scaled to Euclidean length 1.

    Args:
        student: features (B, ...) of the student.
        teacher: features (B, ...) of the teacher, of any width.
        mask: True (B,) at the examples that count; the others are removed.

    Returns:
        A scalar without unit.

    Raises:
        ValueError: for batches that differ or fewer than two rows.

    Source: Tung & Mori 2019, arXiv:1907.09682.

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

    Args:
        student: features (B, ...) of the student.
        teacher: features (B, ...) of the teacher, of any width.
        mask: True (B,) at the examples that count; the others are removed.

    Returns:
        A scalar, in squares of the mean distance.

    Raises:
        ValueError: as `similarity_preserving_loss`.

    Source: Park et al. 2019, section 3.2.1.

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
    Memory grows with B^3.

    Args:
        student: features (B, ...) of the student.
        teacher: features (B, ...) of the teacher, of any width.
        mask: True (B,) at the examples that count; the others are removed.

    Returns:
        A scalar, in squared cosines. Memory grows with B^3.

    Raises:
        ValueError: as `similarity_preserving_loss`, for fewer than three rows.

    Source: Park et al. 2019, section 3.2.2.

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

    Args:
        student: features (B, ...) of the student.
        teacher: features (B, ...) of the teacher, of any width.
        gamma: how fast the kernel falls with distance.
        order: the last term of the Taylor series.
        mask: True (B,) at the examples that count; the others are removed.

    Returns:
        A scalar without unit.

    Raises:
        ValueError: as `similarity_preserving_loss`, and for gamma <= 0 or an order below 1.

    Source: Peng et al. 2019, arXiv:1904.01802.

    >>> correlation_congruence_loss(torch.eye(2), 3 * torch.eye(2))
    tensor(0.)
    """
    gamma, order = plain_number(gamma), plain_number(order)
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

    Args:
        student: features (B, ...) of the student.
        teacher: features (B, ...) of the teacher, of any width.
        eps: added to each similarity, so that logarithms are finite.
        mask: True (B,) at the examples that count; the others are removed.

    Returns:
        A scalar in nats, the mean over examples.

    Raises:
        ValueError: as `similarity_preserving_loss`.

    Source: Passalis & Tefas 2018, arXiv:1803.10837.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> pkt_loss(2 * x, x) < 1e-6
    tensor(True)
    """
    if not 0 < eps < 1:
        raise ValueError(f"eps must lie between 0 and 1, got {eps!r}: it keeps logarithms finite.")
    f_s, f_t = rows(student, teacher, mask)
    log_s, log_t = (_neighbours(f, eps) for f in (f_s, f_t))
    return kl(log_t, log_s).mean()


def similarity_loss(student: Tensor, teacher: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Match how similar every two examples are, as an index of embeddings compares them.

    Formula: mean over pairs i != j of (cos(s_i, s_j) - cos(t_i, t_j))^2. An example is no pair
    with itself: its 1 on both sides would only make the value shrink in small batches. No
    projection is needed, whatever the widths. A row of zeros has the cosine 0 with every other.

    Args:
        student: embeddings (B, ...) of the student.
        teacher: embeddings (B, ...) of the teacher, of any width.
        mask: True (B,) at the examples that count; the others are removed.

    Returns:
        A scalar, in squared cosines.

    Raises:
        ValueError: as `similarity_preserving_loss`.

    Source: Tung & Mori 2019, section 3, with cosines for their row norm and without the diagonal.

    >>> similarity_loss(torch.eye(2), torch.ones(2, 4)).item()  # at right angles, and equal
    1.0
    """
    f_s, f_t = rows(student, teacher, mask)
    # on the diagonal both are 1, or 0 for a row of zeros: it is not counted, and adds nothing
    off = 1 - torch.eye(len(f_s), dtype=f_s.dtype, device=f_s.device)
    squares = (off * (_cosines(f_s) - _cosines(f_t))).square()
    return squares.sum() / (len(f_s) * (len(f_s) - 1))


def dist_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    T: float = 1.0,
    beta: float = 1.0,
    gamma: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """DIST: correlate with the teacher among the classes of an example, and among the examples.

    Formula: T^2 (beta inter + gamma intra); inter = 1 - Pearson of the rows of p and q, mean over
    examples; intra = 1 - Pearson of their columns, mean over classes; p, q = softmax(z / T).
    Weights weigh the examples of the inter term; the intra term takes each once.
    A row or column that is constant on one side alone costs 1, on both sides nothing.
    The intra term compares examples of the batch: a batch of four is not two batches of two.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        T: temperature of both softmaxes.
        beta: what the classes of an example weigh.
        gamma: what the examples of a class weigh.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar without unit; it carries the factor T squared.

    Raises:
        ValueError: as `forward_kl`, and for fewer than two examples while gamma is not 0.

    Source: Huang et al. 2022 (DIST), section 3, eqs. 8 to 10.

    >>> z = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
    >>> dist_loss(z, z) < 1e-6
    tensor(True)
    """
    check_logits(student_logits, teacher_logits)
    T = check_temperature(T)
    q, p = (in_float32(z).flatten(0, -2) for z in (student_logits, teacher_logits))
    weights = None
    if mask is not None:  # a zeroed example would still be an example to the intra term
        weights = check_mask(mask, student_logits).flatten()
        kept = kept_by(weights)
        q, p, weights = q[kept], p[kept], weights[kept]
    if gamma:
        mend = "Use a larger batch, or gamma = 0."
        check_examples(len(q), 2, "the intra term of dist_loss compares", mend)
    q, p = ((z / T).softmax(-1) for z in (q, p))
    inter = mean_over(_one_minus_pearson(q, p), weights)
    intra = _one_minus_pearson(q.T, p.T).mean() if gamma else 0.0
    return T**2 * (beta * inter + gamma * intra)


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


def _one_minus_pearson(a: Tensor, b: Tensor) -> Tensor:
    """1 - correlation of each row of a with that row of b: (N, D) twice -> (N,)."""
    a, b = _standard(a), _standard(b)
    constant_a, constant_b = ((x == 0).all(-1) for x in (a, b))
    # half the squared distance of unit vectors is exactly 0 where they are equal
    return (a - b).square().sum(-1) / 2 + (constant_a ^ constant_b).to(a.dtype) / 2


def _standard(x: Tensor) -> Tensor:
    """Rows with mean 0 and length 1; those that vary by rounding alone become zero."""
    size = torch.linalg.vector_norm(x.detach(), dim=-1, keepdim=True)
    return unit(x - x.mean(-1, keepdim=True), floor=ROUNDING * size)
