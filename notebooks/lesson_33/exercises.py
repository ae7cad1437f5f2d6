"""The exercises of lesson 33: the entropy term, the gap of one layer, a test of memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits as draw
from distill_lab.course.check.invariances import same

__all__ = ["EXERCISES"]


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


def _mean_answer(z: Tensor) -> Tensor:
    return z.softmax(-1).mean(0)


_Z, _Z2 = draw(6, 5, 331), draw(4, 3, 332)
_SURE = 200 * torch.eye(4)

class_balance = Exercise(
    name="class_balance",
    formula="minus the entropy of the mean answer: sum_k m_k log m_k, m = mean over the rows of p",
    reference=lambda z: -_entropy(_mean_answer(z)),
    cases=({"logits": _Z}, {"logits": _Z2}),
    trained=("logits",),
    invariances=(
        Invariance(
            "four sure answers, each another class, give -log 4",
            lambda f: same(f(_SURE), -torch.tensor(4.0).log()),
            "Probabilities of exactly 0 occur: `torch.special.entr` knows that 0 · log 0 is 0.",
        ),
        Invariance(
            "a class that no answer gives adds nothing",
            lambda f: same(f(_SURE[:2]), -torch.tensor(2.0).log()),
            "Its probability is 0, and 0 · log 0 is NaN: use `torch.special.entr`.",
        ),
        Invariance("the order of the rows does not matter", lambda f: same(f(_Z.flip(0)), f(_Z))),
        Invariance("a constant added to a row changes nothing", lambda f: same(f(_Z + 7), f(_Z))),
        Invariance(
            "the generator gets a gradient",
            lambda f: _has_gradient(f, _Z),
            "Do not call `.item()`, `.detach()` or `no_grad`: this is a loss.",
        ),
    ),
    mistakes=(
        Mistake(
            "The sign is missing. A loss is made smaller, and the entropy has to become larger.",
            lambda z: _entropy(_mean_answer(z)),
        ),
        Mistake(
            "This is the mean of the entropies. Take the mean of the answers first.",
            lambda z: -_entropy(z.softmax(-1)).mean(),
        ),
        Mistake(
            "This is the mean of the entropies, with the sign turned. Take the mean of the "
            "answers first, then minus their entropy.",
            lambda z: _entropy(z.softmax(-1)).mean(),
        ),
        Mistake(
            "The mean is over the logits. Apply the softmax to each row first.",
            lambda z: -_entropy(z.mean(0).softmax(-1)),
        ),
        Mistake(
            "The logarithm has base 10. Use nats, the natural logarithm.",
            lambda z: -_entropy(_mean_answer(z)) / torch.tensor(10.0).log(),
        ),
        Mistake(
            "This is in bits. Use nats, the natural logarithm.",
            lambda z: -_entropy(_mean_answer(z)) / torch.tensor(2.0).log(),
        ),
        Mistake(
            "The softmax runs down the batch (axis 0). It is over the classes: `softmax(-1)`.",
            lambda z: -_entropy(z.softmax(0).mean(0)),
        ),
        Mistake(
            "The mean is over the classes (axis 1), not over the pictures (axis 0).",
            lambda z: -_entropy(z.softmax(-1).mean(1)),
        ),
        Mistake(
            "The softmax is missing. The answer is softmax(logits).",
            lambda z: -torch.special.entr(z.mean(0)).sum(),
        ),
        Mistake(
            "There is a mean over the classes. Sum over them.",
            lambda z: -torch.special.entr(_mean_answer(z)).mean(),
        ),
        Mistake(
            "The rows are summed, not averaged. Divide by the number of pictures.",
            lambda z: -_entropy(z.softmax(-1).sum(0)),
        ),
        Mistake(
            "The sum over the classes is missing. Return one number.",
            lambda z: -torch.special.entr(_mean_answer(z)),
        ),
        Mistake(
            "The factor m is missing. Each logarithm is weighted by its own m.",
            lambda z: _mean_answer(z).log().sum(),
        ),
        Mistake(
            "Only the likeliest class of each row counts. Take the mean of the whole rows.",
            lambda z: (
                -_entropy(torch.nn.functional.one_hot(z.argmax(-1), z.shape[-1]).float().mean(0))
            ),
        ),
    ),
)


def _has_gradient(f: Any, z: Tensor) -> bool:
    given = z.clone().requires_grad_()
    loss = torch.as_tensor(f(given))
    if not loss.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(loss.sum(), given, allow_unused=True)
    return gradient is not None and bool(gradient.abs().sum() > 0)


_F, _F2 = 1.5 * draw(9, 4, 333) + 1, draw(5, 3, 334)
_MEAN, _VAR = draw(1, 4, 335)[0], draw(1, 4, 336)[0].square() + 0.5
_MEAN2, _VAR2 = draw(1, 3, 337)[0], draw(1, 3, 338)[0].square() + 0.2


def _gap(f: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return (f.mean(0) - mean).norm() + (f.var(0) - variance).norm()


def _both_norms_teach(f: Any) -> bool:
    def gradient(gap: Any) -> Tensor | None:
        x = _F.clone().requires_grad_()
        loss = torch.as_tensor(gap(x, _MEAN, _VAR))
        return torch.autograd.grad(loss.sum(), x)[0] if loss.requires_grad else None

    mine, right = gradient(f), gradient(_gap)
    return mine is not None and same(mine, right, 1e-3)


batch_norm_gap = Exercise(
    name="batch_norm_gap",
    formula="|mean of the features - mean| + |variance of the features - variance|",
    reference=_gap,
    cases=(
        {"features": _F, "mean": _MEAN, "variance": _VAR},
        {"features": _F2, "mean": _MEAN2, "variance": _VAR2},
        {"features": _F2 + 30, "mean": _MEAN2, "variance": _VAR2},  # the mean's gap is larger
    ),
    trained=("features",),
    invariances=(
        Invariance(
            "features of the remembered mean and variance have gap 0",
            lambda f: same(f(_F, _F.mean(0), _F.var(0)), 0.0),
        ),
        Invariance(
            "the order of the pictures does not matter",
            lambda f: same(f(_F.flip(0), _MEAN, _VAR), f(_F, _MEAN, _VAR)),
        ),
        Invariance(
            "the pixels get a gradient",
            lambda f: _has_gradient(lambda x: f(x, _MEAN, _VAR), _F),
            "Do not call `.item()`, `.detach()` or `no_grad`: this is a loss.",
        ),
        Invariance(
            "the gradient is that of both norms",
            _both_norms_teach,
            "Detach neither the gap of the means nor that of the variances.",
        ),
    ),
    mistakes=(
        Mistake(
            "The variance term is missing. Add its norm.", lambda f, m, v: (f.mean(0) - m).norm()
        ),
        Mistake(
            "The larger of the two norms is taken. Add both.",
            lambda f, m, v: torch.maximum((f.mean(0) - m).norm(), (f.var(0) - v).norm()),
        ),
        Mistake("The mean term is missing. Add its norm.", lambda f, m, v: (f.var(0) - v).norm()),
        Mistake(
            "The norms are squared. Take the root of each sum of squares.",
            lambda f, m, v: (f.mean(0) - m).square().sum() + (f.var(0) - v).square().sum(),
        ),
        Mistake(
            "There is a mean of squares. Use the norm: the root of the sum of squares.",
            lambda f, m, v: (f.mean(0) - m).square().mean() + (f.var(0) - v).square().mean(),
        ),
        Mistake(
            "The absolute values are summed. Use the Euclidean norm.",
            lambda f, m, v: (f.mean(0) - m).abs().sum() + (f.var(0) - v).abs().sum(),
        ),
        Mistake(
            "Standard deviations are compared with variances. Use `var`, not `std`.",
            lambda f, m, v: (f.mean(0) - m).norm() + (f.std(0) - v).norm(),
        ),
        Mistake(
            "Standard deviations are compared. Compare the variances.",
            lambda f, m, v: (f.mean(0) - m).norm() + (f.std(0) - v.sqrt()).norm(),
        ),
        Mistake(
            "The variance divides by B. PyTorch's running variance divides by B - 1, as "
            "`features.var(0)` does.",
            lambda f, m, v: (f.mean(0) - m).norm() + (f.var(0, correction=0) - v).norm(),
        ),
        Mistake(
            "Both differences are under one root. Take one norm of each, then add.",
            lambda f, m, v: torch.cat([f.mean(0) - m, f.var(0) - v]).norm(),
        ),
        Mistake(
            "One mean over all units is taken. Keep one number for each unit: `mean(0)`.",
            lambda f, m, v: (f.mean() - m).norm() + (f.var() - v).norm(),
        ),
        Mistake(
            "The norm is taken picture by picture. First the mean over the pictures, then the "
            "norm over the units.",
            lambda f, m, v: (f - m).norm(dim=1).mean() + (f.var(0) - v).norm(),
        ),
        Mistake(
            "The variance is taken around the layer's own mean. Take it around the mean of the "
            "made pictures.",
            lambda f, m, v: (
                (f.mean(0) - m).norm() + ((f - m).square().sum(0) / (len(f) - 1) - v).norm()
            ),
        ),
        Mistake(
            "One term is subtracted. Add the two norms.",
            lambda f, m, v: (f.mean(0) - m).norm() - (f.var(0) - v).norm(),
        ),
        Mistake("The sum of the two norms is halved. Add them.", lambda f, m, v: _gap(f, m, v) / 2),
    ),
)

_A, _P, _U = draw(40, 3, 339), draw(12, 3, 340), draw(12, 3, 341)
_A2, _P2, _U2 = draw(25, 2, 342), draw(6, 2, 343), draw(6, 2, 344)


def _nearer(made: Tensor, private: Tensor, unseen: Tensor, way: str = "amin") -> Tensor:
    near, far = (getattr(torch.cdist(made, part), way)(1) for part in (private, unseen))
    return (near < far).double()


share_nearer = Exercise(
    name="share_nearer",
    formula="percent of the made pictures with min over private < min over unseen of |a - b|",
    reference=lambda made, private, unseen: 100 * _nearer(made, private, unseen).mean(),
    cases=({"made": _A, "private": _P, "unseen": _U}, {"made": _A2, "private": _P2, "unseen": _U2}),
    number_is_fine=True,
    invariances=(
        Invariance("copies of private pictures give 100 %", lambda f: same(f(_P, _P, _U), 100.0)),
        Invariance("copies of unseen pictures give 0 %", lambda f: same(f(_U, _P, _U), 0.0)),
        Invariance(
            "the order of the pictures does not matter",
            lambda f: same(f(_A.flip(0), _P.flip(0), _U), f(_A, _P, _U)),
        ),
    ),
    mistakes=(
        Mistake(
            "Private and unseen have changed places. Count where the private one is nearer.",
            lambda a, p, u: 100 * (1 - _nearer(a, p, u).mean()),
        ),
        Mistake("This is a fraction. Multiply by 100.", lambda a, p, u: _nearer(a, p, u).mean()),
        Mistake(
            "This is a count. Divide by the number of made pictures, times 100.",
            lambda a, p, u: _nearer(a, p, u).sum(),
        ),
        Mistake(
            "The mean distance is compared. Compare the distance to the nearest one: `amin(1)`.",
            lambda a, p, u: 100 * _nearer(a, p, u, "mean").mean(),
        ),
        Mistake(
            "The farthest picture is taken. Take the nearest one: `amin(1)`.",
            lambda a, p, u: 100 * _nearer(a, p, u, "amax").mean(),
        ),
        Mistake(
            "The minimum runs over the made pictures (axis 0). It is over the others: `amin(1)`.",
            lambda a, p, u: (
                100 * (torch.cdist(a, p).amin(0) < torch.cdist(a, u).amin(0)).double().mean()
            ),
        ),
        Mistake(
            "Pairs of distances are compared, without a minimum. First find the nearest picture.",
            lambda a, p, u: 100 * (torch.cdist(a, p) < torch.cdist(a, u)).double().mean(),
        ),
        Mistake(
            "The mean distances are compared once for all. Compare picture by picture.",
            lambda a, p, u: (
                100 * (torch.cdist(a, p).amin(1).mean() < torch.cdist(a, u).amin(1).mean()).double()
            ),
        ),
        Mistake(
            "The mean over the made pictures is missing. Return one number.",
            lambda a, p, u: 100 * _nearer(a, p, u),
        ),
        Mistake(
            "A difference of distances is returned. Count how often one is smaller.",
            lambda a, p, u: (torch.cdist(a, u).amin(1) - torch.cdist(a, p).amin(1)).mean(),
        ),
        Mistake(
            "The distances go from the private pictures to the unseen ones. Measure from the made "
            "pictures.",
            lambda a, p, u: (
                100 * (torch.cdist(p, a).amin(1) < torch.cdist(p, u).amin(1)).double().mean()
            ),
        ),
        Mistake(
            "Differences are summed with their signs. Use a distance: `torch.cdist`.",
            lambda a, p, u: (
                100
                * ((a[:, None] - p).sum(-1).amin(1) < (a[:, None] - u).sum(-1).amin(1))
                .double()
                .mean()
            ),
        ),
    ),
)

EXERCISES = {e.name: e for e in (class_balance, batch_norm_gap, share_nearer)}
