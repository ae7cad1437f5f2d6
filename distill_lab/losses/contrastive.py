"""Contrastive distillation: tell the teacher's view of the same example from that of others."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab.losses.layout import check_features, rows, unit
from distill_lab.losses.positions import check_temperature


def crd_loss(
    student: Tensor,
    teacher: Tensor,
    negatives: tuple[Tensor, Tensor] | None = None,
    *,
    T: float = 0.07,
    log_normaliser: tuple[float, float] = (0.0, 0.0),
    mask: Tensor | None = None,
) -> Tensor:
    """Contrastive representation distillation: each row's partner against N rows that are not.

    Formula: mean over rows of -log h(s, t) - sum_n log(1 - h(s, t_n)), plus the same with student
    and teacher exchanged; h = e^c / (e^c + N Z), c = cosine / T. It is noise-contrastive
    estimation: with N noise draws for each true pair and Z the mean of e^c over noise, h is the
    probability that a pair is true. Z = 1 unless ``log_normaliser`` (log Z of the teacher's noise,
    of the student's) says otherwise. All in log space: finite at any cosine.
    Shapes: student and teacher (B, D) of one width (project first); negatives (of the student, of
    the teacher), each (B, N, D), from a ``MemoryBank``, or None for the other rows of the batch;
    mask (B,) -> scalar.
    Raises ValueError for shapes that differ, T <= 0, or fewer than two rows without negatives.
    Tian, Krishnan & Isola 2020 (CRD), arXiv:1910.10699.

    >>> x = torch.eye(4)
    >>> bool(crd_loss(x, x) < crd_loss(x, x.roll(1, 0)))  # partners that agree cost less
    True
    """
    check_temperature(T)
    check_features(
        student, teacher, "B D", mend="Give both sides one width with a projections.Regressor."
    )
    s, t = (unit(f) for f in rows(student, teacher, mask, at_least=1 if negatives else 2))
    positive = (s * t).sum(-1) / T
    if negatives is None:
        cosines = s @ t.T / T
        others = ~torch.eye(len(s), dtype=torch.bool, device=s.device)
        # row i of each: the negatives of the i-th student, of the i-th teacher
        against_t, against_s = (c[others].reshape(len(s), -1) for c in (cosines, cosines.T))
    else:
        banks = [_noise(n, student) for n in negatives]
        of_student, of_teacher = (n if mask is None else n[mask.bool()] for n in banks)
        against_t = torch.einsum("bd,bnd->bn", s, unit(of_teacher)) / T
        against_s = torch.einsum("bd,bnd->bn", t, unit(of_student)) / T
    z_t, z_s = log_normaliser
    return _nce(positive, against_t, z_t) + _nce(positive, against_s, z_s)


def _nce(positive: Tensor, noise: Tensor, log_z: float) -> Tensor:
    """-log h of the true pair minus sum log(1 - h) of the noise, mean over rows."""
    level = math.log(noise.shape[-1]) + log_z
    return (F.softplus(level - positive) + F.softplus(noise - level).sum(-1)).mean()


def _noise(negatives: Tensor, student: Tensor) -> Tensor:
    expected = (student.shape[0], student.shape[1])
    shape = negatives.shape
    if len(shape) != 3 or (shape[0], shape[2]) != expected or shape[1] == 0:
        raise ValueError(
            f"negatives have shape {tuple(shape)}: expected (B, N, D) with B = {expected[0]} and "
            f"D = {expected[1]}, one set a row. MemoryBank.negatives draws them so."
        )
    return negatives.to(student.device, torch.promote_types(student.dtype, torch.float32))
