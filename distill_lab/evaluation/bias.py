"""Shift the logits of some classes: how a student shows what it learned of classes it never saw.

Hinton, Vinyals & Dean 2015 (arXiv:1503.02531, section 3) raise the bias of the digit left out, or
lower those of the only two shown, and tune the shift on the test set. Tune it on a held-out half.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from distill_lab.evaluation.metrics import check, plain

__all__ = ["shift_bias", "tune_bias"]


def shift_bias(logits: Tensor, classes: int | Iterable[int], shift: float | Tensor) -> Tensor:
    """The logits with `shift` added to those of `classes`; the same as a changed output bias.

    Args:
        logits: scores (N, C), or (S, N, C) of S seeds; they are left as they were.
        classes: the class to move, or several.
        shift: what to add, in logits: one number for all, or one a seed (S,).

    Returns:
        A new tensor of the logits' shape.

    Raises:
        ValueError: for another number of shifts than one, or one a seed.

    >>> shift_bias(torch.zeros(1, 4), [2, 3], -1.5)
    tensor([[ 0.0000,  0.0000, -1.5000, -1.5000]])
    """
    chosen = _chosen(logits, classes)
    shift = torch.as_tensor(shift, dtype=logits.dtype, device=logits.device)
    if shift.ndim and shift.shape != logits.shape[:-2]:
        raise ValueError(
            f"expected one shift, or one a seed; got shape {tuple(shift.shape)} for logits "
            f"{tuple(logits.shape)}."
        )
    return logits + chosen.to(logits) * shift[..., None, None]


def tune_bias(
    logits: Tensor,
    labels: Tensor,
    classes: int | Iterable[int],
    grid: Iterable[float] | None = None,
) -> float | Tensor:
    """The shift of `classes` that makes these logits most accurate on these labels.

    Of equally good shifts the middle one is taken, as the safest on new data.

    Args:
        logits: scores (N, C), or (S, N, C) of S seeds.
        labels: classes (N,), or (S, N).
        classes: the class to move, or several; not all of them.
        grid: the shifts to try, in logits; without them -20 to 20 in steps of 0.1.

    Returns:
        A shift in logits: a float for (N, C), a tensor (S,) for (S, N, C).

    Raises:
        ValueError: where every class would move, or the grid is no row of finite numbers.

    >>> logits = torch.tensor([[4.0, 0.0], [3.0, 0.0], [1.0, 0.0]])
    >>> tune_bias(logits, torch.tensor([0, 1, 1]), classes=1, grid=[0, 2, 3.4, 3.5, 3.6, 5])
    3.5
    """
    chosen = _chosen(logits, classes)
    if bool(chosen.all()):
        raise ValueError("a shift of every class changes nothing: leave at least one out.")
    logits, labels = check(logits, labels)
    grid = [step / 10 for step in range(-200, 201)] if grid is None else list(grid)
    steps = torch.as_tensor(grid, dtype=torch.float64)
    if steps.ndim != 1 or len(steps) == 0 or not bool(steps.isfinite().all()):
        raise ValueError(f"grid must be a row of finite shifts to try; got {tuple(steps.shape)}.")
    steps = steps.sort()[0]
    # Per example only two classes can win: the best of the chosen, or the best of the others.
    inside, in_class = logits.masked_fill(~chosen.cpu(), -torch.inf).max(-1)
    outside, out_class = logits.masked_fill(chosen.cpu(), -torch.inf).max(-1)
    in_right, out_right = in_class == labels, out_class == labels
    right = torch.stack(
        [torch.where(inside + step > outside, in_right, out_right).sum(-1) for step in steps]
    )
    best = right == right.amax(0)
    rank = best.cumsum(0)
    middle = best & (rank == (rank[-1] + 1) // 2)
    return plain(steps[middle.byte().argmax(0)])


def _chosen(logits: Tensor, classes: int | Iterable[int]) -> Tensor:
    """A mask (C,) of the classes."""
    numbers = [classes] if isinstance(classes, int) else list(classes)
    if not numbers or any(not 0 <= number < logits.shape[-1] for number in numbers):
        raise ValueError(
            f"classes must name some of 0 to {logits.shape[-1] - 1}, the classes of the logits; "
            f"got {numbers}."
        )
    mask = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    mask[numbers] = True
    return mask
