"""Comparing what a learner returned with what was expected, at the precision it has."""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from distill_lab.course.check.exercise import Exercise

__all__ = ["FullPrecision", "Tried", "close", "number", "shape_of", "tensor"]

Tried = list[tuple[tuple[Any, ...], Any, Any]]  # arguments, the learner's result, the expected one

# (absolute, relative): about four units in the last place of numbers of ordinary size.
_LOOSE = {torch.float16: (5e-3, 5e-3), torch.bfloat16: (5e-2, 3e-2)}
_HALVES = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
_CASTS = {torch.Tensor.half, torch.Tensor.bfloat16}


class FullPrecision(TorchFunctionMode):
    """Runs what is written for half precision in float32, and remembers that it was.

    So a solution in `half` or `bfloat16` is judged by its formula, not by its rounding.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lowered = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Put float32 in the place of each half-precision type that a call asks for."""
        kwargs = kwargs or {}
        dtypes = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.dtype)]
        if func in _CASTS or any(dtype in _HALVES for dtype in dtypes):
            self.lowered = True
            func = torch.Tensor.float if func in _CASTS else func
            args = tuple(_full(a) for a in args)
            kwargs = {key: _full(value) for key, value in kwargs.items()}
        return func(*args, **kwargs)


def _full(value: Any) -> Any:
    return _HALVES.get(value, value) if isinstance(value, torch.dtype) else value


def tensor(value: Any) -> Tensor:
    """Turn a result into a tensor of float64, without its gradient."""
    return torch.as_tensor(value).detach().double()


def number(value: Any) -> bool:
    """Tell whether a result can be compared at all: a tensor or a plain number, of NumPy too."""
    return isinstance(value, (Tensor, Real))


def close(exercise: Exercise, result: Any, expected: Any) -> bool:
    """Tell whether a result is the expected one, within what its precision allows.

    Args:
        exercise: The exercise, with its tolerances.
        result: The learner's result.
        expected: The value to compare with.

    Returns:
        Whether shapes agree, and all values too.
    """
    a, b = tensor(result), tensor(expected)
    if a.shape != b.shape:
        return False
    dtype = result.dtype if isinstance(result, Tensor) else torch.float32
    atol, rtol = _LOOSE.get(dtype, (exercise.atol, exercise.rtol))
    return torch.allclose(a, b, atol=atol, rtol=rtol, equal_nan=True)


def shape_of(value: Any) -> str:
    """A value's shape in words."""
    shape = tuple(torch.as_tensor(value).shape)
    return str(shape) if shape else "() (one number)"
