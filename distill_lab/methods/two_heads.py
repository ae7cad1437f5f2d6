"""A recipe for students with two heads: one learns the labels, the other learns from a teacher."""

from typing import Any

from torch import Tensor

from distill_lab._util.checks import fraction
from distill_lab._util.tensors import Batch
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.response import hard_labels, supervised
from distill_lab.models.networks import output_of


def distillation_token(method: Method | None = None, *, alpha: float = 0.5) -> Method:
    """DeiT's division of work: the class head learns the labels, the distillation head the teacher.

    The student's output has `cls_logits` and `distillation_logits`, as
    `VisionTransformer(..., distilled=True)` and Hugging Face's DeiT give them, or it is a pair of
    them, as timm's distilled models give it in training, after `set_distilled_training(True)`.
    Neither head meets the other's target, and both share the body.

    Formula: (1 - alpha) CE(z_c, y) + alpha L(z_d, teacher), z_c and z_d the logits on the class
    token and on the distillation token, L what `method` minimises.

    Args:
        method: how the distillation head learns from the teacher's answers alone; without it the
            teacher's decision, `hard_labels(alpha=1.0)`. For soft targets `kd(T, alpha=1.0)`.
        alpha: what the distillation head weighs; the class head weighs 1 - alpha.

    Returns:
        A method with the terms of `method` and "ce".

    Raises:
        ValueError: for alpha outside (0, 1), or a method that asks no teacher or learns labels
            too; when it runs, for a student without the two heads.

    Source: Touvron et al. 2021 (DeiT), section 4.

    >>> distillation_token(alpha=0.75).weights
    {'hard': 0.75, 'ce': 0.25}
    """
    alpha = fraction("alpha", alpha, ends=False, why=": each head needs a term to learn from.")
    method = hard_labels(alpha=1.0) if method is None else method
    if not method.needs_teacher or "ce" in method.weights:
        raise ValueError(
            f"the distillation head learns from the teacher alone, and {method.name} "
            f"{'learns labels' if 'ce' in method.weights else 'asks no teacher'}: give for "
            "example hard_labels(alpha=1.0) or kd(alpha=1.0)."
        )
    labels = supervised()

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        by_class, by_teacher = _two_heads(output_of(student, batch.inputs))
        taught = method.counted_terms(batch, _answering(by_teacher), teacher)
        return taught | labels.counted_terms(batch, _answering(by_class), teacher)

    def look(batch: Batch, student: Student, teacher: TeacherFn) -> None:
        output = output_of(student, batch.inputs)  # of timm's in eval mode the mean of both
        heads = (output, output) if isinstance(output, Tensor) else _two_heads(output)
        for part, head in zip((labels, method), heads, strict=True):
            if part.look is not None:
                part.look(batch, _answering(head), teacher)

    weights = {name: alpha * weight for name, weight in method.weights.items()}
    return Method(
        f"distillation_token({method.name}, alpha={alpha})",
        terms,
        weights | {"ce": 1.0 - alpha},
        count=lambda batch: method.counts(batch) | labels.counts(batch),
        at_least=method.at_least,
        look=look,
    )


def _answering(logits: Tensor) -> Student:
    """A student whose answer is known, whatever its inputs are."""
    return lambda *_, **__: logits


def _two_heads(output: Any) -> tuple[Tensor, Tensor]:
    """The logits of the class head, and those of the distillation head."""
    if hasattr(output, "cls_logits") and hasattr(output, "distillation_logits"):
        return output.cls_logits, output.distillation_logits
    if isinstance(output, tuple) and len(output) == 2:
        first, second = output
        if all(isinstance(o, Tensor) for o in output) and first.shape == second.shape:
            return first, second
    raise ValueError(
        f"the student returns {type(output).__name__} and neither an output with cls_logits and "
        "distillation_logits nor a pair of them: use VisionTransformer(..., distilled=True), or of "
        "timm a distilled model after model.set_distilled_training(True)."
    )
