"""Mistakes that any exercise may meet: how a wrong result stands to the right one.

An exercise's own mistakes come first. Where none fits, these look at the function from outside:
does an argument change nothing, are two exchanged, is the result the right one times T?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.altered import altered_argument
from distill_lab.course.check.exercise import Exercise
from distill_lab.course.check.learner import Learner
from distill_lab.course.check.values import close, tensor

__all__ = ["Tried", "explain"]

Tried = list[tuple[tuple[Any, ...], Any, Any]]  # arguments, the learner's result, the expected one

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


def explain(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    """Find what the learner's results have to do with the right ones; "" if nothing is seen.

    Args:
        exercise: The exercise.
        learner: The learner's function.
        tried: All cases: arguments, the learner's result, the expected one.

    Returns:
        One or two sentences; the first names the mistake.
    """
    same_shape = all(tensor(r).shape == tensor(e).shape for _, r, e in tried)
    if not same_shape:
        return _reshaped(exercise, tried) or _by_shape(tried)
    looks = (_random, _not_finite, _constant, _given_back, _exchanged, _without_effect)
    for find in (*looks, _relation, _factor, _altered, _rows_mixed):
        sentence = find(exercise, learner, tried)
        if sentence:
            return sentence
    return ""


def _altered(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    return altered_argument(exercise, tried)


def _call(learner: Learner, args: tuple[Any, ...]) -> Tensor | None:
    try:
        return tensor(learner(*args))
    except Exception:  # a made-up case: whatever stops on it is no answer
        return None


def _random(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    for args, result, _ in tried:
        again = _call(learner, args)
        if again is not None and not close(exercise, again, tensor(result)):
            return "The result is random. The same arguments must give the same result."
    return ""


def _constant(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    results = [tensor(r) for _, r, _ in tried]
    if any(r.numel() == 0 for r in results):
        return ""
    values = {round(float(v), 9) for r in results for v in (r.flatten()[0], r.min(), r.max())}
    if len(values) == 1 and len(tried) > 1 and values != {float("nan")}:
        value = values.pop()
        if value == value:
            return (
                f"Every input gives the same result, {value:g}. Does your function use its input?"
            )
    return ""


def _given_back(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    for i, name in enumerate(learner.names):
        if all(
            isinstance(args[i], Tensor) and close(exercise, r, tensor(args[i]))
            for args, r, _ in tried
        ):
            return f"`{name}` comes back unchanged. Is the new tensor the one that is returned?"
    return ""


def _exchanged(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    """Two arguments of one kind that the function takes for each other."""
    if learner.reordered and all(
        _named(exercise, learner, args, expected) for args, _, expected in tried
    ):
        return (
            "The parameters stand in another order. `check` calls your function with "
            f"({', '.join(learner.names)}); yours takes "
            f"({', '.join(p.name for p in learner.parameters)})."
        )
    for i, j in combinations(range(len(learner.names)), 2):
        right = 0
        for args, _, expected in tried:
            a, b = args[i], args[j]
            alike = type(a) is type(b) and (
                not isinstance(a, Tensor) or (a.shape == b.shape and a.dtype == b.dtype)
            )
            other = list(args)
            other[i], other[j] = b, a
            result = _call(learner, tuple(other)) if alike else None
            right += result is not None and close(exercise, result, expected)
        if right == len(tried):
            return (
                f"`{learner.names[i]}` and `{learner.names[j]}` have changed places. With the two "
                "exchanged your result would be right."
            )
    return ""


def _named(exercise: Exercise, learner: Learner, args: tuple[Any, ...], expected: Any) -> bool:
    try:
        return close(exercise, learner.in_named_order(*args), expected)
    except Exception:
        return False


def _without_effect(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    """An argument whose change changes the right result, and never the learner's."""
    for i, name in enumerate(learner.names):
        known = [args[i] for args, _, _ in tried]
        if _ignores(exercise, learner, tried, i, known):
            return f"`{name}` has no effect. Your result stays the same whatever `{name}` is."
    return ""


def _ignores(exercise: Exercise, learner: Learner, tried: Tried, i: int, known: list[Any]) -> bool:
    matters = False
    for args, result, expected in tried:
        for value in _others(args[i], known):
            other = (*args[:i], value, *args[i + 1 :])
            try:
                moved = tensor(exercise.reference(*other))
            except Exception:  # the value does not go with the other arguments
                continue
            changed = _call(learner, other)
            if changed is None or not close(exercise, changed, tensor(result)):
                return False
            matters = matters or not close(exercise, moved, expected)
    return matters


def _others(value: Any, known: list[Any]) -> Iterator[Any]:
    if isinstance(value, Tensor):
        if value.dtype.is_floating_point and value.numel() > 1:
            mixed = value.flip(-1) * 0.7 + value.flip(0) * 0.5
            yield mixed.softmax(-1) if bool((value >= 0).all()) else mixed
        elif value.numel() > 1:
            yield value.roll(1, 0) if value.dtype is not torch.bool else value.flip(-1)
            yield torch.zeros_like(value) if value.dtype is not torch.bool else ~value
    else:
        yield from (v for v in known if type(v) is type(value) and v != value)


def _relation(exercise: Exercise, learner: Learner, tried: Tried) -> str:
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


def _factor(exercise: Exercise, learner: Learner, tried: Tried) -> str:
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


def _rows_mixed(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    """Rows that the right function treats one by one, and the learner's does not."""
    checked = False
    for args, result, expected in tried:
        first = next((a for a in args if isinstance(a, Tensor) and a.ndim > 1), None)
        if first is None or len(first) < 2:
            continue
        alone = [
            tuple(
                a[i : i + 1] if isinstance(a, Tensor) and len(a) == len(first) else a for a in args
            )
            for i in range(len(first))
        ]
        try:
            right = [tensor(exercise.reference(*row)) for row in alone]
        except Exception:
            return ""
        mine = [_call(learner, row) for row in alone]
        if any(m is None or m.shape != e.shape for m, e in zip(mine, right, strict=True)):
            return ""
        join = torch.cat if right[0].ndim else lambda rows: torch.stack(rows).mean()
        if not close(exercise, join(right), tensor(expected)):
            return ""
        if close(exercise, join([m for m in mine if m is not None]), tensor(result)):
            return ""
        checked = True
    if checked:
        return (
            "The rows of the batch change each other's result. An operation runs along axis 0, or "
            "over all axes at once; let it run along the last one: `dim=-1`."
        )
    return ""


def _not_finite(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    results = [(tensor(r), tensor(e)) for _, r, e in tried]
    if any(bool(torch.isnan(r).any()) for r, _ in results):
        return (
            "Your result has NaN in it. Usual sources: 0 times log 0, infinity minus infinity, "
            "and 0 / 0 for the mean of nothing."
        )
    if any(bool(torch.isinf(r).any()) for r, _ in results):
        return (
            "Your result is infinite. Usual sources: log 0, a division by 0, exp of a large number."
        )
    return ""


def _reshaped(exercise: Exercise, tried: Tried) -> str:
    """A result of another shape that a last step would make right, or that went a step too far."""
    pairs = [(tensor(r), tensor(e)) for _, r, e in tried]

    def all_close(change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> bool:
        try:
            return all(close(exercise, *change(r, e)) for r, e in pairs)
        except (RuntimeError, IndexError):
            return False

    dims = range(min(r.ndim for r, _ in pairs))
    for size in (1, 2, 3, 4):
        for axes in combinations(dims, size):
            words = f"axis {axes[0]}" if size == 1 else f"the axes {', '.join(map(str, axes))}"
            call = f"({axes[0] if size == 1 else axes})" if size < len(dims) else "()"
            for name in ("mean", "sum"):
                if all_close(lambda r, e, a=axes, n=name: (getattr(r, n)(a), e)):
                    return f"The {name} over {words} is missing. Add `.{name}{call}`."
    n_axes = min(e.ndim for _, e in pairs)
    for axis in range(n_axes):
        for name in ("mean", "sum", "argmax", "amax"):
            if all_close(lambda r, e, a=axis, n=name: (r, getattr(e, n)(a).double())):
                return f"Axis {axis} is gone. Leave out the last `{name}`: keep one value for each."
    for name in ("mean", "sum"):
        if all_close(lambda r, e, n=name: (r, getattr(e, n)())):
            return f"All values are made into one. Leave out the last `{name}`."
    if all_close(lambda r, e: (r.reshape(e.shape), e)):
        return (
            "The values are right, but their shape is not. Change it at the end: `flatten`, "
            "`reshape`, `unsqueeze` or `squeeze`."
        )
    for i, j in combinations(range(min(r.ndim for r, _ in pairs)), 2):
        if all_close(lambda r, e, i=i, j=j: (r.transpose(i, j), e)):
            return f"Two axes have changed places. Exchange them: `.transpose({i}, {j})`."
    return ""


def _by_shape(tried: Tried) -> str:
    """What the two shapes alone suggest."""
    shapes = [(tuple(tensor(r).shape), tuple(tensor(e).shape)) for _, r, e in tried]
    result, expected = next((r, e) for r, e in shapes if r != e)
    if not expected:
        return "The result is not one number. Reduce it: sum over classes, mean over the rest."
    if sorted(result) == sorted(expected):
        return "The axes stand in another order. Bring them forward with `transpose` or `permute`."
    if len(result) < len(expected):
        return "An axis is missing. A sum, mean or `max` may have taken it: reduce fewer axes."
    if len(result) > len(expected):
        return "There is an axis too many. Reduce it, or join two with `flatten`."
    return "An axis has another length. Which axis did you reduce, and which one should it be?"
