"""The one place where losses check their input and reduce: class axis last, positions before it."""

from collections.abc import Iterable

import torch
from torch import Tensor

from distill_lab._util.checks import fraction
from distill_lab._util.tensors import IGNORE, check_tensor, in_float32, readable

ONE_CLASS = (
    "a softmax over one class is 1 whatever it says, so nothing is learned. For yes or no with one "
    "logit use binary_kd_loss (methods.binary_kd), for a quantity methods.regression."
)


def check_some(name: str, values: Tensor) -> None:
    """Refuse what is no floating tensor (..., classes), and one of no position."""
    check_tensor(name, values)
    refuse_empty(name, values)


def refuse_empty(name: str, values: Tensor) -> None:
    """Refuse what holds nothing: the mean over no position is 0 / 0."""
    if values.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(values.shape)} and holds no position, so the mean has "
            "nothing to average: expected at least one. Leave an empty batch out."
        )


def check_logits(student_logits: Tensor, teacher_logits: Tensor, *, softmax: bool = True) -> None:
    """Refuse logits that cannot be compared: wrong type, no class axis, shapes that differ."""
    check_some("student_logits", student_logits)
    check_tensor("teacher_logits", teacher_logits)
    if softmax:
        check_classes("student_logits", student_logits)
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


def check_classes(name: str, logits: Tensor) -> None:
    """Refuse a softmax over one class, or none."""
    if logits.shape[-1] < 2:
        raise ValueError(f"{name} have one class, shape {tuple(logits.shape)}: {ONE_CLASS}")


def check_class_weights(name: str, weights: Tensor, logits: Tensor) -> None:
    """Refuse weights that are not one number of at least 0 a class."""
    if not isinstance(weights, Tensor) or weights.shape != logits.shape[-1:]:
        given = tuple(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
        raise ValueError(
            f"{name} must be a tensor with one weight for each of the {logits.shape[-1]} classes, "
            f"got {given}."
        )
    if readable(weights) and not bool(((weights >= 0) & weights.isfinite()).all()):
        raise ValueError(f"{name} must be finite numbers of at least 0, got {weights.tolist()}.")


def check_fraction(name: str, value: float) -> float:
    """Refuse a mixing weight outside [0, 1]; another one comes back."""
    return fraction(name, value, why=": it mixes two terms.")


def check_labels(labels: Tensor, logits: Tensor) -> bool:
    """Refuse labels that are not one class index a position (or IGNORE).

    Returns whether every position is known to have a label.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a torch tensor, not {type(labels).__name__}.")
    if labels.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        unknown = labels.is_floating_point() and readable(labels) and bool(labels.isnan().any())
        fill = f".nan_to_num({IGNORE})" if unknown else ""  # long() makes any number of a NaN
        raise TypeError(
            f"labels must be class indices (int64), got {labels.dtype}{', with NaN' * unknown}. Of "
            f"class numbers in that type, give labels{fill}.long(). For several labels that may "
            "hold at once use binary_kd_loss (methods.binary_kd), for quantities "
            "methods.regression, for a target distribution soft_cross_entropy."
        )
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} but the logits have shape "
            f"{tuple(logits.shape)}: expected one label a position, {tuple(logits.shape[:-1])}."
            f"{' Give labels.squeeze(-1).' if labels.shape == (*logits.shape[:-1], 1) else ''}"
        )
    if not readable(labels) or labels.numel() == 0:
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
        got = int(labels[wrong][0])
        void = got < 0 or got == 255  # as data sets of pictures mark what has no class
        way_out = f" Where {got} stands for no label, say so, as kd(ignore={got})." if void else ""
        raise ValueError(
            f"labels must lie between 0 and {classes - 1} (or be {IGNORE} where there is none), "
            f"got {got}. Check the number of classes and the label mapping.{way_out}"
        )
    return False


def check_mask(mask: Tensor, logits: Tensor) -> Tensor:
    """Return the mask of shape (...), refusing one that keeps nothing: booleans, or weights."""
    beside = f"the logits have shape {tuple(logits.shape)}"
    return check_mask_shape(mask, logits.shape[:-1], beside, weights=True)


def check_mask_shape(
    mask: Tensor, shape: tuple[int, ...], beside: str, *, weights: bool = False
) -> Tensor:
    """Return a mask of just this shape, refusing one that keeps nothing.

    Booleans come back; where a loss takes weights, floats stay what each position weighs.
    """
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask must be a torch tensor of booleans, not {type(mask).__name__}.")
    if mask.shape != shape:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)} but {beside}: expected one entry a position, "
            f"{tuple(shape)}."
        )
    if mask.is_floating_point():
        _check_weights(mask, weights)
    mask = mask if weights and mask.is_floating_point() else mask.bool()
    if readable(mask) and not mask.any():
        raise ValueError(
            "mask keeps no position, so the mean has nothing to average: expected at least one "
            "True. Labels that are all -100 end here too; look at how they were made."
        )
    return mask


def _check_weights(mask: Tensor, taken: bool) -> None:
    """Refuse floats that are no weights, and weights where a loss can only keep or leave out."""
    if not readable(mask):
        return
    if not bool(((mask >= 0) & mask.isfinite()).all()):
        raise ValueError(
            "a mask of floats says what each position weighs: expected finite numbers of at least "
            f"0, got {mask[~((mask >= 0) & mask.isfinite())][0].item()}. For a mask that is added "
            "to scores, pass mask == 0."
        )
    if not taken and not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError(
            "this loss keeps a position or leaves it out and cannot weigh it: pass booleans, for "
            "example mask > 0."
        )


def kept_by(mask: Tensor) -> Tensor:
    """Where a mask keeps a position, with whatever weight."""
    return mask if mask.dtype == torch.bool else mask > 0


def narrowed(mask: Tensor | None, kept: Tensor) -> Tensor:
    """A mask that leaves out more: booleans stay booleans, weights stay weights."""
    if mask is None:
        return kept
    return torch.where(kept, mask, 0.0) if mask.is_floating_point() else kept & mask.bool()


def blank_out(tensors: Iterable[Tensor], mask: Tensor | None) -> list[Tensor]:
    """Zero the masked positions before any arithmetic: not even a NaN there can leak out."""
    if mask is None:
        return [in_float32(t) for t in tensors]
    kept = kept_by(mask).unsqueeze(-1)
    return [torch.where(kept, in_float32(t), 0.0) for t in tensors]


def mean_over(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of one value a position, over all positions or the unmasked ones, by weight."""
    if mask is None:
        return values.mean()
    if mask.dtype == torch.bool:
        # a mask that keeps nothing is refused before; where that could not be read, the mean is 0
        return torch.where(mask, values, 0.0).sum() / mask.sum().clamp_min(1)
    weight = mask.to(values.dtype)
    total = weight.sum()
    values = torch.where(weight > 0, values, 0.0) * weight
    return values.sum() / torch.where(total > 0, total, 1.0)


def check_features(
    student: Tensor, teacher: Tensor, layout: str, *, free: str = "", mend: str = ""
) -> None:
    """Refuse features that lack the layout, or that differ on an axis outside `free`."""
    axes = layout.split()
    more = axes[-1] == "..."
    least = len(axes) - more
    shown = f"({', '.join(axes)})"
    for name, features in (("student", student), ("teacher", teacher)):
        if not isinstance(features, Tensor):
            raise TypeError(
                f"{name} features must be a torch tensor of shape {shown}, not "
                f"{type(features).__name__}. A Tap gives a module's output."
            )
        if not features.is_floating_point():
            raise TypeError(
                f"{name} features must be floating point, not {features.dtype}: pass what a "
                "layer returned, not indices."
            )
        if features.dim() < least or (features.dim() > least and not more):
            raise ValueError(
                f"{name} features have shape {tuple(features.shape)}: expected {shown}. {mend}"
            )
        if features.numel() == 0:
            raise ValueError(
                f"{name} features have shape {tuple(features.shape)}, which holds nothing: "
                f"expected {shown} with every axis at least 1."
            )
    shared = [i for i, axis in enumerate(axes[:least]) if axis not in free.split()]
    same = all(student.shape[i] == teacher.shape[i] for i in shared)
    if more and "..." not in free.split():
        same = same and student.shape[least:] == teacher.shape[least:]
    if not same:
        names = ", ".join(axis for axis in axes if axis not in free.split())
        raise ValueError(
            f"student features have shape {tuple(student.shape)} and teacher features "
            f"{tuple(teacher.shape)}: expected {shown} with the same {names}. {mend}"
        )


def check_leading_mask(mask: Tensor | None, features: Tensor, most: int) -> Tensor | None:
    """Return a mask over at most so many leading axes of the features: booleans, or weights."""
    if mask is None:
        return None
    covered = min(mask.dim(), most) if isinstance(mask, Tensor) else 1
    beside = f"the features have shape {tuple(features.shape)}"
    of_tokens = isinstance(mask, Tensor) and mask.dim() == 2 and mask.shape == features.shape[:2]
    if most == 1 and of_tokens:
        raise ValueError(
            f"mask has shape {tuple(features.shape[:2])}, one entry a token, and {beside}: this "
            "loss reads maps (B, C, H, ...), and would take the tokens for channels. Match tokens "
            "by hint_loss or cosine_loss."
        )
    return check_mask_shape(mask, features.shape[: max(covered, 1)], beside, weights=True)


def blank_features(features: Tensor, mask: Tensor | None) -> Tensor:
    """Zero what a leading mask leaves out, before any arithmetic; the dtype stays."""
    if mask is None:
        return features
    return torch.where(_beside(kept_by(mask), features), features, 0.0)


def mean_of_features(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the trailing axes of each position, then over the positions that are kept."""
    kept = 1 if mask is None else mask.dim()
    return mean_over(values.flatten(kept).mean(-1) if values.dim() > kept else values, mask)


def rows(
    student: Tensor, teacher: Tensor, mask: Tensor | None, *, at_least: int = 2
) -> tuple[Tensor, Tensor]:
    """Both sides as float32 rows (N, D), those the mask leaves out removed.

    For losses that compare examples with each other, zeros would still be examples. The rows are
    the axes that the mask covers, or the first axis without one.
    """
    check_features(student, teacher, "B ...", free="...", mend="Give both models the same batch.")
    shortest = student if student.dim() <= teacher.dim() else teacher
    mask = check_leading_mask(mask, shortest, shortest.dim())
    count = 1 if mask is None else mask.dim()
    if student.shape[:count] != teacher.shape[:count]:
        raise ValueError(
            f"student features have shape {tuple(student.shape)} and teacher features "
            f"{tuple(teacher.shape)}: expected the same {count} leading axes, as the mask covers."
        )
    sides = []
    for features in (student, teacher):
        flat = in_float32(features).reshape(features.shape[:count].numel(), -1)
        sides.append(flat if mask is None else flat[kept_by(mask).flatten()])
    check_examples(len(sides[0]), at_least, "this loss compares")
    return sides[0], sides[1]


def check_examples(count: int, at_least: int, who: str, mend: str = "Use a larger batch.") -> None:
    """Refuse too few examples to compare with each other."""
    if torch.compiler.is_compiling():  # a count that a mask leaves is not known before it runs
        torch._check(count >= at_least)
    elif count < at_least:
        raise ValueError(
            f"{who} examples with each other and got {count}: expected at least {at_least} rows. "
            f"{mend}"
        )


def unit(vectors: Tensor, dim: int = -1, *, floor: float | Tensor = 0.0) -> Tensor:
    """Vectors of length one; those no longer than the floor become zero, with zero gradient."""
    length = torch.linalg.vector_norm(vectors, dim=dim, keepdim=True)
    live = ~(length <= floor)  # NaN is no short vector: it has to be seen in the loss
    if readable(live) and bool(live.all()):  # the same bits in a third of the operations
        scaled: Tensor = vectors / length
        return scaled
    # dividing by max(length, 1e-12) instead would give a vector of zeros gradients of 1e12
    return torch.where(live, vectors / torch.where(live, length, 1.0), 0.0)


def _beside(mask: Tensor, features: Tensor) -> Tensor:
    return mask.reshape(mask.shape + (1,) * (features.dim() - mask.dim()))
