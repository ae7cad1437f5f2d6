"""A recipe for independent labels, of which several may hold at once: a sigmoid for each."""

from typing import Any

import torch
from torch import Tensor

from distill_lab._util.axes import check_axis
from distill_lab._util.checks import fraction
from distill_lab._util.tensors import IGNORE, Batch, check_temperature, readable
from distill_lab.losses._checks import kept_by
from distill_lab.losses.binary import (
    all_in_range,
    binary_cross_entropy,
    binary_kd_loss,
    known_labels,
    mean_bce,
)
from distill_lab.methods.answers import OWN_SQUASHING, FirstLook, labels_of, moved_axis, squashed_by
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.positions import (
    ByTeacher,
    ClassWeights,
    Mask,
    as_class_weights,
    attended,
    check_mask_name,
    positions,
)
from distill_lab.models.networks import logits_of


def binary_kd(
    T: float = 2.0,
    alpha: float = 0.7,
    *,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
    pos_weight: ClassWeights = None,
) -> Method:
    """Soft targets for independent labels: a sigmoid each, beside the labels themselves.

    For several labels an example, and for yes or no with one logit. Sums run over labels.

    Formula: alpha T^2 sum_k KL(p_k || q_k) + (1 - alpha) sum_k BCE(z_k, y_k), sigmoids at T.

    Args:
        T: the temperature of both sigmoids.
        alpha: what the soft targets weigh; with 1 no labels are needed, with 0 no teacher.
        mask: which positions count: see `methods.positions`.
        axis: where the labels are in logits such as (B, C, H, W); None for last, and looked at:
            logits (B, L) beside an attention mask (B, L) are one a token, unless labels are known
            at padding; -1 says that they are L labels.
        ignore: a label that is unknown, beside -100 and NaN; for example 255.
        class_weights: what each label weighs (C,), in the labels' term alone.
        pos_weight: what a label that holds weighs (C,), in the labels' term alone.

    Returns:
        A method with the terms "kd" and "bce", but for one that weighs nothing. Its labels are 0
        or 1 (B, C), or (B,) for one logit, unknown where NaN or -100.

    Raises:
        ValueError: for T <= 0, alpha outside [0, 1] or an unknown mask; when it runs, for labels of
            another shape, outside [0, 1], or a teacher that gives probabilities.

    Source: Hinton, Vinyals & Dean 2015, section 2, for each label; Yang et al. 2023 (multi-label
        logits distillation), section 3.2.

    >>> binary_kd(T=2.0, alpha=0.75).weights
    {'kd': 0.75, 'bce': 0.25}
    """
    T = check_temperature(T)
    alpha = fraction("alpha", alpha, why=": it mixes two terms.")
    labels = _Labels(mask, axis, ignore)
    weighing = {
        "class_weights": as_class_weights("class_weights", class_weights),
        "pos_weight": as_class_weights("pos_weight", pos_weight),
    }
    look = FirstLook(T, sigmoid=True)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        answered = teacher(batch) if alpha > 0 else None  # first: see `methods.response`
        answer = logits_of(student, batch.inputs)
        if squashed := squashed_by(answer):
            raise ValueError(OWN_SQUASHING.format(squashed))
        logits, known, kept = labels.read(batch, answer)
        result: Terms = {}
        if alpha > 0:
            both = labels.by_teacher(answered, kept)
            output = _logits(moved_axis(answered, axis))
            if output.shape == logits.shape[:-1]:
                output = output.unsqueeze(-1)  # as the student's, of a token each
            look(teacher, output)
            result["kd"] = binary_kd_loss(logits, output, T=T, alpha=1.0, mask=both)
        if alpha < 1 and known is None:
            labels_of(batch, "binary_kd(alpha=1.0)")  # says what is missing
        if alpha < 1 and known is not None:
            for name, weights in weighing.items():
                weighing[name] = None if weights is None else weights.to(logits.device)
            all_known = labels.all_known(batch.labels) if batch.labels is not None else False
            result["bce"] = _hard(logits, known, kept, weighing, all_known)
        return result

    weights = {"kd": alpha, "bce": 1.0 - alpha}
    used = {name: weight for name, weight in weights.items() if weight > 0}
    settings: dict[str, Any] = {"mask": mask, "axis": axis, "ignore": ignore}
    settings |= {name: None if w is None else w.tolist() for name, w in weighing.items()}
    name = ", ".join(
        f"{key}={value}" for key, value in {"T": T, "alpha": alpha, **settings}.items()
    )
    return Method(
        f"binary_kd({name})",
        terms,
        used,
        needs_teacher=alpha > 0,
        look=lambda batch, student, _: labels.look(batch, student),
        count=lambda batch: {term: n for term, n in labels.count(batch).items() if term in used},
        each_teacher=("kd",) if alpha > 0 else (),
        ignore=ignore,
    )


class _Labels:
    """How independent labels lie beside the logits, and which of them are known."""

    def __init__(self, mask: Mask, axis: int | None, ignore: int) -> None:
        check_mask_name(mask)
        self.mask, self.axis, self.ignore = mask, axis, ignore
        self.one_each: bool | None = None  # whether labels lack the axis of classes; seen at work
        self.by_teacher = ByTeacher()
        self.by_token = False  # whether each token of a text has an answer; seen at work
        self.last: tuple[Tensor | None, bool] = (None, False)

    def read(self, batch: Batch, answer: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Logits (..., C), labels of that shape, and which positions (...) count."""
        if self.axis is None and isinstance(answer, Tensor):
            check_axis(batch, tuple(answer.shape))
        logits = _logits(moved_axis(answer, self.axis))
        labels, given = self._with_ignored(batch.labels), attended(batch)
        like_tokens = self.axis is None and given is not None and given.shape == logits.shape
        if like_tokens and not self._of_examples(batch):
            logits = logits.unsqueeze(-1)  # one logit a token
        self.by_token = given is not None and given.shape == logits.shape[:-1]
        if labels is None:
            return logits, None, positions(batch, logits.shape[:-1], self._mask_without_labels())
        shape = tuple(labels.shape)
        self.one_each = logits.shape[-1] == 1 and shape == tuple(logits.shape[:-1])
        if self.one_each:
            labels = labels.unsqueeze(-1)
        elif shape == tuple(answer.shape):
            labels = _logits(moved_axis(labels, self.axis))
        if labels.shape != logits.shape:
            raise ValueError(
                f"the labels have shape {shape} and the logits {tuple(answer.shape)}: binary_kd "
                "needs 0 or 1 for each of them. Where labels are class numbers, use kd(), or "
                "torch.nn.functional.one_hot."
            )
        by_label = self.mask == "labels" or (self.mask == "auto" and logits.dim() > 2)
        has_label = known_labels(labels).any(-1) if by_label else None
        return logits, labels, positions(batch, logits.shape[:-1], self.mask, has_label=has_label)

    def look(self, batch: Batch, student: Student) -> None:
        """See how labels lie beside the student's logits, for `count`."""
        self.read(batch, logits_of(student, batch.inputs))

    def _of_examples(self, batch: Batch) -> bool:
        """Whether labels (B, L) beside a mask (B, L) are of an example: known where padding is."""
        batch = batch.at_hand
        labels, given = self._with_ignored(batch.labels), attended(batch)
        if labels is None or given is None or labels.shape != given.shape or not readable(labels):
            return False
        return bool((known_labels(labels) & ~given).any())

    def count(self, batch: Batch) -> dict[str, float]:
        """How many positions have an answer, and how many labels are known, by weight."""
        labels, weights = self._with_ignored(batch.labels), batch.weights
        if labels is None:
            named = self.mask == "attention_mask"  # then it is known before the first answer
            given = attended(batch) if self.by_token or named else None
            shape = torch.Size([len(batch.ids)]) if given is None else given.shape
            kept = positions(batch, shape, self._mask_without_labels())
            return {"kd": shape.numel() if kept is None else float(kept.sum()), "bce": 0.0}
        alike = weights is None and labels.dim() < 3 and attended(batch) is None
        if alike and self.all_known(labels):
            one_each = self._lacks_axis(batch, labels)
            return {"kd": labels.numel() if one_each else len(labels), "bce": labels.numel()}
        known = known_labels(labels)
        axis = -1 if self.axis is None else self.axis
        has_label = known if self._lacks_axis(batch, labels) else known.any(axis)
        kept = positions(batch, has_label.shape, self.mask, has_label=has_label)
        every = has_label.numel() if kept is None else float(kept.sum())
        if kept is not None and kept.shape != known.shape:
            kept = kept.unsqueeze(axis).expand(known.shape)
        if weights is None and kept is None:
            return {"kd": every, "bce": int(known.sum())}
        return {"kd": every, "bce": float((known if kept is None else known * kept).sum())}

    def all_known(self, labels: Tensor) -> bool:
        """Whether these labels are seen to be known, each batch looked at once."""
        if self.last[0] is not labels:
            known = readable(labels) and labels.numel() > 0 and all_in_range(labels)
            self.last = (labels, known)
        return self.last[1]

    def _lacks_axis(self, batch: Batch, labels: Tensor) -> bool:
        """Whether labels have no axis of classes; before that is seen, as their shapes say."""
        if self.one_each is not None:
            return self.one_each
        given, inputs = attended(batch), batch.inputs
        of_tokens = self.axis is None and given is not None and given.shape == labels.shape
        if labels.dim() == 1 or of_tokens:
            return True
        pictures = isinstance(inputs, Tensor) and inputs.dim() == labels.dim() + 1
        return self.axis is not None and pictures

    def _mask_without_labels(self) -> Mask:
        return "auto" if self.mask == "labels" else self.mask

    def _with_ignored(self, labels: Tensor | None) -> Tensor | None:
        if labels is None or self.ignore == IGNORE:
            return labels
        labels = labels if labels.is_floating_point() else labels.long()
        return labels.masked_fill(labels == self.ignore, IGNORE)


def _logits(output: Any) -> Tensor:
    """Logits with an axis of labels, also where there is one logit an example."""
    if not isinstance(output, Tensor):
        output = getattr(output, "logits", output)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"independent labels are scored on all logits, and the answer is a "
            f"{type(output).__name__}: give logits, or cache the teacher with keep.dense()."
        )
    return output.unsqueeze(-1) if output.dim() == 1 else output


def _hard(
    logits: Tensor,
    labels: Tensor,
    kept: Tensor | None,
    weighing: dict[str, Tensor | None],
    all_known: bool,
) -> Tensor:
    """The cross-entropy with the labels that are known; 0 where none is."""
    if all_known and kept is None:
        if not any(weights is not None for weights in weighing.values()):
            return mean_bce(logits, labels, None, all_known)
    elif readable(labels):
        known = known_labels(labels)
        if kept is not None:
            known = known & kept_by(kept).unsqueeze(-1)
        if not known.any():
            return torch.zeros((), device=logits.device)
    return binary_cross_entropy(logits, labels, mask=kept, **weighing)
