"""The student's own moving average as its teacher."""

import copy
import math

import torch
from torch import Tensor, nn

from distill_lab._util.checks import plain_number
from distill_lab._util.runtime import modes_kept
from distill_lab._util.wrappers import plain_state, unwrapped
from distill_lab.data.batches import Batch
from distill_lab.models.networks import logits_of


class EMA:
    """A teacher that follows the student: an average of the weights it has had, recent ones most.

    Formula: after step n, w <- d w + (1 - d) w_student with d = min(decay, 1 - 1 / (n + 1)), so
    that the first steps, far from the rest, are forgotten soon. Buffers that are averages follow
    alike, counters are copied. `distill` calls `follow` after each step and keeps the average
    in its checkpoints.

    Args:
        student: the network to follow; it is copied.
        decay: d, in [0, 1): how much of the average stays at each step.

    Raises:
        TypeError: for anything but a module.
        ValueError: for another decay.

    Source: Tarvainen & Valpola 2017 (Mean Teacher), section 2.

    >>> student = nn.Linear(1, 1, bias=False)
    >>> teacher = EMA(student, decay=0.9)
    >>> _ = nn.init.constant_(student.weight, 3.0)
    >>> teacher.follow(student)  # n = 1: half of what it was, half of the new
    >>> teacher(Batch(torch.ones(1, 1), None, torch.zeros(1))).requires_grad
    False
    """

    def __init__(self, student: nn.Module, decay: float = 0.999) -> None:
        if not isinstance(student, nn.Module):
            raise TypeError(
                f"EMA follows a torch module, the student; got {type(student).__name__}."
            )
        decay = plain_number(decay)
        if not isinstance(decay, (int, float)) or not 0 <= decay < 1 or math.isnan(decay):
            raise ValueError(f"decay must lie in [0, 1), got {decay!r}: at 1 it never moves.")
        self.decay = decay
        self.model = copy.deepcopy(unwrapped(student)).eval().requires_grad_(False)
        self.moving = _Moving(self.model)

    @property
    def identity(self) -> str:
        """What a checkpoint knows it by: the rule, since the weights are in the checkpoint."""
        return f"EMA(decay={self.decay})"

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Move towards the student as it is now."""
        self.moving.steps += 1
        decay = min(self.decay, 1 - 1 / (int(self.moving.steps) + 1))
        mine, theirs = plain_state(self.model), plain_state(student)
        for name, value in mine.items():
            if value.is_floating_point() and value.layout == torch.strided:
                value.lerp_(theirs[name].to(value.dtype), 1 - decay)
            else:
                value.copy_(theirs[name])
        with modes_kept(self.model):
            self.model.train()  # some networks forget by that what they computed of former weights

    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch with logits."""
        with torch.no_grad():
            return logits_of(self.model, batch.inputs)

    def __repr__(self) -> str:
        return f"EMA({type(self.model).__name__}, decay={self.decay})"


class _Moving(nn.Module):
    """The average and how many steps are in it: what a checkpoint has to hold."""

    steps: Tensor

    def __init__(self, average: nn.Module) -> None:
        super().__init__()
        self.average = average
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
