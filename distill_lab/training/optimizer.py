"""What moves the weights, by name: AdamW, or Muon with AdamW beside it."""

from collections.abc import Sequence

import torch
from torch import nn

from distill_lab.training.muon import Muon

OPTIMIZERS = ("adamw", "muon")


def optimizer_of(
    name: str, student: nn.Module, learning: Sequence[nn.Parameter], lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimiser of a run over everything that learns: the student, then projections."""
    if name == "muon":
        mine = {id(parameter) for parameter in student.parameters()}
        extra = [parameter for parameter in learning if id(parameter) not in mine]
        return Muon(student, *extra, lr=lr, weight_decay=weight_decay)
    return torch.optim.AdamW(learning, lr=lr, weight_decay=weight_decay, fused=True)


def check_optimizer(name: str) -> None:
    """Refuse a name that is not one of `OPTIMIZERS`."""
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {OPTIMIZERS}, got {name!r}.")
