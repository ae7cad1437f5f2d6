"""The exercises of lesson 31: the mean of probabilities, disagreement, and a route."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance
from distill_lab.course.check.invariances import logits, same
from lesson_31.mistakes import DISAGREEMENT, MEAN, ROUTE

__all__ = ["EXERCISES"]

_Z = torch.stack([logits(4, 5, 41), logits(4, 5, 42), logits(4, 5, 43)])  # (M, B, C)
_Z2 = torch.stack([logits(3, 4, 44) * 3, logits(3, 4, 45)])
_Z5 = torch.stack([logits(6, 3, 50 + m) for m in range(5)])
_CHOICE5 = torch.tensor([4, 2, 4, 0, 3, 4])  # teacher 1 answers nothing
_FAR = 1e4 * torch.tensor([[[1.0, -1.0, 0.0]], [[-1.0, 1.0, 1.0]]])
_CHOICE, _CHOICE2 = torch.tensor([1, 0, 2, 0]), torch.tensor([1, 0, 1])


def _mean(z: Tensor, T: float = 1.0) -> Tensor:
    return (z / T).softmax(-1).mean(0)


def _disagreement(z: Tensor) -> Tensor:
    p = z.softmax(-1)
    entropy = torch.special.entr
    return entropy(p.mean(0)).sum(-1) - entropy(p).sum(-1).mean(0)


def _route(z: Tensor, choice: Tensor) -> Tensor:
    return z[choice, torch.arange(z.shape[1])]


mean_of_probabilities = Exercise(
    name="mean_of_probabilities",
    formula="mean over the teachers of softmax(z_m / T), one row a picture",
    reference=_mean,
    cases=({"logits": _Z, "T": 1.0}, {"logits": _Z, "T": 4.0}, {"logits": _Z2, "T": 2.0}),
    invariances=(
        Invariance("each row sums to 1", lambda f: same(f(_Z, 2.0).sum(-1), torch.ones(4))),
        Invariance(
            "one teacher twice gives that teacher's softmax",
            lambda f: same(f(_Z[:1].repeat(2, 1, 1), 2.0), (_Z[0] / 2).softmax(-1)),
        ),
        Invariance(
            "one teacher alone gives that teacher's softmax",
            lambda f: same(f(_Z[:1], 2.0), (_Z[0] / 2).softmax(-1)),
        ),
        Invariance(
            "finite for logits of ±10,000",
            lambda f: bool(torch.isfinite(f(_FAR, 1.0)).all()),
            "exp(10,000) is infinite: let `softmax` do it.",
            "The exponential overflows or underflows",
        ),
        Invariance(
            "the order of the teachers does not matter",
            lambda f: same(f(_Z.flip(0), 2.0), f(_Z, 2.0)),
        ),
    ),
    mistakes=MEAN,
)

disagreement = Exercise(
    name="disagreement",
    formula="H(mean of p_m) - mean of H(p_m), both means over the teachers; one number a picture",
    reference=_disagreement,
    cases=({"logits": _Z}, {"logits": _Z2}),
    invariances=(
        Invariance(
            "teachers that agree have disagreement 0",
            lambda f: same(f(_Z[:1].repeat(3, 1, 1)), torch.zeros(4), 1e-5),
        ),
        Invariance(
            "two teachers that are sure of different classes have disagreement log 2",
            lambda f: same(
                f(torch.tensor([[[500.0, 0.0, 0.0]], [[0.0, 500.0, 0.0]]])),
                torch.tensor([2.0]).log(),
                1e-4,
            ),
            "0 · log 0 counts as 0, but in floating point it is NaN: use `torch.special.entr`.",
        ),
    ),
    mistakes=DISAGREEMENT,
)

routed_logits = Exercise(
    name="routed_logits",
    formula="row i is row i of the teacher with number choice[i]",
    reference=_route,
    cases=(
        {"logits": _Z, "choice": _CHOICE},
        {"logits": _Z2, "choice": _CHOICE2},
        {"logits": _Z5, "choice": _CHOICE5},
    ),
    invariances=(
        Invariance(
            "where all pictures go to one teacher, the result is that teacher's",
            lambda f: same(f(_Z, torch.tensor([1, 1, 1, 1])), _Z[1]),
        ),
        Invariance(
            "the pictures keep their order",
            lambda f: same(f(_Z.flip(1), _CHOICE.flip(0)), f(_Z, _CHOICE).flip(0)),
            "Row i of the result belongs to picture i, whichever teacher answered it.",
        ),
    ),
    mistakes=ROUTE,
)

EXERCISES = {e.name: e for e in (mean_of_probabilities, disagreement, routed_logits)}
