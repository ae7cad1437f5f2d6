"""Recipes on the answers alone: labels, soft targets, matched logits."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from distill_lab._util.checks import fraction
from distill_lab._util.tensors import Batch, check_temperature
from distill_lab.losses import (
    cross_entropy,
    dist_loss,
    dkd_loss,
    kd_loss,
    logit_mse,
    soft_cross_entropy,
    standardize_logits,
)
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.scoring import divergence
from distill_lab.models.outputs import logits_of
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
        hard = cross_entropy(logits, _labels(batch))
        if not label_smoothing:
            return {"ce": hard}
        return {"ce": hard, "uniform": soft_cross_entropy(logits, logits.detach() * 0)}

    weights = {"ce": 1.0 - label_smoothing, "uniform": label_smoothing}
    used = weights if label_smoothing else {"ce": 1.0}
    return Method(f"supervised(label_smoothing={label_smoothing})", terms, used, False)


def kd(T: float = 4.0, alpha: float = 0.9, *, standardize: bool = False) -> Method:
    """Soft targets: T^2 KL(teacher || student) weighs alpha, the labels 1 - alpha.

    A teacher may give logits or any signal of `distill_lab.signals` recorded at this T.

    Formula: alpha T^2 KL(p || q) + (1 - alpha) CE(z_s, y), p and q softmaxes at T.

    Args:
        T: the temperature of both softmaxes.
        alpha: what the soft targets weigh; with 1 no labels are needed.
        standardize: z-score both sides' logits first.

    Returns:
        A method with the terms "kd" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for T <= 0 or alpha outside [0, 1].

    Source: Hinton, Vinyals & Dean 2015, section 2; Sun et al. 2024 for the z-score.

    >>> kd(T=2.0, alpha=0.75).weights
    {'kd': 0.75, 'ce': 0.25}
    """
    check_temperature(T)
    shape = standardize_logits if standardize else lambda logits: logits

    def soft(logits: Tensor, teacher_output: Tensor | Signal) -> Tensor:
        if isinstance(teacher_output, Tensor):
            # alpha = 1: T^2 KL, no labels
            return kd_loss(shape(logits), shape(teacher_output), T=T, alpha=1.0)
        if standardize:
            raise ValueError(
                f"logits can only be standardised where all of them are known, and the teacher's "
                f"signal is {type(teacher_output).__name__}: use a teacher that gives logits, or "
                "kd() without standardize."
            )
        return T**2 * divergence(logits, teacher_output, T=T)

    return _beside_labels(f"kd(T={T}, alpha={alpha}, standardize={standardize})", "kd", soft, alpha)


def logit_matching(alpha: float = 1.0) -> Method:
    """Match the teacher's logits: half the mean squared difference, the high-T limit of `kd`.

    Formula: alpha sum_k (z_s,k - z_t,k)^2 / (2 C) + (1 - alpha) CE(z_s, y).

    Args:
        alpha: what the logits weigh; with 1 no labels are needed.

    Returns:
        A method with the terms "logits" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for alpha outside [0, 1].

    Source: Hinton, Vinyals & Dean 2015, section 2.1.
    """

    def soft(logits: Tensor, teacher_logits: Tensor) -> Tensor:
        return logit_mse(logits, teacher_logits) / (2 * logits.shape[-1])

    return _beside_labels(f"logit_matching(alpha={alpha})", "logits", soft, alpha)


def dkd(T: float = 4.0, alpha: float = 1.0, beta: float = 8.0) -> Method:
    """Decoupled distillation beside the labels.

    Formula: CE + T^2 (alpha TCKD + beta NCKD).

    Args:
        T: the temperature of both softmaxes.
        alpha: what the target class weighs (TCKD).
        beta: what the other classes weigh (NCKD).

    Returns:
        A method with the terms "dkd" and "ce".

    Raises:
        ValueError: for T <= 0.

    Source: Zhao et al. 2022, section 3.3.
    """
    check_temperature(T)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        logits, labels = logits_of(student, batch.inputs), _labels(batch)
        soft = dkd_loss(logits, teacher(batch), labels, T=T, alpha=alpha, beta=beta)
        return {"dkd": soft, "ce": cross_entropy(logits, labels)}

    return Method(f"dkd(T={T}, alpha={alpha}, beta={beta})", terms, {"dkd": 1.0, "ce": 1.0})


def dist(beta: float = 1.0, gamma: float = 1.0, T: float = 1.0) -> Method:
    """Match how classes and examples correlate rather than how probable they are, beside labels.

    Formula: CE + T^2 (beta (1 - rho between classes) + gamma (1 - rho between examples)).

    Args:
        beta: what the classes of one example weigh.
        gamma: what the examples of one class weigh.
        T: the temperature of both softmaxes.

    Returns:
        A method with the terms "dist" and "ce".

    Raises:
        ValueError: for T <= 0.

    Source: Huang et al. 2022 (DIST), section 3.
    """
    check_temperature(T)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        logits = logits_of(student, batch.inputs)
        soft = dist_loss(logits, teacher(batch), T=T, beta=beta, gamma=gamma)
        return {"dist": soft, "ce": cross_entropy(logits, _labels(batch))}

    return Method(f"dist(beta={beta}, gamma={gamma}, T={T})", terms, {"dist": 1.0, "ce": 1.0})


def hard_labels(alpha: float = 0.5) -> Method:
    """The teacher's decision as a second label.

    Formula: alpha CE(z_s, argmax z_t) + (1 - alpha) CE(z_s, y).

    Args:
        alpha: what the teacher's decision weighs; with 1 no labels are needed.

    Returns:
        A method with the terms "hard" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for alpha outside [0, 1].

    Source: Touvron et al. 2021 (DeiT), section 4, eq. 3.
    """

    def hard(logits: Tensor, teacher_logits: Tensor) -> Tensor:
        return cross_entropy(logits, teacher_logits.argmax(-1))

    return _beside_labels(f"hard_labels(alpha={alpha})", "hard", hard, alpha)


def _beside_labels(
    name: str, term: str, soft: Callable[[Tensor, Any], Tensor], alpha: float
) -> Method:
    """A term soft(student's, teacher's logits) that weighs alpha, the labels 1 - alpha.

    What would weigh nothing is not computed: alpha = 1 needs no labels, alpha = 0 no teacher.
    """
    fraction("alpha", alpha, why=": it mixes two terms.")

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        logits = logits_of(student, batch.inputs)
        result: Terms = {}
        if alpha > 0:
            result[term] = soft(logits, teacher(batch))
        if alpha < 1:
            result["ce"] = cross_entropy(logits, _labels(batch))
        return result

    weights = {term: alpha, "ce": 1.0 - alpha}
    used = {name: weight for name, weight in weights.items() if weight > 0}
    return Method(name, terms, used, needs_teacher=alpha > 0)


def _labels(batch: Batch) -> Tensor:
    if batch.labels is None:
        raise ValueError(
            "this method learns from labels and the data has none: give labels, or use a method "
            "without them, for example kd(alpha=1.0)."
        )
    return batch.labels
