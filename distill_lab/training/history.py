"""What a run leaves behind: every term at every step, and how the run ended."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class History:
    """Named loss terms, one value a step, unweighted; ``total`` is the weighted sum minimised.

    ``history["kd"]`` is a list of floats. ``epoch_means("kd")`` averages them over each epoch.

    >>> history = History(steps_per_epoch=2)
    >>> for value in (4.0, 2.0, 1.0, 1.0):
    ...     history.add({"ce": value, "total": value})
    >>> history.epoch_means("ce")
    [3.0, 1.0]
    """

    steps_per_epoch: int
    terms: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False

    def add(self, values: dict[str, float]) -> None:
        """Record one step."""
        for name, value in values.items():
            self.terms.setdefault(name, []).append(value)

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
        """Number of optimiser steps taken."""
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
        return (
            f"History({self.epochs:.4g} epochs, {self.steps} steps, "
            f"{self.seconds:.1f} s{ended}; last step: {last})"
        )

    def to_tensors(self) -> dict[str, Tensor]:
        """The terms as float64 tensors, for a checkpoint."""
        return {k: torch.tensor(v, dtype=torch.float64) for k, v in self.terms.items()}
