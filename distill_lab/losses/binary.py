"""Independent labels, of which several may hold at once: a sigmoid for each, no softmax.

Sums run over labels and means over positions, as everywhere here. torch's BCEWithLogitsLoss
averages over the labels too: its value is ours divided by their number.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.tensors import (
    IGNORE,
    check_temperature,
    check_tensor,
    in_float32,
    readable,
    values_at_hand,
)
from distill_lab.losses._checks import (
    blank_out,
    check_class_weights,
    check_fraction,
    check_logits,
    check_mask,
    kept_by,
    mean_over,
    narrowed,
)

FAR = 1e30  # stands for a logit of infinity, whose product with 0 would be NaN


def binary_kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    T: float = 2.0,
    alpha: float = 0.7,
    mask: Tensor | None = None,
    pos_weight: Tensor | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Distillation of independent labels: soft targets of a sigmoid each, and the true labels.

    Formula: alpha T^2 sum_k KL(p_k || q_k) + (1 - alpha) sum_k BCE(z_s,k, y_k), KL that of two
    Bernoulli distributions, p and q sigmoids at T, each a mean over positions; BCE is at
    T = 1. One label is a softmax over the two logits 0 and z. A label that is unknown is left out
    of the hard term alone.

    Args:
        student_logits: the student's scores (..., C), one a label.
        teacher_logits: the teacher's scores (..., C) of the same labels.
        labels: 0 or 1, or a probability between (..., C); NaN or -100 where it is unknown.
        T: temperature of both sigmoids.
        alpha: what the soft term weighs; the labels weigh 1 - alpha.
        mask: True (...) at the positions that count, or what each weighs; None for all.
        pos_weight: what a label that holds weighs in the hard term, one number each (C,).
        class_weights: what each label weighs in the hard term (C,).

    Returns:
        A scalar in nats: sum over labels, mean over positions; the soft term carries T squared.

    Raises:
        ValueError: for shapes that differ, T <= 0, alpha outside [0, 1], alpha = 0 without labels,
            labels outside [0, 1], or nothing left to average.

    Source: Hinton, Vinyals & Dean 2015, section 2, for each label; Yang et al. 2023 (multi-label
        logits distillation), section 3.2.

    >>> z = torch.tensor([[2.0, -1.0, 0.0]])
    >>> binary_kd_loss(z, z, alpha=1.0)
    tensor(0.)
    >>> round(binary_kd_loss(0 * z, z, (z > 0).float(), T=1.0, alpha=0.0).item(), 4)  # 3 ln 2
    2.0794
    """
    alpha = check_fraction("alpha", alpha)
    check_logits(student_logits, teacher_logits, softmax=False)
    if labels is None and alpha == 0:
        raise ValueError(
            "binary_kd_loss with alpha = 0 is the cross-entropy with the labels, and none were "
            "given: pass labels, or an alpha above 0."
        )
    hard = None
    if labels is not None and alpha < 1:
        options = {"mask": mask, "pos_weight": pos_weight, "class_weights": class_weights}
        hard = binary_cross_entropy(student_logits, labels, **options)
    if alpha == 0 and hard is not None:
        return hard
    T = check_temperature(T)
    mask = None if mask is None else check_mask(mask, student_logits)
    soft = _mean_kl(student_logits, teacher_logits, T, mask, times=alpha * T**2)
    return soft if hard is None else soft + (1 - alpha) * hard


def binary_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    mask: Tensor | None = None,
    pos_weight: Tensor | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of independent labels at T = 1: sum over labels, mean over positions, in nats.

    Formula: -sum_k w_k (v_k y_k log q_k + (1 - y_k) log(1 - q_k)), q = sigmoid(z), v the
    `pos_weight` and w the `class_weights`. Unknown labels are left out: the value is C times the
    mean over those that are known.

    Args:
        logits: scores (..., C), one a label.
        labels: 0 or 1, or a probability between (..., C); NaN or -100 where it is unknown.
        mask: True (...) at the positions that count, or what each weighs; None for all.
        pos_weight: what a label that holds weighs, one number each (C,).
        class_weights: what each label weighs (C,).

    Returns:
        A scalar in nats.

    Raises:
        ValueError: for shapes that differ, labels outside [0, 1], or nothing known at all.

    >>> z, y = torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [1.0, torch.nan]])
    >>> round(binary_cross_entropy(z, y).item(), 4)  # 2 ln 2
    1.3863
    """
    check_tensor("logits", logits)
    for name, weights in (("pos_weight", pos_weight), ("class_weights", class_weights)):
        if weights is not None:
            check_class_weights(name, weights, logits)
    all_known = check_binary_labels(labels, logits)
    return mean_bce(logits, labels, mask, all_known, class_weights, pos_weight)


def mean_bce(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None,
    all_known: bool,
    class_weights: Tensor | None = None,
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The cross-entropy of labels that have been looked at already."""
    options: dict[str, Any] = {"weight": class_weights, "pos_weight": pos_weight}
    if all_known and mask is None:
        z = in_float32(logits)
        total = F.binary_cross_entropy_with_logits(
            z, labels.to(z.dtype), reduction="sum", **options
        )
        if math.isfinite(total.item()):
            return total / (z.numel() // z.shape[-1])
    known = known_labels(labels)
    if mask is not None:
        mask = check_mask(mask, logits).unsqueeze(-1).expand(known.shape)
    weights = narrowed(mask, known)
    if readable(weights) and not weights.any():
        raise ValueError(
            "no label is known where the mask keeps a position, so the mean has nothing to average."
        )
    kept = kept_by(weights)
    z = torch.where(kept, in_float32(logits), 0.0)
    y = torch.where(kept, labels, 0).to(z.dtype)
    each = F.binary_cross_entropy_with_logits(_finite(z), y, reduction="none", **options)
    return z.shape[-1] * mean_over(each, weights)


def known_labels(labels: Tensor) -> Tensor:
    """Where independent labels are known: not NaN and not -100.

    >>> known_labels(torch.tensor([1.0, torch.nan, -100.0]))
    tensor([ True, False, False])
    """
    known = labels != IGNORE
    return known & ~labels.isnan() if labels.is_floating_point() else known


def all_in_range(labels: Tensor) -> bool:
    """Whether all independent labels are seen to be known, from 0 to 1; a NaN is not.

    >>> all_in_range(torch.tensor([0.0, 1.0])), all_in_range(torch.tensor([0.0, torch.nan]))
    (True, False)
    """
    if labels.dtype == torch.bool:
        return True
    lowest, highest = labels.aminmax()
    return bool(lowest.item() >= 0 and highest.item() <= 1)


def check_binary_labels(labels: Tensor, logits: Tensor) -> bool:
    """Refuse what is not one number from 0 to 1 a label, or unknown.

    Returns whether every label is known to be known.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a torch tensor, not {type(labels).__name__}.")
    if labels.shape != logits.shape:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} but the logits have shape "
            f"{tuple(logits.shape)}: expected 0 or 1 for each of the {logits.shape[-1]} labels. "
            "Where just one class holds an example, use a softmax (kd_loss, methods.kd)."
        )
    if labels.dtype == torch.bool:
        return True
    if not readable(labels) or labels.numel() == 0:
        return False
    if all_in_range(labels):
        return True
    wrong = known_labels(labels) & ~((labels >= 0) & (labels <= 1))
    if wrong.any():
        raise ValueError(
            f"independent labels must lie between 0 and 1 (NaN or {IGNORE} where unknown), got "
            f"{labels[wrong][0].item()}. For class numbers use methods.kd, for quantities "
            "methods.regression."
        )
    return False


def _mean_kl(
    student_logits: Tensor, teacher_logits: Tensor, T: float, mask: Tensor | None, *, times: float
) -> Tensor:
    """times sum_k KL(p_k || q_k), mean over positions."""
    z_s, z_t = (z / T for z in blank_out((student_logits, teacher_logits), mask))
    p = z_t.sigmoid()
    if mask is None and values_at_hand(z_s):
        value = _excess(z_s, z_t, p).sum() * (times / (z_s.numel() // z_s.shape[-1]))
        if not readable(value) or math.isfinite(value.item()):
            return value
    return times * mean_over(_excess(_finite(z_s), _finite(z_t), p).sum(-1), mask)


def _excess(z_s: Tensor, z_t: Tensor, p: Tensor) -> Tensor:
    """KL of each label: cross-entropy less entropy, label by label so that little rounds."""
    cross = F.binary_cross_entropy_with_logits(z_s, p, reduction="none")
    return cross - F.binary_cross_entropy_with_logits(z_t, p, reduction="none")


def _finite(z: Tensor) -> Tensor:
    return z.clamp(-FAR, FAR)
