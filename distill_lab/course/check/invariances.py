"""Promises that many exercises share: what must not change the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Invariance

__all__ = ["logits", "right_far_out", "same", "shared_by_losses", "teaches"]

Loss = Callable[..., Tensor]


def logits(rows: int, classes: int, seed: int, *, scale: float = 2.0) -> Tensor:
    """Draw random logits from a generator of their own: the learner's seed is spared.

    Args:
        rows: How many examples.
        classes: How many classes.
        seed: The generator's seed.
        scale: Their standard deviation.

    Returns:
        The logits, (rows, classes).
    """
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, classes, generator=generator)


def same(a: Any, b: Any, tolerance: float = 1e-4) -> bool:
    """Tell whether two results agree; NaN agrees with nothing.

    Args:
        a: A number or a tensor.
        b: A number or a tensor.
        tolerance: The largest difference, absolute and relative.

    Returns:
        Whether they have one shape and agree.
    """
    a, b = torch.as_tensor(a).detach().double(), torch.as_tensor(b).detach().double()
    return a.shape == b.shape and torch.allclose(a, b, atol=tolerance, rtol=tolerance)


def teaches(call: Callable[[Tensor], Any], start: Tensor) -> bool:
    """Tell whether a gradient reaches a tensor.

    Args:
        call: The loss as a function of that tensor alone.
        start: Its value.

    Returns:
        Whether the loss depends on it, and its gradient is not 0.

    >>> x = torch.ones(2)
    >>> teaches(lambda x: x.square().sum(), x), teaches(lambda x: x.detach().sum(), x)
    (True, False)
    """
    start = start.clone().requires_grad_()
    loss = torch.as_tensor(call(start))
    if not loss.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(loss.sum(), start, allow_unused=True)
    return gradient is not None and bool(gradient.abs().sum() > 0)


def right_far_out(right: Loss, near: tuple[Any, ...], far: tuple[Any, ...]) -> Invariance:
    """Promise the right value for logits of ±10,000: a small number in a logarithm hides the NaN.

    Args:
        right: The right loss.
        near: Its arguments, with logits of ordinary size: a value wrong there is another mistake.
        far: Its arguments, with logits that are far apart.

    Returns:
        The promise, with the mistake that breaks it.
    """

    def kept(f: Loss) -> bool:
        value = torch.as_tensor(f(*far))
        wrong_near = not same(f(*near), right(*near))
        return bool(torch.isfinite(value).all()) and (wrong_near or same(value, right(*far)))

    return Invariance(
        "finite and right for logits of ±10,000",
        kept,
        "log(softmax(z)) becomes log 0, and log(softmax(z) + 1e-8) never falls below -18; "
        "log_softmax(z) does both in one safe step.",
        "The logarithm of a softmax underflows",
    )


def shared_by_losses(
    right: Loss, extra: tuple[Any, ...], labels: Tensor | None = None
) -> tuple[Invariance, ...]:
    """List what holds for any loss f(student, teacher, [labels,] *extra), a mean over a batch.

    Class padding and the range of the logits, a batch seen twice, a constant added to a row, and a
    gradient that reaches the student.

    Args:
        right: The right loss: far out, its value is due, not any finite one.
        extra: The loss's further arguments.
        labels: Its labels, (4,), if it takes any.

    Returns:
        The invariances.
    """
    s, t = logits(4, 5, 11), logits(4, 5, 12)

    def call(f: Loss, a: Tensor, b: Tensor, y: Tensor | None = labels) -> Tensor:
        return f(a, b, *(() if y is None else (y,)), *extra)

    def padded(f: Loss) -> bool:
        empty = torch.full((4, 1), -1e9)
        return same(call(f, torch.cat((s, empty), 1), torch.cat((t, empty), 1)), call(f, s, t))

    def twice(f: Loss) -> Tensor:
        both = None if labels is None else torch.cat((labels, labels))
        return call(f, torch.cat((s, s)), torch.cat((t, t)), both)

    def shifted(f: Loss) -> bool:
        return same(call(f, s + 3.0, t - 2.0), call(f, s, t))

    far_s = 1e4 * torch.tensor([[1.0, -1.0, 0.0, 0.5, 0.0]]).repeat(4, 1)
    far_t = 1e4 * torch.tensor([[-1.0, 1.0, 0.0, 0.0, 0.5]]).repeat(4, 1)
    rest = (*(() if labels is None else (labels,)), *extra)

    return (
        Invariance(
            "a class that nobody believes in (logit -1e9) changes nothing",
            padded,
            "Sum over the classes, do not average; and use log_softmax, so that 0 · log 0 is 0.",
        ),
        Invariance(
            "the same batch twice over changes nothing",
            lambda f: same(twice(f), call(f, s, t)),
            "Take the mean over the batch.",
            "The batch is summed",
            lambda f: same(twice(f), 2 * call(f, s, t)),
        ),
        Invariance(
            "a constant added to all logits of a row changes nothing",
            shifted,
            "Softmax over the classes, the last axis, takes care of it.",
        ),
        right_far_out(right, (s, t, *rest), (far_s, far_t, *rest)),
        Invariance(
            "a gradient reaches the student's logits",
            lambda f: teaches(lambda student: call(f, student, t), s),
            "Do not detach the student, and let its logits enter the loss.",
            "No gradient reaches the student",
        ),
    )
