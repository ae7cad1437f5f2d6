"""Where losses on features check and arrange their input: named axes, examples first.

A layout names the axes, for example "B C H ..." for maps of one or more spatial axes. A mask
covers leading axes: (B,) keeps examples, (B, L) keeps tokens.
"""

import torch
from torch import Tensor

from distill_lab.losses.positions import check_mask_shape, in_float32, mean_over


def check_features(
    student: Tensor, teacher: Tensor, layout: str, *, free: str = "", mend: str = ""
) -> None:
    """Refuse features that lack the layout, or that differ on an axis outside ``free``."""
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
    """Return a mask over at most so many leading axes of the features as booleans."""
    if mask is None:
        return None
    covered = min(mask.dim(), most) if isinstance(mask, Tensor) else 1
    return check_mask_shape(
        mask, features.shape[: max(covered, 1)], f"the features have shape {tuple(features.shape)}"
    )


def blank_features(features: Tensor, mask: Tensor | None) -> Tensor:
    """Zero what a leading mask leaves out, before any arithmetic; the dtype stays."""
    if mask is None:
        return features
    return torch.where(_beside(mask, features), features, 0.0)


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
    found = []
    for features in (student, teacher):
        flat = in_float32(features).reshape(features.shape[:count].numel(), -1)
        found.append(flat if mask is None else flat[mask.flatten()])
    if found[0].shape[0] < at_least:
        raise ValueError(
            f"this loss compares examples with each other and got {found[0].shape[0]}: expected "
            f"at least {at_least} rows. Use a larger batch."
        )
    return found[0], found[1]


def unit(vectors: Tensor, dim: int = -1, *, floor: float | Tensor = 0.0) -> Tensor:
    """Vectors of length one; those no longer than the floor become zero, with zero gradient."""
    length = torch.linalg.vector_norm(vectors, dim=dim, keepdim=True)
    live = length > floor
    # dividing by max(length, 1e-12) instead would give a vector of zeros gradients of 1e12
    return torch.where(live, vectors / torch.where(live, length, 1.0), 0.0)


def _beside(mask: Tensor, features: Tensor) -> Tensor:
    return mask.reshape(mask.shape + (1,) * (features.dim() - mask.dim()))
