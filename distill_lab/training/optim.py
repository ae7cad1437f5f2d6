"""What moves the weights, and how fast: the optimizer by name, the learning rate over the run."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import one_of, positive_finite, positive_int, set_checked
from distill_lab._util.weights import check_weights
from distill_lab.methods import Method
from distill_lab.training.groups import own_optimizer, part_groups
from distill_lab.training.muon import Muon

if TYPE_CHECKING:
    from distill_lab.training.config import TrainingConfig

OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("constant", "linear", "cosine")


def trainable_parameters(student: nn.Module, method: Method) -> list[nn.Parameter]:
    """What the optimizer moves: the student's parameters, then those of the method's projections.

    Raises:
        ValueError: for a student that was frozen, or weights that cannot learn here.
    """
    for who, module in (("student", student), ("projections", method.projections)):
        if module is not None:
            check_weights(who, module, learns=True)
    parameters = [p for p in student.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(
            "the student has no parameter that requires a gradient, so nothing could learn: was "
            "it frozen? Undo it with student.requires_grad_(True)."
        )
    extra = [] if method.projections is None else list(method.projections.parameters())
    own = {id(parameter) for parameter in parameters}
    return parameters + [p for p in extra if p.requires_grad and id(p) not in own]


def make_optimizer(
    config: "TrainingConfig",
    student: nn.Module,
    parameters: Sequence[nn.Parameter],
    found_inf: Tensor | None = None,
    projections: nn.Module | None = None,
) -> torch.optim.Optimizer:
    """The optimizer of a run.

    Args:
        config: says which one, its learning rates and weight decay.
        student: the network, in which Muon looks for matrices.
        parameters: all that learns.
        found_inf: a scalar on the device; where it is 1, a step leaves everything as it is, bit
            for bit, and nobody has to read it. None: every step counts.
        projections: the method's own modules, whose parameters get names too.

    Returns:
        AdamW, Muon with AdamW beside it, or what the function in the settings makes.

    Raises:
        TypeError: for a function that makes no optimizer.
        ValueError: for one that leaves a parameter out, has one that is not the student's, or needs
            a closure; for rates that name no parameter.
    """
    rates: dict[str, Any] = {"weight_decay": config.weight_decay}
    rates["lr"] = config.lr if isinstance(config.lr, float | int) else 1e-3  # replaced below
    optimizer: torch.optim.Optimizer
    if callable(config.optimizer):
        optimizer = own_optimizer(config.optimizer, student, projections, parameters)
    elif config.optimizer == "muon":
        own = {id(parameter) for parameter in student.parameters()}
        extra = [parameter for parameter in parameters if id(parameter) not in own]
        # only the fused step knows found_inf
        optimizer = Muon(student, *extra, **rates, fused=found_inf is not None)
    else:
        real = not any(parameter.is_complex() for parameter in parameters)
        optimizer = torch.optim.AdamW(parameters, **rates, fused=real)  # of real numbers alone
    if config.no_decay is not None or not isinstance(config.lr, float | int):
        part_groups(optimizer, student, projections, parameters, config)
    if found_inf is not None and skips_by_itself(optimizer):
        optimizer.found_inf = found_inf  # type: ignore[attr-defined]  # as GradScaler sets it
    return optimizer


def skips_by_itself(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer looks at `found_inf` on the device, as torch's fused ones do.

    After a step of any other, whether all was finite has to be read before it, step by step.
    """
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def check_rates(rates: Any) -> Any:
    """Refuse learning rates that are no positive number, by themselves or under a prefix.

    Args:
        rates: a number, a mapping from prefixes of names to numbers, or a function of a name.

    Returns:
        The rates.

    Raises:
        ValueError: for anything else, or for an empty mapping.
    """
    if isinstance(rates, Mapping):
        if not rates:
            raise ValueError('lr names no rate: write for example lr={"head": 1e-3, "": 2e-5}.')
        return {prefix: positive_finite(f"lr of {prefix!r}", r) for prefix, r in rates.items()}
    return rates if callable(rates) else positive_finite("lr", rates)


def check_optimizer(optimizer: object) -> None:
    """Refuse what is neither a name nor a function that makes an optimizer.

    Raises:
        ValueError: for another name.
        TypeError: for an optimizer that is already made.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            "optimizer must be a name or a function of the parameters, because the method's own "
            "projections learn as well: write optimizer=lambda params: "
            f"{type(optimizer).__name__}(params, ...)."
        )
    if not callable(optimizer):
        one_of("optimizer", optimizer, OPTIMIZERS)


@dataclass(frozen=True)
class MultiStep:
    """Multiply the learning rate by gamma at each milestone, as the vision papers do.

    Formula: lr gamma^m, with m the number of milestones that were reached.

    Args:
        milestones: where, in growing order: after so many epochs.
        gamma: what the rate is multiplied by, above 0.
        unit: "epochs" or "steps": what the milestones count.

    Raises:
        ValueError: for milestones that do not grow, another gamma or unit.

    Source: He et al. 2015 (1512.03385), section 3.4; Tian, Krishnan & Isola 2020 (CRD), section 4.

    >>> schedule = MultiStep([2, 3])
    >>> [round(lr_at(step, 8, 1.0, schedule=schedule, steps_per_epoch=2), 3) for step in range(8)]
    [1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    """

    milestones: Sequence[int]
    gamma: float = 0.1
    unit: str = "epochs"

    def __post_init__(self) -> None:
        milestones = [positive_int("a milestone", milestone) for milestone in self.milestones]
        if not milestones or milestones != sorted(set(milestones)):
            raise ValueError(
                f"milestones must grow, as in MultiStep([150, 180, 210]), got {milestones}."
            )
        object.__setattr__(self, "milestones", tuple(milestones))
        set_checked(self, positive_finite, "gamma")
        one_of("unit", self.unit, ("epochs", "steps"))

    def factor(self, step: int, steps_per_epoch: int) -> float:
        """What the rate is multiplied by at a step.

        Args:
            step: which, from 0.
            steps_per_epoch: how many an epoch has.

        Returns:
            The factor.
        """
        size = steps_per_epoch if self.unit == "epochs" else 1
        return self.gamma ** sum(step >= milestone * size for milestone in self.milestones)


Schedule = str | MultiStep | Callable[[int], float]


def lr_at(
    step: int,
    steps: int,
    lr: float,
    *,
    schedule: Schedule = "constant",
    warmup: int = 0,
    steps_per_epoch: int = 1,
) -> float:
    """The learning rate of one step.

    Formula: lr (step + 1) / warmup during the warm-up; after it lr, lr (1 - u) for "linear" or
    lr (1 + cos(pi u)) / 2 for "cosine", u = (step - warmup) / (steps - warmup); for milestones and
    functions lr times their factor at this step, counted from the run's first.

    Args:
        step: the number of the step, from 0.
        steps: how many the run has.
        lr: the learning rate, at its highest.
        schedule: one of `SCHEDULES`, a `MultiStep`, or a function from the step to a factor.
        warmup: for how many steps it first rises.
        steps_per_epoch: what milestones in epochs are counted in.

    Returns:
        The learning rate.

    Raises:
        ValueError: for another schedule, a factor that is no finite number of at least 0, or a
            warm-up that is not shorter than the run.

    Source: Loshchilov & Hutter 2016, section 3, for the cosine.

    >>> [round(lr_at(i, 6, 1.0, schedule="linear", warmup=2), 2) for i in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    >>> lr_at(3, 6, 1.0, schedule=lambda step: 0.5**step)
    0.125
    """
    check_schedule(schedule)
    if not 0 <= warmup < steps:
        raise ValueError(
            f"warmup must be at least 0 steps and shorter than the run of {steps}, got {warmup!r}."
        )
    if step < warmup:
        return lr * (step + 1) / warmup
    if isinstance(schedule, MultiStep):
        return lr * schedule.factor(step, steps_per_epoch)
    if not isinstance(schedule, str):
        return lr * _own_factor(schedule, step)
    done = (step - warmup) / (steps - warmup)
    if schedule == "linear":
        return lr * (1 - done)
    if schedule == "cosine":
        return lr * 0.5 * (1 + math.cos(math.pi * done))
    return lr


def check_schedule(schedule: object) -> None:
    """Refuse what is no schedule.

    Args:
        schedule: what was given.

    Raises:
        ValueError: for another name, or what is neither a name nor a function.
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            one_of("schedule", schedule, SCHEDULES)
    elif not isinstance(schedule, MultiStep) and not callable(schedule):
        raise ValueError(
            f"schedule must be one of {', '.join(map(repr, SCHEDULES))}, MultiStep([...]), or a "
            f"function from the step to a factor, got {schedule!r}."
        )


def _own_factor(schedule: Callable[[int], float], step: int) -> float:
    try:
        given = schedule(step)
    except TypeError as error:
        raise TypeError(
            f"schedule is called with the step alone, counted from 0, and cannot be ({error}): "
            "in place of a scheduler of torch write its formula, as lambda step: 0.98**step."
        ) from error
    try:
        factor = float(given)
    except (TypeError, ValueError):
        factor = math.nan
    if not 0 <= factor < math.inf:
        raise ValueError(
            f"schedule must return a factor of the learning rate, a finite number of at least 0; "
            f"for step {step} it returned {given!r}."
        )
    return factor


class LearningRates:
    """The learning rate of every group of an optimizer, each its own highest times the schedule's.

    Args:
        optimizer: as it was made: its groups' rates are the highest.
        schedule: as in `lr_at`.
        warmup: as in `lr_at`.
        steps_per_epoch: as in `lr_at`.
        steps: how many the run has.

    Raises:
        ValueError: as `lr_at`, before the first step.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        warmup: int,
        steps_per_epoch: int,
        steps: int,
    ) -> None:
        self.optimizer, self.schedule, self.warmup = optimizer, schedule, warmup
        self.steps_per_epoch, self.steps = steps_per_epoch, steps
        self.highest = [float(group["lr"]) for group in optimizer.param_groups]
        self.last: list[float] = []  # what was set before this step
        for step in (0, steps - 1):
            self._at(step, 1.0)

    def set(self, step: int) -> float:
        """Give every group its rate for a step; that of the first.

        A rate that somebody else has set, as ReduceLROnPlateau does in a callback, stays where the
        schedule is "constant", and in a checkpoint. Elsewhere two would decide the same.
        """
        here = [float(group["lr"]) for group in self.optimizer.param_groups]
        steady = self.schedule == "constant" and step >= self.warmup
        # a run that is taken up has its rates from the file
        changed = here != self.last if self.last else step > self.warmup
        if steady and changed:
            self.highest = here
        elif self.last and changed:
            raise ValueError(
                f"the learning rate was {self.last[0]:g} and somebody has set it to {here[0]:g} "
                f"since, where schedule={self.schedule!r} and warmup={self.warmup} decide it: "
                "leave it to them, or say schedule='constant' without a warm-up."
            )
        rates = self.highest
        if self.schedule != "constant" or step < self.warmup:
            now = {lr: self._at(step, lr) for lr in dict.fromkeys(self.highest)}
            rates = [now[lr] for lr in self.highest]
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self.last = rates
        return rates[0]

    def _at(self, step: int, lr: float) -> float:
        return lr_at(
            step,
            self.steps,
            lr,
            schedule=self.schedule,
            warmup=self.warmup,
            steps_per_epoch=self.steps_per_epoch,
        )
