"""One other term beside the labels: matched logits, the teacher's decision."""

from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.losses import logit_mse
from distill_lab.losses.response import decision_cross_entropy
from distill_lab.methods.method import Method
from distill_lab.methods.positions import ClassWeights, Mask
from distill_lab.methods.response.soft_targets import Labels, beside_labels
from distill_lab.methods.scoring import divergence
from distill_lab.signals import Signal, Text, TopK


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

    labels = Labels(mask, axis, ignore, class_weights)
    return beside_labels(f"logit_matching(alpha={alpha}", "logits", soft, alpha, labels)


def hard_labels(
    alpha: float = 0.5,
    *,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
) -> Method:
    """The teacher's decision as a second label; it may come from a cache with `keep.top_k` or text.

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

    def decision(logits: Tensor, answer: Tensor | Signal, mask: Tensor | None = None) -> Tensor:
        if isinstance(answer, TopK):  # the most probable class is always among those kept
            best = answer.ids.gather(-1, answer.log_probs.argmax(-1, keepdim=True)).squeeze(-1)
            answer = Text(best if answer.mask is None else best.where(answer.mask, IGNORE))
        if isinstance(answer, Text):
            return divergence(logits, answer, mask=mask)
        return decision_cross_entropy(logits, answer, mask=mask)  # type: ignore[arg-type]

    labels = Labels(mask, axis, ignore, class_weights)
    return beside_labels(f"hard_labels(alpha={alpha}", "hard", decision, alpha, labels)
