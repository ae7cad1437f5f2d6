"""The judge: attempted? shape? values? which promise breaks? which mistake is likely?"""

from __future__ import annotations

import inspect
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Case, Exercise, Invariance, Mistake, Report, headline
from distill_lab.course.check.general import RANDOM, explain
from distill_lab.course.check.learner import Learner, NotAttempted, Refused
from distill_lab.course.check.smallest import arguments, smallest
from distill_lab.course.check.values import Tried, close, number, shape_of, tensor

__all__ = ["examine"]


def examine(exercise: Exercise, fn: Any, name: str = "") -> Report:
    """Judge the learner's function; never raises because of what the learner wrote.

    Args:
        exercise: The exercise.
        fn: The learner's function, or whatever was handed in.
        name: The name the learner calls the exercise by, if not its own.

    Returns:
        The state, the mistake's name, and the findings, the likely mistake first.
    """
    name = name or exercise.name
    try:
        learner = Learner(exercise, fn, name)
        cases = [tuple(case.values()) for case in exercise.cases]
        tried: Tried = [(a, learner.attempt(*a), exercise.reference(*a)) for a in cases]
    except NotAttempted as why:
        text = f"Not attempted yet: {why}. Continue with the lesson, and come back when you like."
        return Report(name, "not attempted", (text,))
    except Refused as why:
        at = Case(arguments(exercise, why.arguments)) if why.arguments else None
        return Report(name, "wrong", (str(why),), why.mistake, at)

    kind = _kind(exercise, tried)
    if kind:
        return Report(name, "wrong", (kind,), headline(kind))
    shape = _shape(exercise, tried)
    if shape:
        likely = _likely(exercise, learner, tried) or "The shape is wrong."
        return Report(name, "wrong", (f"Likely: {likely}", shape), headline(likely))
    failing = [args for args, r, e in tried if not close(exercise, r, e)]
    likely = _likely(exercise, learner, tried) if failing else ""
    if likely.startswith(RANDOM):  # what is random breaks any promise, and says nothing by it
        return Report(name, "wrong", (f"Likely: {likely}", _values(tried, failing)), RANDOM)
    kept, broken = _promises(exercise, learner)
    broken |= _defaults(exercise, learner)
    if not failing and not learner.altered and not any("gradient" in name for name in broken):
        broken |= _gradients(exercise, learner)
    if learner.altered:  # alone with what stops: other promises and values may break by it
        stopped = {name: finding for name, finding in broken.items() if _STOPS in finding}
        broken = {headline(_IN_PLACE): _IN_PLACE} | stopped
    if not failing and not broken:
        promises = (f"It keeps its promises: {'; '.join(kept)}.",) if kept else ()
        low = learner.precision.lowered or any(_is_half(r) for _, r, _ in tried)
        remark = (_HALF,) if low else ()
        return Report(name, "right", (_values(tried, failing), *promises, *remark))
    if not failing or learner.altered:  # the first broken promise is the mistake
        findings = (*broken.values(), _values(tried, failing))
        case = smallest(exercise, learner, failing) if failing else None
        return Report(name, "wrong", findings, next(iter(broken)), case)
    mistake = headline(likely)
    first = f"Likely: {likely}"
    if not likely:
        mistake = next(iter(broken), "")
        first = _unknown(exercise)
    case = smallest(exercise, learner, failing)
    return Report(name, "wrong", (first, _values(tried, failing), *broken.values()), mistake, case)


_STOPS = "there your function stops with"
_IN_PLACE = (
    "An argument is changed in place. Work on a new value instead: `z = z / T`, or begin with a "
    "copy, `z.clone()` or `list(x)`."
)
_HALF = (
    "You compute in half precision, which is accepted here. In training take the loss in float32: "
    "half precision loses small differences."
)


def _is_half(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)


def _unknown(exercise: Exercise) -> str:
    return (
        "No mistake known to this exercise fits. Compute the case below by hand, step by step, "
        f"with the formula: {exercise.formula}."
    )


def _kind(exercise: Exercise, tried: Tried) -> str:
    """What is wrong with the type of a result; nothing if all is well."""
    for _, result, expected in tried:
        if isinstance(result, Real) and exercise.number_is_fine:
            continue
        due = f"Expected a torch tensor of shape {shape_of(expected)}, got {type(result).__name__}."
        if isinstance(result, Real):
            return (
                f"A plain number is returned. {due} A plain number carries no gradient: leave out "
                "`.item()` and `float()`."
            )
        if isinstance(result, (list, tuple)):
            several = any(isinstance(part, Tensor) for part in result)
            advice = (
                "Return only the one that is asked for"
                if several
                else "Wrap it: `torch.tensor(...)`"
            )
            return f"A {type(result).__name__} is returned. {due} {advice}."
        if not isinstance(result, Tensor):
            more = " Turn it back with `torch.from_numpy`." if "ndarray" in due else ""
            return f"The result has the wrong type. {due}{more}"
        same = result.shape == torch.as_tensor(expected).shape
        if same and not result.is_floating_point() and not exercise.number_is_fine:
            return (
                f"The result is not a float tensor. Expected floating-point numbers, got "
                f"{result.dtype}: add `.float()`."
            )
    return ""


def _shape(exercise: Exercise, tried: Tried) -> str:
    """Which shape was expected and which came; nothing if all are right."""
    for args, result, expected in tried:
        if tensor(result).shape != tensor(expected).shape:
            given = ", ".join(shape_of(a) for a in args if isinstance(a, Tensor))
            return f"Expected shape {shape_of(expected)}, got {shape_of(result)}" + (
                f", for arguments of shape {given}." if given else "."
            )
    return ""


def _values(tried: Tried, failing: list[tuple[Any, ...]]) -> str:
    """How many cases are right, in words."""
    n_right = len(tried) - len(failing)
    share = f"{n_right} of {len(tried)} cases right ({100 * n_right / len(tried):.0f} %)"
    if not failing:
        return f"Values: {share}."
    gaps = [(tensor(r) - tensor(e)).abs().max().item() for _, r, e in tried if tensor(e).numel()]
    greatest = max((g for g in gaps if g == g and g != float("inf")), default=0.0)
    finite = all(bool(torch.isfinite(tensor(r)).all()) for _, r, _ in tried)
    strange = "" if finite else "; some of your values are NaN or infinite"
    but = f"but {len(failing)} wrong, " if n_right else ""
    gap = f"greatest difference {greatest:.2g}" if greatest else "no finite difference"
    return f"Values: {share}, {but}{gap}{strange}."


def _promises(exercise: Exercise, learner: Learner) -> tuple[list[str], dict[str, str]]:
    """The words of the promises that hold; name and finding of each that does not."""
    kept: list[str] = []
    broken: dict[str, str] = {}
    for promise in sorted(exercise.invariances, key=lambda p: not p.mistake):
        how = "This does not hold"
        try:
            holds = bool(promise.kept(learner))
        except Exception as error:  # right on the cases, and yet it stops here: worth telling
            holds = False
            stop = f"{type(error).__name__}: {error}"
            how = f"This does not hold; {_STOPS} {stop}"
        if holds:
            kept.append(promise.words)
            continue
        call = _cut_off(learner) if "gradient reaches" in promise.words else ""
        known = promise.mistake if promise.mistake and _is_sure(promise, learner) else ""
        known = f"`{call}` stops the gradient" if call else known
        mistake = known or f"Broken promise, {promise.words}"
        advice = f" {promise.hint}" if promise.hint else ""
        named = f"{known}. " if known else ""
        broken[mistake] = f"{named}{how}: {promise.words}.{advice}"
    return kept, broken


def _is_sure(promise: Invariance, learner: Learner) -> bool:
    try:
        return bool(promise.sure(learner))
    except Exception:  # it stops there: then nothing is known about why
        return True


def _gradients(exercise: Exercise, learner: Learner) -> dict[str, str]:
    """An argument that learns something else than by the formula, though the values are right."""
    args = tuple(exercise.cases[0].values())
    for name in () if exercise.number_is_fine else exercise.trained:
        at = learner.names.index(name)
        mine, right = _gradient(learner, args, at), _gradient(exercise.reference, args, at)
        if mine is None:
            return {
                f"No gradient reaches `{name}`": f"No gradient reaches `{name}`. It has to learn: "
                "leave out `detach`, `no_grad`, NumPy and steps in place."
            }
        finite = bool(mine.isfinite().all())  # where it is not, a promise of its own tells why
        if right is not None and finite and not torch.allclose(mine, right, atol=1e-4, rtol=1e-3):
            mistake = f"The gradient of `{name}` is incomplete"
            return {
                mistake: f"{mistake}. The values are right, but a part of the result does not "
                "teach: is one held fixed, by `detach`, `no_grad` or `.item()`?"
            }
    return {}


def _gradient(fn: Any, args: tuple[Any, ...], at: int) -> Tensor | None:
    """What an argument learns from the sum of a result with changing weights; None if nothing."""
    leaf = args[at].detach().clone().requires_grad_()
    try:  # NumPy takes no tensor that learns, and a step in place may leave no way back
        result = fn(*args[:at], leaf, *args[at + 1 :])
        weights = torch.arange(1.0, result.numel() + 1, dtype=result.dtype).view(result.shape)
        return torch.autograd.grad((result * weights).sum(), leaf, allow_unused=True)[0]
    except Exception:  # a learner may raise anything
        return None


def _cut_off(learner: Learner) -> str:
    """Which call keeps the gradient away, if the function's own code has one."""
    calls = ("detach", "no_grad", "item", "numpy", "data", "tolist", "from_numpy", "tensor")
    return next((call for call in calls if learner.uses(call)), "")


def _defaults(exercise: Exercise, learner: Learner) -> dict[str, str]:
    """A parameter whose default is another one than the exercise's."""
    for i, name in enumerate(learner.names):
        own = next((p for p in learner.parameters if p.name == name), None)
        own = own or (learner.parameters[i] if i < len(learner.parameters) else None)
        due = exercise.defaults.get(name)
        if own and due is not None and own.default not in (inspect.Parameter.empty, due):
            mistake = f"The default of `{name}` is wrong"
            return {mistake: f"{mistake}. It is {due!r}; yours is {own.default!r}."}
    return {}


def _likely(exercise: Exercise, learner: Learner, tried: Tried) -> str:
    """The sentence of the first mistake that gives the learner's values on every case."""
    for mistake in exercise.mistakes:
        if _fits(exercise, mistake, tried):
            return mistake.sentence
    return explain(exercise, learner, tried)


def _fits(exercise: Exercise, mistake: Mistake, tried: Tried) -> bool:
    differs = False
    for args, result, expected in tried:
        try:
            wrong = tensor(mistake.variant(*args))
        except (RuntimeError, IndexError):  # a wrong version need not work on every case
            return False
        if not number(result) or not close(exercise, result, wrong):
            return False
        differs = differs or not close(exercise, tensor(expected), wrong)
    return differs
