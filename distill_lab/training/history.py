"""What a run leaves behind: every term at every step, and how the run ended."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.methods.method import Method
from distill_lab.training.nonfinite import refuse_nonfinite


@dataclass
class History:
    """Named loss terms, one value a step, unweighted; `total` is the weighted sum minimised.

    `history["kd"]` is a list of floats. `epoch_means("kd")` averages them over each epoch.

    Args:
        steps_per_epoch: how many steps an epoch has.
        terms: the values of each term, one a step.
        shares: where it was measured, each term's (step, share of the gradient).
        measured: what early stopping saw, as (step, value).
        best_step: the step whose weights early stopping kept.
        seconds: of training, over all runs.
        interrupted: whether Ctrl-C or SIGTERM stopped it.
        stopped_early: whether early stopping did.

    >>> history = History(steps_per_epoch=2)
    >>> for value in (4.0, 2.0, 1.0, 1.0):
    ...     history.add({"ce": value, "total": value})
    >>> history.epoch_means("ce")
    [3.0, 1.0]
    """

    steps_per_epoch: int
    terms: dict[str, list[float]] = field(default_factory=dict)
    shares: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    measured: list[tuple[int, float]] = field(default_factory=list)
    best_step: int | None = None
    seconds: float = 0.0
    interrupted: bool = False
    stopped_early: bool = False

    def add(self, values: dict[str, float], shares: dict[str, float] | None = None) -> None:
        """Record one step.

        Args:
            values: of each term.
            shares: each term's share of the gradient, where it was measured.
        """
        for name, value in values.items():
            self.terms.setdefault(name, []).append(value)
        for name, share in (shares or {}).items():
            self.shares.setdefault(name, []).append((self.steps, share))

    def __getitem__(self, term: str) -> list[float]:
        if term not in self.terms:
            raise KeyError(f"no term {term!r} in this history; it has {sorted(self.terms)}.")
        return self.terms[term]

    def __iter__(self) -> Iterator[str]:
        return iter(self.terms)

    def __len__(self) -> int:
        return self.steps

    @property
    def steps(self) -> int:
        """Number of optimizer steps taken."""
        return len(next(iter(self.terms.values()), []))

    @property
    def epochs(self) -> float:
        """Number of epochs trained, fractional after an interruption."""
        return self.steps / self.steps_per_epoch

    def epoch_means(self, term: str) -> list[float]:
        """The mean of a term over each epoch, the last one perhaps unfinished."""
        values, size = self[term], self.steps_per_epoch
        chunks = [values[i : i + size] for i in range(0, len(values), size)]
        return [sum(chunk) / len(chunk) for chunk in chunks]

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.terms.items())
        ended = ", interrupted" if self.interrupted else ""
        ended += f", stopped early, best at step {self.best_step}" if self.stopped_early else ""
        return (
            f"History({self.epochs:.4g} epochs, {self.steps} steps, "
            f"{self.seconds:.1f} s{ended}; last step: {last})"
        )

    def to_tensors(self) -> dict[str, Tensor]:
        """The terms as float64 tensors, for a checkpoint."""
        return {k: torch.tensor(v, dtype=torch.float64) for k, v in self.terms.items()}

    def facts(self) -> dict[str, Any]:
        """All but the terms as plain values, for a checkpoint."""
        return {"shares": self.shares, "measured": self.measured, "seconds": self.seconds}

    def resume(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Args:
            tensors: what `to_tensors` gave.
            facts: what `facts` gave.
        """
        self.terms = {name: values.tolist() for name, values in tensors.items()}
        self.shares = {k: [(n, share) for n, share in v] for k, v in facts["shares"].items()}
        self.measured = [(step, value) for step, value in facts["measured"]]
        self.seconds = facts["seconds"]


@dataclass
class TermLog:
    """Term values on their way to the history: kept on the device, read many steps at once.

    Reading waits for the device, so it is done every `every` steps, and where somebody looks.

    Args:
        history: where the values go, with their weighted `total`.
        student: named in the error, if it is not finite.
        method: what each term weighs, in the order of the values.
        every: after so many steps what has gathered is read.
        checkpoint: where the last good state is.
        nonfinite_at: a function of a step, from 1: the sentence on its examples in the error.
    """

    history: History
    student: nn.Module
    method: Method
    every: int
    checkpoint: object = None
    nonfinite_at: Callable[[int], str] = lambda step: ""
    latest: dict[str, float] = field(default_factory=dict, init=False)  # the last values read
    _unread: list[tuple[list[Tensor], Tensor, Tensor | None, dict[str, float]]] = field(
        default_factory=list, init=False
    )

    def add(
        self, values: list[Tensor], found_inf: Tensor, norm: Tensor | None, shares: dict[str, float]
    ) -> None:
        """Keep one step: its values, whether all was finite, the gradient's norm."""
        if self.every == 1:
            self._record([value.item() for value in values], found_inf.item(), norm, shares)
            return
        # found_inf goes on changing
        self._unread.append((values, found_inf.clone(), norm, shares))
        if len(self._unread) == self.every:
            self.read()

    def read(self) -> dict[str, float]:
        """Move everything to the history; the last step's values.

        Raises:
            FloatingPointError: at the first step in which something was not finite.
        """
        unread, self._unread = self._unread, []
        if unread:
            device = unread[0][1].device
            scalars = [v.to(device).reshape(()) for values, *_ in unread for v in values]
            rows = torch.stack(scalars).view(len(unread), -1).tolist()
            flags = torch.stack([flag for _, flag, *_ in unread]).tolist()
            last = len(unread) - 1
            for i, (_, _, norm, shares) in enumerate(unread):
                self._record(rows[i], flags[i], norm, shares, gradients_at_hand=i == last)
        return self.latest

    def _record(
        self,
        row: list[float],
        found_inf: float,
        norm: Tensor | None,
        shares: dict[str, float],
        *,
        gradients_at_hand: bool = True,
    ) -> None:
        values, total = dict(zip(self.method.weights, row, strict=True)), 0.0
        for name, weight in self.method.weights.items():
            total += weight * values[name]
        values["total"] = total
        if found_inf or not math.isfinite(total):
            step = self.history.steps + 1
            refuse_nonfinite(
                step,
                values,
                norm,
                self.student,
                self.method.projections,
                gradients_at_hand=gradients_at_hand,
                checkpoint=self.checkpoint,
                where=self.nonfinite_at(step),
            )
        self.history.add(values, shares)
        self.latest = values
