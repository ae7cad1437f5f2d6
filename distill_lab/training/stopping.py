"""Early stopping: measure the student now and then, keep the best, stop when it stops improving."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept
from distill_lab.training.crew import Crew
from distill_lab.training.history import History


@dataclass(frozen=True)
class EarlyStopping:
    """When to give up, and on what evidence.

    ``measure(student)`` returns one number, "higher" or "lower" being better; it is called after
    every ``every`` steps (an epoch by default) with the student in eval mode and without a graph.
    The run ends once the number has not improved by more than ``min_change`` for ``patience``
    measurements in a row; ``restore_best`` gives the student the best weights back at the end.
    Measure on examples that are neither trained on nor used for the final report.
    Raises ValueError for settings that cannot decide anything. Prechelt 1998, section 2.

    >>> EarlyStopping(lambda student: 0.0, patience=2).better
    'higher'
    """

    measure: Callable[[nn.Module], float]
    patience: int = 3
    better: str = "higher"
    every: int | None = None
    min_change: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        if not callable(self.measure):
            raise TypeError(
                "measure must be a function from the student to a number, not "
                f"{type(self.measure).__name__}."
            )
        for name, value in {"patience": self.patience, "every": self.every or 1}.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}.")
        if self.better not in ("higher", "lower"):
            raise ValueError(f"better must be 'higher' or 'lower', got {self.better!r}.")
        if not self.min_change >= 0:
            raise ValueError(f"min_change must be at least 0, got {self.min_change!r}.")

    def __str__(self) -> str:
        return f"{self.better}, patience {self.patience}, min_change {self.min_change}"


class Watch:
    """Carries early stopping through one run: what was best, when, and how long ago."""

    def __init__(self, rule: EarlyStopping | None, student: nn.Module, crew: Crew) -> None:
        self.rule, self.student, self.crew = rule, student, crew
        self.best: float | None = None
        self.best_step = self.waited = 0
        self.best_weights: dict[str, Tensor] = {}

    @property
    def over(self) -> bool:
        """Whether the run has waited long enough."""
        return self.rule is not None and self.waited >= self.rule.patience

    def look(self, done: int, per_epoch: int, history: History) -> float | None:
        """Measure if it is time; remember the student if it is the best so far."""
        if self.rule is None or done % (self.rule.every or per_epoch):
            return None
        value = self.crew.from_main(self._measured() if self.crew.main else 0.0)
        if math.isnan(value):
            raise FloatingPointError(
                f"early stopping measured NaN after step {done}: look at the validation data and "
                "the measure."
            )
        history.measured.append((done, value))
        sign = 1 if self.rule.better == "higher" else -1
        if self.best is None or sign * (value - self.best) > self.rule.min_change:
            self.best, self.best_step, self.waited = value, done, 0
            if self.rule.restore_best:
                state = self.student.state_dict()
                self.best_weights = {k: v.detach().clone() for k, v in state.items()}
        else:
            self.waited += 1
        return value

    def finish(self, history: History) -> None:
        """Give the student the best weights, where the rule says so, and tell the history."""
        if self.best_weights:
            self.student.load_state_dict(self.best_weights)
        if self.rule is not None:
            history.best_step, history.stopped_early = self.best_step, self.over

    def facts(self) -> dict[str, Any]:
        """What a checkpoint has to know, besides the best weights."""
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def resume(self, facts: dict[str, Any], weights: dict[str, Tensor]) -> None:
        """Go on where ``facts`` left off."""
        self.best, self.best_step = facts["best"], facts["best_step"]
        self.waited, self.best_weights = facts["waited"], weights

    def _measured(self) -> float:
        assert self.rule is not None
        with modes_kept(self.student), torch.no_grad():
            return float(self.rule.measure(self.student.eval()))
