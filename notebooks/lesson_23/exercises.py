"""Exercises on relations: relative distances, safe gradients, PKT's neighbours, recall@1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab import evaluation, losses
from distill_lab.course.check.exercise import Exercise, Invariance
from distill_lab.course.check.invariances import logits as draw
from distill_lab.course.check.invariances import same
from lesson_23 import mistakes

__all__ = ["EXERCISES"]

_X, _Y = draw(6, 3, 41), draw(5, 4, 42) + 0.5
_S, _T = draw(8, 3, 43) + 0.4, draw(8, 5, 44) + 0.2
_S2, _T2 = draw(5, 4, 45), draw(5, 2, 46) - 0.3
_TURN = torch.linalg.qr(draw(3, 3, 47))[0]
_TWICE = torch.cat((_X[:3], _X[:1]))  # its last row is its first
_EQUAL = torch.cat((_X[:4], _X[1:3]))  # two points stand there twice
_APART = torch.tensor(  # every cosine is below 0
    [[1.0, 1.0, 1.1], [1.0, -1.2, -0.7], [-1.0, 1.1, -1.0], [-1.0, -1.0, 1.3]]
)
_TWINS = torch.tensor(  # two rows are equal and have different labels, two others the same
    [[1.0, 0.2], [1.0, 0.2], [0.2, 1.0], [0.2, 1.0], [0.6, 0.8], [0.65, 0.76]]
)
_LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])
_LINE = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
_LONG = draw(12, 3, 48) * draw(12, 1, 49).exp()  # directions and lengths disagree
_PAIRS = torch.tensor([0, 0, 1, 1])


def _gradient(call: Callable[[Tensor], Any], start: Tensor) -> Tensor | None:
    """What reaches the features, or None where nothing does."""
    features = start.clone().requires_grad_()
    value = torch.as_tensor(call(features)).sum()
    if not value.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(value, features, allow_unused=True)
    return gradient


def _teaches(call: Callable[[Tensor], Any], start: Tensor) -> bool:
    gradient = _gradient(call, start)
    return gradient is not None and bool((gradient != 0).any())  # NaN is another mistake


def _bounded(call: Callable[[Tensor], Any], start: Tensor) -> bool:
    """Finite, and no larger than a distance's gradient can be: each pair adds a vector of 1."""
    gradient = _gradient(call, start)
    return gradient is None or bool(gradient.isfinite().all() and gradient.abs().max() < 1e3)


def _safe(points: Tensor) -> Tensor:
    squares = (points[:, None] - points[None]).square().sum(-1)
    apart = squares > 0
    return torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)


def _relative(points: Tensor) -> Tensor:
    distances = _safe(points)
    return distances / (distances.sum() / (distances > 0).sum().clamp_min(1)).clamp_min(1e-30)


def _full_gradient(f: Callable[[Tensor], Any]) -> bool:
    """Whether the gradient is right; one that is not finite is another mistake."""
    weights = torch.arange(36.0).view(6, 6)
    gradient = _gradient(lambda x: torch.as_tensor(f(x)) * weights, _X)
    right = _gradient(lambda x: _safe(x) * weights, _X)
    if gradient is None:
        return False
    return not bool(gradient.isfinite().all()) or same(gradient, right, 1e-3)


relative_distances = Exercise(
    name="relative_distances",
    formula="d_ij = |x_i - x_j| over the mean of the positive distances: (B, D) -> (B, B)",
    reference=_relative,
    cases=({"points": _X}, {"points": _Y}, {"points": _EQUAL}),
    trained=("points",),
    invariances=(
        Invariance(
            "scaling the points changes nothing",
            lambda f: same(f(7 * _X), f(_X)),
            "Divide by the mean distance.",
        ),
        Invariance("rotating the points changes nothing", lambda f: same(f(_X @ _TURN), f(_X))),
        Invariance("moving the points changes nothing", lambda f: same(f(_X + 3), f(_X))),
        Invariance("the positive distances have the mean 1", lambda f: same(f(_X).sum() / 30, 1.0)),
    ),
    mistakes=mistakes.RELATIVE,
)

safe_distances = Exercise(
    name="safe_distances",
    formula="d_ij = |x_i - x_j|, with value 0 and gradient 0 where two rows are equal",
    reference=_safe,
    cases=({"points": _X}, {"points": _TWICE}),
    invariances=(
        Invariance(
            "a gradient reaches the points", lambda f: _teaches(f, _X), "Do not detach the points."
        ),
        Invariance(
            "two equal rows leave the gradient finite and small",
            lambda f: _bounded(f, _TWICE),
            "The gradient of sqrt at 0 is infinite, and 0 times infinity is NaN. Give the root a "
            "number that is not 0 there, then put 0 in its place.",
            "The gradient at equal rows is NaN or huge",
        ),
        Invariance(
            "the gradient is that of the distances",
            _full_gradient,
            "Both rows of a pair move: detach neither.",
        ),
    ),
    mistakes=mistakes.SAFE,
    atol=1e-6,
)

neighbours = Exercise(
    name="neighbours",
    formula="mean over i of sum_j p_ij log(p_ij / q_ij), rows of (1 + cosine) / 2 + eps at sum 1",
    reference=lambda s, t, eps: losses.pkt_loss(s, t, eps=eps),
    cases=(
        {"student": _S, "teacher": _T, "eps": 1e-7},
        {"student": _S2, "teacher": _T2, "eps": 1e-7},
        {"student": _S, "teacher": _T, "eps": 0.1},
    ),
    defaults={"eps": 1e-7},
    trained=("student",),
    invariances=(
        Invariance("equal features give 0", lambda f: same(f(_S, _S, 1e-7), 0.0)),
        Invariance(
            "the length of a row does not matter",
            lambda f: same(f(_S * torch.arange(1, 9)[:, None], _T, 1e-7), f(_S, _T, 1e-7)),
            "Use cosines: divide each row by its length first.",
        ),
        Invariance(
            "rotating the student changes nothing",
            lambda f: same(f(_S @ _TURN, _T, 1e-7), f(_S, _T, 1e-7)),
        ),
        Invariance(
            "a gradient reaches the student",
            lambda f: _teaches(lambda s: f(s, _T, 1e-7), _S),
            "Do not detach the student.",
        ),
    ),
    mistakes=mistakes.NEIGHBOURS,
)

recall = Exercise(
    name="recall",
    formula="percent of rows whose nearest other row, by cosine, has the same label",
    reference=lambda e, y: evaluation.recall_at_k(e, y),
    cases=(
        {"embeddings": _S, "labels": _LABELS},
        {"embeddings": _LONG, "labels": torch.arange(12) % 3},
        {"embeddings": _LINE, "labels": _PAIRS},
        {"embeddings": _APART, "labels": torch.tensor([0, 1, 1, 0])},
        {"embeddings": _TWINS, "labels": torch.tensor([0, 1, 0, 0, 1, 0])},
    ),
    number_is_fine=True,
    invariances=(
        Invariance(
            "two tight groups with their own labels give 100",
            lambda f: same(f(_LINE, _PAIRS), 100.0),
        ),
        Invariance(
            "two tight groups with mixed labels give 0",
            lambda f: same(f(_LINE, torch.tensor([0, 1, 0, 1])), 0.0),
            "A row must not find itself: put -inf on the diagonal of the cosines.",
        ),
        Invariance(
            "the length of a row does not matter",
            lambda f: same(f(_S * torch.arange(1, 9)[:, None], _LABELS), f(_S, _LABELS)),
            "Use cosines: divide each row by its length first.",
        ),
    ),
    mistakes=mistakes.RECALL,
)

EXERCISES = {e.name: e for e in (relative_distances, safe_distances, neighbours, recall)}
