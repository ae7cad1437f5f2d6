"""The settings of a training run: spelled once, checked where they are made."""

import dataclasses
import difflib
import inspect
import math
import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from distill_lab._util.checks import non_negative_int, one_of, positive_finite, positive_int
from distill_lab._util.runtime import Progress, own_randomness
from distill_lab.data.batches import Source
from distill_lab.methods.method import Method
from distill_lab.models.networks import logits_of
from distill_lab.training.callbacks import Callback, EarlyStopping
from distill_lab.training.distributed import PRECISIONS
from distill_lab.training.optim import OPTIMIZERS, SCHEDULES, lr_at

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What `distill` and `distill_seeds` take as `**settings`.

    Args:
        epochs: how often every example is seen.
        batch_size: how many examples make one step, always.
        accumulate: into how many pieces a batch is cut to save memory; the step stays that of the
            whole batch, also where several processes share it.
        lr: the learning rate, at its highest.
        weight_decay: what AdamW takes off the weights, times the learning rate.
        optimizer: "adamw", or "muon" for the matrices inside a network (`training.optim.Muon`).
        schedule: "constant", "linear" or "cosine" (from `lr` to 0 over the run).
        warmup: for how many steps the learning rate first rises.
        clip: the largest norm of the gradient, over all that learns; None: any.
        precision: "fp32", "bf16" or "fp16" in the forward pass; None: what the launcher says.
        seed: fixes the order of the batches, dropout, and what data draw from Python's or NumPy's
            generators: on a CPU the same seed gives the same bits.
        early_stopping: what to measure, and when to stop.
        progress: True: one line; None: one after a second, where somebody watches; or a function
            `progress(terms, step, steps)`.
        callbacks: functions that see a `TrainStep` after each step, in the main process.
        shares_every: steps between two measurements of each term's share of the gradient; 0: never.
        checkpoint: where the run is kept; called again with the same settings it goes on from
            there, bit for bit, and a larger `epochs` extends it.
        checkpoint_every: steps between two writings; None: an epoch.
        read_every: steps between two readings of the terms from the device; None: 1 on a CPU,
            where it costs nothing, and 50 elsewhere, so that a step waits for no copy.

    Raises:
        ValueError: for a setting that cannot train anything, in words.
        TypeError: for callbacks that are no list of functions.
    """

    epochs: int = 10
    batch_size: int = 64
    accumulate: int = 1
    lr: float = 1e-3
    weight_decay: float = 0.0
    optimizer: str = "adamw"
    schedule: str = "constant"
    warmup: int = 0
    clip: float | None = None
    precision: str | None = None
    seed: int = 0
    early_stopping: EarlyStopping | None = None
    progress: Progress = True
    callbacks: Sequence[Callback] = ()
    shares_every: int = 100
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_every: int | None = None
    read_every: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            positive_int(name, getattr(self, name))
        for name in ("checkpoint_every", "read_every"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        for name in ("warmup", "shares_every"):
            non_negative_int(name, getattr(self, name), what="a number of steps, 0 or more")
        positive_finite("lr", self.lr)
        if self.clip is not None:
            positive_finite("clip", self.clip)
        if self.precision is not None:
            one_of("precision", self.precision, PRECISIONS)
        one_of("schedule", self.schedule, SCHEDULES)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate cuts a batch into pieces, and {self.batch_size} examples make no "
                f"{self.accumulate} of them: batch_size counts the whole step; raise it, or lower "
                "accumulate."
            )
        if callable(self.callbacks) or not all(callable(call) for call in self.callbacks):
            raise TypeError("callbacks must be a list of functions: write callbacks=[my_function].")

    @classmethod
    def of(cls, caller: Callable[..., Any], settings: dict[str, Any]) -> Self:
        """The settings a function was called with.

        Raises:
            TypeError: for a setting that the function does not take, as Python does.
        """
        known = inspect.signature(caller).parameters
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                raise TypeError(
                    f"{caller.__name__}() got an unexpected keyword argument {name!r}{hint}"
                )
        return cls(**settings)

    def steps(self, examples: int) -> tuple[int, int]:
        """How many steps an epoch has, and how many the run.

        Raises:
            ValueError: for a warm-up that is not shorter than the run.
        """
        per_epoch = math.ceil(examples / self.batch_size)
        self.lr_at(0, self.epochs * per_epoch)
        return per_epoch, self.epochs * per_epoch

    def check_pieces(
        self, source: Source, student: nn.Module, method: Method, processes: int
    ) -> None:
        """Refuse, before any work, a last piece of one example that cannot be learned from alone.

        Args:
            source: the examples.
            student: the network; one with batch statistics is tried on a single example.
            method: says how many examples it compares.
            processes: how many share a batch.

        Raises:
            ValueError: naming the batch size that leaves such a piece.
        """
        last = len(source) % self.batch_size or self.batch_size
        smallest = max(1, last // (self.accumulate * processes))
        who = None
        if smallest < method.at_least:
            who = f"method {method.name} compares examples with each other"
        elif smallest == 1 and any(isinstance(m, _BatchNorm) for m in student.modules()):
            device = next(student.parameters()).device
            try:
                with own_randomness(self.seed), torch.no_grad():
                    one = source.batch(torch.tensor([0])).to(device)
                    logits_of(deepcopy(student).train(), one.inputs)
            except ValueError as error:
                who = f"the student's batch statistics need more ({error})"
        if who is not None:
            raise ValueError(
                f"{len(source)} examples in batches of {self.batch_size}, {self.accumulate} pieces "
                f"on {processes} processes, leave a piece of {smallest}, and {who}: choose another "
                "batch_size, or leave an example out."
            )

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of one step.

        Args:
            step: which, from 0.
            steps: how many the run has.

        Returns:
            Its learning rate.
        """
        return lr_at(step, steps, self.lr, schedule=self.schedule, warmup=self.warmup)

    def reading_interval(self, device: torch.device, *, each: bool = False) -> int:
        """Steps between two readings of values from the device.

        Args:
            device: where the values are.
            each: whether every step is looked at, as a loss scaler does.

        Returns:
            A number of steps, 1 where each is looked at.
        """
        if each or self.callbacks or callable(self.progress):
            return 1
        return self.read_every or (1 if device.type == "cpu" else 50)

    def identity(self) -> dict[str, Any]:
        """The settings that the weights follow from: what a checkpoint is compared by."""
        names = (
            *("batch_size", "accumulate", "lr", "weight_decay", "optimizer", "schedule", "warmup"),
            *("clip", "seed"),
        )
        return {name: getattr(self, name) for name in names} | {
            "early_stopping": str(self.early_stopping),
            "epochs": "any" if self.schedule == "constant" else self.epochs,
        }


FIELDS = {field.name: field for field in dataclasses.fields(TrainingConfig)}


def takes_settings(*names: str) -> Callable[[F], F]:
    """Show the settings a function takes as `**settings` in its signature: in help() and a hover.

    Args:
        names: of the fields of `TrainingConfig`; without any, all of them.

    Returns:
        A decorator.

    >>> @takes_settings("epochs")
    ... def fit(student, **settings): ...
    >>> inspect.signature(fit)
    <Signature (student, *, epochs: int = 10)>
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shown = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=FIELDS[name].default,
                annotation=FIELDS[name].type,
            )
            for name in names or FIELDS
        ]
        function.__signature__ = signature.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
        return function

    return decorate
