"""Whether gradients are finite, looked at in every step: a loss may be, and its slope not."""

from collections.abc import Sequence

import torch
from torch import nn


class Gauge:
    """Whether the gradients of some parameters, of one device and type, are finite.

    One call for all of them, the one that gradient scalers make, here dividing by 1: it passes
    over each number once, where a norm takes three times as long, and a step has microseconds.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters, device = parameters, parameters[0].device
        self.found, self.one = torch.zeros(1, device=device), torch.ones(1, device=device)
        self.at_once = device.type in ("cpu", "cuda") and parameters[0].is_floating_point()

    def finite(self) -> bool:
        """Look at them as they are now."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if not gradients:
            return True
        if not self.at_once:
            return all(bool(gradient.isfinite().all()) for gradient in gradients)
        torch._amp_foreach_non_finite_check_and_unscale_(gradients, self.found, self.one)
        if self.found.item() == 0:
            return True
        self.found.zero_()
        return False


def gauges_of(learning: Sequence[nn.Parameter]) -> list[Gauge]:
    """One gauge for each device and type there is; nearly always that is one."""
    kinds: dict[tuple[torch.device, torch.dtype], list[nn.Parameter]] = {}
    for parameter in learning:
        kinds.setdefault((parameter.device, parameter.dtype), []).append(parameter)
    return [Gauge(parameters) for parameters in kinds.values()]


def first_wild(student: nn.Module, projections: nn.Module | None) -> str:
    """The first parameter whose gradient is not finite, by name."""
    modules = {"the student's": student, "the projections'": projections}
    return next(
        f"{whose} {name}"
        for whose, module in modules.items()
        if module is not None
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and not parameter.grad.isfinite().all()
    )
