"""Exercises on hidden layers: linear CKA, the hint loss, similarity-preserving distillation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab import evaluation, losses
from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits as draw
from distill_lab.course.check.invariances import same, teaches

__all__ = ["EXERCISES"]

_S, _T = draw(8, 3, 31).relu() + 0.5, draw(8, 5, 32).relu() + 0.2
_S2, _T2 = draw(6, 4, 33) + 1.0, draw(6, 2, 34)
_WEIGHT, _BIAS = draw(5, 3, 35), draw(1, 5, 36)[0]
_WEIGHT2, _BIAS2 = draw(2, 4, 37), draw(1, 2, 38)[0]
_TURN = torch.linalg.qr(draw(3, 3, 39))[0]


def _centred(f: Tensor) -> Tensor:
    return f - f.mean(0)


def _raw_cka(x: Tensor, y: Tensor) -> Tensor:
    return (y.T @ x).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm())


def _cross(x: Tensor, y: Tensor) -> Tensor:
    return (_centred(y).T @ _centred(x)).square().sum()


def _spectral_cka(x: Tensor, y: Tensor) -> Tensor:
    top, left, right = (torch.linalg.matrix_norm(m, 2) for m in (y.T @ x, x.T @ x, y.T @ y))
    return top**2 / (left * right)


linear_cka = Exercise(
    name="linear_cka",
    formula="|Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F), each column minus its mean over the examples",
    reference=lambda x, y: evaluation.linear_cka(x, y),
    cases=({"features": _S, "other": _T}, {"features": _S2, "other": _T2}),
    number_is_fine=True,
    invariances=(
        Invariance("a layer and itself give 1", lambda f: same(f(_S, _S), 1.0)),
        Invariance(
            "rotating one side changes nothing", lambda f: same(f(_S @ _TURN, _T), f(_S, _T))
        ),
        Invariance("scaling one side changes nothing", lambda f: same(f(7 * _S, _T), f(_S, _T))),
        Invariance(
            "adding a constant to one side changes nothing",
            lambda f: same(f(_S + 3.0, _T), f(_S, _T)),
            "Subtract each column's mean over the examples first.",
        ),
    ),
    mistakes=(
        Mistake("The columns are not centred. Subtract their mean over the examples.", _raw_cka),
        Mistake(
            "Only one side is centred. Subtract the mean of both.",
            lambda x, y: _raw_cka(_centred(x), y),
        ),
        Mistake(
            "Only one side is centred. Subtract the mean of both.",
            lambda x, y: _raw_cka(x, _centred(y)),
        ),
        Mistake(
            "The mean is over the features (axis 1), not over the examples (axis 0).",
            lambda x, y: _raw_cka(x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)),
        ),
        Mistake(
            "The numerator is not squared. It is |Y^T X|_F^2.",
            lambda x, y: _raw_cka(_centred(x), _centred(y)) / (_centred(y).T @ _centred(x)).norm(),
        ),
        Mistake(
            "The denominator is missing. Divide by |X^T X|_F |Y^T Y|_F.",
            lambda x, y: (_centred(y).T @ _centred(x)).square().sum(),
        ),
        Mistake(
            "The denominator is squared as well. Each norm is there once.",
            lambda x, y: (
                _raw_cka(_centred(x), _centred(y))
                / ((_centred(x).T @ _centred(x)).norm() * (_centred(y).T @ _centred(y)).norm())
            ),
        ),
        Mistake(
            "This is 1 - CKA. Return CKA itself, a similarity.",
            lambda x, y: 1 - _raw_cka(_centred(x), _centred(y)),
        ),
        Mistake(
            "One norm is there twice. The denominator has one norm of X^T X and one of Y^T Y.",
            lambda x, y: _cross(x, y) / (_centred(x).T @ _centred(x)).norm() ** 2,
        ),
        Mistake(
            "One norm is there twice. The denominator has one norm of X^T X and one of Y^T Y.",
            lambda x, y: _cross(x, y) / (_centred(y).T @ _centred(y)).norm() ** 2,
        ),
        Mistake(
            "The denominator has the norms of X and Y. It needs those of X^T X and Y^T Y.",
            lambda x, y: _cross(x, y) / (_centred(x).norm() * _centred(y).norm()),
        ),
        Mistake(
            "The denominator has the norms of X and Y. It needs those of X^T X and Y^T Y.",
            lambda x, y: _cross(x, y) / (_centred(x).norm() * _centred(y).norm()) ** 2,
        ),
        Mistake(
            "The norm is the largest singular value. The Frobenius norm is the root "
            "of the sum of squares, `.norm()`.",
            lambda x, y: _spectral_cka(_centred(x), _centred(y)),
        ),
        *(
            Mistake(
                "The columns are divided by their deviations. Only subtract their means.",
                lambda x, y, c=c: _raw_cka(
                    _centred(x) / x.std(0, correction=c), _centred(y) / y.std(0, correction=c)
                ),
            )
            for c in (0, 1)
        ),
        Mistake(
            "The entries are summed before they are squared. Square each entry, then sum.",
            lambda x, y: (
                (_centred(y).T @ _centred(x)).sum().square()
                / ((_centred(x).T @ _centred(x)).norm() * (_centred(y).T @ _centred(y)).norm())
            ),
        ),
    ),
)


def _hint(s: Tensor, t: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return losses.hint_loss(s, t, regressor=lambda f: F.linear(f, weight, bias))


def _gap(s: Tensor, t: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(s, weight, bias) - t


hint = Exercise(
    name="hint",
    formula="mean over examples and features of (f_s W^T + b - f_t)^2",
    reference=_hint,
    cases=(
        {"student": _S, "teacher": _T, "weight": _WEIGHT, "bias": _BIAS},
        {"student": _S2, "teacher": _T2, "weight": _WEIGHT2, "bias": _BIAS2},
    ),
    trained=("student", "weight"),
    invariances=(
        Invariance(
            "features that the regressor maps onto the teacher's give 0",
            lambda f: same(f(_S, F.linear(_S, _WEIGHT, _BIAS), _WEIGHT, _BIAS), 0.0),
        ),
        Invariance(
            "the same batch twice over changes nothing",
            lambda f: same(
                f(torch.cat((_S, _S)), torch.cat((_T, _T)), _WEIGHT, _BIAS),
                f(_S, _T, _WEIGHT, _BIAS),
            ),
            "Take the mean over the batch.",
            "The batch is summed",
            lambda f: same(
                f(torch.cat((_S, _S)), torch.cat((_T, _T)), _WEIGHT, _BIAS),
                2 * f(_S, _T, _WEIGHT, _BIAS),
            ),
        ),
        Invariance(
            "a gradient reaches the regressor's weight",
            lambda f: teaches(lambda w: f(_S, _T, w, _BIAS), _WEIGHT),
            "A regressor that does not learn is a random map: do not detach it.",
        ),
        Invariance(
            "a gradient reaches the student's features",
            lambda f: teaches(lambda s: f(s, _T, _WEIGHT, _BIAS), _S),
            "Do not detach the student.",
        ),
    ),
    mistakes=(
        Mistake(
            "The features are summed. Take the mean, so that a weight serves any width.",
            lambda *a: _gap(*a).square().sum(-1).mean(),
        ),
        Mistake(
            "Examples and features are summed. Take the mean.", lambda *a: _gap(*a).square().sum()
        ),
        Mistake(
            "This is the root of the mean square. Leave the root out.",
            lambda *a: _gap(*a).square().mean().sqrt(),
        ),
        Mistake("These are absolute differences. Square them.", lambda *a: _gap(*a).abs().mean()),
        Mistake(
            "The paper's factor 1/2 is in it. Leave it out: the weight of the loss has that task.",
            lambda *a: _gap(*a).square().mean() / 2,
        ),
        Mistake(
            "The bias is missing.",
            lambda s, t, w, b: _gap(s, t, w, torch.zeros_like(b)).square().mean(),
        ),
        Mistake(
            "Every example is compared with every other. A shape like (B, 1, D) was broadcast.",
            lambda s, t, w, b: (F.linear(s, w, b)[:, None] - t[None]).square().mean(),
        ),
        Mistake(
            "The square is missing. Differences of opposite sign cancel in the mean.",
            lambda *a: _gap(*a).mean(),
        ),
        Mistake(
            "The bias is subtracted. Add it.",
            lambda s, t, w, b: (F.linear(s, w) - b - t).square().mean(),
        ),
        Mistake(
            "This is the length of the difference. Take the mean of its squares.",
            lambda *a: _gap(*a).norm(),
        ),
        Mistake(
            "This is the length of the difference. Take the mean of its squares.",
            lambda *a: _gap(*a).norm(dim=-1).mean(),
        ),
        Mistake(
            "Both sides are brought to length 1. Compare the features as they are.",
            lambda s, t, w, b: (_rows(F.linear(s, w, b)) - _rows(t)).square().mean(),
        ),
        Mistake(
            "Large differences count only linearly (Huber). Square them all.",
            lambda s, t, w, b: F.smooth_l1_loss(F.linear(s, w, b), t),
        ),
        Mistake(
            "The mean is squared. Square the differences first, then take the mean.",
            lambda *a: _gap(*a).mean().square(),
        ),
        Mistake(
            "The regressor is applied to the teacher. It maps the student's features.",
            lambda s, t, w, b: ((t - b) @ w - s).square().mean(),
        ),
        Mistake(
            "The regressor is applied to the teacher. It maps the student's features.",
            lambda s, t, w, b: (t @ w - s).square().mean(),
        ),
    ),
)


def _gram(f: Tensor) -> Tensor:
    return f @ f.T


def _rows(g: Tensor) -> Tensor:
    return F.normalize(g, dim=1)


similarity_preserving = Exercise(
    name="similarity_preserving",
    formula="mean of (G_s - G_t)^2 over all B^2 pairs, G = F F^T with each row at length 1",
    reference=lambda s, t: losses.similarity_preserving_loss(s, t),
    cases=({"student": _S, "teacher": _T}, {"student": _S2, "teacher": _T2}),
    trained=("student",),
    invariances=(
        Invariance("equal features give 0", lambda f: same(f(_S, _S), 0.0)),
        Invariance(
            "rotating the student's features changes nothing",
            lambda f: same(f(_S @ _TURN, _T), f(_S, _T)),
        ),
        Invariance(
            "scaling the student's features changes nothing",
            lambda f: same(f(5 * _S, _T), f(_S, _T)),
            "Bring each row of F F^T to length 1.",
        ),
        Invariance(
            "a gradient reaches the student's features",
            lambda f: teaches(lambda s: f(s, _T), _S),
            "Do not detach the student.",
        ),
    ),
    mistakes=(
        Mistake(
            "The rows are scaled to sum 1 (`p = 1`), not to Euclidean length 1. Pass `dim=1`.",
            lambda s, t: (F.normalize(_gram(s), 1) - F.normalize(_gram(t), 1)).square().mean(),
        ),
        Mistake(
            "The rows of F F^T are not brought to length 1.",
            lambda s, t: (_gram(s) - _gram(t)).square().mean(),
        ),
        Mistake(
            "The features are brought to length 1, not the rows of F F^T. These are cosines.",
            lambda s, t: (_gram(_rows(s)) - _gram(_rows(t))).square().mean(),
        ),
        Mistake(
            "The pairs are summed. Divide by B^2.",
            lambda s, t: (_rows(_gram(s)) - _rows(_gram(t))).square().sum(),
        ),
        Mistake(
            "The division is by B, not by B^2. There are B^2 pairs.",
            lambda s, t: (_rows(_gram(s)) - _rows(_gram(t))).square().sum(1).mean(),
        ),
        Mistake(
            "This is the norm, not its square.",
            lambda s, t: (_rows(_gram(s)) - _rows(_gram(t))).norm() / len(s) ** 2,
        ),
        Mistake(
            "This is the norm, not its square.",
            lambda s, t: (_rows(_gram(s)) - _rows(_gram(t))).norm(),
        ),
        Mistake(
            "These are absolute differences. Square them.",
            lambda s, t: (_rows(_gram(s)) - _rows(_gram(t))).abs().mean(),
        ),
        Mistake(
            "The whole matrix is brought to length 1. Each row has a length of its own.",
            lambda s, t: (_gram(s) / _gram(s).norm() - _gram(t) / _gram(t).norm()).square().mean(),
        ),
        Mistake(
            "A softmax is used instead of the norm. Divide each row by its length.",
            lambda s, t: (_gram(s).softmax(1) - _gram(t).softmax(1)).square().mean(),
        ),
        Mistake(
            "This is 1 minus a cosine. Take the mean of the squared differences.",
            lambda s, t: 1 - F.cosine_similarity(_gram(s), _gram(t), dim=1).mean(),
        ),
        Mistake(
            "The features are centred first. Use them as they are.",
            lambda s, t: (_rows(_gram(_centred(s))) - _rows(_gram(_centred(t)))).square().mean(),
        ),
        Mistake(
            "The student's rows are not brought to length 1. Normalise both sides.",
            lambda s, t: (_gram(s) - _rows(_gram(t))).square().mean(),
        ),
    ),
)

EXERCISES = {e.name: e for e in (linear_cka, hint, similarity_preserving)}
