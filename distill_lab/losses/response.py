"""Response distillation: the student learns the teacher's output distribution.

Notation: z_s, z_t are logits, q = softmax(z_s / T) the student, p = softmax(z_t / T) the
teacher. Each divergence is the plain one; the factor T squared stands visibly in `kd_loss`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.tensors import (
    IGNORE,
    check_temperature,
    check_tensor,
    in_float32,
    kl,
    readable,
)
from distill_lab.losses._checks import (
    blank_out,
    check_class_weights,
    check_classes,
    check_fraction,
    check_labels,
    check_logits,
    check_mask,
    mean_over,
    narrowed,
)
from distill_lab.losses.reference import log_probabilities, mean_kl, refuse_infinite


def soften(logits: Tensor, T: float = 1.0) -> Tensor:
    """Turn logits into probabilities at temperature T: softmax(z / T) over the last axis.

    Args:
        logits: scores (..., C).
        T: temperature of the softmax; larger is softer.

    Returns:
        Probabilities (..., C); each row sums to one.

    Raises:
        ValueError: if T is not positive.

    Source: Hinton, Vinyals & Dean 2015, section 2, eq. 1.

    >>> soften(torch.tensor([2.0, 0.0]), T=2.0)
    tensor([0.7311, 0.2689])
    """
    check_tensor("logits", logits)
    T = check_temperature(T)
    return (in_float32(logits) / T).softmax(-1)


def soft_cross_entropy(
    student_logits: Tensor, teacher_logits: Tensor, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Cross-entropy against soft targets: forward KL plus the teacher's entropy, in nats.

    Formula: -sum_k p_k log q_k, mean over positions. The gradient for the student is that of
    `forward_kl`, but the value is not zero for equal models: it is not a divergence.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: as `forward_kl`.

    Source: Hinton, Vinyals & Dean 2015, section 2.

    >>> even = torch.zeros(1, 2)
    >>> round(soft_cross_entropy(even, even).item(), 4)  # ln 2, though both are equal
    0.6931
    """
    log_q, log_p, mask = log_probabilities(student_logits, teacher_logits, T, mask)
    p = log_p.exp()
    value = mean_over(-(p * torch.where(p > 0, log_q, 0.0)).sum(-1), mask)
    refuse_infinite(value, "the cross-entropy")
    return value


def logit_mse(
    student_logits: Tensor, teacher_logits: Tensor, *, mask: Tensor | None = None
) -> Tensor:
    """Squared distance between logits: sum over classes, mean over positions.

    Formula: sum_k (z_s,k - z_t,k)^2. Where both rows of logits have the same mean, T^2 KL tends
    to this divided by 2 C as T grows, C being the number of classes.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in squared logits, the mean over positions.

    Raises:
        ValueError: as `forward_kl`.

    Source: Ba & Caruana 2014, section 2.2; Hinton, Vinyals & Dean 2015, section 2.1.

    >>> logit_mse(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    tensor(5.)
    """
    check_logits(student_logits, teacher_logits, softmax=False)
    mask = None if mask is None else check_mask(mask, student_logits)
    z_s, z_t = blank_out((student_logits, teacher_logits), mask)
    if readable(z_s):
        value = mean_over((z_s - z_t).square().sum(-1), mask)
        if math.isfinite(value.item()):
            return value
    # a class that both sides rule out is no distance: -inf - -inf would be NaN
    both = (z_s == z_t) & z_s.isinf()
    z_s, z_t = (z.masked_fill(both, 0.0) for z in (z_s, z_t))
    value = mean_over((z_s - z_t).square().sum(-1), mask)
    refuse_infinite(value, "the squared distance")
    return value


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    mask: Tensor | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy against class labels at T = 1, mean over the labelled positions, in nats.

    Formula: -log softmax(z)_y. Positions whose label is -100 are left out. With weights w, of
    positions or of their classes or both: sum w l / sum w.

    Args:
        logits: scores (..., C).
        labels: class indices (...), -100 where there is none.
        mask: True (...) at the positions that count, or what each weighs; None for all.
        class_weights: what the positions of each class weigh (C,).

    Returns:
        A scalar in nats, the mean over the labelled positions.

    Raises:
        ValueError: for labels out of range, of another shape, or all ignored.

    >>> round(cross_entropy(torch.zeros(3, 4), torch.tensor([0, 1, -100])).item(), 4)  # ln 4
    1.3863
    """
    check_tensor("logits", logits)
    check_classes("logits", logits)
    known = check_labels(labels, logits)
    if class_weights is not None:
        check_class_weights("class_weights", class_weights, logits)
        mask = weighed_by_class(labels, mask, class_weights)
    return _cross_entropy(logits, labels, mask, known)


def _cross_entropy(
    logits: Tensor, labels: Tensor, mask: Tensor | None, all_labelled: bool
) -> Tensor:
    if all_labelled and mask is None:  # nothing to leave out
        if labels.dim() != 1:
            logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
        return F.cross_entropy(in_float32(logits), labels.long())
    labelled = labels != IGNORE
    mask = check_mask(narrowed(mask, labelled), logits)
    (z,) = blank_out((logits,), mask)
    target = torch.where(labelled, labels, 0).long().unsqueeze(-1)
    return mean_over(-z.log_softmax(-1).gather(-1, target).squeeze(-1), mask)


def weighed_by_class(labels: Tensor, mask: Tensor | None, class_weights: Tensor) -> Tensor:
    """What each position weighs: by its label's class (...), times what its mask says.

    >>> weighed_by_class(torch.tensor([1, -100, 0]), None, torch.tensor([1.0, 5.0]))
    tensor([5., 0., 1.])
    """
    labelled = labels != IGNORE
    # what is out of range is met in words where it is scored
    weights = class_weights[labels.long().clamp(0, len(class_weights) - 1)]
    return torch.where(labelled, weights if mask is None else weights * mask, 0.0)


def kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    T: float = 4.0,
    alpha: float = 0.9,
    mask: Tensor | None = None,
) -> Tensor:
    """Hinton's distillation loss: soft targets at temperature T mixed with the true labels.

    Formula: alpha T^2 KL(p || q) + (1 - alpha) CE(z_s, y), each a mean over the batch or over the
    unmasked positions; CE is at T = 1. Without labels only the first term is there, still times
    alpha. Without a mask, positions labelled -100 are left out of both terms; with one, the mask
    decides for the soft term and CE needs a label as well.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        labels: class indices (...), -100 where there is none.
        T: temperature of both softmaxes.
        alpha: what the soft term weighs; the labels weigh 1 - alpha.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats; the soft term carries the factor T squared.

    Raises:
        ValueError: for shapes that differ, T <= 0, alpha outside [0, 1], alpha = 0 without labels,
            labels out of range, or nothing left to average.

    Source: Hinton, Vinyals & Dean 2015, section 2.

    >>> z_s, z_t, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 0.0]]), torch.tensor([0])
    >>> round(kd_loss(z_s, z_t, y, T=2.0, alpha=0.5).item(), 4)
    0.3371
    """
    alpha = check_fraction("alpha", alpha)
    if labels is None and alpha == 0:
        raise ValueError(
            "kd_loss with alpha = 0 is the cross-entropy with the labels, and none were given: "
            "pass labels, or an alpha above 0."
        )
    if labels is not None:
        check_logits(student_logits, teacher_logits)
        all_labelled = check_labels(labels, student_logits)
        if alpha < 1:
            hard = _cross_entropy(student_logits, labels, mask, all_labelled)
        if alpha == 0:
            return hard
        if mask is None and not all_labelled:
            mask = labels != IGNORE
    log_q, log_p, mask = log_probabilities(student_logits, teacher_logits, T, mask)
    soft = mean_kl(log_p, log_q, mask, times=alpha * T**2)
    if labels is None or alpha == 1:
        return soft
    return soft + (1 - alpha) * hard


def hard_distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 0.5,
    distillation_logits: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """DeiT's distillation: the teacher's decision is a second label.

    Formula: (1 - alpha) CE(z_s, y) + alpha CE(z_d, argmax z_t), at T = 1. `distillation_logits`
    are z_d, the head on DeiT's distillation token; without them z_d = z_s. The masks and ignored
    labels work as in `kd_loss`. It is not zero for equal models.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        labels: class indices (...), -100 where there is none.
        alpha: what the teacher's decision weighs; the labels weigh 1 - alpha.
        distillation_logits: scores (..., C) of the head on DeiT's distillation token.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions.

    Raises:
        ValueError: for shapes that differ, alpha outside [0, 1] or nothing left to average.

    Source: Touvron et al. 2021 (DeiT), section 4, eq. 3.

    >>> z_s, z_t = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.1, 0.0]])
    >>> round(hard_distillation_loss(z_s, z_t, torch.tensor([1])).item(), 4)  # ln 2, twice half
    0.6931
    """
    alpha = check_fraction("alpha", alpha)
    check_logits(student_logits, teacher_logits)
    if distillation_logits is None:
        distillation_logits = student_logits
    check_logits(distillation_logits, teacher_logits)
    hard = cross_entropy(student_logits, labels, mask=mask)
    kept = labels != IGNORE if mask is None else mask
    decision = decision_cross_entropy(distillation_logits, teacher_logits, mask=kept)
    return (1 - alpha) * hard + alpha * decision


def decision_cross_entropy(
    logits: Tensor, teacher_logits: Tensor, *, mask: Tensor | None = None
) -> Tensor:
    """Cross-entropy against the teacher's decision; NaN where the teacher answers NaN.

    Args:
        logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        mask: True (...) at the positions that count, or what each weighs; None for all.

    Returns:
        A scalar in nats, the mean over positions.

    >>> z = torch.zeros(1, 2)
    >>> round(decision_cross_entropy(z, torch.tensor([[0.1, 0.0]])).item(), 4)
    0.6931
    """
    check_tensor("teacher_logits", teacher_logits)
    value = cross_entropy(logits, teacher_logits.argmax(-1), mask=mask)
    # argmax takes a NaN for the largest number
    none = torch.where(teacher_logits.isnan().any(-1), math.nan, 0.0)
    return value + mean_over(none, mask)


def standardize_logits(logits: Tensor, *, eps: float = 1e-7) -> Tensor:
    """Z-score each row of logits, so that only their shape is taught and not their scale.

    Formula: (z - mean(z)) / (std(z) + eps) over the last axis, population standard deviation.
    A class of logit -inf stays there, and is no part of mean and deviation.

    Args:
        logits: scores (..., C).
        eps: added to the standard deviation.

    Returns:
        Scores (..., C) of mean 0 and deviation 1 in each row.

    Source: Sun et al. 2024 (logit standardisation), section 4.3.

    >>> standardize_logits(torch.tensor([1.0, 3.0])).round()
    tensor([-1.,  1.])
    """
    check_tensor("logits", logits)
    z = in_float32(logits)
    if readable(z) and bool(z.isfinite().all()):
        return (z - z.mean(-1, keepdim=True)) / (z.std(-1, keepdim=True, correction=0) + eps)
    ruled_out = z == -math.inf
    known = z.masked_fill(ruled_out, 0.0)
    count = (~ruled_out).sum(-1, keepdim=True).clamp_min(1)
    mean = known.sum(-1, keepdim=True) / count
    centred = (known - mean).masked_fill(ruled_out, 0.0)
    variance = centred.square().sum(-1, keepdim=True) / count
    deviation = torch.where(variance > 0, variance, 1.0).sqrt() * (variance > 0)
    return (centred / (deviation + eps)).masked_fill(ruled_out, -math.inf)


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
    Positions labelled -100 are left out.

    Args:
        student_logits: the student's scores (..., C).
        teacher_logits: the teacher's scores (..., C) of the same classes.
        labels: class indices (...), -100 where there is none.
        T: temperature of both softmaxes.
        alpha: what the target class against the rest weighs.
        beta: what the rest among themselves weighs.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; it carries the factor T squared.

    Raises:
        ValueError: as `kd_loss`.

    Source: Zhao et al. 2022, section 3.3, eq. 7.

    >>> z = torch.tensor([[9.0, 1.0, 0.0]])
    >>> dkd_loss(z, z, torch.tensor([0]))
    tensor(0.)
    """
    check_logits(student_logits, teacher_logits)
    T = check_temperature(T)
    check_labels(labels, student_logits)
    labelled = labels != IGNORE
    mask = check_mask(narrowed(mask, labelled), student_logits)
    z_s, z_t = blank_out((student_logits, teacher_logits), mask)
    y = torch.where(labelled, labels, 0).long().unsqueeze(-1)

    target_q, others_q, _ = _target_against_rest(z_s / T, y)
    target_p, others_p, no_other = _target_against_rest(z_t / T, y)
    among_others = torch.where(no_other, 0.0, kl(others_p, others_q))
    parts = alpha * kl(target_p, target_q) + beta * among_others
    value = mean_over(T**2 * parts, mask)
    refuse_infinite(value, "the decoupled KL")
    return value


def _target_against_rest(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities of (target, all others) (..., 2), and among the others (..., C).

    And where all others are ruled out (...): there they count as equally likely.
    """
    is_target = torch.zeros_like(z, dtype=torch.bool).scatter(-1, y, True)
    others = z.masked_fill(is_target, -math.inf)
    no_other = (others == -math.inf).all(-1, keepdim=True)
    others = others.masked_fill(no_other, 0.0)  # a softmax over nothing would be NaN
    rest = others.logsumexp(-1, keepdim=True).masked_fill(no_other, -math.inf)
    pair = torch.cat((z.gather(-1, y), rest), -1)
    return pair.log_softmax(-1), others.log_softmax(-1), no_other.squeeze(-1)
