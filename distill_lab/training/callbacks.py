"""What looks on between two steps: callbacks, early stopping, TensorBoard."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from distill_lab._util.checks import non_negative_finite, one_of, positive_int, set_checked
from distill_lab._util.io import partial_file, user_path
from distill_lab._util.runtime import modes_kept, own_randomness
from distill_lab._util.wrappers import check_kept, load_state, plain_state, state_of
from distill_lab.training.distributed import DistributedContext
from distill_lab.training.history import History


@dataclass(frozen=True)
class TrainStep:
    """What a callback sees after each step; returning True from it ends the run.

    A callback may call `student.eval()` and draw random numbers: modes and random state are given
    back after it. Its draws follow from the run's seed and the step.

    Args:
        step: how many steps are done.
        steps: how many the run has.
        epoch: the number of the epoch, from 0.
        lr: the learning rate of this step.
        terms: each term's value, and their weighted `total`.
        shares: of the gradient; empty where they were not measured.
        measured: what early stopping saw, if it looked after this step.
        student: the network itself.
    """

    step: int
    steps: int
    epoch: int
    lr: float
    terms: dict[str, float]
    shares: dict[str, float]
    measured: float | None
    student: nn.Module


Callback = Callable[[TrainStep], bool | None]


@dataclass(frozen=True)
class EarlyStopping:
    """When to give up, and on what evidence.

    Measure on examples that are neither trained on nor used for the final report. Modes and random
    state are given back after each measurement; every one draws the same numbers.

    Args:
        measure: a function from the student to one number; the student is in eval mode, and there
            is no graph.
        patience: after so many measurements in a row without an improvement the run ends; None:
            it never does, and the best is kept all the same.
        better: "higher" or "lower".
        every: steps between two measurements; None: an epoch. The run's last step is measured too.
        min_change: what counts as an improvement is larger than this.
        restore_best: whether the student gets its best weights back at the end.
        log: called with step and value after each measurement, in the main process.

    Raises:
        TypeError: for a measure that is no function.
        ValueError: for settings that cannot decide anything.

    Source: Prechelt 1998, section 2.

    >>> EarlyStopping(lambda student: 0.0, patience=2).better
    'higher'
    """

    measure: Callable[[nn.Module], float]
    patience: int | None = 3
    better: str = "higher"
    every: int | None = None
    min_change: float = 0.0
    restore_best: bool = True
    log: Callable[[int, float], None] | None = None

    def __post_init__(self) -> None:
        if not callable(self.measure):
            raise TypeError(
                "measure must be a function from the student to a number, not "
                f"{type(self.measure).__name__}."
            )
        set_checked(self, positive_int, "patience", "every", optional=True)
        one_of("better", self.better, ("higher", "lower"))
        set_checked(self, non_negative_finite, "min_change")

    def __str__(self) -> str:
        # what is not there at its default came later: checkpoints of before go on
        every = "" if self.every is None else f", every {self.every}"
        kept = "" if self.restore_best else ", keeps the last"
        waits = f"patience {self.patience}, min_change {self.min_change}"
        return f"{self.better}, {waits}{every}{kept}"


class EarlyStoppingState:
    """Early stopping in the course of one run: what was best, when, and how long ago.

    Args:
        rule: when to stop; None: never.
        student: the network whose weights are kept.
        dist: who measures.
        path: where the best weights go.
        measured: what the measure gets in the student's place, such as one whose output is read.
    """

    def __init__(
        self,
        rule: EarlyStopping | None,
        student: nn.Module,
        dist: DistributedContext,
        path: str | os.PathLike[str] | None = None,
        measured: nn.Module | None = None,
    ) -> None:
        self.rule, self.student, self.dist = rule, student, dist
        self.measured = student if measured is None else measured
        self.path = None if path is None else user_path(path, "best", "file")
        if rule is not None and (rule.restore_best or self.path is not None):
            check_kept(student, dense=self.path is not None)
        self.best: float | None = None
        self.best_step = self.waited = 0
        self.best_weights: dict[str, Tensor] = {}

    @property
    def over(self) -> bool:
        """Whether the run has waited long enough."""
        patience = None if self.rule is None else self.rule.patience
        return patience is not None and self.waited >= patience

    def update(self, step: int, steps: int, history: History) -> float | None:
        """Measure if it is time; remember the student if it is the best so far."""
        if self.rule is None:
            return None
        if step < steps and step % (self.rule.every or history.steps_per_epoch):
            return None
        rule = self.rule
        value = float(self.dist.once(lambda: self._measure(rule)))
        if math.isnan(value):
            raise FloatingPointError(
                f"early stopping measured NaN after step {step}: look at the validation data and "
                "the measure."
            )
        history.measured.append((step, value))
        if self.rule.log is not None and self.dist.main:
            self.rule.log(step, value)
        sign = 1 if self.rule.better == "higher" else -1
        if self.best is None or sign * (value - self.best) > self.rule.min_change:
            self.best, self.best_step, self.waited = value, step, 0
            self._write()
            if self.rule.restore_best:
                state = state_of(self.student)
                self.best_weights = {k: v.detach().clone() for k, v in state.items()}
        else:
            self.waited += 1
        return value

    def finish(self, history: History) -> None:
        """Give the student the best weights, where the rule says so, and note it in the history."""
        if self.best_weights:
            load_state(self.student, self.best_weights)
        if self.rule is not None:
            history.best_step, history.stopped_early = self.best_step, self.over

    def facts(self) -> dict[str, Any]:
        """What a checkpoint has to know, besides the best weights."""
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def resume(self, facts: dict[str, Any], weights: dict[str, Tensor]) -> None:
        """Go on where `facts` left off."""
        self.best, self.best_step = facts["best"], facts["best_step"]
        self.waited, self.best_weights = facts["waited"], weights

    def _write(self) -> None:
        """Put the best weights on disk, whole or not at all, as `load_state_dict` takes them."""
        if self.path is None or not self.dist.main:
            return
        state = plain_state(self.student).items()
        weights = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in state}
        about = {"step": str(self.best_step), "measured": repr(self.best)}
        with partial_file(self.path) as partial:
            save_file(weights, partial, metadata=about)

    def _measure(self, rule: EarlyStopping) -> float:
        device = self.dist.device
        with own_randomness(0, device), modes_kept(self.student), torch.no_grad():
            self.student.eval()
            value = rule.measure(self.measured.eval())
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"early stopping's measure must return one number, got {type(value).__name__}: "
                f"{error}."
            ) from error


class TensorBoard:
    """Write terms, their shares of the gradient, learning rate and measurements to a folder.

        with TensorBoard("runs/first") as board:
            distill(student, data, teacher=teacher, callbacks=[board])

    Then `tensorboard --logdir runs`. Every measurement is written.

    Args:
        folder: where the event files go.
        every: steps between two of which the terms are written.

    Raises:
        ImportError: where the tensorboard package is missing, naming the way out.
        ValueError: for `every` below 1.
    """

    def __init__(self, folder: str | os.PathLike[str], *, every: int = 10) -> None:
        every = positive_int("every", every, what="a positive number of steps")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorBoard needs the tensorboard package: pip install 'distill-lab[tensorboard]'."
            ) from error
        self.every = every
        self._writer: Any = SummaryWriter(str(user_path(folder, "the folder")))

    def __call__(self, step: TrainStep) -> None:
        """Write one step, if it is one of those wanted."""
        if step.step % self.every == 0 or step.step in (1, step.steps):
            self._write("term", step.terms, step.step)
            self._write("training", {"lr": step.lr}, step.step)
        self._write("share of the gradient", step.shares, step.step)
        if step.measured is not None:
            self._write("training", {"measured": step.measured}, step.step)
        if step.step == step.steps:
            self._writer.flush()

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, group: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)
