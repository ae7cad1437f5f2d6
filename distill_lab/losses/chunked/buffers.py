"""One side of a divergence over a large vocabulary, a few rows at a time.

It says where the scores come from, and where their gradient goes.
`Logits` has the scores already. `Projection` makes them from hidden states and the weight of
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
    logits: int  # of scores that a projection makes at once: enough for a fast product
    pending: int  # of their gradients that wait until they are worth a product
    piece: int  # of a weight that has to be converted


CPU = Sizes(3 * 2**16, 2**25, 2**25, 2**22)  # of float32, 768 KiB, 128 MiB twice, 16 MiB
GPU = Sizes(2**25, 2**25, 3 * 2**26, 2**26)  # there a step costs a launch, and has to be worth it
TILE = 128  # rows that a GPU multiplies together: a few left over cost as much as all of these


class Plan(NamedTuple):
    """What both sides have to know."""

    classes: int  # how many count, from the first
    dtype: torch.dtype  # float32 or float64, of all that is computed
    autocast: torch.dtype | None  # what the caller's autocast would multiply in
    scale: float  # of the gradient
    partial: bool  # whether a mask leaves rows out
    fused: bool = False  # whether one kernel goes from scores to gradients, of any precision


def sizes(device: torch.device) -> Sizes:
    """The sizes for this kind of device."""
    return CPU if device.type == "cpu" else GPU


def product_dtype(device: torch.device, plan: Plan, given: torch.dtype) -> torch.dtype:
    """The precision in which hidden states and weights of this kind are multiplied."""
    if device.type == "cpu" or plan.dtype == torch.float64:
        return plan.dtype
    return plan.autocast or given


def spans(total: int, step: int) -> list[slice]:
    """Slices of at most `step` that make up the total."""
    step = max(1, step)
    return [slice(start, min(start + step, total)) for start in range(0, total, step)]


class Logits:
    """Scores that are in memory: (..., C).

    Their gradient is made beside them in their own precision, but float16's in float32: its range
    ends above the gradient of a mean over many tokens, and the loss scaler comes only later.
    """

    rows_at_once: int | None = None  # any number will do
    scale_of_gradients = 1.0  # what is still to be multiplied by

    def __init__(self, tensors: Sequence[Tensor], plan: Plan, needed: Sequence[bool] = ()):
        (self.logits,) = tensors
        self.plan = plan
        self.scale_of_rows = plan.scale
        self.rows: Rows = slice(0, 0)
        *positions, width = self.logits.shape
        try:
            self.flat: Tensor | None = self.logits.view(-1, width)  # (R, C)
        except RuntimeError:  # a part of a larger tensor: flattening would copy all of it
            self.flat = None
        self.gradient: Tensor | None = None
        if any(needed):
            kept = torch.float32 if self.logits.dtype == torch.float16 else self.logits.dtype
            full = not plan.partial and plan.classes == width  # else there are zeros between
            make = torch.empty if full else torch.zeros
            rows = torch.Size(positions).numel()
            self.gradient = make(rows, width, dtype=kept, device=self.logits.device)  # (R, C)

    def start_rows(self, rows: Rows) -> None:
        """Say which rows the next blocks are parts of."""
        self.rows = rows

    def scores(self, block: slice) -> Tensor:
        """(n, classes), not to be written to."""
        rows = self._rows(block)
        if self.flat is not None:
            logits = self.flat[rows]
        else:
            if isinstance(rows, slice):
                rows = torch.arange(rows.start, rows.stop, device=self.logits.device)
            logits = self.logits[torch.unravel_index(rows, self.logits.shape[:-1])]
        logits = logits[:, : self.plan.classes]
        return logits if self.plan.fused else logits.to(self.plan.dtype)

    def grad_view(self, block: slice, scores: Tensor) -> Tensor:
        """(n, classes), where the gradient of these scores is to be written."""
        place = self._place(self._rows(block))
        return torch.empty_like(scores, dtype=self.plan.dtype) if place is None else place

    def store_grad(self, block: slice, gradient: Tensor) -> None:
        """Take what was written there."""
        rows = self._rows(block)
        if self.gradient is not None and self._place(rows) is None:
            self.gradient[rows, : self.plan.classes] = gradient.to(self.gradient.dtype)

    def end_rows(self) -> None:
        """Nothing is left to do."""

    def release(self) -> None:
        """Nothing was held."""

    def gradients(self) -> list[Tensor | None]:
        """The gradient of each tensor that the side was made of."""
        return [self.gradient]

    def _rows(self, block: slice) -> Rows:
        if isinstance(self.rows, Tensor):
            return self.rows[block]
        return slice(self.rows.start + block.start, self.rows.start + block.stop)

    def _place(self, rows: Rows) -> Tensor | None:
        if self.gradient is None:
            return None
        if self.gradient.dtype != self.plan.dtype and not self.plan.fused:
            return None
        return self.gradient[rows, : self.plan.classes] if isinstance(rows, slice) else None


class Projection:
    """Scores hidden @ weight.T + bias.

    On a CPU the products are float32 or float64, whatever the inputs are. On a GPU factors are in
    half precision where the inputs, or autocast, have it, as in the model itself; but the scores
    are not rounded to it, and sums over tokens and everything between the products are float32.
    Shapes: hidden (..., H), weight (C, H), bias (C,).
    """

    scale_of_rows = 1.0  # float16 would lose the gradient of a mean over many tokens

    def __init__(self, tensors: Sequence[Tensor], plan: Plan, needed: Sequence[bool] = ()):
        self.hidden, self.weight = tensors[0].reshape(-1, tensors[0].shape[-1]), tensors[1]
        self.bias = tensors[2] if len(tensors) > 2 else None
        self.plan = plan
        self.scale_of_gradients = plan.scale
        device, size = self.hidden.device, sizes(self.hidden.device)
        given = torch.promote_types(self.hidden.dtype, self.weight.dtype)
        self.product = product_dtype(device, plan, given)
        converted = self.weight.dtype != self.product
        step = size.piece // self.weight.shape[1] if converted else plan.classes
        self.columns = spans(plan.classes, step)
        together = self._rows_of(size.pending)
        # a weight that has to be converted each time is asked for less often
        self.rows_at_once = together if converted else self._rows_of(size.logits)
        self.logits_buffer = self._buffer(self.rows_at_once, plan.dtype)
        wanted = [*needed, *[False] * (3 - len(needed))]
        # all of a gradient is written before it is added to, but for rows that nobody asks for
        hidden_like = torch.zeros_like if plan.partial else torch.empty_like
        weight_like = torch.empty_like if plan.classes == len(self.weight) else torch.zeros_like
        makers = (hidden_like, weight_like, torch.zeros_like)
        self.hidden_grad, self.weight_grad, self.bias_grad = (
            make(tensor, dtype=plan.dtype) if want and tensor is not None else None
            for make, tensor, want in zip(
                makers, (self.hidden, self.weight, self.bias), wanted, strict=True
            )
        )
        self.weight_written = False
        # gradients take the place of the scores, or wait in the precision of their products
        self.gradient = self.logits_buffer
        if plan.fused and any(wanted):
            self.gradient = self._buffer(max(together, self.rows_at_once), self.product)
        self.pending: list[Rows] = []
        self.start = self.filled = 0  # rows of the gradient before those of the open rows, and with

    def start_rows(self, rows: Rows) -> None:
        """Make the scores of these rows, in memory that the next rows use again."""
        hidden = self.hidden[rows].to(self.product)  # (r, H)
        if self.filled + len(hidden) > len(self.gradient):
            self._apply_pending()
        self.pending.append(rows)
        self.start, self.filled = self.filled, self.filled + len(hidden)
        out = self.logits_buffer[: len(hidden)]  # (r, C)
        for columns in self.columns:
            write_product(out[:, columns], hidden, self.weight[columns].to(self.product).T)
        if self.bias is not None:
            out += self.bias[: self.plan.classes]

    def scores(self, block: slice) -> Tensor:
        """(n, classes)."""
        return self.logits_buffer[block]

    def grad_view(self, block: slice, scores: Tensor) -> Tensor:
        """Where the scores are, since nobody asks for them again, or where gradients wait."""
        return self.gradient[self.start + block.start : self.start + block.stop]

    def store_grad(self, block: slice, gradient: Tensor) -> None:
        """It waits where it was written."""

    def end_rows(self) -> None:
        """Gradients that lie where the next scores will be cannot wait."""
        if self.gradient is self.logits_buffer:
            self._apply_pending()

    def release(self) -> None:
        """No more rows follow: learn what waits still, and let go of all scores."""
        self._apply_pending()
        self.logits_buffer = self.gradient = self.logits_buffer.new_empty(0, 0)

    def gradients(self) -> list[Tensor | None]:
        """The gradient of each tensor that the side was made of."""
        if self.weight_grad is not None and not self.weight_written:  # no row at all
            self.weight_grad.zero_()
        return [self.hidden_grad, self.weight_grad, self.bias_grad]

    def _rows_of(self, numbers: int) -> int:
        """How many rows of scores these are."""
        rows = numbers // self.plan.classes
        rows -= rows % TILE if rows > TILE else 0
        return max(1, min(rows, len(self.hidden)))

    def _buffer(self, rows: int, dtype: torch.dtype) -> Tensor:
        return torch.empty(rows, self.plan.classes, dtype=dtype, device=self.hidden.device)

    def _apply_pending(self) -> None:
        """Pass gradients of scores on to what these were made of."""
        pending, gradient = self.pending, self.gradient[: self.filled]
        self.pending, self.start, self.filled = [], 0, 0
        wanted = [
            total is not None for total in (self.hidden_grad, self.weight_grad, self.bias_grad)
        ]
        if not pending or not any(wanted):
            return
        rows = joined(pending)
        hidden = self.hidden[rows].to(self.product)  # (r, H)
        for columns in self.columns:
            part = gradient[:, columns].to(self.product)  # (r, c)
            if self.hidden_grad is not None:
                total = self.hidden_grad[rows]  # a view, but a copy where a mask picks rows
                put = add_product if columns.start else write_product
                put(total, part, self.weight[columns].to(self.product))
                if isinstance(rows, Tensor):
                    self.hidden_grad[rows] = total
            if self.weight_grad is not None:
                put = add_product if self.weight_written else write_product
                put(self.weight_grad[columns], part.T, hidden)  # (c, H)
        self.weight_written = True
        if self.bias_grad is not None:
            self.bias_grad[: self.plan.classes] += gradient.sum(0, dtype=self.plan.dtype)


def joined(rows: Sequence[Rows]) -> Rows:
    """Rows that follow each other, as one."""
    first, last = rows[0], rows[-1]
    if isinstance(first, slice) and isinstance(last, slice):
        return slice(first.start, last.stop)
    return torch.cat([part for part in rows if isinstance(part, Tensor)])


def write_product(out: Tensor, left: Tensor, right: Tensor) -> None:
    """out = left @ right, rounded to the precision of `out` alone where the device knows how."""
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    elif wider(out):
        torch.mm(left, right, out_dtype=out.dtype, out=out)
    else:
        out.copy_(left @ right)


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, summed in the precision of `total` where the device knows how."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    elif wider(total):
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total += left @ right


def wider(out: Tensor) -> bool:
    """Whether torch can sum products of half precision in a wider one, straight into `out`."""
    supported = hasattr(torch.ops.aten.addmm, "dtype_out")  # torch 2.8 and later
    return out.dtype == torch.float32 and out.is_cuda and torch.version.hip is None and supported
