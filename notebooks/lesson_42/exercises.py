"""Exercises on own text: errors with a way back, sampled tokens, temperature and top-p."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance
from distill_lab.course.check.invariances import same
from lesson_42 import mistakes
from lesson_42.nucleus import NUCLEUS
from lesson_42.nucleus import nucleus as right_nucleus

__all__ = ["EXERCISES"]


# --- 1: a chain -----------------------------------------------------------------------------------

expected_errors = Exercise(
    name="expected_errors",
    formula="w = w (1 - r) + (1 - w) eps for each token, from w = 0; the sum of all w",
    reference=mistakes.chain,
    cases=(
        {"length": 3, "eps": 0.1, "r": 0.0},
        {"length": 5, "eps": 0.2, "r": 0.5},
        {"length": 12, "eps": 0.05, "r": 0.25},
    ),
    invariances=(
        Invariance("no error begins, no error is there", lambda f: same(f(9, 0.0, 0.3), 0.0)),
        Invariance("one token has eps errors", lambda f: same(f(1, 0.2, 0.3), 0.2)),
        Invariance(
            "with r = 1 - eps each token is wrong with probability eps",
            lambda f: same(f(7, 0.1, 0.9), 0.7),
        ),
    ),
    mistakes=mistakes.ERRORS,
    number_is_fine=True,
)


# --- 2: the loss of sampled tokens ----------------------------------------------------------------


def _log_probs(shape: tuple[int, int], seed: int) -> Tensor:
    return -3 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 0.05


_Q, _P = _log_probs((2, 4), 1), _log_probs((2, 4), 2)
_M = torch.tensor([[True, True, True, False], [True, False, False, False]])
_Q2, _P2 = _log_probs((3, 3), 3), _log_probs((3, 3), 4)
_M2 = torch.tensor([[True, True, False], [True, True, True], [True, True, False]])
_Q3, _P3 = _log_probs((2, 5), 5), _log_probs((2, 5), 6)
_M3 = torch.tensor([[False, True, True, False, True], [True, False, True, True, False]])  # gaps


def _gradient(f: Callable[..., Any]) -> Tensor:
    log_q = _Q.clone().requires_grad_()
    loss = f(log_q, _P, _M)
    if not loss.requires_grad:
        return torch.zeros_like(log_q)
    (gradient,) = torch.autograd.grad(loss, log_q, allow_unused=True)
    return torch.zeros_like(log_q) if gradient is None else gradient


def _bracket_is_fixed(f: Callable[..., Any]) -> bool:
    """Whether the gradient is right; where already the value is wrong, that is the mistake."""
    gradient = _gradient(f)
    if bool(gradient.any()) and not same(f(_Q, _P, _M), mistakes.sampled(_Q, _P, _M)):
        return True
    return same(gradient, torch.where(_M, _Q - _P, 0.0) / _M.sum())


_FIXED = "The bracket is not held fixed"

sampled_loss = Exercise(
    name="sampled_loss",
    formula="mean over the tokens that count of (log q - log p), held fixed, times log q",
    reference=mistakes.sampled,
    cases=(
        {"log_q": _Q, "log_p": _P, "mask": _M},
        {"log_q": _Q2, "log_p": _P2, "mask": _M2},
        {"log_q": _Q3, "log_p": _P3, "mask": _M3},
    ),
    trained=("log_q",),
    invariances=(
        Invariance(
            "a gradient reaches log_q",
            lambda f: bool(_gradient(f).abs().sum() > 0),
            "Hold only the difference fixed; the second factor, log q, carries the gradient.",
            "No gradient reaches the student",
        ),
        Invariance(
            "the gradient of a token is its log-ratio over the number of tokens",
            _bracket_is_fixed,
            "Call .detach() on the difference alone.",
            _FIXED,
        ),
        Invariance("equal models give 0", lambda f: same(f(_Q, _Q, _M), 0.0)),
        Invariance(
            "a text without a token that counts changes nothing",
            lambda f: same(
                f(*(torch.cat((x, x[:1])) for x in (_Q, _P)), torch.cat((_M, _M[:1] & False))),
                f(_Q, _P, _M),
            ),
            "A mean over no token is NaN: take one mean over all tokens that count.",
        ),
        Invariance(
            "what the mask leaves out changes nothing",
            lambda f: same(f(torch.where(_M, _Q, -9.0), _P, _M), f(_Q, _P, _M)),
        ),
    ),
    mistakes=mistakes.SAMPLED,
)


# --- 3: temperature, then top-p -------------------------------------------------------------------


def _logits(rows: int, classes: int, seed: int) -> Tensor:
    return 2 * torch.randn((rows, classes), generator=torch.Generator().manual_seed(seed))


nucleus = Exercise(
    name="nucleus",
    formula="softmax(logits / T), the smallest set of most probable tokens whose sum is top_p or "
    "more, divided by that sum; 0 elsewhere",
    reference=right_nucleus,
    cases=(
        {"logits": _logits(2, 6, 1), "T": 2.0, "top_p": 0.7},
        {"logits": _logits(3, 5, 2), "T": 0.5, "top_p": 0.9},
        {"logits": _logits(2, 8, 3), "T": 1.5, "top_p": 0.4},
    ),
    invariances=(
        Invariance(
            "each row sums to 1",
            lambda f: same(f(_logits(2, 6, 4), 2.0, 0.6).sum(-1), torch.ones(2)),
        ),
        Invariance(
            "top_p = 1 is the softmax at T",
            lambda f: same(f(_logits(2, 6, 4), 2.0, 1.0), (_logits(2, 6, 4) / 2).softmax(-1)),
        ),
        Invariance(
            "with a very small top_p the most probable token is left",
            lambda f: same(f(_logits(2, 6, 4), 2.0, 1e-6).max(-1).values, torch.ones(2)),
            "Keep a token if the probability before it is below top_p.",
        ),
    ),
    mistakes=NUCLEUS,
)

EXERCISES = {each.name: each for each in (expected_errors, sampled_loss, nucleus)}
