"""Parameters by name: an optimizer of one's own, groups with rates of their own, what decays."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import positive_finite
from distill_lab._util.wrappers import modules_of

if TYPE_CHECKING:
    from distill_lab.training.config import TrainingConfig

Named = list[tuple[str, nn.Parameter]]
OptimizerChoice = str | Callable[[Any], torch.optim.Optimizer]
Rates = float | Mapping[str, float] | Callable[[str], float]
NO_DECAY = "norms and biases"
PROJECTIONS = "projections."  # before the names of the method's own parameters


def own_optimizer(
    make: Callable[[Any], torch.optim.Optimizer],
    student: nn.Module,
    projections: nn.Module | None,
    parameters: Sequence[nn.Parameter],
) -> torch.optim.Optimizer:
    """What a function makes of the named parameters, looked at.

    Args:
        make: gets a list of pairs (name, parameter).
        student: the network.
        projections: the method's own modules.
        parameters: all that learns.

    Returns:
        An optimizer of all of them.

    Raises:
        TypeError: for a function that makes no optimizer.
        ValueError: for one that leaves a parameter out, has another, or needs a closure.
    """
    named = _named(student, projections, parameters)
    try:
        optimizer = make(list(named))
    except (AttributeError, TypeError) as error:
        raise TypeError(
            "optimizer gets a list of pairs (name, parameter), which every optimizer of torch "
            f"takes as it is; yours could not be made of it ({error})."
        ) from error
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            "optimizer must return a torch.optim.Optimizer, as lambda params: "
            f"torch.optim.SGD(params, 0.1) does, not {type(optimizer).__name__}."
        )
    if isinstance(optimizer, torch.optim.SparseAdam):
        raise ValueError(
            "SparseAdam takes sparse gradients alone, and distill makes dense ones: use "
            "torch.optim.Adam, or leave optimizer= out."
        )
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ValueError(
            f"{type(optimizer).__name__} asks for a closure that runs the batch again, several "
            "times a step: distill runs it once. Use an optimizer without one, as SGD or AdamW."
        )
    moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
    left_out = [name for name, parameter in named if id(parameter) not in moved]
    if left_out:
        raise ValueError(
            f"the optimizer leaves out {left_out[0]} ({len(left_out)} of {len(named)} parameters): "
            "give it all of params; what is not to learn is frozen with requires_grad_(False)."
        )
    if moved - {id(parameter) for _, parameter in named}:
        raise ValueError(
            "the optimizer has parameters that are not the student's: make it of the params that "
            "the function gets."
        )
    return optimizer


def part_groups(
    optimizer: torch.optim.Optimizer,
    student: nn.Module,
    projections: nn.Module | None,
    parameters: Sequence[nn.Parameter],
    config: "TrainingConfig",
) -> None:
    """Part the groups of a new optimizer by learning rate, and by what decays.

    Args:
        optimizer: before its first step.
        student: the network.
        projections: the method's own modules.
        parameters: all that learns.
        config: says the rates, and whether norms and biases decay.

    Raises:
        ValueError: for a prefix that no name begins with, or a name without a rate.
    """
    named = _named(student, projections, parameters)
    names = {id(parameter): name for name, parameter in named}
    rates = _rates(config.lr, list(names.values()), own=callable(config.optimizer))
    groups = []
    for group in optimizer.param_groups:
        parts: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for parameter in group["params"]:
            name = names[id(parameter)]
            spared = config.no_decay is not None and _norm_or_bias(name, parameter)
            parts.setdefault((rates.get(name, group["lr"]), spared), []).append(parameter)
        for (rate, spared), some in parts.items():
            part = group | {"params": some, "lr": rate}
            if "param_names" in group:
                part["param_names"] = [names[id(parameter)] for parameter in some]
            groups.append(part | ({"weight_decay": 0.0} if spared else {}))
    optimizer.param_groups[:] = groups


def groups_in_words(optimizer: torch.optim.Optimizer) -> str:
    """What an optimizer is and how it is set, group by group: how a checkpoint knows it again."""

    def plain(value: Any) -> Any:
        return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value

    groups = [
        f"{len(group['params'])} x "
        + ", ".join(
            f"{name} {plain(value)}"
            for name, value in group.items()
            if name not in ("params", "param_names")
        )
        for group in optimizer.param_groups
    ]
    return f"{type(optimizer).__name__}: {'; '.join(groups)}"


def _named(
    student: nn.Module, projections: nn.Module | None, parameters: Sequence[nn.Parameter]
) -> Named:
    """All that learns, by the names that the student has without wrappers."""
    names: dict[int, str] = {}
    for module, before in ((student, ""), (projections, PROJECTIONS)):
        for path, part in {} if module is None else modules_of(module).items():
            for leaf, parameter in part._parameters.items():
                if parameter is not None:  # of tied weights the first name counts
                    name = f"{before}{path}.{leaf}" if path else f"{before}{leaf}"
                    names.setdefault(id(parameter), name)
    return [(names[id(parameter)], parameter) for parameter in parameters]


def _norm_or_bias(name: str, parameter: nn.Parameter) -> bool:
    """What decay would pull to zero without a reason: scales, shifts, biases, all vectors."""
    return parameter.dim() < 2 or name.rpartition(".")[2] == "bias"


def _rates(lr: Rates, names: list[str], *, own: bool) -> dict[str, float]:
    """The highest learning rate by name of parameter; of several prefixes the longest counts."""
    if callable(lr):
        return {name: positive_finite(f"lr of {name}", lr(name)) for name in names}
    if not isinstance(lr, Mapping):
        return {}  # the optimizer has it

    def fits(prefix: str, name: str) -> bool:
        return not prefix or name == prefix or name.startswith(prefix + ".")

    for prefix in lr:
        if not any(fits(prefix, name) for name in names):
            first = sorted({name.partition(".")[0] for name in names})
            raise ValueError(
                f"lr names {prefix!r}, and no parameter begins with it: they begin with {first}."
            )
    rates = {}
    for name in names:
        known = [prefix for prefix in lr if fits(prefix, name)]
        if known:
            rates[name] = float(lr[max(known, key=len)])
        elif not own:
            raise ValueError(
                f'lr names no rate for {name}: add "" for all the others, as in '
                'lr={"head": 1e-3, "": 2e-5}.'
            )
    return rates
