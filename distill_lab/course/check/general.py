"""Mistakes that any exercise may meet: how a wrong result stands to the right one.

An exercise's own mistakes come first. Where none fits, these look at the function from outside:
does an argument change nothing, are two exchanged, is the result the right one times T?
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.altered import altered_argument
from distill_lab.course.check.exercise import Exercise
from distill_lab.course.check.learner import Learner
from distill_lab.course.check.relations import factor, relation
from distill_lab.course.check.shapes import by_shape, reshaped
from distill_lab.course.check.values import Tried, close, tensor

__all__ = ["RANDOM", "explain"]

RANDOM = "The result is random"


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
        return reshaped(exercise, tried) or by_shape(tried)
    looks = (_random, _not_finite, _constant, _given_back, _exchanged, _without_effect)
    for find in (*looks, relation, factor, _altered, _rows_mixed):
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
            return f"{RANDOM}. The same arguments must give the same result."
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
            for other in (mixed, value.cumsum(0), mixed.roll(1, -1)):  # a share may stay by chance
                yield other.softmax(-1) if bool((value >= 0).all()) else other
        elif value.numel() > 1:
            yield value.roll(1, 0) if value.dtype is not torch.bool else value.flip(-1)
            yield torch.zeros_like(value) if value.dtype is not torch.bool else ~value
    else:
        yield from (v for v in known if type(v) is type(value) and v != value)


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
    if checked and tensor(tried[0][2]).ndim == 0:
        return (
            "The result is not the mean of one number a row. Work out one number a row, then take "
            "`.mean()`. A sum, a product, a softmax over axis 0, or a division by another number "
            "than that of the rows gives another result."
        )
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
