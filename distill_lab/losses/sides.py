"""One side of a divergence over a large vocabulary: where its scores come from, a few rows at a
time, and where the gradient of those scores goes.

``Logits`` has the scores already. ``Projection`` makes them from hidden states and the weight of
the last layer, and forgets them again. Both are opened for some rows, asked for blocks of these by
several threads at once, given the gradient of each block, and closed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Rows = slice | Tensor  # a tensor holds indices, where a mask leaves rows out


class Sizes(NamedTuple):
    """How many numbers are worked on at a time."""

    block: int  # of scores: on a CPU so few that what a thread needs stays in its cache
    held: int  # of scores that a projection makes at once: enough for a fast product
    piece: int  # of a weight that has to be converted


CPU = Sizes(3 * 2**16, 2**25, 2**22)  # of float32, 768 KiB, 128 MiB and 16 MiB
GPU = Sizes(2**25, 2**27, 2**26)  # there a step costs a launch, so it has to be worth one


class Plan(NamedTuple):
    """What both sides have to know."""

    classes: int  # how many count, from the first
    dtype: torch.dtype  # float32 or float64, of all that is computed
    autocast: torch.dtype | None  # what the caller's autocast would multiply in
    scale: float  # of the gradient
    partial: bool  # whether a mask leaves rows out


def sizes(device: torch.device) -> Sizes:
    """The sizes for this kind of device."""
    return CPU if device.type == "cpu" else GPU


def product_dtype(device: torch.device, plan: Plan, given: torch.dtype) -> torch.dtype:
    """The precision in which hidden states and weights of this kind are multiplied."""
    if device.type == "cpu" or plan.dtype == torch.float64:
        return plan.dtype
    return plan.autocast or given


def spans(total: int, step: int) -> list[slice]:
    """Slices of at most ``step`` that make up the total."""
    step = max(1, step)
    return [slice(start, min(start + step, total)) for start in range(0, total, step)]


class Logits:
    """Scores that are in memory: (..., C).

    Their gradient is made beside them in their own precision, but float16's in float32: its range
    ends above the gradient of a mean over many tokens, and the loss scaler comes only later.
    """

    rows_at_once: int | None = None  # any number will do

    def __init__(self, tensors: Sequence[Tensor], plan: Plan, needed: Sequence[bool] = ()):
        (self.logits,) = tensors
        self.plan = plan
        self.scale_of_rows = plan.scale
        self.rows: Rows = slice(0, 0)
        *positions, width = self.logits.shape
        try:
            self.flat: Tensor | None = self.logits.view(-1, width)
        except RuntimeError:  # a part of a larger tensor: flattening would copy all of it
            self.flat = None
        self.gradient: Tensor | None = None
        if any(needed):
            kept = torch.float32 if self.logits.dtype == torch.float16 else self.logits.dtype
            full = not plan.partial and plan.classes == width  # else there are zeros between
            make = torch.empty if full else torch.zeros
            rows = torch.Size(positions).numel()
            self.gradient = make(rows, width, dtype=kept, device=self.logits.device)

    def open(self, rows: Rows) -> None:
        """Say which rows the next blocks are parts of."""
        self.rows = rows

    def scores(self, block: slice) -> Tensor:
        """(n, classes), not to be written to."""
        rows = self._rows(block)
        if self.flat is not None:
            found = self.flat[rows]
        else:
            if isinstance(rows, slice):
                rows = torch.arange(rows.start, rows.stop, device=self.logits.device)
            found = self.logits[torch.unravel_index(rows, self.logits.shape[:-1])]
        return found[:, : self.plan.classes].to(self.plan.dtype)

    def room(self, block: slice, scores: Tensor) -> Tensor:
        """(n, classes), where the gradient of these scores is to be written."""
        place = self._place(self._rows(block))
        return torch.empty_like(scores) if place is None else place

    def learn(self, block: slice, gradient: Tensor) -> None:
        """Take what was written there."""
        rows = self._rows(block)
        if self.gradient is not None and self._place(rows) is None:
            self.gradient[rows, : self.plan.classes] = gradient.to(self.gradient.dtype)

    def close(self) -> None:
        """Nothing is left to do."""

    def gradients(self) -> list[Tensor | None]:
        """The gradient of each tensor that the side was made of."""
        return [self.gradient]

    def _rows(self, block: slice) -> Rows:
        if isinstance(self.rows, Tensor):
            return self.rows[block]
        return slice(self.rows.start + block.start, self.rows.start + block.stop)

    def _place(self, rows: Rows) -> Tensor | None:
        if self.gradient is None or self.gradient.dtype != self.plan.dtype:
            return None
        return self.gradient[rows, : self.plan.classes] if isinstance(rows, slice) else None


class Projection:
    """Scores hidden @ weight.T + bias.

    On a CPU the products are float32 or float64, whatever the inputs are. On a GPU they are taken
    in half precision where the inputs, or autocast, have it, as the model itself would; sums over
    tokens, and everything between the products, are float32.
    Shapes: hidden (..., H), weight (C, H), bias (C,).
    """

    scale_of_rows = 1.0  # float16 would lose the gradient of a mean over many tokens

    def __init__(self, tensors: Sequence[Tensor], plan: Plan, needed: Sequence[bool] = ()):
        self.hidden, self.weight = tensors[0].reshape(-1, tensors[0].shape[-1]), tensors[1]
        self.bias = tensors[2] if len(tensors) > 2 else None
        self.plan = plan
        self.rows: Rows = slice(0, 0)
        device, size = self.hidden.device, sizes(self.hidden.device)
        given = torch.promote_types(self.hidden.dtype, self.weight.dtype)
        self.product = product_dtype(device, plan, given)
        self.rows_at_once = max(1, min(size.held // plan.classes, len(self.hidden)))
        self.held = torch.empty(self.rows_at_once, plan.classes, dtype=plan.dtype, device=device)
        whole = self.weight.dtype == self.product == plan.dtype
        step = plan.classes if whole else size.piece // self.weight.shape[1]
        self.columns = spans(plan.classes, step)
        wanted = [*needed, *[False] * (3 - len(needed))]
        self.to_hidden, self.to_weight, self.to_bias = (
            torch.zeros_like(tensor, dtype=plan.dtype) if want and tensor is not None else None
            for tensor, want in zip((self.hidden, self.weight, self.bias), wanted, strict=True)
        )

    def open(self, rows: Rows) -> None:
        """Make the scores of these rows, in memory that the next rows use again."""
        self.rows = rows
        hidden = self.hidden[rows].to(self.product)
        out = self.held[: len(hidden)]
        for columns in self.columns:
            weight = self.weight[columns].to(self.product)
            if self.product == self.plan.dtype:
                torch.mm(hidden, weight.T, out=out[:, columns])
            else:
                out[:, columns] = hidden @ weight.T
        if self.bias is not None:
            out += self.bias[: self.plan.classes]

    def scores(self, block: slice) -> Tensor:
        """(n, classes)."""
        return self.held[block]

    def room(self, block: slice, scores: Tensor) -> Tensor:
        """The scores themselves: nobody asks for them again."""
        return scores

    def learn(self, block: slice, gradient: Tensor) -> None:
        """It waits where the scores were until all blocks are there."""

    def close(self) -> None:
        """Pass the gradient of the scores on to what they were made of."""
        if self.to_hidden is None and self.to_weight is None and self.to_bias is None:
            return
        hidden = self.hidden[self.rows].to(self.product)
        gradient = self.held[: len(hidden)]
        for columns in self.columns:
            part = gradient[:, columns].to(self.product)
            if self.to_hidden is not None:
                self.to_hidden[self.rows] += part @ self.weight[columns].to(self.product)
            if self.to_weight is not None and self.product == self.plan.dtype:
                self.to_weight[columns].addmm_(part.T, hidden)
            elif self.to_weight is not None:
                self.to_weight[columns] += part.T @ hidden
        if self.to_bias is not None:
            self.to_bias[: self.plan.classes] += gradient.sum(0)

    def gradients(self) -> list[Tensor | None]:
        """The gradient of each tensor that the side was made of."""
        found = (self.to_hidden, self.to_weight, self.to_bias)
        return [None if total is None else total.mul_(self.plan.scale) for total in found]
