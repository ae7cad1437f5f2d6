"""The exercises of lesson 12: entropy, calibration, smoothed labels, standardised logits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab import losses
from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same
from distill_lab.evaluation import ece

__all__ = ["EXERCISES"]

_Z, _Z2 = logits(4, 5, 21), logits(6, 3, 22)


_P, _P2 = _Z.softmax(-1), _Z2.softmax(-1)
_P[0] = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0])


def _entropies(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


entropy = Exercise(
    name="entropy",
    formula="-sum over classes of p log p, in nats, one number a row",
    reference=_entropies,
    cases=({"probabilities": _P}, {"probabilities": _P2}),
    invariances=(
        Invariance(
            "a class of probability 0 adds nothing",
            lambda f: same(f(F.pad(_P2, (0, 1))), f(_P2)),
            "0 · log 0 counts as 0, but in floating point it is NaN: use `torch.special.entr`, "
            "or `torch.where`, or clamp.",
        ),
        Invariance(
            "C equal classes have entropy log C",
            lambda f: same(f(torch.full((2, 8), 1 / 8)), torch.full((2,), 8.0).log()),
        ),
        Invariance(
            "the order of the classes does not matter", lambda f: same(f(_P2.flip(-1)), f(_P2))
        ),
    ),
    mistakes=(
        Mistake(
            "0 · log 0 has become NaN. Use `torch.special.entr`, or `torch.where`, or clamp.",
            lambda p: -(p * p.log()).sum(-1),
        ),
        Mistake("The minus sign is missing.", lambda p: -_entropies(p)),
        Mistake(
            "It is in bits. We count in nats: the natural log.", lambda p: _entropies(p) / 0.6931472
        ),
        Mistake(
            "It averages over the classes. Sum over them.", lambda p: _entropies(p) / p.shape[-1]
        ),
        Mistake(
            "It averages over the batch. Keep one number a row.", lambda p: _entropies(p).mean()
        ),
        Mistake("It sums down the batch (axis 0).", lambda p: torch.special.entr(p).sum(0)),
        Mistake("It adds up over the batch. Keep one number a row.", lambda p: _entropies(p).sum()),
        Mistake("The sum over the classes is missing.", torch.special.entr),
    ),
)


def _ece(probabilities: Tensor, labels: Tensor, bins: int) -> Tensor:
    # softmax(log p) = p: the package's own function wants logits
    return torch.as_tensor(ece(probabilities.clamp_min(1e-30).log(), labels, bins))


def _per_bin(probabilities: Tensor, labels: Tensor, bins: int) -> Tensor:
    """|accuracy - confidence| of each bin with something in it, in percentage points."""
    confidence, guess = probabilities.max(-1)
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    right = (guess == labels).float()
    used = [place == b for b in range(bins) if bool((place == b).any())]
    return 100 * torch.stack([(right[u].mean() - confidence[u].mean()).abs() for u in used])


_MANY, _MANY2 = logits(300, 4, 31).softmax(-1), logits(100, 10, 32, scale=4.0).softmax(-1)


_TRUE = torch.multinomial(_MANY, 1, generator=torch.Generator().manual_seed(33)).squeeze(-1)


_TRUE2 = torch.randint(0, 10, (100,), generator=torch.Generator().manual_seed(34))


expected_calibration_error = Exercise(
    name="expected_calibration_error",
    formula="sum over bins of (share of the examples) · |accuracy - mean confidence|, in "
    "percentage points; bins of equal width, confidence = the largest probability",
    reference=_ece,
    cases=(
        {"probabilities": _MANY, "labels": _TRUE, "bins": 15},
        {"probabilities": _MANY, "labels": _TRUE, "bins": 5},
        {"probabilities": _MANY2, "labels": _TRUE2, "bins": 15},
    ),
    defaults={"bins": 15},
    number_is_fine=True,
    invariances=(
        Invariance(
            "sure and always right gives 0",
            lambda f: same(f(torch.eye(4), torch.arange(4), 15), 0.0),
            "Confidence 1 belongs to the last bin; an empty bin counts for nothing, not for NaN.",
        ),
        Invariance(
            "sure and always wrong gives 100",
            lambda f: same(f(torch.eye(4), torch.tensor([1, 2, 3, 0]), 15), 100.0),
        ),
        Invariance(
            "the same examples twice over change nothing",
            lambda f: same(f(_MANY.repeat(2, 1), _TRUE.repeat(2), 15), f(_MANY, _TRUE, 15)),
        ),
    ),
    mistakes=(
        Mistake(
            "It is a fraction. We count in percentage points: times 100.",
            lambda p, y, bins: _ece(p, y, bins) / 100,
        ),
        Mistake(
            "Every bin counts alike. Weigh each by the share of the examples in it.",
            lambda p, y, bins: _per_bin(p, y, bins).mean(),
        ),
        Mistake(
            "The gaps of the bins are added up. Weigh each by the share of the examples in it.",
            lambda p, y, bins: _per_bin(p, y, bins).sum(),
        ),
        Mistake(
            "This is the largest gap (the *maximum* calibration error), not the mean one.",
            lambda p, y, bins: _per_bin(p, y, bins).max(),
        ),
        Mistake(
            "No bins, no absolute value: over- and underconfidence cancel.",
            lambda p, y, bins: 100 * ((p.argmax(-1) == y).float().mean() - p.max(-1).values.mean()),
        ),
        Mistake(
            "One bin for all: over- and underconfidence cancel before the absolute value.",
            lambda p, y, bins: _ece(p, y, 1),
        ),
    ),
)


def _smooth(labels: Tensor, classes: int, epsilon: float) -> Tensor:
    return (1 - epsilon) * F.one_hot(labels, classes).float() + epsilon / classes


label_smoothing = Exercise(
    name="label_smoothing",
    formula="(1 - epsilon) · one_hot(labels) + epsilon / classes, shape (N, classes)",
    reference=_smooth,
    cases=(
        {"labels": torch.tensor([0, 4, 2]), "classes": 5, "epsilon": 0.1},
        {"labels": torch.tensor([1, 1]), "classes": 3, "epsilon": 0.3},
    ),
    defaults={"epsilon": 0.1},
    invariances=(
        Invariance(
            "each row sums to 1",
            lambda f: same(f(torch.tensor([2, 0]), 4, 0.1).sum(-1), torch.ones(2)),
        ),
        Invariance(
            "epsilon = 0 gives one-hot rows",
            lambda f: same(f(torch.tensor([2, 0]), 4, 0.0), torch.eye(4)[[2, 0]]),
        ),
        Invariance(
            "epsilon = 1 gives uniform rows",
            lambda f: same(f(torch.tensor([2, 0]), 4, 1.0), torch.full((2, 4), 0.25)),
        ),
    ),
    mistakes=(
        Mistake(
            "epsilon is shared out among the *other* classes only. The usual form gives every "
            "class epsilon / C, the true one too.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c) + e / (c - 1) * (1 - F.one_hot(y, c)),
        ),
        Mistake(
            "epsilon / C is added, but the true class is not lowered: rows sum to 1 + epsilon.",
            lambda y, c, e: F.one_hot(y, c) + e / c,
        ),
        Mistake(
            "The true class is lowered, but epsilon is not given to any: rows sum to 1 - epsilon.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c),
        ),
        Mistake(
            "epsilon and 1 - epsilon have changed places: the label keeps 1 - epsilon.",
            lambda y, c, e: _smooth(y, c, 1 - e),
        ),
        Mistake(
            "Every class gets the whole epsilon; share it out: epsilon / C.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c) + e,
        ),
    ),
)


def _centred(z: Tensor) -> Tensor:
    return z - z.mean(-1, keepdim=True)


standardize_logits = Exercise(
    name="standardize_logits",
    formula="(z - mean) / std over the classes of each row, std with correction=0",
    reference=lambda z: losses.standardize_logits(z),
    cases=({"logits": _Z}, {"logits": _Z2 + 3.0}),
    invariances=(
        Invariance("each row has mean 0", lambda f: same(f(_Z).mean(-1), torch.zeros(4))),
        Invariance(
            "a row multiplied by a positive number gives the same", lambda f: same(f(7 * _Z), f(_Z))
        ),
        Invariance("a constant added to a row changes nothing", lambda f: same(f(_Z + 5), f(_Z))),
    ),
    mistakes=(
        Mistake(
            "`std` divides by C - 1 unless told otherwise; here it is `std(..., correction=0)`.",
            lambda z: _centred(z) / z.std(-1, keepdim=True),
        ),
        Mistake(
            "It is divided by the variance, not by its root.",
            lambda z: _centred(z) / z.var(-1, keepdim=True, correction=0),
        ),
        Mistake(
            "The mean is taken away, but nothing is divided by the standard deviation.", _centred
        ),
        Mistake("The mean is not taken away.", lambda z: z / z.std(-1, keepdim=True, correction=0)),
        Mistake(
            "It runs down the batch (axis 0). Each row is standardised by itself: `dim=-1`.",
            lambda z: (z - z.mean(0)) / z.std(0, correction=0),
        ),
        Mistake(
            "One mean and deviation for all rows. Each row has its own: `dim=-1`.",
            lambda z: (z - z.mean()) / z.std(correction=0),
        ),
    ),
)

EXERCISES = {
    e.name: e for e in (entropy, expected_calibration_error, label_smoothing, standardize_logits)
}
