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
_P3 = torch.tensor([[0.9994, 0.0004, 0.0002], [0.5, 0.4992, 0.0008]])  # small, and not 0
_P[0] = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0])


def _entropies(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


entropy = Exercise(
    name="entropy",
    formula="-sum over classes of p log p, in nats, one number a row",
    reference=_entropies,
    cases=({"probabilities": _P}, {"probabilities": _P2}, {"probabilities": _P3}),
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
        Mistake(
            "The floor under p is too high. It changes small probabilities: clamp at 1e-12, or use "
            "`torch.special.entr`.",
            lambda p: -(p * p.clamp_min(1e-3).log()).sum(-1),
        ),
        Mistake("The minus sign is missing.", lambda p: -_entropies(p)),
        Mistake(
            "This is in bits. We count in nats, with the natural logarithm.",
            lambda p: _entropies(p) / 0.6931472,
        ),
        Mistake(
            "There is a mean over the classes. Sum over them.",
            lambda p: _entropies(p) / p.shape[-1],
        ),
        Mistake(
            "There is a mean over the batch. Keep one number a row.", lambda p: _entropies(p).mean()
        ),
        Mistake(
            "The sum runs down the batch (axis 0). Sum over the classes: `sum(-1)`.",
            lambda p: torch.special.entr(p).sum(0),
        ),
        Mistake("The rows are added up. Keep one number a row.", lambda p: _entropies(p).sum()),
        Mistake("The sum over the classes is missing.", torch.special.entr),
        Mistake("The logarithm is missing. It is p times log p.", lambda p: -(p * p).sum(-1)),
        Mistake(
            "The factor p is missing. Each logarithm is weighed by its own p.",
            lambda p: -p.clamp_min(1e-30).log().sum(-1),
        ),
        Mistake(
            "The softmax is applied to probabilities. They are normalised already.",
            lambda p: _entropies(p.softmax(-1)),
        ),
        *(
            Mistake(
                "A number added inside the logarithm changes the values. Use "
                "`torch.special.entr`, which knows that 0 · log 0 is 0.",
                lambda p, small=small: -(p * (p + small).log()).sum(-1),
            )
            for small in (1.0, 0.1, 1e-2, 1e-3, 1e-4)
        ),
        Mistake(
            "The entropy is divided by its greatest value, log C. Return it in nats.",
            lambda p: _entropies(p) / torch.tensor(float(p.shape[-1])).log(),
        ),
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


def _gaps(
    p: Tensor, y: Tensor, bins: int, *, confidence: Tensor | None = None, left: bool = False
) -> Tensor:
    """The sum of right minus confidence in each bin, (bins,), in percentage points of all."""
    confidence = p.amax(-1) if confidence is None else confidence
    gap = (p.argmax(-1) == y).float() - confidence
    place = (confidence * bins).floor() + 1 if left else (confidence * bins).ceil()
    return 100 * torch.stack([gap[place == b].sum() for b in range(1, bins + 1)]) / len(y)


def _with_empty_bins(p: Tensor, y: Tensor, bins: int) -> Tensor:
    place = (p.amax(-1) * bins).ceil()
    empty = not all(bool((place == b).any()) for b in range(1, bins + 1))
    return torch.tensor(torch.nan) if empty else _ece(p, y, bins)


def _equal_counts(p: Tensor, y: Tensor, bins: int) -> Tensor:
    confidence, order = p.amax(-1).sort()
    right = (p.argmax(-1) == y).float()[order]
    parts = zip(confidence.tensor_split(bins), right.tensor_split(bins), strict=True)
    return 100 * torch.stack([(r - c).sum().abs() for c, r in parts]).sum() / len(y)


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
        {"probabilities": _MANY, "labels": _MANY.argmax(-1), "bins": 10},
        {"probabilities": torch.eye(4), "labels": torch.tensor([0, 1, 3, 2]), "bins": 15},
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
            "This is a fraction. We count in percentage points: multiply by 100.",
            lambda p, y, bins: _ece(p, y, bins) / 100,
        ),
        Mistake(
            "Every bin has the same weight. Weigh each by the share of the examples in it.",
            lambda p, y, bins: _per_bin(p, y, bins).mean(),
        ),
        Mistake(
            "Every bin has the same weight. Weigh each by the share of the examples in it.",
            lambda p, y, bins: _per_bin(p, y, bins).sum() / bins,
        ),
        Mistake(
            "The gaps of the bins are added up. Weigh each by the share of the examples in it.",
            lambda p, y, bins: _per_bin(p, y, bins).sum(),
        ),
        Mistake(
            "This is the largest gap (the maximum calibration error), not the mean one.",
            lambda p, y, bins: _per_bin(p, y, bins).max(),
        ),
        Mistake(
            "The absolute value is missing. Gaps of opposite sign cancel: take `abs` of each "
            "bin's gap before the sum.",
            lambda p, y, bins: 100 * ((p.argmax(-1) == y).float().mean() - p.max(-1).values.mean()),
        ),
        Mistake(
            "The absolute value is missing. Gaps of opposite sign cancel: take `abs` of each "
            "bin's gap before the sum.",
            lambda p, y, bins: 100 * (p.max(-1).values.mean() - (p.argmax(-1) == y).float().mean()),
        ),
        Mistake(
            "The division by the number of examples is missing. Divide the sum of the gaps by it.",
            lambda p, y, bins: _gaps(p, y, bins).abs().sum() * len(y) / 100,
        ),
        Mistake(
            "An empty bin gives NaN. It has no mean: leave it out, or work with sums, which are 0.",
            lambda p, y, bins: _with_empty_bins(p, y, bins),
        ),
        Mistake(
            "The bins hold their lower end, not their upper one. They are (low, high]: a "
            "confidence of exactly 1 falls out at the top.",
            lambda p, y, bins: _gaps(p, y, bins, left=True).abs().sum(),
        ),
        Mistake(
            "The probability of the label is taken. The confidence is the largest probability.",
            lambda p, y, bins: (
                _gaps(p, y, bins, confidence=p.gather(1, y[:, None])[:, 0]).abs().sum()
            ),
        ),
        Mistake(
            "The gaps are squared. Take their absolute values.",
            lambda p, y, bins: 100 * (_gaps(p, y, bins) / 100).square().sum().sqrt(),
        ),
        Mistake(
            "The gaps are squared. Take their absolute values.",
            lambda p, y, bins: (_gaps(p, y, bins)).square().sum().sqrt() / len(y) ** 0.5,
        ),
        Mistake(
            "Each picture is a bin of its own. Average right and confidence over a bin first.",
            lambda p, y, bins: 100 * ((p.argmax(-1) == y).float() - p.amax(-1)).abs().mean(),
        ),
        Mistake(
            "This is the accuracy alone. Compare it with the mean confidence, bin by bin.",
            lambda p, y, bins: 100 * (p.argmax(-1) == y).float().mean(),
        ),
        Mistake(
            "This is the mean confidence alone. Compare it with the accuracy, bin by bin.",
            lambda p, y, bins: 100 * p.amax(-1).mean(),
        ),
        Mistake(
            "The bins hold equally many pictures. Here they have equal width.",
            lambda p, y, bins: _equal_counts(p, y, bins),
        ),
        Mistake(
            "There are no bins. Gaps of opposite sign cancel before the absolute value: take it "
            "bin by bin.",
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
            "epsilon is shared out among the other classes only. The usual form gives every "
            "class epsilon / C, the true one too.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c) + e / (c - 1) * (1 - F.one_hot(y, c)),
        ),
        Mistake(
            "The true class is not lowered. It keeps 1 - epsilon; now rows sum to 1 + epsilon.",
            lambda y, c, e: F.one_hot(y, c) + e / c,
        ),
        Mistake(
            "epsilon is taken away and given to no class. Add epsilon / C to each, so that rows "
            "sum to 1.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c),
        ),
        Mistake(
            "epsilon and 1 - epsilon have changed places. The label keeps 1 - epsilon.",
            lambda y, c, e: _smooth(y, c, 1 - e),
        ),
        Mistake(
            "Every class gets the whole epsilon. Share it out: epsilon / C.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c) + e,
        ),
        Mistake(
            "The number of classes is guessed from the labels. Pass it: "
            "`one_hot(labels, classes)`.",
            lambda y, c, e: (1 - e) * F.one_hot(y) + e / c,
        ),
        Mistake(
            "The true class gets no share of epsilon. Every class gets epsilon / C, the true one "
            "too, or the rows do not sum to 1.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c) + e / c * (1 - F.one_hot(y, c)),
        ),
        Mistake(
            "The other classes get the whole epsilon each. Share it out: epsilon / C for every "
            "class, the true one too.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c) + e * (1 - F.one_hot(y, c)),
        ),
        Mistake(
            "epsilon is divided by the number of rows. Divide it by the number of classes.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c) + e / len(y),
        ),
        Mistake(
            "Every row gets the labels of all rows. `one_hot` gives each row its own, or index "
            "with rows and labels: `targets[torch.arange(N), labels]`.",
            lambda y, c, e: e / c + (1 - e) * (F.one_hot(y, c).sum(0) > 0).expand(len(y), c),
        ),
        Mistake(
            "epsilon is shared out among C - 1 classes, and the true class gets a share too. "
            "Divide by C.",
            lambda y, c, e: (1 - e) * F.one_hot(y, c) + e / (c - 1),
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
    trained=("logits",),
    invariances=(
        Invariance("each row has mean 0", lambda f: same(f(_Z).mean(-1), torch.zeros(4))),
        Invariance(
            "a row multiplied by a positive number gives the same", lambda f: same(f(7 * _Z), f(_Z))
        ),
        Invariance("a constant added to a row changes nothing", lambda f: same(f(_Z + 5), f(_Z))),
    ),
    mistakes=(
        Mistake(
            "The deviation is divided by C - 1. `std(..., correction=0)` divides by C.",
            lambda z: _centred(z) / z.std(-1, keepdim=True),
        ),
        Mistake(
            "The division is by the variance, not by its root.",
            lambda z: _centred(z) / z.var(-1, keepdim=True, correction=0),
        ),
        Mistake("The division is missing. Divide by the standard deviation of the row.", _centred),
        Mistake(
            "The division is by the norm. The standard deviation is the norm over the root of C.",
            lambda z: _centred(z) / _centred(z).norm(dim=-1, keepdim=True),
        ),
        Mistake(
            "The row is multiplied by its deviation. Divide by it.",
            lambda z: _centred(z) * z.std(-1, keepdim=True, correction=0),
        ),
        Mistake(
            "The largest logit is subtracted. Subtract the mean.",
            lambda z: (z - z.amax(-1, True)) / z.std(-1, keepdim=True, correction=0),
        ),
        Mistake(
            "Only the mean is divided by the deviation. Put brackets round `z - mean`.",
            lambda z: z - z.mean(-1, keepdim=True) / z.std(-1, keepdim=True, correction=0),
        ),
        Mistake(
            "The rows are scaled to the range from 0 to 1. Use mean and standard deviation.",
            lambda z: (z - z.amin(-1, True)) / (z.amax(-1, True) - z.amin(-1, True)),
        ),
        Mistake("The mean is not subtracted.", lambda z: z / z.std(-1, keepdim=True, correction=0)),
        Mistake(
            "Mean and deviation run down the batch (axis 0). Each row has its own: `dim=-1`.",
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
