"""The settings of a training run: spelled once, checked where they are made."""

import dataclasses
import difflib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from distill_lab._util.checks import (
    non_negative_finite,
    non_negative_int,
    one_of,
    plain_number,
    positive_finite,
    positive_int,
    set_checked,
    whole_number,
)
from distill_lab._util.describe import describe
from distill_lab._util.devices import find_device
from distill_lab._util.runtime import Progress, modes_kept, own_randomness
from distill_lab._util.wrappers import eager, load_state, state_of
from distill_lab.data.batches import Sampler, Source, batch_of, steps_in
from distill_lab.methods.method import Method
from distill_lab.models.networks import Read, logits_of
from distill_lab.teachers import Teacher
from distill_lab.training.callbacks import Callback, EarlyStopping
from distill_lab.training.distributed import PRECISIONS
from distill_lab.training.groups import NO_DECAY, OptimizerChoice, Rates
from distill_lab.training.optim import (
    LearningRates,
    MultiStep,
    Schedule,
    check_optimizer,
    check_rates,
    check_schedule,
)

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What `distill` and `distill_seeds` take as `**settings`.

    Args:
        epochs: how often every example is seen.
        steps: how many steps the run has, in place of `epochs`.
        batch_size: how many examples make one step, always.
        drop_last: whether an epoch leaves out what its last batch has too few of.
        sampler: the order in which examples are seen; None: shuffled anew each epoch.
        accumulate: into how many pieces a batch is cut to save memory; the step stays that of the
            whole batch, also where several processes share it. Two things see one piece at a time
            and differ: batch normalisation, and terms that compare examples with each other.
        lr: the learning rate, at its highest; by prefix of the parameters' names, the longest
            first: `{"head": 1e-3, "": 2e-5}`; or a function from a name to a rate. A method's own
            parameters begin with "projections".
        weight_decay: what AdamW takes off the weights, times the learning rate.
        no_decay: "norms and biases" keeps weight decay off every vector: biases, scales, shifts.
        optimizer: "adamw", "muon" for the matrices inside a network (`training.muon.Muon`), or a
            function from a list of (name, parameter) to an optimizer of torch, with rates of its
            own: `lambda params: torch.optim.SGD(params, 0.1, momentum=0.9)`.
        schedule: "constant", "linear" or "cosine" (from `lr` to 0 over the run); `MultiStep`; or a
            function from the step, counted from 0, to a factor of `lr`. Under "constant" a callback
            may set the optimizer's rates, as torch's ReduceLROnPlateau does.
        warmup: for how many steps the learning rate first rises.
        clip: the largest norm of the gradient, over all that learns; None: any.
        precision: "fp32", "bf16" or "fp16" in the forward pass; None: what the launcher says.
        device: where the student learns, as "cuda:1": it and the teacher are moved there; None:
            where the student is. Under a launcher each process has a device of its own.
        read: how the scores are read from what the student returns, where that is neither a tensor
            nor has `logits`: `lambda out: out["out"]`. Methods and early stopping see the scores.
        seed: fixes the order of the batches, dropout, and what data draw from Python's or NumPy's
            generators: on a CPU the same seed gives the same bits.
        early_stopping: what to measure, and when to stop.
        best: where the weights that early stopping measured best are kept, written whole at each
            improvement; `student.load_state_dict(safetensors.torch.load_file(best))` reads them.
        progress: True: one line; None: one after a second, where somebody watches; or a function
            `progress(terms, step, steps)`.
        callbacks: functions that see a `TrainStep` after each step, in the main process.
        shares_every: steps between two measurements of each term's share of the gradient; 0: never.
        checkpoint: where the run is kept; called again with the same settings it goes on from
            there, bit for bit. A larger `epochs` or `steps` extends it, but for "linear" and
            "cosine": their rates follow from the length of the run, so another length is another
            run.
        checkpoint_every: steps between two writings; None: an epoch.
        read_every: steps between two readings of the terms from the device; None: 1 on a CPU,
            where it costs nothing, and 50 elsewhere, so that a step waits for no copy.

    Raises:
        ValueError: for a setting that cannot train anything, in words.
        TypeError: for callbacks that are no list of functions.
    """

    epochs: int = 10
    steps: int | None = None
    batch_size: int = 64
    drop_last: bool = False
    sampler: Sampler | None = None
    accumulate: int = 1
    lr: Rates = 1e-3
    weight_decay: float = 0.0
    no_decay: str | None = None
    optimizer: OptimizerChoice = "adamw"
    schedule: Schedule = "constant"
    warmup: int = 0
    clip: float | None = None
    precision: str | None = None
    device: str | torch.device | None = None
    read: Read | None = None
    seed: int = 0
    early_stopping: EarlyStopping | None = None
    best: str | os.PathLike[str] | None = None
    progress: Progress = True
    callbacks: Sequence[Callback] = ()
    shares_every: int = 100
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_every: int | None = None
    read_every: int | None = None

    def __post_init__(self) -> None:
        set_checked(self, positive_int, "epochs", "batch_size", "accumulate")
        set_checked(self, positive_int, "steps", "checkpoint_every", "read_every", optional=True)
        steps = "a number of steps, 0 or more"
        set_checked(self, non_negative_int, "warmup", "shares_every", what=steps)
        set_checked(self, non_negative_finite, "weight_decay")
        set_checked(self, whole_number, "seed")
        object.__setattr__(self, "lr", check_rates(self.lr))
        if self.no_decay is not None:
            one_of("no_decay", self.no_decay, (NO_DECAY, None))
        set_checked(self, positive_finite, "clip", optional=True)
        if self.precision is not None:
            one_of("precision", self.precision, PRECISIONS)
        if self.device is not None:
            find_device(self.device)
        if self.read is not None and not callable(self.read):
            raise TypeError(
                "read must be a function of what the student returns, as lambda out: out['out'], "
                f"not {type(self.read).__name__}."
            )
        check_schedule(self.schedule)
        check_optimizer(self.optimizer)
        if self.sampler is not None and not callable(getattr(self.sampler, "order", None)):
            raise TypeError(
                "sampler must have a method order(examples, seed, epoch) that returns the numbers "
                f"of an epoch's examples, in their order; {type(self.sampler).__name__} has none."
            )
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate cuts a batch into pieces, and {self.batch_size} examples make no "
                f"{self.accumulate} of them: batch_size counts the whole step; raise it, or lower "
                "accumulate."
            )
        if not isinstance(self.early_stopping, EarlyStopping | None):
            raise TypeError(
                "early_stopping must be a rule, as EarlyStopping(measure, patience=3), not "
                f"{type(self.early_stopping).__name__}."
            )
        if self.best is not None and self.early_stopping is None:
            raise ValueError(
                "best= keeps the weights that early stopping measured best, and nothing is "
                "measured: give early_stopping=EarlyStopping(measure) as well."
            )
        if callable(self.callbacks) or not all(callable(call) for call in self.callbacks):
            raise TypeError("callbacks must be a list of functions: write callbacks=[my_function].")

    @classmethod
    def of(cls, caller: Callable[..., Any], settings: dict[str, Any]) -> Self:
        """The settings a function was called with.

        Raises:
            TypeError: for a setting that the function does not take, as Python does.
            ValueError: for two that decide the same.
        """
        if not torch.is_grad_enabled():
            raise ValueError(
                f"{caller.__name__}() was called inside torch.no_grad() or torch.inference_mode(), "
                "where nothing can learn: call it outside of that block."
            )
        if any(map(torch.is_autocast_enabled, ("cpu", "cuda"))):
            raise ValueError(
                f"{caller.__name__}() was called inside torch.autocast, which would also reach "
                "the loss and the teacher: call it outside of that block, with precision='bf16'."
            )
        known = inspect.signature(caller).parameters
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                raise TypeError(
                    f"{caller.__name__}() got an unexpected keyword argument {name!r}{hint}"
                )
        if settings.get("steps") is not None and "epochs" in settings:
            raise ValueError(
                f"steps={settings['steps']} and epochs={settings['epochs']} both say how long the "
                "run is: give one of them."
            )
        own = callable(settings.get("optimizer"))
        for name in ("lr", "weight_decay"):
            if own and isinstance(plain_number(settings.get(name)), float | int):
                raise ValueError(
                    f"{name}={settings[name]} and an optimizer of your own, which has its own "
                    f"{name}: set it in the function, and leave {name} out."
                )
        return cls(**settings)

    def length(self, examples: int) -> tuple[int, int]:
        """How many steps an epoch has, and how many the run.

        Args:
            examples: how many an epoch has.

        Returns:
            Two numbers of steps.

        Raises:
            ValueError: where `drop_last` leaves nothing.
        """
        per_epoch = steps_in(examples, self.batch_size, drop_last=self.drop_last)
        if per_epoch == 0:
            raise ValueError(
                f"drop_last leaves out all {examples} examples, which make no batch of "
                f"{self.batch_size}: lower batch_size, or keep the last batch."
            )
        return per_epoch, self.steps or self.epochs * per_epoch

    def check_pieces(
        self,
        source: Source,
        student: nn.Module,
        method: Method,
        processes: int,
        examples: int | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """Refuse, before any work, a last piece of one example that cannot be learned from alone.

        Args:
            source: the examples.
            student: the network; one with batch statistics is tried on a single example.
            method: says how many examples it compares.
            processes: how many share a batch.
            examples: how many an epoch has; None for all there are.
            teacher: who is asked, where projections with batch statistics are tried.

        Raises:
            ValueError: naming the batch size that leaves such a piece.
        """
        examples = len(source) if examples is None else examples
        per_epoch, steps = self.length(examples)
        left_out = self.drop_last or steps < per_epoch  # or never reached
        last = 0 if left_out else examples % self.batch_size
        last = last or self.batch_size
        smallest = max(1, last // (self.accumulate * processes))
        who = None
        too_few = smallest < method.at_least
        if too_few and not method.taps:  # on logits one text has positions enough to be compared
            labels = batch_of(source, torch.tensor([0])).labels
            soft = labels is not None and labels.is_floating_point()  # a number of each class
            too_few = labels is None or labels.dim() - soft < 2
        if too_few:
            who = f"method {method.name} compares examples with each other"
        elif smallest == 1 and (why := self._not_alone(source, student, method, teacher)):
            who = f"batch statistics need more ({why})"
        if who is not None:
            raise ValueError(
                f"{examples} examples in batches of {self.batch_size}, {self.accumulate} pieces "
                f"on {processes} processes, leave a piece of {smallest}, and {who}: choose another "
                "batch_size, or leave the last batch out with drop_last=True."
            )

    def _not_alone(
        self, source: Source, student: nn.Module, method: Method, teacher: Teacher | None
    ) -> str | None:
        """Why one example cannot be learned from alone: it is tried where statistics are taken."""
        mapped = method.projections
        normed, maps_normed = (
            module is not None and any(isinstance(part, _BatchNorm) for part in module.modules())
            for module in (student, mapped)
        )
        parameters = list(student.parameters())
        if not (normed or maps_normed) or any(map(nn.parameter.is_lazy, parameters)):
            return None
        student = deepcopy(student)
        before = {} if mapped is None else {n: v.clone() for n, v in state_of(mapped).items()}
        try:
            with own_randomness(self.seed), torch.no_grad(), eager(student), modes_kept(mapped):
                for module in (student, mapped):
                    if module is not None and not module.training:
                        module.train()  # or its submodules keep their modes, as in the run
                one = batch_of(source, torch.tensor([0])).to(parameters[0].device)
                if maps_normed and teacher is not None:
                    method.terms(one, student, teacher)
                else:
                    logits_of(student, one.inputs)
        except ValueError as error:
            return str(error)
        finally:
            if mapped is not None:
                load_state(mapped, before)
        return None

    def learning_rates(
        self, optimizer: torch.optim.Optimizer, steps_per_epoch: int, steps: int
    ) -> LearningRates:
        """What sets the learning rates of an optimizer, step by step.

        Args:
            optimizer: as it was made.
            steps_per_epoch: how many steps an epoch has.
            steps: how many the run has.

        Returns:
            Learning rates to be set.
        """
        return LearningRates(optimizer, self.schedule, self.warmup, steps_per_epoch, steps)

    def reading_interval(self, device: torch.device, *, each: bool = False) -> int:
        """Steps between two readings of values from the device.

        Args:
            device: where the values are.
            each: whether every step is looked at: a loss scaler does, and so does an optimizer that
                does not pass over a step by itself.

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
        # what came later is only there where it is used: checkpoints of before go on
        later = ("drop_last", "sampler", "no_decay", "read")
        used = [name for name in later if getattr(self, name) != FIELDS[name].default]
        by_length = isinstance(self.schedule, str) and self.schedule != "constant"
        length = self.epochs if self.steps is None else f"{self.steps} steps"
        return {name: _in_words(getattr(self, name)) for name in (*names, *used)} | {
            "early_stopping": str(self.early_stopping),
            "epochs": length if by_length else "any",
        }

    @property
    def parted(self) -> bool:
        """Whether the optimizer is set otherwise than by numbers in the settings."""
        by_name = isinstance(self.optimizer, str) and isinstance(self.lr, float | int)
        return not by_name or self.no_decay is not None


def _in_words(setting: Any) -> Any:
    """A setting as a checkpoint knows it again: functions by what they do."""
    if isinstance(setting, Mapping):
        return {str(key): value for key, value in sorted(setting.items())}
    if isinstance(setting, MultiStep):
        return repr(setting)
    plain = setting is None or isinstance(setting, str | float | int)
    return setting if plain else describe(setting)


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
