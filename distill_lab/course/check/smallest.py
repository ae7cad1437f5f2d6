"""The smallest case that fails: a known one cut down for as long as it still fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Case, Exercise
from distill_lab.course.check.learner import Learner
from distill_lab.course.check.values import close, number, tensor

__all__ = ["arguments", "smallest"]

Args = tuple[Any, ...]
_SHOWN = 12  # numbers of a tensor that are written out; of a larger one, its shape


def smallest(exercise: Exercise, learner: Learner, failing: list[Args]) -> Case | None:
    """Cut the smallest failing case down, row by row and class by class, and write it out.

    Args:
        exercise: The exercise.
        learner: The learner's function.
        failing: The arguments of the cases that are wrong.

    Returns:
        Its arguments, the learner's result and the expected one; None where none fails.
    """
    if not failing:
        return None
    args = min(failing, key=_size)
    rounds = 0
    while rounds < 8:  # each round goes on from the last cut that still fails
        rounds += 1
        cut = next((c for c in _cuts(args) if _fails(exercise, learner, c) is not None), None)
        if cut is None:
            break
        args = cut
    results = _fails(exercise, learner, args)
    if results is None:  # the function does not give the same twice
        return None
    yours, expected = tensor(results[0]), tensor(results[1])
    at = ""
    if expected.numel() > _SHOWN:
        gap = (yours - expected).abs().nan_to_num(nan=torch.inf)
        place = torch.unravel_index(gap.argmax(), gap.shape)
        at = f"  at [{', '.join(str(int(i)) for i in place)}]"
        yours, expected = yours[place], expected[place]
    return Case(arguments(exercise, args), _text(yours) + at, _text(expected) + at)


def arguments(exercise: Exercise, args: Args) -> tuple[tuple[str, str], ...]:
    """Each argument's name and value, as text."""
    return tuple((name, _text(a)) for name, a in zip(exercise.cases[0], args, strict=True))


def _size(args: Args) -> int:
    return sum(a.numel() if isinstance(a, Tensor) else len(str(a)) for a in args)


def _fails(exercise: Exercise, learner: Learner, args: Args) -> tuple[Any, Any] | None:
    """The learner's result and the right one, if they differ and both make sense."""
    try:
        expected = exercise.reference(*args)
        result = learner(*args)
    except Exception:  # the cut may not be a case at all: another one is tried
        return None
    if not number(result) or tensor(result).shape != tensor(expected).shape:
        return None
    if not bool(torch.isfinite(tensor(expected)).all()) or close(exercise, result, expected):
        return None
    return result, expected


def _cuts(args: Args) -> Iterator[Args]:
    """Smaller versions of a case, the smallest first; a cut that makes no sense is rejected later.

    Along the first, last and second axis of the first tensor, and of all that share that length.
    """
    first = next((a for a in args if isinstance(a, Tensor)), None)
    if first is None:
        return
    for axis in (0, -1, 1) if first.ndim > 2 else (0, -1)[: first.ndim]:
        length = first.shape[axis]
        for shorter in range(1 if axis == 0 else 2, length):
            yield tuple(_cut(a, axis, length, shorter) for a in args)
    rounded = tuple(
        a.round() if isinstance(a, Tensor) and a.dtype.is_floating_point else a for a in args
    )
    if any(isinstance(a, Tensor) and not a.equal(b) for a, b in zip(args, rounded, strict=True)):
        yield rounded


def _cut(value: Any, axis: int, length: int, shorter: int) -> Any:
    if not isinstance(value, Tensor) or value.ndim <= max(axis, 0):
        return value
    if axis == -1 and not value.dtype.is_floating_point and value.dtype is not torch.bool:
        return torch.where(value >= shorter, value % shorter, value)  # labels below the classes
    return value.narrow(axis, 0, shorter) if value.shape[axis] == length else value


def _text(value: Any) -> str:
    """A value in few characters: three digits that matter, or the shape of a large tensor."""
    if isinstance(value, Tensor):
        if value.numel() > _SHOWN:
            return f"tensor of shape {tuple(value.shape)}"
        return _rows(value.tolist())
    return repr(value) if isinstance(value, (str, list)) else _digits(value)


def _rows(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_rows(v) for v in value)}]"
    return _digits(value)


def _digits(value: Any) -> str:
    if isinstance(value, float):
        return f"{value + 0.0:.4g}"  # + 0.0: no minus zero
    return str(value)
