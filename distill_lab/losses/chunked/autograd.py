"""A divergence over a large vocabulary as one step of autograd.

Its gradient is made by hand while the value is, a few rows at a time, and the backward pass only
hands it over.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import torch
from torch import Tensor

from distill_lab.losses.chunked import kernels
from distill_lab.losses.chunked.buffers import Logits, Plan, Projection, sizes, spans
from distill_lab.losses.chunked.kernels import SCRATCH, Divergence

MANY = 8  # threads; more would wait for Python's one lock
INFINITE = 1e15  # no honest divergence is as large: one side rules out what the other does


class Pending(NamedTuple):
    """What waits for the backward pass."""

    gradients: list[Tensor | None]  # of each of the student's tensors, None where it needs none
    factor: float  # what they are still to be multiplied by


@dataclass(frozen=True)
class Work:
    """All of a divergence but the student."""

    divergence: Divergence
    teacher: tuple[Tensor, ...]  # logits, or hidden states, weight and perhaps bias
    rows: Tensor | None  # the positions that count, or None for all
    classes: int
    T: float
    denominator: float
    autocast: torch.dtype | None
    weights: Tensor | None = None  # what each of these positions weighs (rows,)
    plain: Callable[..., Tensor] | None = None  # of both logits, where it may be asked for twice

    def with_student(
        self, student: tuple[Tensor, ...], needed: tuple[bool, ...] = ()
    ) -> tuple[Tensor, Pending]:
        """The value, and the gradients of those of the student's tensors that need one."""
        with torch.no_grad(), torch.autocast(student[0].device.type, enabled=False):
            return self._walk(student, needed)

    def _walk(
        self, student: tuple[Tensor, ...], needed: tuple[bool, ...]
    ) -> tuple[Tensor, Pending]:
        device, dtype = student[0].device, torch.float32
        for tensor in (*student, *self.teacher):
            dtype = torch.promote_types(dtype, tensor.dtype)
        scale = 1 / (self.T * self.denominator)
        fused = kernels.works_on(device)
        plan = Plan(self.classes, dtype, self.autocast, scale, self.rows is not None, fused)
        s, t = _side(student, plan, needed), _side(self.teacher, plan)
        count = student[0].shape[:-1].numel() if self.rows is None else len(self.rows)
        few = min(max(1, sizes(device).block // self.classes), max(1, count))
        workers = min(torch.get_num_threads(), MANY) if device.type == "cpu" else 1
        shape = SCRATCH, 0 if fused else few, self.classes
        # each (SCRATCH, few, C)
        buffers = [torch.empty(shape, dtype=dtype, device=device) for _ in range(workers)]
        values = torch.empty(count, dtype=dtype, device=device)
        weights = None if self.weights is None else self.weights.to(dtype)
        step = partial(kernels.in_one, self.divergence) if fused else self.divergence

        def score_block(block: slice, buffer: Tensor) -> None:
            z_s, z_t = s.scores(block), t.scores(block)  # (rows, C)
            gradient = s.grad_view(block, z_s)  # (rows, C)
            scratch = buffer[:, : block.stop - block.start]  # (SCRATCH, rows, C)
            here = slice(start + block.start, start + block.stop)
            scale: float | Tensor = s.scale_of_rows
            if weights is not None:
                scale = scale * weights[here, None]  # (rows, 1)
            block_values = step(z_s, z_t, gradient, scratch, self.T, scale)
            values[here] = block_values
            s.store_grad(block, gradient)

        at_once = (n for n in (s.rows_at_once, t.rows_at_once) if n is not None)
        for span in spans(count, min(at_once, default=count)):
            start = span.start
            for side in (s, t):
                side.start_rows(span if self.rows is None else self.rows[span])
            run_blocks(spans(span.stop - start, few), score_block, buffers)
            s.end_rows()
        buffers.clear()
        for side in (s, t):
            side.release()
        total = values.sum() if weights is None else values @ weights
        value = torch.where(total > INFINITE, torch.inf, total) / self.denominator
        return value, Pending(s.gradients(), s.scale_of_gradients)


def run_blocks(
    jobs: list[slice], run: Callable[[slice, Tensor], None], buffers: list[Tensor]
) -> None:
    """Do all jobs, on a thread for each buffer, of which each computes alone.

    Torch's own threads meet after every operation. Here an operation takes some 30 microseconds,
    and as soon as another process wants a core, as data loaders do, nearly all the time went into
    waiting for each other: ten times as long, where these threads need twice.
    """
    if min(len(buffers), len(jobs)) == 1:
        for job in jobs:
            run(job, buffers[0])
        return
    open_jobs: SimpleQueue[slice] = SimpleQueue()
    for job in jobs:
        open_jobs.put(job)
    inference = torch.is_inference_mode_enabled()

    def work(buffer: Tensor) -> None:
        with torch.inference_mode(inference), torch.no_grad():  # a new thread knows of neither
            while True:
                try:
                    job = open_jobs.get_nowait()
                except Empty:
                    return
                run(job, buffer)

    usual = torch.get_num_threads()
    torch.set_num_threads(1)  # of the threads that begin from here on as well
    try:
        with ThreadPoolExecutor(len(buffers)) as pool:
            for _ in pool.map(work, buffers):
                pass
    finally:
        torch.set_num_threads(usual)


class Analytic(torch.autograd.Function):
    """The value of `work` for a student; its gradient waits beside it for the backward pass."""

    @staticmethod
    def forward(ctx: Any, work: Work, *student: Tensor) -> Tensor:
        """Compute the value and what the backward pass needs."""
        value, ctx.pending = work.with_student(student, ctx.needs_input_grad[1:])
        ctx.work, ctx.like = work, [(tensor.shape, tensor.dtype) for tensor in student]
        ctx.save_for_backward(*student)
        return value

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """Give the gradients that the forward pass left, times the one from above."""
        if torch.is_grad_enabled():  # create_graph=True
            if ctx.work.plain is not None:
                (logits,) = ctx.saved_tensors
                value = ctx.work.plain(logits, *ctx.work.teacher)
                return None, *torch.autograd.grad(value, logits, grad_output, create_graph=True)
            raise RuntimeError(
                "the chunked divergences know their first derivative only and cannot be "
                "differentiated twice: use forward_kl, reverse_kl or jsd where create_graph=True "
                "is needed."
            )
        pending, ctx.pending = ctx.pending, None
        if pending is None:  # given away in an earlier pass over a retained graph
            _, pending = ctx.work.with_student(ctx.saved_tensors, ctx.needs_input_grad[1:])
        factor = grad_output * pending.factor
        gradients: list[Tensor | None] = [None]
        for gradient, (shape, dtype) in zip(pending.gradients, ctx.like, strict=False):
            gradients.append(
                None if gradient is None else times(gradient, factor, dtype).view(shape)
            )
        return tuple(gradients)


def times(gradient: Tensor, factor: Tensor, dtype: torch.dtype) -> Tensor:
    """gradient * factor in this precision; nobody else holds it, so in place where it can be."""
    if gradient.dtype != dtype:
        return torch.mul(gradient, factor, out=torch.empty_like(gradient, dtype=dtype))
    # on a GPU a look at the factor would mean a wait
    return gradient.mul_(factor) if factor.device.type != "cpu" or factor != 1 else gradient


def _side(
    tensors: tuple[Tensor, ...], plan: Plan, needed: tuple[bool, ...] = ()
) -> Logits | Projection:
    return (Logits if len(tensors) == 1 else Projection)(tensors, plan, needed)
