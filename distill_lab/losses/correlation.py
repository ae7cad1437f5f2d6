"""Distillation by correlation: match how scores rise and fall together, not their values."""

import torch
from torch import Tensor

from distill_lab.losses.layout import unit
from distill_lab.losses.positions import check_logits, check_mask, check_temperature, in_float32

ROUNDING = 1e-6  # a vector that varies this much less than it is long is constant


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
    A row or column that is constant on one side alone costs 1, on both sides nothing.
    The intra term compares examples of the batch: a batch of four is not two batches of two.
    Shapes: logits (..., C), mask (...) -> scalar; positions are the examples.
    Raises as ``forward_kl``, and ValueError for fewer than two examples while gamma is not 0.
    Huang et al. 2022 (DIST), section 3, eqs. 8 to 10.

    >>> z = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
    >>> dist_loss(z, z) < 1e-6
    tensor(True)
    """
    check_logits(student_logits, teacher_logits)
    check_temperature(T)
    q, p = (in_float32(z).flatten(0, -2) for z in (student_logits, teacher_logits))
    if mask is not None:  # a zeroed example would still be an example to the intra term
        kept = check_mask(mask, student_logits).flatten()
        q, p = q[kept], p[kept]
    if gamma and len(q) < 2:
        raise ValueError(
            f"the intra term of dist_loss compares examples and got {len(q)}: expected at least "
            "two. Use a larger batch, or gamma = 0."
        )
    q, p = ((z / T).softmax(-1) for z in (q, p))
    inter = _one_minus_pearson(q, p).mean()
    intra = _one_minus_pearson(q.T, p.T).mean() if gamma else 0.0
    return T**2 * (beta * inter + gamma * intra)


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
