"""Quantities: squared errors, and Gaussians with a mean and a variance.

Means run over all numbers that are known, as in torch.nn.MSELoss.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.tensors import in_float32, readable
from distill_lab.losses._checks import check_mask_shape, kept_by, mean_over, narrowed, refuse_empty

MOST = 20.0  # log-variances are held within +-20, so that no precision overflows


def squared_error(prediction: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Squared difference between two predictions, or one and its labels: mean over known numbers.

    Formula: (f - y)^2.

    Args:
        prediction: numbers (..., D).
        target: a teacher's numbers or labels (..., D), NaN where there is none.
        mask: True (...) at the positions that count, or what each weighs; None for all.

    Returns:
        A scalar in squares of the quantity.

    Raises:
        ValueError: for shapes that differ, or nothing known at all.
        TypeError: for anything but floating-point predictions.

    >>> squared_error(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [torch.nan]]))
    tensor(4.)
    """
    f, y = _same_shape(prediction, target)
    if mask is None and readable(f):
        value = F.mse_loss(f, y)
        if math.isfinite(value.item()):
            return value
    weights, (f,) = _known(y, mask, f)
    return mean_over((f - torch.where(kept_by(weights), y, 0.0)).square(), weights)


def gaussian_nll(prediction: Tensor, labels: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of labels under a predicted Gaussian, without the constant.

    Formula: (log v + (y - m)^2 / v) / 2, mean over known numbers, m the mean and v the variance.

    Args:
        prediction: means (..., :D) and logarithms of variances (..., D:), together (..., 2 D).
        labels: numbers (..., D), NaN where there is none.
        mask: True (...) at the positions that count, or what each weighs; None for all.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: for shapes that do not fit, or nothing known at all.

    Source: Nix & Weigend 1994; Kendall & Gal 2017, eq. 5, for the log-variance.

    >>> gaussian_nll(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0]]))
    tensor(2.)
    """
    mean, log_v = _halves("prediction", prediction)
    mean, y = _same_shape(mean, labels)
    weights, (mean, log_v) = _known(y, mask, mean, log_v)
    y = torch.where(kept_by(weights), y, 0.0)
    return mean_over((log_v + (y - mean).square() * (-log_v).exp()) / 2, weights)


def gaussian_kl(student: Tensor, teacher: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """KL divergence of the teacher's Gaussian from the student's, mean over numbers, in nats.

    Formula: (log v_s - log v_t + (v_t + (m_t - m_s)^2) / v_s - 1) / 2. With v_s = v_t it is the
    squared error in units of the teacher's variance: (m_t - m_s)^2 / (2 v_t).

    Args:
        student: means (..., :D) and logarithms of variances (..., D:), together (..., 2 D).
        teacher: the teacher's, likewise.
        mask: True (...) at the positions that count, or what each weighs; None for all.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: for shapes that differ or an odd last axis.

    >>> sure, unsure = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> gaussian_kl(sure, sure), round(gaussian_kl(unsure, sure).item(), 4)
    (tensor(0.), 0.5677)
    """
    student, teacher = _same_shape(student, teacher)
    mean_s, log_v_s = _halves("student", student)
    mean_t, log_v_t = _halves("teacher", teacher)
    weights = None
    if mask is not None:
        weights, (mean_s, log_v_s, mean_t, log_v_t) = _known(
            torch.zeros_like(mean_s), mask, mean_s, log_v_s, mean_t, log_v_t
        )
    gap = log_v_t - log_v_s
    distance = (mean_t - mean_s).square() * (-log_v_s).exp()
    return mean_over((torch.expm1(gap) - gap + distance) / 2, weights)


def _halves(name: str, prediction: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of each number, the latter within its bounds."""
    if prediction.shape[-1] % 2:
        raise ValueError(
            f"{name} has shape {tuple(prediction.shape)}: expected means and log-variances beside "
            "each other, an even number on the last axis."
        )
    mean, log_variance = in_float32(prediction).chunk(2, -1)
    return mean, log_variance.clamp(-MOST, MOST)


def _same_shape(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32 at least, refusing shapes that would only broadcast."""
    for name, value in (("prediction", prediction), ("target", target)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a torch tensor, not {type(value).__name__}.")
    if not prediction.is_floating_point():
        raise TypeError(f"prediction must hold floating-point numbers, not {prediction.dtype}.")
    if prediction.shape != target.shape or prediction.dim() == 0:
        raise ValueError(
            f"the prediction has shape {tuple(prediction.shape)} and its target "
            f"{tuple(target.shape)}: expected the same (..., D). Shapes that broadcast would "
            "compare each example with every other."
        )
    refuse_empty("prediction", prediction)
    f = in_float32(prediction)
    return f, target.to(f.dtype)


def _known(y: Tensor, mask: Tensor | None, *others: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What each number weighs (..., D), and the others without what does not count."""
    known = ~y.isnan()
    if mask is not None:
        beside = f"the numbers have shape {tuple(y.shape)}"
        mask = check_mask_shape(mask, y.shape[:-1], beside, weights=True)
        mask = mask.unsqueeze(-1).expand(y.shape)
    weights = narrowed(mask, known)
    if readable(weights) and not weights.any():
        raise ValueError(
            "no number has a label, so the mean has nothing to average: expected at least one "
            "that is not NaN."
        )
    kept = kept_by(weights)
    return weights, [torch.where(kept, other, 0.0) for other in others]
