"""Mistakes made before the formula: the result is right for an altered argument.

Wherever the learner's result is the reference's for `T` squared in the place of `T`, for softmaxed
logits or an inverted mask, that alteration is the mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise
from distill_lab.course.check.values import Tried, close

__all__ = ["altered_argument"]

Alter = Callable[[Any], Any]

_NUMBERS: tuple[tuple[str, Alter], ...] = (
    ("The square of {} is used. Use {} itself.", lambda x: x**2),
    ("The root of {} is used. Use {} itself.", lambda x: x**0.5),
    ("1 divided by {} is used. Use {} itself: divide where you multiply.", lambda x: 1 / x),
    ("1 minus {} is used. Use {} itself.", lambda x: 1 - x),
    ("Twice {} is used. Use {} itself.", lambda x: 2 * x),
    ("Half of {} is used. Use {} itself.", lambda x: x / 2),
    ("Minus {} is used. Use {} itself.", lambda x: -x),
    ("{} is one too large. Use {} itself.", lambda x: x + 1),
    ("{} is one too small. Use {} itself.", lambda x: x - 1),
    ("{} is cut to a whole number. Use {} itself.", int),
    ("1 stands in the place of {}. Use {}.", lambda x: type(x)(1)),
)
_FLOATS: tuple[tuple[str, Alter], ...] = (
    (
        "A softmax is applied to {} that should not be there. Use {} itself.",
        lambda x: x.softmax(-1),
    ),
    (
        "A logarithm of the softmax is applied to {} that should not be there. Use {} itself.",
        lambda x: x.log_softmax(-1),
    ),
    ("The sign of {} is turned round. Use {} itself.", lambda x: -x),
    ("{} is squared first. Use {} itself.", lambda x: x.square()),
    ("Absolute values of {} are used. Use {} itself.", lambda x: x.abs()),
    ("Negative values of {} are cut to 0. Use {} itself.", lambda x: x.relu()),
    ("The exponential of {} is used. Use {} itself.", lambda x: x.exp()),
    (
        "The mean of each row of {} is subtracted. Use {} itself.",
        lambda x: x - x.mean(-1, keepdim=True),
    ),
    ("The mean over axis 0 of {} is subtracted. Use {} itself.", lambda x: x - x.mean(0)),
    (
        "The mean over axis 1 of {} is subtracted. Use {} itself.",
        lambda x: x - x.mean(1, keepdim=True),
    ),
    ("One mean of all of {} is subtracted. The mean runs over one axis.", lambda x: x - x.mean()),
    (
        "The rows of {} are brought to length 1 first. Use {} itself.",
        lambda x: x / x.norm(dim=-1, keepdim=True),
    ),
    ("The last two axes of {} have changed places.", lambda x: x.transpose(-1, -2)),
    (
        "Only the largest of each row of {} is used. Use all of them.",
        lambda x: torch.where(x == x.amax(-1, keepdim=True), 0.0, -1e9),
    ),
    ("Zeros stand in the place of {}. Use {}.", torch.zeros_like),
)
_MASKS: tuple[tuple[str, Alter], ...] = (
    ("{} is inverted. Keep what is True in it.", lambda x: ~x),
    ("{} is not used: everything counts.", torch.ones_like),
)
_LABELS: tuple[tuple[str, Alter], ...] = (
    ("{} is shifted by one position too many.", lambda x: x.roll(-1, -1)),
    ("{} is shifted by one position.", lambda x: x.roll(1, -1)),
)
_TEXTS: tuple[tuple[str, Alter], ...] = (
    ("Spaces in {} are taken away. Use {} itself.", lambda x: x.replace(" ", "")),
    (
        "Signs are taken out of {}. Use {} itself.",
        lambda x: "".join(c for c in x if c.isalnum() or c == " "),
    ),
    ("{} is cut to its first word. Use all of it.", lambda x: " ".join(x.split()[:1])),
)


def altered_argument(exercise: Exercise, tried: Tried) -> str:
    """Find an alteration of one or two arguments that makes the reference give these results.

    Args:
        exercise: The exercise.
        tried: All cases: arguments, the learner's result, the expected one.

    Returns:
        A sentence that names the alteration, or "".
    """
    names = list(exercise.cases[0])
    first = tried[0][0]
    for places, sentence, alter in _alterations(first):
        if _gives(exercise, tried, places, alter):
            which = " and ".join(f"`{names[i]}`" for i in places)
            return sentence.replace("{}", which)
    for i, j in _pairs(first):
        if _replaced(exercise, tried, i, j):
            return f"`{names[j]}` is used in the place of `{names[i]}`."
    return ""


def _alterations(args: tuple[Any, ...]) -> Iterator[tuple[tuple[int, ...], str, Alter]]:
    """Which arguments to alter together, the sentence for it, and how."""
    floats = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.is_floating_point()]
    for i, value in enumerate(args):
        for sentence, alter in _for(value):
            yield (i,), sentence, alter
    for both in pairwise(floats):
        for sentence, alter in _FLOATS[:-1]:
            yield both, sentence.replace("itself", "themselves"), alter


def _for(value: Any) -> tuple[tuple[str, Alter], ...]:
    if isinstance(value, Tensor):
        if value.dtype is torch.bool:
            return _MASKS
        return _FLOATS if value.is_floating_point() else _LABELS
    if isinstance(value, str):
        return _TEXTS
    return _NUMBERS if isinstance(value, (int, float)) else ()


def _pairs(args: tuple[Any, ...]) -> Iterator[tuple[int, int]]:
    """Places of two tensors of one shape, in both orders."""
    for i, a in enumerate(args):
        for j, b in enumerate(args):
            if i != j and isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape:
                yield i, j


def _gives(exercise: Exercise, tried: Tried, places: tuple[int, ...], alter: Alter) -> bool:
    """Whether the reference gives the learner's results for altered arguments."""
    for args, result, _ in tried:
        other = list(args)
        try:
            for i in places:
                other[i] = alter(args[i])
            if not close(exercise, result, exercise.reference(*other)):
                return False
        except Exception:  # the altered argument makes no sense here
            return False
    return True


def _replaced(exercise: Exercise, tried: Tried, i: int, j: int) -> bool:
    """Whether the reference gives the learner's results with argument j in the place of i."""
    moved = [((*args[:i], args[j], *args[i + 1 :]), result, e) for args, result, e in tried]
    return _gives(exercise, moved, (), lambda x: x)
