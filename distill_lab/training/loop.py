"""The one visible loop: forward, terms, backward, clip, step, log, checkpoint."""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from distill_lab._util.runtime import (
    Progress,
    modes_kept,
    own_randomness,
    progress_line,
    stop_on_interrupt,
)
from distill_lab.data.batches import Data, as_data, drawn
from distill_lab.methods import Method, kd, supervised
from distill_lab.teachers import Teacher, as_teacher
from distill_lab.training.crew import Crew
from distill_lab.training.history import History
from distill_lab.training.optimizer import check_optimizer, optimizer_of
from distill_lab.training.resuming import RunFile
from distill_lab.training.schedule import lr_at
from distill_lab.training.settings import check_settings, learning_parameters, refuse_not_finite
from distill_lab.training.step import Learner, warn_of_idle_terms
from distill_lab.training.stopping import EarlyStopping, Watch


@dataclass(frozen=True)
class Step:
    """What a callback sees after each step; returning True from it ends the run."""

    step: int
    steps: int
    epoch: int
    lr: float
    terms: dict[str, float]
    shares: dict[str, float]  # of the gradient; empty where they were not measured
    measured: float | None  # what early stopping saw, if it looked after this step
    student: nn.Module


Callback = Callable[[Step], bool | None]


def distill(
    student: nn.Module,
    data: Data,
    *,
    teacher: nn.Module | Teacher | None = None,
    method: Method | None = None,
    epochs: int = 10,
    batch_size: int = 64,
    accumulate: int = 1,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    optimizer: str = "adamw",
    schedule: str = "constant",
    warmup: int = 0,
    clip: float | None = None,
    precision: str | None = None,
    seed: int = 0,
    early_stopping: EarlyStopping | None = None,
    progress: Progress = True,
    callbacks: Sequence[Callback] = (),
    shares_every: int = 100,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
) -> History:
    """Train a student in place and return the history of its named terms.

    Without a method, ``kd()`` is used where there is a teacher and ``supervised()`` where there is
    none. ``seed`` fixes the order of the batches, the student's dropout, and what data draw from
    Python's or NumPy's generators: on a CPU the same seed gives the same bits, and the caller's own
    random state is left as it was.

    ``batch_size`` examples make one step, always. ``accumulate`` cuts them into so many pieces to
    save memory, and under ``accelerate launch`` every process takes its part; either way the step
    is that of the whole batch. ``precision`` is "fp32", "bf16" or "fp16".

    ``optimizer`` is "adamw", or "muon" for the matrices inside a network (`training.muon.Muon`).
    ``schedule`` is "constant", "linear" or "cosine" (from lr to 0 over the run) after ``warmup``
    steps; ``clip`` is the largest gradient norm allowed. ``early_stopping`` measures and decides.
    Each term's share of the gradient is measured every ``shares_every`` steps (0: never). Once, at
    the first of them (with a teacher that follows, the second), a term under 1 % is warned of; how
    a term fades later is in ``history.shares``, without a word: it may have been learned.

    ``progress`` shows one line (True) or calls ``progress(terms, step, steps)``. ``callbacks`` see
    a ``Step`` in the main process. Ctrl-C ends the run after the step at hand and keeps history
    and weights. With ``checkpoint`` the run is written there every ``checkpoint_every`` steps (an
    epoch by default) and at its end; called again with the same settings it goes on from there,
    bit for bit, and a larger ``epochs`` extends it.

    Raises ValueError for settings, data or a teacher that cannot work, each in words;
    FloatingPointError when a term stops being finite, naming the term and the step.

    >>> import torch
    >>> from distill_lab.models import MLP
    >>> data = (torch.randn(32, 4), torch.zeros(32, dtype=torch.long))
    >>> distill(MLP(4, 2), data, epochs=3, batch_size=8, progress=False).steps
    12
    """
    source = as_data(data)
    ask = None if teacher is None else as_teacher(teacher, student)
    method = method or (supervised() if ask is None else kd())
    check_settings(
        method,
        teacher=ask,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        schedule=schedule,
        clip=clip,
        warmup=warmup,
        accumulate=accumulate,
        checkpoint_every=checkpoint_every,
        shares_every=shares_every,
        callbacks=callbacks,
    )
    check_optimizer(optimizer)
    learning = learning_parameters(student, method)
    per_epoch = math.ceil(len(source) / batch_size)
    steps = epochs * per_epoch
    crew = Crew(learning[0].device, precision)
    crew.welcome(student, method.projections, ask)
    every = checkpoint_every or per_epoch
    settings = {
        "method": method.name,
        "weights": dict(method.weights),
        "batch_size": batch_size,
        "accumulate": accumulate,
        "lr": lr,
        "weight_decay": weight_decay,
        "optimizer": optimizer,
        "schedule": schedule,
        "warmup": warmup,
        "clip": clip,
        "seed": seed,
        "early_stopping": str(early_stopping),
        "epochs": "any" if schedule == "constant" else epochs,
    }

    mover = optimizer_of(optimizer, student, learning, lr, weight_decay)
    learner = Learner(student, ask, method, crew, mover, learning, clip)
    history = History(per_epoch)
    watch = Watch(early_stopping, student, crew)
    run = RunFile(checkpoint, settings, learner, watch, history, source)
    follow = getattr(ask, "follow", None)  # a teacher that learns from the student, as EMA does
    with (
        own_randomness(seed + crew.rank, crew.device),
        stop_on_interrupt() as stop,
        progress_line(progress if crew.main else False, method.name) as show,
        modes_kept(student, method.projections),
    ):
        done = first = run.resume()
        began = time.perf_counter() - history.seconds
        torn = False  # whether an interruption left a step half taken
        # later a term may fade because it has been learned; and a teacher that follows is, at
        # first, the student itself
        first_look = 1 if follow is None else 1 + shares_every
        learner.train()
        try:
            for number, index in drawn(len(source), batch_size, seed, first=first, last=steps):
                if watch.over:
                    break
                rate = learner.set_lr(lr_at(number, steps, lr, schedule=schedule, warmup=warmup))
                pieces = [source.batch(i).to(crew.device) for i in crew.pieces(index, accumulate)]
                measure = shares_every > 0 and number % shares_every == 0
                torn = True
                values, shares = learner.step(pieces, measure=measure)
                refuse_not_finite(values, number, checkpoint, student)
                if follow is not None:
                    follow(student)
                history.add(values, shares)
                done, torn = number + 1, False
                history.seconds = time.perf_counter() - began
                if done == first_look:
                    warn_of_idle_terms(shares, done)
                show(values, done, steps)
                measured = watch.look(done, per_epoch, history)
                if done % every == 0 and done < steps:
                    run.save(done)
                if callbacks and crew.main:
                    seen = Step(
                        done, steps, number // per_epoch, rate, values, shares, measured, student
                    )
                    for callback in callbacks:
                        if callback(seen):  # not |=, which would forget a Ctrl-C pressed meanwhile
                            stop.asked = True
                if crew.any(stop.asked):
                    break
        except KeyboardInterrupt:  # from a callback, or a second Ctrl-C
            stop.interrupted = True
        history.interrupted = stop.interrupted
        if done > first and not torn:
            run.save(done)
        if done == steps or watch.over:
            watch.finish(history)
    return history
