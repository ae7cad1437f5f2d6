"""Labels alone: classes, and by name independent labels and quantities."""

import torch
from torch import Tensor

from distill_lab._util.checks import fraction, one_of
from distill_lab._util.tensors import IGNORE, Batch, readable
from distill_lab.losses import soft_cross_entropy
from distill_lab.losses._checks import narrowed
from distill_lab.methods.answers import labels_of
from distill_lab.methods.binary import binary_kd
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.positions import ClassWeights, Mask
from distill_lab.methods.quantities import regression
from distill_lab.methods.response.soft_targets import Labels, label_term

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
    labels = Labels(mask, axis, ignore, class_weights)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        batch, logits, kept = labels.read(batch, student)
        result = {"ce": labels.term(logits, batch, kept)}
        if label_smoothing:
            result["uniform"] = label_term(_from_uniform, logits, labels_of(batch), mask=kept)
        return result

    used = {"ce": 1.0 - label_smoothing, "uniform": label_smoothing}
    used = used if label_smoothing else {"ce": 1.0}
    name = f"supervised(label_smoothing={label_smoothing}{labels.name})"
    count = labels.counts(used, ("ce", "uniform"))
    return Method(name, terms, used, False, count=count, look=labels.look, ignore=ignore)


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
