"""Recipes on the answers alone: labels, soft targets, matched logits."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.checks import fraction, one_of
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
from distill_lab.losses._checks import kept_by, narrowed
from distill_lab.losses.response import decision_cross_entropy, weighed_by_class
from distill_lab.methods.answers import (
    OWN_SOFTMAX,
    FirstLook,
    are_soft_labels,
    check_one_softmax,
    check_signal_axis,
    labels_of,
    moved_axis,
)
from distill_lab.methods.binary import binary_kd
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.positions import (
    ClassWeights,
    Mask,
    as_class_weights,
    check_mask_name,
    counts_of,
    positions,
    with_ignored,
)
from distill_lab.methods.quantities import regression
from distill_lab.methods.scoring import divergence
from distill_lab.models.networks import logits_of
from distill_lab.signals import Signal

LOSSES = ("cross_entropy", "bce", "mse", "gaussian_nll")


def supervised(
    *,
    loss: str = "cross_entropy",
    label_smoothing: float = 0.0,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
    pos_weight: ClassWeights = None,
) -> Method:
    """Learn from labels alone: classes, independent labels or quantities.

    Labels of classes are numbers (B,), or rows of probabilities (B, C), as Mixup makes them.

    Formula: CE(z, y), or (1 - e) CE(z, y) + e CE(z, uniform); the losses of independent labels and
    of quantities are those of `binary_kd` and `regression`.

    Args:
        loss: "cross_entropy" for classes, "bce" for independent labels, "mse" or "gaussian_nll"
            for quantities.
        label_smoothing: e, for classes.
        mask: which positions count: see `methods.positions`.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.
        ignore: a label that says that a position has none, beside -100; for example 255.
        class_weights: what the labels of each class weigh (C,); the uniform term stays
            without, where torch weighs its classes too.
        pos_weight: what an independent label that holds weighs (C,).

    Returns:
        A method with the term "ce", and "uniform" where labels are smoothed; "bce", "mse" or "nll"
        for the other losses.

    Raises:
        ValueError: for another loss, a smoothing outside [0, 1], or options of another loss.

    Source: Szegedy et al. 2016, section 7.

    >>> supervised(label_smoothing=0.25).weights
    {'ce': 0.75, 'uniform': 0.25}
    >>> supervised(loss="bce").weights
    {'bce': 1.0}
    """
    one_of("loss", loss, LOSSES)
    label_smoothing = fraction("label_smoothing", label_smoothing, why=": it mixes two terms.")
    if loss == "bce":
        _refuse_other_options(loss, label_smoothing=label_smoothing)
        return binary_kd(
            alpha=0.0,
            mask=mask,
            axis=axis,
            ignore=ignore,
            class_weights=class_weights,
            pos_weight=pos_weight,
        )
    if loss in ("mse", "gaussian_nll"):
        options = {"class_weights": class_weights, "pos_weight": pos_weight}
        _refuse_other_options(loss, label_smoothing=label_smoothing, axis=axis, **options)
        return regression(loss, alpha=0.0, mask=mask)
    _refuse_other_options(loss, pos_weight=pos_weight)
    labels = _Labels(mask, axis, ignore, class_weights)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        batch, logits, kept = labels.read(batch, student)
        result = {"ce": labels.term(logits, batch, kept)}
        if label_smoothing:
            result["uniform"] = _label_term(_from_uniform, logits, labels_of(batch), mask=kept)
        return result

    used = {"ce": 1.0 - label_smoothing, "uniform": label_smoothing}
    used = used if label_smoothing else {"ce": 1.0}
    name = f"supervised(label_smoothing={label_smoothing}{labels.name})"
    return Method(name, terms, used, False, count=labels.counts(used, ("ce", "uniform")))


def kd(
    T: float = 4.0,
    alpha: float = 0.9,
    *,
    standardize: bool = False,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
) -> Method:
    """Soft targets: T^2 KL(teacher || student) weighs alpha, the labels 1 - alpha.

    A teacher may give logits or any signal of `distill_lab.signals` recorded at this T.

    Formula: alpha T^2 KL(p || q) + (1 - alpha) CE(z_s, y), p and q softmaxes at T.

    Args:
        T: the temperature of both softmaxes.
        alpha: what the soft targets weigh; with 1 no labels are needed.
        standardize: z-score both sides' logits first.
        mask: which positions count: see `methods.positions`.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.
        ignore: a label that says that a position has none, beside -100; for example 255.
        class_weights: what the labels of each class weigh (C,), in the labels' term alone.

    Returns:
        A method with the terms "kd" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for T <= 0, alpha outside [0, 1] or an unknown mask.

    Source: Hinton, Vinyals & Dean 2015, section 2; Sun et al. 2024 for the z-score.

    >>> kd(T=2.0, alpha=0.75).weights
    {'kd': 0.75, 'ce': 0.25}
    """
    T = check_temperature(T)
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
    labels = _Labels(mask, axis, ignore, class_weights)
    return _beside_labels(name, "kd", soft, alpha, labels, T)


def logit_matching(
    alpha: float = 1.0,
    *,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
) -> Method:
    """Match the teacher's logits: half the mean squared difference, the high-T limit of `kd`.

    Formula: alpha sum_k (z_s,k - z_t,k)^2 / (2 C) + (1 - alpha) CE(z_s, y).

    Args:
        alpha: what the logits weigh; with 1 no labels are needed.
        mask: which positions count: see `methods.positions`.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.
        ignore: a label that says that a position has none, beside -100; for example 255.
        class_weights: what the labels of each class weigh (C,), in the labels' term alone.

    Returns:
        A method with the terms "logits" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for alpha outside [0, 1] or an unknown mask.

    Source: Hinton, Vinyals & Dean 2015, section 2.1.
    """

    def soft(logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None) -> Tensor:
        return logit_mse(logits, teacher_logits, mask=mask) / (2 * logits.shape[-1])

    labels = _Labels(mask, axis, ignore, class_weights)
    return _beside_labels(f"logit_matching(alpha={alpha}", "logits", soft, alpha, labels)


def dkd(
    T: float = 4.0,
    alpha: float = 1.0,
    beta: float = 8.0,
    *,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
) -> Method:
    """Decoupled distillation beside the labels.

    Formula: CE + T^2 (alpha TCKD + beta NCKD).

    Args:
        T: the temperature of both softmaxes.
        alpha: what the target class weighs (TCKD).
        beta: what the other classes weigh (NCKD).
        mask: which positions count: see `methods.positions`; all of them need a label.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.
        ignore: a label that says that a position has none, beside -100; for example 255.
        class_weights: what the labels of each class weigh (C,), in the labels' term alone.

    Returns:
        A method with the terms "dkd" and "ce".

    Raises:
        ValueError: for T <= 0 or an unknown mask.

    Source: Zhao et al. 2022, section 3.3.
    """
    T = check_temperature(T)
    labels, look = _Labels(mask, axis, ignore, class_weights), FirstLook(T)
    decoupled = partial(dkd_loss, T=T, alpha=alpha, beta=beta)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        batch, logits, kept = labels.read(batch, student)
        known = labels_of(batch)
        teacher_logits = labels.of_teacher(teacher, batch, logits, look)
        soft = _label_term(decoupled, logits, known, teacher_logits, mask=kept)
        return {"dkd": soft, "ce": labels.term(logits, batch, kept)}

    weights = {"dkd": 1.0, "ce": 1.0}
    name = f"dkd(T={T}, alpha={alpha}, beta={beta}{labels.name})"
    return Method(name, terms, weights, count=labels.counts(weights, ("dkd", "ce")))


def dist(
    beta: float = 1.0,
    gamma: float = 1.0,
    T: float = 1.0,
    *,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
) -> Method:
    """Match how classes and examples correlate rather than how probable they are, beside labels.

    Formula: CE + T^2 (beta (1 - rho between classes) + gamma (1 - rho between examples)).

    Args:
        beta: what the classes of one example weigh.
        gamma: what the examples of one class weigh.
        T: the temperature of both softmaxes.
        mask: which positions count: see `methods.positions`.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.
        ignore: a label that says that a position has none, beside -100; for example 255.
        class_weights: what the labels of each class weigh (C,), in the labels' term alone.

    Returns:
        A method with the terms "dist" and "ce".

    Raises:
        ValueError: for T <= 0 or an unknown mask.

    Source: Huang et al. 2022 (DIST), section 3.
    """
    T = check_temperature(T)
    labels, look = _Labels(mask, axis, ignore, class_weights), FirstLook(T)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        batch, logits, kept = labels.read(batch, student)
        teacher_logits = labels.of_teacher(teacher, batch, logits, look)
        soft = dist_loss(logits, teacher_logits, T=T, beta=beta, gamma=gamma, mask=kept)
        return {"dist": soft, "ce": labels.term(logits, batch, kept)}

    weights = {"dist": 1.0, "ce": 1.0}
    name = f"dist(beta={beta}, gamma={gamma}, T={T}{labels.name})"
    at_least = 2 if gamma > 0 else 1  # one example has nothing to correlate with
    return Method(name, terms, weights, count=labels.counts(weights), at_least=at_least)


def hard_labels(
    alpha: float = 0.5,
    *,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
) -> Method:
    """The teacher's decision as a second label.

    Formula: alpha CE(z_s, argmax z_t) + (1 - alpha) CE(z_s, y).

    Args:
        alpha: what the teacher's decision weighs; with 1 no labels are needed.
        mask: which positions count: see `methods.positions`.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.
        ignore: a label that says that a position has none, beside -100; for example 255.
        class_weights: what the labels of each class weigh (C,), in the labels' term alone.

    Returns:
        A method with the terms "hard" and "ce", but for one that weighs nothing.

    Raises:
        ValueError: for alpha outside [0, 1] or an unknown mask.

    Source: Touvron et al. 2021 (DeiT), section 4, eq. 3.
    """

    def decision(logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None) -> Tensor:
        return decision_cross_entropy(logits, teacher_logits, mask=mask)

    labels = _Labels(mask, axis, ignore, class_weights)
    return _beside_labels(f"hard_labels(alpha={alpha}", "hard", decision, alpha, labels)


def _beside_labels(
    name: str,
    term: str,
    soft: Callable[..., Tensor],
    alpha: float,
    labels: "_Labels",
    T: float | None = None,
) -> Method:
    """A term soft(student's, teacher's logits) that weighs alpha, the labels 1 - alpha.

    What would weigh nothing is not computed: alpha = 1 needs no labels, alpha = 0 no teacher.
    """
    alpha = fraction("alpha", alpha, why=": it mixes two terms.")
    look = FirstLook(T)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        batch, logits, kept = labels.read(batch, student)
        result: Terms = {}
        if alpha > 0:
            teacher_output = labels.of_teacher(teacher, batch, logits, look)
            result[term] = soft(logits, teacher_output, mask=kept)
        if alpha < 1:
            result["ce"] = labels.term(logits, batch, kept)
        return result

    weights = {term: alpha, "ce": 1.0 - alpha}
    used = {name: weight for name, weight in weights.items() if weight > 0}
    return Method(
        f"{name}{labels.name})",
        terms,
        used,
        needs_teacher=alpha > 0,
        count=labels.counts(used),
        each_teacher=(term,) if alpha > 0 else (),
    )


class _Labels:
    """How a recipe on one softmax reads answers and labels, and its term on the labels."""

    def __init__(
        self, mask: Mask, axis: int | None, ignore: int, class_weights: ClassWeights
    ) -> None:
        check_mask_name(mask)
        self.mask, self.axis, self.ignore = mask, axis, ignore
        self.seen: int | None = None  # the student whose first answer was looked at
        self.class_weights = as_class_weights("class_weights", class_weights)
        self.some_weigh_nothing = (
            self.class_weights is not None and not self.class_weights.all().item()
        )

    @property
    def name(self) -> str:
        """What the settings add to a method's name: by default nothing."""
        weights = None if self.class_weights is None else self.class_weights.tolist()
        settings = {"mask": self.mask, "axis": self.axis, "ignore": self.ignore}
        settings["class_weights"] = weights  # type: ignore[assignment]
        usual = {"mask": "auto", "axis": None, "ignore": IGNORE, "class_weights": None}
        return "".join(f", {key}={v}" for key, v in settings.items() if v != usual[key])

    def read(self, batch: Batch, student: Student) -> tuple[Batch, Tensor, Tensor | None]:
        """The batch with its labels in the usual form, logits with classes last, what counts."""
        batch = with_ignored(batch, self.ignore)
        logits = moved_axis(logits_of(student, batch.inputs), self.axis)
        check_one_softmax(batch, logits, self.axis)
        if self.seen != id(student):
            self.seen = id(student)
            if like_probabilities(logits.detach()):
                raise ValueError(OWN_SOFTMAX)
        return batch, logits, positions(batch, logits.shape[:-1], self.mask)

    def of_teacher(self, teacher: TeacherFn, batch: Batch, logits: Tensor, look: FirstLook) -> Any:
        """What the teacher answers, with its classes last."""
        output = moved_axis(teacher(batch), self.axis)
        if self.axis not in (None, -1) and not isinstance(output, Tensor):
            check_signal_axis(output, logits, self.axis)
        look(teacher, output)
        return output

    def term(self, logits: Tensor, batch: Batch, kept: Tensor | None) -> Tensor:
        """The cross-entropy with the labels of a batch, over those that count."""
        labels = labels_of(batch)
        if are_soft_labels(batch, logits):
            if self.class_weights is not None:
                raise ValueError(
                    "class_weights weigh labels of one class each, and these are probabilities of "
                    "several: leave one of them out."
                )
            return soft_cross_entropy(logits, labels.to(logits.dtype).log(), mask=kept)
        if self.class_weights is None:
            return _label_term(cross_entropy, logits, labels, mask=kept)
        weights = self.class_weights = self.class_weights.to(logits.device)
        if self.some_weigh_nothing:  # and so are labels that a batch may hold none but
            nothing = weighed_by_class(labels, None, weights) == 0
            labels = labels.masked_fill(nothing & (labels < len(weights)), IGNORE)
        loss = partial(cross_entropy, class_weights=weights)
        return _label_term(loss, logits, labels, mask=kept)

    def counts(
        self, weights: Mapping[str, float], by_label: Sequence[str] = ("ce",)
    ) -> Callable[[Batch], dict[str, float]]:
        """A function that says over how many positions of a batch each term is a mean."""
        ignore, per_class = self.ignore, self.class_weights
        return counts_of(self.mask, weights, by_label, ignore=ignore, class_weights=per_class)


def _refuse_other_options(loss: str, **options: object) -> None:
    """Refuse an option that this loss has no use for."""
    for name, value in options.items():
        if value is not None and value != 0.0:
            raise ValueError(f"supervised(loss={loss!r}) has no use for {name}={value!r}.")


def _from_uniform(logits: Tensor, labels: Tensor, *, mask: Tensor | None) -> Tensor:
    """Cross-entropy against all classes alike, where there is a label."""
    if labels.is_floating_point():  # probabilities of classes: there is one everywhere
        return soft_cross_entropy(logits, logits.detach() * 0, mask=mask)
    has_label = narrowed(mask, labels != IGNORE)
    known = readable(has_label) and has_label.dtype == torch.bool and bool(has_label.all())
    return soft_cross_entropy(logits, logits.detach() * 0, mask=None if known else has_label)


def _label_term(
    loss: Callable[..., Tensor], logits: Tensor, labels: Tensor, *more: Any, mask: Tensor | None
) -> Tensor:
    """A loss (logits, *more, labels, mask=) over the labelled positions; 0 where there are none."""
    if mask is not None and mask.shape == labels.shape:  # what does not count has no label
        labels = torch.where(kept_by(mask), labels, IGNORE)
    if readable(labels) and labels.numel() and labels.max().item() == IGNORE:
        return torch.zeros((), device=logits.device)
    return loss(logits, *more, labels, mask=mask)
