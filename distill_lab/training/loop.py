"""The one visible loop: forward, terms, backward, clip, step, log, checkpoint."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from distill_lab.batches import Batch, Data, as_data, batches
from distill_lab.methods import Method, kd, supervised
from distill_lab.running import Progress, own_randomness, progress_line, stop_on_interrupt
from distill_lab.teachers import Teacher, as_teacher
from distill_lab.training.history import History
from distill_lab.training.resuming import RunFile

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Step:
    """What a callback sees after each step; returning True from it ends the run."""

    step: int
    steps: int
    epoch: int
    terms: dict[str, float]
    student: nn.Module


def distill(
    student: nn.Module,
    data: Data,
    *,
    teacher: nn.Module | Teacher | None = None,
    method: Method | None = None,
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: str = "constant",
    clip: float | None = None,
    seed: int = 0,
    progress: Progress = True,
    callback: Callable[[Step], bool | None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
) -> History:
    """Train a student in place with AdamW and return the history of its named terms.

    Without a method, ``kd()`` is used where there is a teacher and ``supervised()`` where there is
    none. ``seed`` fixes the order of the batches and the student's dropout: on a CPU the same seed
    gives the same bits, and the caller's own random state is left as it was.

    ``schedule`` is "constant" or "cosine" (from lr to 0 over the run); ``clip`` is the largest
    gradient norm allowed. ``progress`` shows one line (True) or calls
    ``progress(terms, step, steps)``. Ctrl-C ends the run after the step at hand and keeps history
    and weights. With ``checkpoint`` the run is written there every ``checkpoint_every`` steps (an
    epoch by default) and at its end; called again with the same settings it goes on from there,
    bit for bit, and a larger ``epochs`` extends it.

    Raises ValueError for settings, data or a teacher that cannot work, each in words;
    FloatingPointError when a term stops being finite, naming the term and the step.

    >>> from distill_lab.models import MLP
    >>> data = (torch.randn(32, 4), torch.zeros(32, dtype=torch.long))
    >>> distill(MLP(4, 2), data, epochs=3, batch_size=8, progress=False).steps
    12
    """
    source = as_data(data)
    ask = None if teacher is None else as_teacher(teacher, student)
    method = method or (supervised() if ask is None else kd())
    check_settings(
        method, teacher=ask, epochs=epochs, batch_size=batch_size, lr=lr, schedule=schedule,
        clip=clip, checkpoint_every=checkpoint_every,
    )  # fmt: skip
    learning = _learning(student)
    device = learning[0].device
    per_epoch = math.ceil(len(source) / batch_size)
    steps = epochs * per_epoch
    every = checkpoint_every or per_epoch
    settings = {
        "method": method.name, "weights": dict(method.weights), "batch_size": batch_size,
        "lr": lr, "weight_decay": weight_decay, "schedule": schedule, "clip": clip, "seed": seed,
        "epochs": epochs if schedule == "cosine" else "any",
    }  # fmt: skip

    optimizer = torch.optim.AdamW(learning, lr=lr, weight_decay=weight_decay, fused=True)
    history = History(per_epoch)
    run = RunFile(checkpoint, settings, student, optimizer, history, source)
    with (
        own_randomness(seed, device),
        stop_on_interrupt() as stop,
        progress_line(progress, method.name) as show,
    ):
        done = first = run.resume()
        began = time.perf_counter() - history.seconds
        torn = False  # whether an interruption left a step half taken
        was_training = student.training
        student.train()
        try:
            for number, batch in batches(source, batch_size, seed, first=first, last=steps):
                if schedule == "cosine":
                    set_lr(optimizer, lr * 0.5 * (1 + math.cos(math.pi * number / steps)))
                torn = True
                values = train_step(student, batch.to(device), ask, method, optimizer, clip)
                _refuse_not_finite(values, number, checkpoint)
                history.add(values)
                done, torn = number + 1, False
                history.seconds = time.perf_counter() - began
                show(values, done, steps)
                if done % every == 0 and done < steps:
                    run.save(done)
                if callback is not None:
                    seen = Step(done, steps, number // per_epoch, values, student)
                    if callback(seen):  # not |=, which would forget a Ctrl-C pressed meanwhile
                        stop.asked = True
                if stop.asked:
                    break
        except KeyboardInterrupt:  # from a callback, or a second Ctrl-C
            stop.interrupted = True
        finally:
            student.train(was_training)
        history.interrupted = stop.interrupted
        if done > first and not torn:
            run.save(done)
    return history


def train_step(
    student: nn.Module,
    batch: Batch,
    teacher: Teacher | None,
    method: Method,
    optimizer: torch.optim.Optimizer,
    clip: float | None = None,
) -> dict[str, float]:
    """One step of learning: ask, score, differentiate, clip, move. Returns the terms' values.

    Where the total is not finite, nothing moves: a step along a NaN would destroy the weights.
    """
    terms = method.terms(batch, student, teacher)  # type: ignore[arg-type]
    total = method.total(terms)
    values = {name: term.item() for name, term in terms.items()} | {"total": total.item()}
    if not math.isfinite(values["total"]):
        return values
    optimizer.zero_grad()
    total.backward()
    if clip is not None:
        learning = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(learning, clip)
    optimizer.step()
    return values


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def check_settings(
    method: Method,
    *,
    teacher: object | None,
    epochs: int,
    batch_size: int,
    lr: float,
    schedule: str = "constant",
    clip: float | None = None,
    checkpoint_every: int | None = None,
) -> None:
    """Refuse settings that cannot train anything, before any work is done."""
    counts = {"epochs": epochs, "batch_size": batch_size, "checkpoint_every": checkpoint_every or 1}
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    for name, size in {"lr": lr, "clip": 1.0 if clip is None else clip}.items():
        if not 0 < size < math.inf:
            raise ValueError(f"{name} must be a positive finite number, got {size!r}.")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {SCHEDULES}, got {schedule!r}.")
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


def _learning(student: nn.Module) -> list[nn.Parameter]:
    learning = [p for p in student.parameters() if p.requires_grad]
    if not learning:
        raise ValueError(
            "the student has no parameter that requires a gradient, so nothing could learn: was "
            "it frozen? Undo it with student.requires_grad_(True)."
        )
    return learning


def _refuse_not_finite(values: dict[str, float], number: int, checkpoint: object) -> None:
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
        kept = f" The last good state is in {checkpoint}." if checkpoint else ""
        raise FloatingPointError(
            f"the term {broken[0]!r} became {values[broken[0]]} at step {number + 1}; the student "
            "still has the weights from before it. Look for NaN or inf in the inputs or the "
            f"teacher's logits, or lower the learning rate.{kept}"
        )
