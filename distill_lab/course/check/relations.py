"""How a wrong result stands to the right one: its logarithm, its square, T times it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise
from distill_lab.course.check.learner import Learner
from distill_lab.course.check.values import Tried, close, tensor

__all__ = ["factor", "relation"]

_LIKE: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
    ("The sign is turned round. Your result is minus the expected one.", lambda e: -e),
    ("This is the logarithm of the result. Take the result itself.", lambda e: e.log()),
    ("This is the exponential of the result. Leave out the last `exp`.", lambda e: e.exp()),
    ("This is the square of the result. Leave out the last square.", lambda e: e.square()),
    ("This is the root of the result. Leave out the last root.", lambda e: e.sqrt()),
    ("This is 1 minus the result. Return the result itself.", lambda e: 1 - e),
    ("This is 1 divided by the result. Turn the fraction round.", lambda e: 1 / e),
    ("The result is rounded. Keep the fraction: use `/`, not `//`, `round` or `int`.", torch.floor),
    ("The result is rounded. Keep the fraction.", torch.round),
    ("This is in bits. Use the natural logarithm.", lambda e: e / 0.6931471805599453),
    ("The base of the logarithm is 10. Use the natural logarithm.", lambda e: e / 2.302585093),
    (
        "The result is transposed. Exchange its last two axes: `.transpose(-1, -2)`.",
        lambda e: e.transpose(-1, -2) if e.ndim > 1 else e,
    ),
    ("The rows stand in reverse order.", lambda e: e.flip(0) if e.ndim else e),
    ("The softmax is applied once more to the result.", lambda e: e.softmax(-1)),
)

_UNDONE: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
    ("The softmax is missing. These are the numbers that go into it.", lambda r: r.softmax(-1)),
    (
        "The rows are not normalised. Divide each row by its sum: `x.sum(-1, keepdim=True)`.",
        lambda r: r / r.sum(-1, keepdim=True),
    ),
    (
        "The rows are not brought to length 1. Divide each by `x.norm(dim=-1, keepdim=True)`.",
        lambda r: r / r.norm(dim=-1, keepdim=True),
    ),
)


def relation(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    """Find a function that leads from the right result to the learner's, or back."""

    def holds(change: Callable[[Tensor], Tensor], *, of_result: bool) -> bool:
        differs = False
        for _, r, e in tried:
            a, b = (e, r) if of_result else (r, e)
            moved = change(tensor(b))
            if moved.shape != tensor(a).shape or not close(exercise, tensor(a), moved):
                return False
            differs = differs or not close(exercise, tensor(b), moved)
        return differs

    for sentence, change in _LIKE:
        if holds(change, of_result=False):
            return sentence
    for sentence, change in _UNDONE:
        if all(tensor(r).ndim > 0 for _, r, _ in tried) and holds(change, of_result=True):
            return sentence
    return ""


def factor(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    """A factor that is the same in every case, or that an argument gives."""
    per_case = [_quantities(learner, args) for args, _, _ in tried]
    for name in per_case[0]:
        if not all(name in q for q in per_case) or all(q[name] == 1 for q in per_case):
            continue
        pairs = [
            (tensor(r), tensor(e), q[name]) for (_, r, e), q in zip(tried, per_case, strict=True)
        ]
        if all(close(exercise, r, e * q) for r, e, q in pairs):
            return f"{_capital(name)} is a factor too many. Divide your result by it."
        if all(close(exercise, r * q, e) for r, e, q in pairs):
            return f"Your result is divided by {name}. Multiply by it, or do not divide by it."
    pairs2 = [(tensor(r), tensor(e)) for _, r, e in tried]
    ratios = [float(r.abs().sum() / e.abs().sum()) for r, e in pairs2 if float(e.abs().sum()) > 0]
    if not ratios or not 1e-4 < ratios[0] < 1e4:
        return ""
    if all(close(exercise, r, e * ratios[0]) for r, e in pairs2):
        return f"A factor is wrong. Your result is {ratios[0]:.4g} times the expected one, always."
    return ""


def _capital(name: str) -> str:
    return name if name.startswith("`") else name[0].upper() + name[1:]


def _quantities(learner: Learner, args: tuple[Any, ...]) -> dict[str, float]:
    """What a result may be multiplied by: the numbers given, and how long the axes are."""
    values: dict[str, float] = {}
    for name, value in zip(learner.names, args, strict=True):
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            values |= {f"`{name}`": value, f"`{name}` squared": value**2}
            values |= {f"the root of `{name}`": value**0.5, f"1 - `{name}`": 1 - value}
    first = next((a for a in args if isinstance(a, Tensor)), None)
    if first is not None:
        rows, last = len(first), first.shape[-1]
        values |= {"the number of rows": rows, "the length of the last axis": last}
        values |= {
            "the number of all entries": first.numel(),
            "the root of the last axis": last**0.5,
        }
        values |= {"the number of rows squared": rows**2}
    return {name: value for name, value in values.items() if value > 0}
