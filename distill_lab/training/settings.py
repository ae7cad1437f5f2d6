"""Settings that cannot train anything are refused here, in words, before any work is done."""

import math
from collections.abc import Sequence

from torch import nn

from distill_lab.methods import Method
from distill_lab.training.schedule import SCHEDULES


def check_settings(
    method: Method,
    *,
    teacher: object | None,
    epochs: int,
    batch_size: int,
    lr: float,
    schedule: str = "constant",
    clip: float | None = None,
    warmup: int = 0,
    accumulate: int = 1,
    checkpoint_every: int | None = None,
    shares_every: int = 0,
    callbacks: Sequence[object] = (),
) -> None:
    """Refuse settings that cannot train anything."""
    every = 1 if checkpoint_every is None else checkpoint_every
    counts = {
        "epochs": epochs,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "checkpoint_every": every,
    }
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    for name, value in {"warmup": warmup, "shares_every": shares_every}.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{name} must be a number of steps, 0 or more, got {value!r}.")
    for name, size in {"lr": lr, "clip": 1.0 if clip is None else clip}.items():
        if not isinstance(size, (int, float)) or not 0 < size < math.inf:
            raise ValueError(f"{name} must be a positive finite number, got {size!r}.")
    if accumulate > batch_size:
        raise ValueError(
            f"accumulate cuts a batch into pieces, and {batch_size} examples make no {accumulate} "
            "of them: batch_size counts the whole step; raise it, or lower accumulate."
        )
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {SCHEDULES}, got {schedule!r}.")
    if callable(callbacks) or not all(callable(callback) for callback in callbacks):
        raise TypeError("callbacks must be a list of functions: write callbacks=[my_function].")
    _check_teacher(method, teacher)


def _check_teacher(method: Method, teacher: object | None) -> None:
    if method.needs_teacher and teacher is None:
        raise ValueError(
            f"method {method.name} listens to a teacher and none was given: pass "
            "teacher=freeze(model), or use methods.supervised()."
        )
    if teacher is not None and not method.needs_teacher:
        raise ValueError(
            f"method {method.name} never listens to the teacher that was given: leave the teacher "
            "out, or use a method that asks it, for example methods.kd()."
        )


def learning_parameters(student: nn.Module, method: Method) -> list[nn.Parameter]:
    """What the optimiser moves: the student's parameters, then the method's projections'."""
    learning = [p for p in student.parameters() if p.requires_grad]
    if not learning:
        raise ValueError(
            "the student has no parameter that requires a gradient, so nothing could learn: was "
            "it frozen? Undo it with student.requires_grad_(True)."
        )
    extra = [] if method.projections is None else list(method.projections.parameters())
    known = {id(parameter) for parameter in learning}
    return learning + [p for p in extra if p.requires_grad and id(p) not in known]


def refuse_not_finite(
    values: dict[str, float], number: int, checkpoint: object, student: nn.Module | None = None
) -> None:
    """Stop at a term that is not finite, naming it and what is left to go back to."""
    if math.isfinite(values["total"]):
        return
    broken = next(name for name, value in values.items() if not math.isfinite(value))
    kept = f" The last good state is in {checkpoint}." if checkpoint else ""
    wild = None if student is None else not_finite_in(student)
    spoilt = f", and its {wild} is not finite in them" if wild else ""
    raise FloatingPointError(
        f"the term {broken!r} became {values[broken]} at step {number + 1}; the student still has "
        f"the weights from before it{spoilt}. Look for NaN or inf in the inputs or the teacher's "
        f"logits, or lower the learning rate.{kept}"
    )


def not_finite_in(student: nn.Module) -> str | None:
    """The first parameter that is not finite, by name."""
    named = student.named_parameters()
    return next((name for name, parameter in named if not parameter.isfinite().all()), None)
