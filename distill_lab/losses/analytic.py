"""A divergence over a large vocabulary as one step of autograd: its gradient is made by hand while
the value is, a few rows at a time, and the backward pass only hands it over.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab.losses.chunks import SCRATCH, Divergence
from distill_lab.losses.sides import Logits, Plan, Projection, sizes, spans

INFINITE = 1e15  # no honest divergence is as large: one side rules out what the other does


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

    def with_student(
        self, student: tuple[Tensor, ...], needed: tuple[bool, ...] = ()
    ) -> tuple[Tensor, list[Tensor | None]]:
        """The value, and the gradient of each of the student's tensors that needs one."""
        with torch.no_grad(), torch.autocast(student[0].device.type, enabled=False):
            return self._walk(student, needed)

    def _walk(
        self, student: tuple[Tensor, ...], needed: tuple[bool, ...]
    ) -> tuple[Tensor, list[Tensor | None]]:
        device, dtype = student[0].device, torch.float32
        for tensor in (*student, *self.teacher):
            dtype = torch.promote_types(dtype, tensor.dtype)
        scale = 1 / (self.T * self.denominator)
        plan = Plan(self.classes, dtype, self.autocast, scale, partial=self.rows is not None)
        s, t = _side(student, plan, needed), _side(self.teacher, plan)
        count = student[0].shape[:-1].numel() if self.rows is None else len(self.rows)
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        few = max(1, sizes(device).block * threads // self.classes)
        many = min((n for n in (s.rows_at_once, t.rows_at_once) if n is not None), default=few)
        scratch = torch.empty(SCRATCH, min(few, count), self.classes, dtype=dtype, device=device)
        total = torch.zeros((), dtype=dtype, device=device)
        for span in spans(count, many):
            rows = span if self.rows is None else self.rows[span]
            z_s, z_t = s.scores(rows), t.scores(rows)
            gradient = s.room(rows, z_s)
            for block in spans(len(z_s), few):
                room = scratch[:, : block.stop - block.start]
                values = self.divergence(
                    z_s[block], z_t[block], gradient[block], room, self.T, s.scale_of_rows
                )
                total += values.sum()
            s.learn(rows, gradient)
        return torch.where(total > INFINITE, torch.inf, total) / self.denominator, s.gradients()


class Analytic(torch.autograd.Function):
    """The value of ``work`` for a student; its gradient waits beside it for the backward pass."""

    @staticmethod
    def forward(ctx: Any, work: Work, *student: Tensor) -> Tensor:
        value, ctx.gradients = work.with_student(student, ctx.needs_input_grad[1:])
        ctx.work, ctx.like = work, [(tensor.shape, tensor.dtype) for tensor in student]
        ctx.save_for_backward(*student)
        return value

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            raise RuntimeError(
                "the chunked divergences know their first derivative only and cannot be "
                "differentiated twice: use forward_kl, reverse_kl or jsd where create_graph=True "
                "is needed."
            )
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:  # given away in an earlier pass over a retained graph
            _, gradients = ctx.work.with_student(ctx.saved_tensors, ctx.needs_input_grad[1:])
        found: list[Tensor | None] = [None]
        for gradient, (shape, dtype) in zip(gradients, ctx.like, strict=False):
            # nobody else holds it, so it is scaled in place; on a GPU a look would mean a wait
            if gradient is not None and (grad_output.device.type != "cpu" or grad_output != 1):
                gradient.mul_(grad_output)
            found.append(None if gradient is None else gradient.reshape(shape).to(dtype))
        return tuple(found)


def _side(
    tensors: tuple[Tensor, ...], plan: Plan, needed: tuple[bool, ...] = ()
) -> Logits | Projection:
    return (Logits if len(tensors) == 1 else Projection)(tensors, plan, needed)
