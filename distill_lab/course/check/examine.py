"""The judge: attempted? shape? values? which invariance breaks? which mistake is likely?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Mistake, Report
from distill_lab.course.check.learner import Learner, NotAsked, NotAttempted, Refused

__all__ = ["examine"]

Pairs = list[tuple[tuple[Any, ...], Any]]  # the arguments of a case, and what the learner returned


def examine(exercise: Exercise, fn: Any) -> Report:
    """Judge the learner's function; never raises because of what the learner wrote.

    Args:
        exercise: The exercise.
        fn: The learner's function, or whatever was handed in.

    Returns:
        The state, and the findings in the order of the ladder.
    """
    try:
        learner = Learner(exercise, fn)
        cases = [tuple(case.values()) for case in exercise.cases]
        tried: Pairs = [(args, learner.attempt(*args)) for args in cases if learner.takes(args)]
    except NotAttempted as why:
        return _report(exercise, "not attempted", f"Not attempted yet: {why}. Carry on when ready.")
    except Refused as finding:
        return _report(exercise, "wrong", str(finding))

    shape = _shape(exercise, tried)
    if shape:
        return _report(exercise, "wrong", shape, *_likely(exercise, tried))
    right, values = _values(exercise, tried)
    kept, broken = _invariances(exercise, learner)
    if learner.altered:
        broken.append("It changes one of its arguments in place; work on a new tensor instead.")
    if right and not broken:
        promises = f"It keeps its promises: {'; '.join(kept)}." if kept else ""
        return _report(exercise, "right", values, promises)
    likely = [] if right else _likely(exercise, tried)
    if not right and not likely:
        likely = [f"None of the usual mistakes fits. Compare it with: {exercise.formula}."]
    return _report(exercise, "wrong", values, *broken, *likely)


def _report(exercise: Exercise, state: str, *findings: str) -> Report:
    return Report(exercise.name, state, tuple(f for f in findings if f))


def _shape(exercise: Exercise, tried: Pairs) -> str:
    """What is wrong with the kind, shape or dtype of a result; nothing if all is well."""
    for args, result in tried:
        expected = exercise.reference(*args)
        if exercise.number_is_fine and isinstance(result, (int, float)):
            continue
        if not isinstance(result, Tensor):
            lost = " A plain number carries no gradient." if isinstance(result, float) else ""
            return (
                f"Expected a torch tensor of shape {_size(expected)}, "
                f"got {type(result).__name__}.{lost}"
            )
        if result.shape != torch.as_tensor(expected).shape:
            return (
                f"Expected shape {_size(expected)}, got {_size(result)}, for arguments of shape "
                f"{', '.join(_size(a) for a in args if isinstance(a, Tensor))}."
            )
        if not result.is_floating_point():
            return f"Expected floating-point numbers, got {result.dtype}."
    return ""


def _size(value: Any) -> str:
    shape = tuple(torch.as_tensor(value).shape)
    return str(shape) if shape else "() (one number)"


def _values(exercise: Exercise, tried: Pairs) -> tuple[bool, str]:
    """Whether all cases are right, and how many are, in words."""
    good, greatest, finite = 0, 0.0, True
    for args, result in tried:
        expected = _tensor(exercise.reference(*args))
        answer = _tensor(result)
        difference = (answer - expected).abs().max().item()
        finite = finite and torch.isfinite(answer).all().item() is True
        greatest = max(greatest, difference if difference == difference else 0.0)
        good += _close(exercise, answer, expected)
    share = f"{good} of {len(tried)} cases right ({100 * good / len(tried):.0f} %)"
    strange = "" if finite else "; some of your values are NaN or infinite"
    return good == len(tried), f"Values: {share}, greatest difference {greatest:.1e}{strange}."


def _invariances(exercise: Exercise, learner: Learner) -> tuple[list[str], list[str]]:
    """The words of the invariances that hold, and a finding for each that does not."""
    kept, broken = [], []
    for invariance in exercise.invariances:
        hint = f" {invariance.hint}" if invariance.hint else ""
        try:
            ok = bool(invariance.kept(learner))
        except NotAsked:
            continue
        except Exception as error:  # right on the cases, and yet it stops here: worth telling
            broken.append(
                f"Should hold: {invariance.words}; but there it stops with "
                f"{type(error).__name__}: {error}.{hint}"
            )
            continue
        if ok:
            kept.append(invariance.words)
        else:
            broken.append(f"Should hold: {invariance.words}; yours breaks it.{hint}")
    return kept, broken


def _likely(exercise: Exercise, tried: Pairs) -> list[str]:
    """The sentence of the first known mistake that gives the learner's values on every case."""
    for mistake in exercise.mistakes:
        if _fits(exercise, mistake, tried):
            return [f"Likely: {mistake.sentence}"]
    return []


def _fits(exercise: Exercise, mistake: Mistake, tried: Pairs) -> bool:
    differs = False
    for args, result in tried:
        wrong = _call(mistake.variant, args)
        answer = _tensor(result) if isinstance(result, (Tensor, int, float)) else None
        if wrong is None or answer is None or not _close(exercise, answer, wrong):
            return False
        differs = differs or not _close(exercise, _tensor(exercise.reference(*args)), wrong)
    return differs


def _call(variant: Callable[..., Any], args: tuple[Any, ...]) -> Tensor | None:
    try:
        return _tensor(variant(*args))
    except (RuntimeError, IndexError):  # a wrong version need not work on every case
        return None


def _tensor(value: Any) -> Tensor:
    return torch.as_tensor(value).detach().double()


def _close(exercise: Exercise, a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return False
    return torch.allclose(a, b, atol=exercise.atol, rtol=exercise.rtol, equal_nan=True)
