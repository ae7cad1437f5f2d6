"""Recipes on the answers alone: labels, soft targets, matched logits."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.checks import fraction
from distill_lab._util.tensors import IGNORE, Batch, check_temperature, like_probabilities, readable
from distill_lab.losses import (
    cross_entropy,
    dist_loss,
    dkd_loss,
    kd_loss,
    logit_mse,
    soft_cross_entropy,
    standardize_logits,
)
from distill_lab.methods.answers import PROBABILITIES, check_one_softmax, check_temperature_of
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.positions import Mask, check_mask_name, counts_of, positions
from distill_lab.methods.scoring import divergence
from distill_lab.models.networks import logits_of
from distill_lab.signals import Signal


def supervised(*, label_smoothing: float = 0.0) -> Method:
    """Learn from labels alone: cross-entropy, if wanted against smoothed labels.

    Formula: CE(z, y), or (1 - e) CE(z, y) + e CE(z, uniform).

    Args:
        label_smoothing: e.

    Returns:
        A method with the term "ce", and "uniform" where labels are smoothed.

    Raises:
        ValueError: for a smoothing outside [0, 1].

    Source: Szegedy et al. 2016, section 7.

    >>> supervised(label_smoothing=0.25).weights
    {'ce': 0.75, 'uniform': 0.25}
    """
    fraction("label_smoothing", label_smoothing, why=": it mixes two terms.")

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        logits = logits_of(student, batch.inputs)
        check_one_softmax(batch, logits)
        kept = positions(batch, logits.shape[:-1])
        result = {"ce": _hard(logits, batch, kept)}
        if label_smoothing:
            result["uniform"] = _label_term(_from_uniform, logits, _labels_of(batch), mask=kept)
        return result

    weights = {"ce": 1.0 - label_smoothing, "uniform": label_smoothing}
    used = weights if label_smoothing else {"ce": 1.0}
    name = f"supervised(label_smoothing={label_smoothing})"
    return Method(name, terms, used, False, count=counts_of("auto", used, tuple(used)))


def kd(
    T: float = 4.0, alpha: float = 0.9, *, standardize: bool = False, mask: Mask = "auto"
) -> Method:
    """Soft targets: T^2 KL(teacher || student) weighs alpha, the labels 1 - alpha.

    A teacher may give logits or any signal of `distill_lab.signals` recorded at this T.

    Formula: alpha T^2 KL(p || q) + (1 - alpha) CE(z_s, y), p and q softmaxes at T.

    Args:
        T: the temperature of both softmaxes.
        alpha: what the soft targets weigh; with 1 no labels are needed.
        standardize: z-score both sides' logits first.
        mask: which positions count: see `methods.positions`.

    Returns:
        A method with the terms "kd" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for T <= 0, alpha outside [0, 1] or an unknown mask.

    Source: Hinton, Vinyals & Dean 2015, section 2; Sun et al. 2024 for the z-score.

    >>> kd(T=2.0, alpha=0.75).weights
    {'kd': 0.75, 'ce': 0.25}
    """
    check_temperature(T)
    shape = standardize_logits if standardize else lambda logits: logits

    def soft(logits: Tensor, teacher_output: Tensor | Signal, mask: Tensor | None = None) -> Tensor:
        if isinstance(teacher_output, Tensor):
            # alpha = 1: T^2 KL, no labels
            return kd_loss(shape(logits), shape(teacher_output), T=T, alpha=1.0, mask=mask)
        if standardize:
            raise ValueError(
                f"logits can only be standardised where all of them are known, and the teacher's "
                f"signal is {type(teacher_output).__name__}: use a teacher that gives logits, or "
                "kd() without standardize."
            )
        return T**2 * divergence(logits, teacher_output, T=T, mask=mask)

    name = f"kd(T={T}, alpha={alpha}, standardize={standardize}"
    return _beside_labels(name, "kd", soft, alpha, mask, T)


def logit_matching(alpha: float = 1.0, *, mask: Mask = "auto") -> Method:
    """Match the teacher's logits: half the mean squared difference, the high-T limit of `kd`.

    Formula: alpha sum_k (z_s,k - z_t,k)^2 / (2 C) + (1 - alpha) CE(z_s, y).

    Args:
        alpha: what the logits weigh; with 1 no labels are needed.
        mask: which positions count: see `methods.positions`.

    Returns:
        A method with the terms "logits" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for alpha outside [0, 1] or an unknown mask.

    Source: Hinton, Vinyals & Dean 2015, section 2.1.
    """

    def soft(logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None) -> Tensor:
        return logit_mse(logits, teacher_logits, mask=mask) / (2 * logits.shape[-1])

    return _beside_labels(f"logit_matching(alpha={alpha}", "logits", soft, alpha, mask)


def dkd(T: float = 4.0, alpha: float = 1.0, beta: float = 8.0, *, mask: Mask = "auto") -> Method:
    """Decoupled distillation beside the labels.

    Formula: CE + T^2 (alpha TCKD + beta NCKD).

    Args:
        T: the temperature of both softmaxes.
        alpha: what the target class weighs (TCKD).
        beta: what the other classes weigh (NCKD).
        mask: which positions count: see `methods.positions`; all of them need a label.

    Returns:
        A method with the terms "dkd" and "ce".

    Raises:
        ValueError: for T <= 0 or an unknown mask.

    Source: Zhao et al. 2022, section 3.3.
    """
    check_temperature(T)
    check_mask_name(mask)
    looked: list[int] = []
    decoupled = partial(dkd_loss, T=T, alpha=alpha, beta=beta)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        logits, labels = logits_of(student, batch.inputs), _labels_of(batch)
        check_one_softmax(batch, logits)
        kept = positions(batch, logits.shape[:-1], mask)
        teacher_logits = teacher(batch)
        _look_once(teacher, teacher_logits, T, looked)
        soft = _label_term(decoupled, logits, labels, teacher_logits, mask=kept)
        return {"dkd": soft, "ce": _hard(logits, batch, kept)}

    weights = {"dkd": 1.0, "ce": 1.0}
    name = f"dkd(T={T}, alpha={alpha}, beta={beta}{_named(mask)})"
    return Method(name, terms, weights, count=counts_of(mask, weights, tuple(weights)))


def dist(beta: float = 1.0, gamma: float = 1.0, T: float = 1.0, *, mask: Mask = "auto") -> Method:
    """Match how classes and examples correlate rather than how probable they are, beside labels.

    Formula: CE + T^2 (beta (1 - rho between classes) + gamma (1 - rho between examples)).

    Args:
        beta: what the classes of one example weigh.
        gamma: what the examples of one class weigh.
        T: the temperature of both softmaxes.
        mask: which positions count: see `methods.positions`.

    Returns:
        A method with the terms "dist" and "ce".

    Raises:
        ValueError: for T <= 0 or an unknown mask.

    Source: Huang et al. 2022 (DIST), section 3.
    """
    check_temperature(T)
    check_mask_name(mask)
    looked: list[int] = []

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        logits = logits_of(student, batch.inputs)
        check_one_softmax(batch, logits)
        kept = positions(batch, logits.shape[:-1], mask)
        teacher_logits = teacher(batch)
        _look_once(teacher, teacher_logits, T, looked)
        soft = dist_loss(logits, teacher_logits, T=T, beta=beta, gamma=gamma, mask=kept)
        return {"dist": soft, "ce": _hard(logits, batch, kept)}

    weights = {"dist": 1.0, "ce": 1.0}
    name = f"dist(beta={beta}, gamma={gamma}, T={T}{_named(mask)})"
    return Method(name, terms, weights, count=counts_of(mask, weights))


def hard_labels(alpha: float = 0.5, *, mask: Mask = "auto") -> Method:
    """The teacher's decision as a second label.

    Formula: alpha CE(z_s, argmax z_t) + (1 - alpha) CE(z_s, y).

    Args:
        alpha: what the teacher's decision weighs; with 1 no labels are needed.
        mask: which positions count: see `methods.positions`.

    Returns:
        A method with the terms "hard" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for alpha outside [0, 1] or an unknown mask.

    Source: Touvron et al. 2021 (DeiT), section 4, eq. 3.
    """

    def decision(logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None) -> Tensor:
        return cross_entropy(logits, teacher_logits.argmax(-1), mask=mask)

    return _beside_labels(f"hard_labels(alpha={alpha}", "hard", decision, alpha, mask)


def _beside_labels(
    name: str,
    term: str,
    soft: Callable[..., Tensor],
    alpha: float,
    mask: Mask,
    T: float | None = None,
) -> Method:
    """A term soft(student's, teacher's logits) that weighs alpha, the labels 1 - alpha.

    What would weigh nothing is not computed: alpha = 1 needs no labels, alpha = 0 no teacher.
    """
    fraction("alpha", alpha, why=": it mixes two terms.")
    check_mask_name(mask)
    looked: list[int] = []

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        logits = logits_of(student, batch.inputs)
        check_one_softmax(batch, logits)
        kept = positions(batch, logits.shape[:-1], mask)
        result: Terms = {}
        if alpha > 0:
            teacher_output = teacher(batch)
            _look_once(teacher, teacher_output, T, looked)
            result[term] = soft(logits, teacher_output, mask=kept)
        if alpha < 1:
            result["ce"] = _hard(logits, batch, kept)
        return result

    weights = {term: alpha, "ce": 1.0 - alpha}
    used = {name: weight for name, weight in weights.items() if weight > 0}
    count = counts_of(mask, used)
    return Method(
        f"{name}{_named(mask)})",
        terms,
        used,
        needs_teacher=alpha > 0,
        count=count,
        each_teacher=(term,) if alpha > 0 else (),
    )


def _look_once(
    teacher: TeacherFn, teacher_output: object, T: float | None, looked: list[int]
) -> None:
    """Hold a teacher's first answer against what the method takes it for."""
    if looked == [id(teacher)]:
        return
    looked[:] = [id(teacher)]
    if T is not None:
        check_temperature_of(teacher, T)
    if like_probabilities(teacher_output):
        raise ValueError(PROBABILITIES)


def _named(mask: Mask) -> str:
    """What a mask adds to a method's name: checkpoints of before it go on."""
    return "" if mask == "auto" else f", mask={mask}"


def _from_uniform(logits: Tensor, labels: Tensor, *, mask: Tensor | None) -> Tensor:
    """Cross-entropy against all classes alike, where there is a label."""
    has_label = labels != IGNORE if mask is None else mask & (labels != IGNORE)
    known = readable(has_label) and bool(has_label.all())
    return soft_cross_entropy(logits, logits.detach() * 0, mask=None if known else has_label)


def _label_term(
    loss: Callable[..., Tensor], logits: Tensor, labels: Tensor, *more: Any, mask: Tensor | None
) -> Tensor:
    """A loss (logits, *more, labels, mask=) over the labelled positions; 0 where there are none."""
    if mask is not None and mask.shape == labels.shape:  # what does not count has no label
        labels = torch.where(mask, labels, IGNORE)
    if readable(labels) and labels.numel() and labels.max() == IGNORE:
        return torch.zeros((), device=logits.device)
    return loss(logits, *more, labels, mask=mask)


def _hard(logits: Tensor, batch: Batch, mask: Tensor | None = None) -> Tensor:
    """The cross-entropy with the labels of a batch, over those that count."""
    return _label_term(cross_entropy, logits, _labels_of(batch), mask=mask)


def _labels_of(batch: Batch) -> Tensor:
    """The labels of a batch, which a method needs that has a term on them."""
    if batch.labels is None:
        raise ValueError(
            "this method learns from labels and the data has none: give labels, or use a method "
            "without them, for example kd(alpha=1.0)."
        )
    return batch.labels
