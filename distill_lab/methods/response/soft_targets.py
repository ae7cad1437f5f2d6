"""Soft targets beside the labels, and how every recipe on one softmax reads both."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.checks import fraction
from distill_lab._util.tensors import IGNORE, Batch, check_temperature, like_probabilities, readable
from distill_lab.losses import cross_entropy, kd_loss, soft_cross_entropy, standardize_logits
from distill_lab.losses._checks import kept_by
from distill_lab.losses.response import weighed_by_class
from distill_lab.methods.answers import (
    OWN_SOFTMAX,
    OWN_SQUASHING,
    FirstLook,
    are_soft_labels,
    check_one_softmax,
    check_signal_axis,
    labels_of,
    moved_axis,
    relabelled,
    remembered,
    squashed_by,
    with_labels_moved,
)
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.positions import (
    Answered,
    ByTeacher,
    ClassWeights,
    Mask,
    as_class_weights,
    check_mask_name,
    counts_of,
    positions,
    with_ignored,
)
from distill_lab.methods.scoring import divergence
from distill_lab.models.networks import logits_of
from distill_lab.signals import Dense, Signal


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
    labels = Labels(mask, axis, ignore, class_weights)
    return beside_labels(name, "kd", soft, alpha, labels, T)


def beside_labels(
    name: str,
    term: str,
    soft: Callable[..., Tensor],
    alpha: float,
    labels: "Labels",
    T: float | None = None,
) -> Method:
    """A term soft(student's, teacher's logits) that weighs alpha, the labels 1 - alpha.

    What would weigh nothing is not computed: alpha = 1 needs no labels, alpha = 0 no teacher.
    """
    alpha = fraction("alpha", alpha, why=": it mixes two terms.")
    look = FirstLook(T)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        answered = teacher(batch) if alpha > 0 else None  # first: see `methods.response`
        batch, logits, kept = labels.read(batch, student)
        result: Terms = {}
        if alpha > 0:
            teacher_output, both = labels.of_teacher(teacher, answered, logits, kept, look)
            result[term] = soft(logits, teacher_output, mask=both)
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
        look=labels.look,
        each_teacher=(term,) if alpha > 0 else (),
        ignore=labels.ignore,
    )


class Labels:
    """How a recipe on one softmax reads answers and labels, and its term on the labels."""

    def __init__(
        self, mask: Mask, axis: int | None, ignore: int, class_weights: ClassWeights
    ) -> None:
        check_mask_name(mask)
        self.mask, self.axis, self.ignore = mask, axis, ignore
        self.answered, self.by_teacher = Answered(), ByTeacher()
        # the student whose first answer was looked at
        self.seen: Callable[[], object] = remembered(self)
        self.soft = False  # whether labels that this student saw were probabilities
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
        given = logits_of(student, batch.inputs)
        logits = moved_axis(given, self.axis)
        batch = with_labels_moved(batch, given, self.axis)
        new = self.seen() is not student
        if self.soft and not new:  # one-hot rows beside mixed ones, in batches of their own
            batch = relabelled(batch, soft=True)
        check_one_softmax(batch, logits, self.axis)
        self.soft = are_soft_labels(batch, logits) or (self.soft and not new)
        if new:
            self.seen = remembered(student)
            if like_probabilities(logits.detach()) or squashed_by(given) == "softmax":
                raise ValueError(OWN_SOFTMAX)
            if squashed_by(given) == "sigmoid":
                raise ValueError(OWN_SQUASHING.format("sigmoid"))
        return batch, logits, positions(batch, logits.shape[:-1], self.mask)

    def of_teacher(
        self,
        teacher: TeacherFn,
        answered: Any,
        logits: Tensor,
        kept: Tensor | None,
        look: FirstLook,
    ) -> tuple[Any, Tensor | None]:
        """What the teacher answered, with its classes last, and what counts of it."""
        output = moved_axis(answered, self.axis)
        if self.axis not in (None, -1) and not isinstance(output, Tensor):
            check_signal_axis(output, logits, self.axis)
        kept = self.by_teacher(output, kept)
        output = output.logits if isinstance(output, Dense) else output
        look(teacher, output)
        return output, kept

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
            return label_term(cross_entropy, logits, labels, mask=kept)
        weights = self.class_weights = self.class_weights.to(logits.device)
        if self.some_weigh_nothing:  # and so are labels that a batch may hold none but
            nothing = weighed_by_class(labels, None, weights) == 0
            labels = labels.masked_fill(nothing & (labels < len(weights)), IGNORE)
        loss = partial(cross_entropy, class_weights=weights)
        return label_term(loss, logits, labels, mask=kept)

    def counts(
        self, weights: Mapping[str, float], by_label: Sequence[str] = ("ce",)
    ) -> Callable[[Batch], dict[str, float]]:
        """A function that says over how many positions of a batch each term is a mean."""
        return counts_of(
            self.mask,
            weights,
            by_label,
            ignore=self.ignore,
            class_weights=self.class_weights,
            answered=self.answered,
        )

    def look(self, batch: Batch, student: Student, teacher: TeacherFn) -> None:
        """See at which positions the student answers, for `counts`."""

        def answered() -> torch.Size:
            logits: Tensor = moved_axis(logits_of(student, batch.inputs), self.axis)
            return logits.shape[:-1]

        self.answered.look(batch, answered)


def label_term(
    loss: Callable[..., Tensor], logits: Tensor, labels: Tensor, *more: Any, mask: Tensor | None
) -> Tensor:
    """A loss (logits, *more, labels, mask=) over the labelled positions; 0 where there are none."""
    if mask is not None and mask.shape == labels.shape:  # what does not count has no label
        labels = torch.where(kept_by(mask), labels, IGNORE)
    if readable(labels) and labels.numel() and labels.max().item() == IGNORE:
        return torch.zeros((), device=logits.device)
    return loss(logits, *more, labels, mask=mask)
