"""The exercises of lesson 48: after a rejection, acceptance from logits, and what a draft saves."""

from __future__ import annotations

import math

import torch

from distill_lab.course.check.exercise import Exercise, Invariance
from distill_lab.course.check.invariances import logits, same
from lesson_48.acceptance_mistakes import ACCEPTANCE, accepted
from lesson_48.mistakes import RESIDUAL, SPEED_UP, missing, scaled, tokens

__all__ = ["EXERCISES"]

_P, _Q = logits(4, 5, 81, scale=1.0).softmax(-1), logits(4, 5, 82, scale=1.0).softmax(-1)
_P2, _Q2 = logits(3, 7, 83).softmax(-1), logits(3, 7, 84).softmax(-1)


def _gives_the_target(f: object) -> bool:
    """What is accepted and what is drawn again are p together."""
    kept = torch.minimum(_P, _Q)
    again = torch.as_tensor(f(_P, _Q))  # type: ignore[operator]
    return same(kept + (1 - kept.sum(-1, keepdim=True)) * again, _P)


residual = Exercise(
    name="residual",
    formula="max(p - q, 0) of each row, divided by its sum",
    reference=lambda p, q: scaled(missing(p, q)),
    cases=({"p": _P, "q": _Q}, {"p": _P2, "q": _Q2}),
    invariances=(
        Invariance(
            "each row sums to 1", lambda f: same(torch.as_tensor(f(_P, _Q)).sum(-1), torch.ones(4))
        ),
        Invariance(
            "a token with p below q is not drawn again",
            lambda f: same(torch.as_tensor(f(_P, _Q)) * (_P < _Q), torch.zeros(_P.shape)),
            "Set negative differences to 0 with `clamp(min=0)`, before you divide.",
            "Tokens that the draft gives too often are not at 0",
        ),
        Invariance("accepted and redrawn tokens together are distributed as p", _gives_the_target),
    ),
    mistakes=RESIDUAL,
)


_S, _T = logits(4, 5, 85), logits(4, 5, 86)
_S2, _T2 = logits(6, 3, 87), logits(6, 3, 88)

acceptance = Exercise(
    name="acceptance",
    formula="sum over classes of min(p, q), mean over the rows",
    reference=lambda s, t: accepted(s, t).mean(),
    cases=({"draft_logits": _S, "target_logits": _T}, {"draft_logits": _S2, "target_logits": _T2}),
    trained=("draft_logits",),
    invariances=(
        Invariance("a perfect draft is always accepted", lambda f: same(f(_T, _T), 1.0)),
        Invariance(
            "a constant added to all logits of a row changes nothing",
            lambda f: same(f(_S + 3.0, _T - 2.0), f(_S, _T)),
            "Take the softmax of both before you compare.",
        ),
        Invariance(
            "the same rows twice over change nothing",
            lambda f: same(f(torch.cat((_S, _S)), torch.cat((_T, _T))), f(_S, _T)),
            "Take the mean over the rows.",
            "The rows are summed",
            lambda f: same(f(torch.cat((_S, _S)), torch.cat((_T, _T))), 2 * f(_S, _T)),
        ),
        Invariance(
            "finite for logits of ±10,000",
            lambda f: bool(torch.isfinite(torch.as_tensor(f(5e3 * _S, 5e3 * _T))).all()),
            "A quotient p / q becomes 0 / 0. `torch.minimum(p, q)` needs no division.",
            "A division by a probability of zero",
        ),
    ),
    mistakes=ACCEPTANCE,
)


speed_up = Exercise(
    name="speed_up",
    formula="(1 + a + ... + a^n) / (n c + 1), with a the acceptance, c the cost, n the drafts",
    reference=lambda a, c, n: tokens(a, n) / (n * c + 1),
    cases=(
        {"acceptance": 0.8, "cost": 0.25, "drafts": 3},
        {"acceptance": 0.5, "cost": 0.1, "drafts": 1},
        {"acceptance": 0.9, "cost": 0.5, "drafts": 5},
    ),
    invariances=(
        Invariance(
            "a draft that is never accepted only costs", lambda f: same(f(0.0, 0.25, 4), 0.5)
        ),
        Invariance(
            "finite at acceptance 1",
            lambda f: math.isfinite(float(f(1.0, 0.25, 4))),
            "At acceptance 1 the fraction (1 - a^(n+1)) / (1 - a) is 0 / 0. Use the sum.",
            "At acceptance 1 there is a division by zero",
        ),
        Invariance(
            "a perfect draft that costs nothing gives one token more than it drafts",
            lambda f: same(f(1.0, 0.0, 4), 5.0),
        ),
    ),
    mistakes=SPEED_UP,
    number_is_fine=True,
)

EXERCISES = {e.name: e for e in (residual, acceptance, speed_up)}
