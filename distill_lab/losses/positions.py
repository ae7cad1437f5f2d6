"""The one place where losses check their input and reduce: class axis last, positions before it.

Every loss computes one value per position (an image, a token) and hands it to
``mean_over``, so that padding can only be ignored in one way.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

IGNORE = -100  # the label that marks a position as having none, as in torch's cross_entropy


def check_logits(student_logits: Tensor, teacher_logits: Tensor) -> None:
    """Refuse logits that cannot be compared: wrong type, no class axis, shapes that differ."""
    for name, logits in (("student_logits", student_logits), ("teacher_logits", teacher_logits)):
        check_tensor(name, logits)
    if student_logits.shape[-1] != teacher_logits.shape[-1]:
        raise ValueError(
            f"student_logits have {student_logits.shape[-1]} classes and teacher_logits "
            f"{teacher_logits.shape[-1]}: both must score the same classes in the same order. "
            "Cut or map the larger vocabulary before the loss."
        )
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student_logits have shape {tuple(student_logits.shape)} and teacher_logits "
            f"{tuple(teacher_logits.shape)}: expected the same shape (..., classes). "
            "Give both models the same batch."
        )


def check_tensor(name: str, logits: Tensor) -> None:
    """Refuse anything that is not a floating tensor of shape (..., classes)."""
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"{name} must be a torch tensor of shape (..., classes), not "
            f"{type(logits).__name__}. Hugging Face outputs keep theirs in `.logits`."
        )
    if not logits.is_floating_point():
        raise TypeError(
            f"{name} must hold floating-point logits, not {logits.dtype}. "
            "Pass the model's raw scores, not class indices."
        )
    if logits.dim() == 0 or logits.shape[-1] == 0:
        raise ValueError(
            f"{name} has shape {tuple(logits.shape)}: expected (..., classes) with at least "
            "one class on the last axis."
        )


def check_temperature(T: float) -> None:
    """Refuse a temperature that is not a positive finite number."""
    if not isinstance(T, (int, float)) or isinstance(T, bool) or not 0 < T < float("inf"):
        raise ValueError(
            f"T must be a positive finite number, got {T!r}. T = 1 leaves the softmax as it is; "
            "larger values soften it."
        )


def check_fraction(name: str, value: float) -> None:
    """Refuse a mixing weight outside [0, 1]."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {value!r}: it mixes two terms.")


def check_labels(labels: Tensor, logits: Tensor) -> bool:
    """Refuse labels that are not one class index a position (or IGNORE).

    Returns whether every position is known to have a label.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a torch tensor, not {type(labels).__name__}.")
    if labels.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        raise TypeError(
            f"labels must be class indices (int64), got {labels.dtype}. "
            "For a target distribution use soft_cross_entropy."
        )
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} but the logits have shape "
            f"{tuple(logits.shape)}: expected one label a position, {tuple(logits.shape[:-1])}."
        )
    if not values_at_hand(labels) or labels.numel() == 0:
        return False
    classes = logits.shape[-1]
    if labels.dim() == 1 and len(labels) <= 256:  # as numbers, a short list is read faster
        known = labels.tolist()
        lowest, highest = min(known), max(known)
    else:
        lowest, highest = (int(label) for label in labels.aminmax())
    if lowest >= 0 and highest < classes:
        return True
    wrong = ((labels < 0) & (labels != IGNORE)) | (labels >= classes)
    if wrong.any():
        raise ValueError(
            f"labels must lie between 0 and {classes - 1} (or be {IGNORE} where there is none), "
            f"got {int(labels[wrong][0])}. Check the number of classes and the label mapping."
        )
    return False


def check_mask(mask: Tensor, logits: Tensor) -> Tensor:
    """Return the mask as booleans of shape (...), refusing one that keeps nothing."""
    return check_mask_shape(mask, logits.shape[:-1], f"the logits have shape {tuple(logits.shape)}")


def check_mask_shape(mask: Tensor, shape: tuple[int, ...], beside: str) -> Tensor:
    """Return a mask of just this shape as booleans, refusing one that keeps nothing."""
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask must be a torch tensor of booleans, not {type(mask).__name__}.")
    if mask.shape != shape:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)} but {beside}: expected one entry a position, "
            f"{tuple(shape)}."
        )
    mask = mask.bool()
    if values_at_hand(mask) and not mask.any():
        raise ValueError(
            "mask keeps no position, so the mean has nothing to average: expected at least one "
            "True. Labels that are all -100 end here too; look at how they were made."
        )
    return mask


def values_at_hand(tensor: Tensor) -> bool:
    """Whether a tensor's values can be read: not inside torch.vmap, where it stands for many."""
    try:
        tensor.data_ptr()
    except RuntimeError:
        return False
    return True


def in_float32(logits: Tensor) -> Tensor:
    """Half precision becomes float32; float64 stays, so that gradcheck sees what it needs."""
    return logits if logits.dtype == torch.float64 else logits.float()


def blank_out(tensors: Iterable[Tensor], mask: Tensor | None) -> list[Tensor]:
    """Zero the masked positions before any arithmetic: not even a NaN there can leak out."""
    if mask is None:
        return [in_float32(t) for t in tensors]
    return [torch.where(mask.unsqueeze(-1), in_float32(t), 0.0) for t in tensors]


def mean_over(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of one value a position, over all positions or the unmasked ones."""
    if mask is None:
        return values.mean()
    return torch.where(mask, values, 0.0).sum() / mask.sum()
