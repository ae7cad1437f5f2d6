"""Exercises on preferences: the loss of DPO, the best of n samples, a judge in both orders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance
from distill_lab.course.check.invariances import same, teaches
from distill_lab.losses import dpo_loss
from lesson_45.best_mistakes import BEST_OF_N, best
from lesson_45.mistakes import DPO
from lesson_45.verdict_mistakes import VERDICT, verdict

__all__ = ["EXERCISES"]


def _draw(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- the loss of DPO ------------------------------------------------------------------------------

_S, _R = _draw((4, 2), 1, 2.0) - 6, _draw((4, 2), 2, 2.0) - 6
_S2, _R2 = _draw((3, 2), 3, 3.0) - 9, _draw((3, 2), 4, 3.0) - 9


def _dpo(s: Tensor, r: Tensor, beta: float) -> Tensor:
    return dpo_loss(*s.unbind(1), *r.unbind(1), beta=beta)


_FAR = 1e4 * _draw((4, 2), 6)


def _safe(f: Any) -> bool:
    """Whether far values are right; where already the near ones are wrong, that is the mistake."""
    far = torch.as_tensor(f(_FAR, _R, 1.0))
    near = same(f(_S, _R, 0.1), _dpo(_S, _R, 0.1))
    return bool(torch.isfinite(far).all()) and (not near or same(far, _dpo(_FAR, _R, 1.0)))


def _teaches(f: Any) -> bool:
    """Whether a gradient reaches the chosen answers, and the rejected ones, too."""

    def of(column: int) -> bool:
        other = _S[:, 1 - column]
        both = (lambda x: (x, other)) if column == 0 else (lambda x: (other, x))
        return teaches(lambda x: f(torch.stack(both(x), 1), _R, 0.1), _S[:, column])

    return teaches(lambda s: f(s, _R, 0.1), _S) and of(0) and of(1)


dpo = Exercise(
    name="dpo",
    formula="-log sigmoid(beta ((s_c - r_c) - (s_r - r_r))), mean over the pairs",
    reference=_dpo,
    cases=(
        {"student": _S, "reference": _R, "beta": 0.1},
        {"student": _S2, "reference": _R2, "beta": 0.5},
    ),
    defaults={"beta": 0.1},
    trained=("student",),
    invariances=(
        Invariance("equal models give ln 2", lambda f: same(f(_S, _S, 0.1), 0.693147)),
        Invariance(
            "adding a constant to both answers of a pair changes nothing",
            lambda f: same(f(_S + _draw((4, 1), 5), _R, 0.1), f(_S, _R, 0.1)),
            "What is common to both answers, such as log Z, has to cancel.",
        ),
        Invariance(
            "a gradient reaches the student",
            _teaches,
            "Do not detach the student: both of its answers move.",
            "No gradient reaches the student",
        ),
        Invariance(
            "finite and exact for log-probabilities down to −10,000",
            _safe,
            "log(sigmoid(x)) becomes log 0; F.logsigmoid(x) is one safe step.",
            "The logarithm of a sigmoid underflows",
        ),
    ),
    mistakes=DPO,
)

# --- the best of n samples ------------------------------------------------------------------------

_P, _V = _draw((6,), 7).softmax(0), torch.tensor([0.3, -1.0, 2.0, 0.9, -0.4, 1.1])
_P2, _V2 = _draw((4,), 8).softmax(0), torch.tensor([1.0, 3.0, 2.0, -1.0])


best_of_n = Exercise(
    name="best_of_n",
    formula="p(r <= r_a)^n - p(r < r_a)^n, for answers of different rewards",
    reference=best,
    cases=({"p": _P, "rewards": _V, "n": 4}, {"p": _P2, "rewards": _V2, "n": 2}),
    invariances=(
        Invariance("n = 1 gives p", lambda f: same(f(_P, _V, 1), _P)),
        Invariance("the result sums to 1", lambda f: same(f(_P, _V, 5).sum(), 1.0)),
        Invariance(
            "rewards of the same order give the same result",
            lambda f: same(f(_P, _V.exp(), 4), f(_P, _V, 4)),
            "The best of n knows the order of the rewards alone.",
        ),
    ),
    mistakes=BEST_OF_N,
)

# --- a judge in both orders -----------------------------------------------------------------------

_A, _B = _draw((5,), 9, 1.5).sigmoid(), _draw((5,), 10, 1.5).sigmoid()
_A2, _B2 = torch.tensor([0.9, 0.6, 0.2]), torch.tensor([0.7, 0.1, 0.9])


def _turned(f: Any) -> bool:
    return same(f(_B, _A), 1 - f(_A, _B))


swapped_verdict = Exercise(
    name="swapped_verdict",
    formula="(first + (1 - second)) / 2",
    reference=verdict,
    cases=({"first": _A, "second": _B}, {"first": _A2, "second": _B2}),
    invariances=(
        Invariance(
            "a judge that always says the same gives one half",
            lambda f: same(f(torch.full((3,), 0.8), torch.full((3,), 0.8)), torch.full((3,), 0.5)),
            "Its verdict has nothing to do with the answers, so neither may win.",
        ),
        Invariance("exchanging the two answers gives 1 minus the result", _turned),
    ),
    mistakes=VERDICT,
)

EXERCISES = {e.name: e for e in (dpo, best_of_n, swapped_verdict)}
