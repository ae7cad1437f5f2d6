"""Where the classes of an answer are: on the last axis, or in front of maps and signals."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from distill_lab._util.tensors import Batch


def check_axis(batch: Batch, shape: tuple[int, ...], example: str = "kd(axis=1)") -> None:
    """Refuse answers with the classes in front, where they are taken to be last.

    Args:
        batch: with its inputs and labels, which tell what the axes are.
        shape: of the answers.
        example: what takes an axis, as the caller would write it.

    Raises:
        ValueError: where the shapes of inputs or labels say so.
    """
    if classes_in_front(batch, shape):
        raise ValueError(
            f"the logits have shape {shape}, with the classes in front, and the softmax would run "
            f"over the last axis. Say axis=1, as {example}, or let student and teacher return "
            "logits.movedim(1, -1); axis=-1 says that the classes are last."
        )


def classes_in_front(batch: Batch, shape: tuple[int, ...]) -> bool:
    """Whether the shapes of inputs or labels say that answers have their classes on axis 1.

    Args:
        batch: with its inputs and labels, which tell what the axes are.
        shape: of the answers.

    Returns:
        False where nothing says so.

    >>> import torch
    >>> pictures = Batch(torch.zeros(2, 3, 8, 8), None, torch.arange(2))
    >>> classes_in_front(pictures, (2, 5, 8, 8)), classes_in_front(pictures, (2, 8, 8, 5))
    (True, False)
    """
    if len(shape) < 3:
        return False
    labels = batch.labels
    front = (shape[0], *shape[2:])
    by_labels = labels is not None and tuple(labels.shape) == front != shape[:-1]
    known = labels is not None and tuple(labels.shape) == shape[:-1] != front
    return by_labels or _like_pictures(batch.inputs, shape, known)


def classes_last(answer: Tensor, axis: int | None) -> Tensor:
    """A tensor with its classes last.

    Args:
        answer: logits.
        axis: where the classes are; None for last.

    Returns:
        The same numbers, classes last.

    Raises:
        ValueError: for an axis that there is not.

    >>> import torch
    >>> classes_last(torch.zeros(2, 5, 3, 4), 1).shape
    torch.Size([2, 3, 4, 5])
    """
    if axis is None or axis == -1:
        return answer
    if not -answer.dim() <= axis < answer.dim():
        raise ValueError(
            f"axis={axis} says where the classes are, and an answer has shape "
            f"{tuple(answer.shape)}: it has no such axis."
        )
    return answer.movedim(axis, -1)


def _like_pictures(inputs: Any, shape: tuple[int, ...], known: bool) -> bool:
    """Whether some input (B, channels, H, W) says that answers (B, C, h, w) have its axes.

    So does a signal (B, channels, L) of answers (B, C, L), where labels leave it open.
    """
    parts = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    for part in parts:
        if isinstance(part, Tensor) and part.dim() == len(shape):
            sizes = tuple(part.shape[2:])
            if len(shape) == 3:
                if sizes == shape[2:] and part.shape[1] != shape[1] and not known:
                    return True
                continue
            if sizes == shape[2:] or (_shrunk(sizes, shape[2:]) and not _shrunk(sizes, shape[1:])):
                return True
    return False


def _shrunk(sizes: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether every size was divided by one number."""
    factors = {size / smaller for size, smaller in zip(sizes, to, strict=False)}
    return len(factors) == 1 and factors.pop().is_integer()
