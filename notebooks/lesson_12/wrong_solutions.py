"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _bins(confidence, bins, k, *, left=False):
    low, high = k / bins, (k + 1) / bins
    if left:
        return (confidence >= low) & (confidence < high)
    return (confidence > low) & (confidence <= high)


def _ece(probabilities, labels, bins=15, *, left=False, absolute=True, weight="share", scale=100):
    confidence, guess = probabilities.max(-1)
    right = (guess == labels).float()
    total = torch.tensor(0.0)
    for k in range(bins):
        inside = _bins(confidence, bins, k, left=left)
        if inside.any():
            gap = right[inside].mean() - confidence[inside].mean()
            gap = gap.abs() if absolute else gap
            total = total + gap * (inside.float().mean() if weight == "share" else 1 / bins)
    return scale * total


def _ece_nan(probabilities, labels, bins=15):
    confidence, guess = probabilities.max(-1)
    right = (guess == labels).float()
    total = 0
    for k in range(bins):
        inside = _bins(confidence, bins, k)
        gap = (right[inside].mean() - confidence[inside].mean()).abs()
        total = total + gap * inside.float().mean()
    return 100 * total


def _ece_of_the_label(probabilities, labels, bins=15):
    confidence = probabilities.gather(1, labels[:, None])[:, 0]
    gap = (probabilities.argmax(-1) == labels).float() - confidence
    place = (confidence * bins).ceil()
    return 100 * sum(gap[place == b].sum().abs() for b in range(1, bins + 1)) / len(labels)


def _ece_square(probabilities, labels, bins=15):
    confidence, guess = probabilities.max(-1)
    gap = (guess == labels).float() - confidence
    place = (confidence * bins).ceil()
    squares = sum(gap[place == b].sum().square() for b in range(1, bins + 1))
    return 100 * squares.sqrt() / len(labels)


def _ece_maximum(probabilities, labels, bins=15):
    confidence, guess = probabilities.max(-1)
    gap = (guess == labels).float() - confidence
    place = (confidence * bins).ceil()
    inside = [gap[place == b] for b in range(1, bins + 1)]
    return 100 * max(g.mean().abs() for g in inside if len(g))


def _ece_fixed_bins(probabilities, labels, bins=15):
    return _ece(probabilities, labels, 15)


def _ece_ten(probabilities, labels, bins=10):
    return _ece(probabilities, labels, bins)


def _smooth_others(labels, classes, epsilon=0.1):
    one_hot = F.one_hot(labels, classes)
    return (1 - epsilon) * one_hot + (1 - one_hot) * epsilon / (classes - 1)


def _smooth_mixed(labels, classes, epsilon=0.1):
    one_hot = F.one_hot(labels, classes)
    return (1 - epsilon) * one_hot + (1 - one_hot) * epsilon / classes


def _smooth_in_place(labels, classes, epsilon=0.1):
    targets = torch.full((len(labels), classes), epsilon / classes)
    targets[:, labels] += 1 - epsilon
    return targets


def _axis_lost(z):
    return (z - z.mean(-1)) / z.std(-1, correction=0)


WRONG = {
    "entropy": {
        "The floor under p is too high": [
            lambda p: -(p * torch.clamp(p, min=1e-3).log()).sum(dim=-1)
        ],
        "The minus sign is missing": [lambda p: (p * p.log()).nan_to_num().sum(-1)],
        "This is in bits": [lambda p: torch.special.entr(p).sum(-1) / torch.tensor(2.0).log()],
        "There is a mean over the classes": [lambda p: torch.special.entr(p).mean(-1)],
        "There is a mean over the batch": [lambda p: torch.special.entr(p).sum(-1).mean()],
        "The rows are added up": [lambda p: torch.special.entr(p).sum()],
        "0 · log 0 has become NaN": [lambda p: -(p * p.log()).sum(-1)],
        "Your result has NaN in it": [lambda p: -(p * torch.log2(p)).sum(-1)],
        "The sum runs down the batch (axis 0)": [lambda p: torch.special.entr(p).sum(0)],
        "The logarithm is missing": [lambda p: -(p * p).sum(-1)],
        "The factor p is missing": [lambda p: -p.clamp_min(1e-30).log().sum(-1)],
        "A number added inside the logarithm changes the values": [
            lambda p: -(p * (p + 1e-3).log()).sum(-1)
        ],
        "The sum over the classes is missing": [torch.special.entr],
        "The softmax is applied to probabilities": [
            lambda p: torch.distributions.Categorical(logits=p).entropy(),
            lambda p: -(p.softmax(-1) * p.log_softmax(-1)).sum(-1),
        ],
        "The base of the logarithm is 10": [lambda p: -(p * p.clamp_min(1e-30).log10()).sum(-1)],
    },
    "standardize_logits": {
        "The deviation is divided by C - 1": [
            lambda z: (z - z.mean(-1, keepdim=True)) / z.std(-1, keepdim=True)
        ],
        "Mean and deviation run down the batch (axis 0)": [
            lambda z: (z - z.mean(0)) / z.std(0, correction=0)
        ],
        "One mean and deviation for all rows": [lambda z: (z - z.mean()) / z.std(correction=0)],
        "The division is by the variance, not by its root": [
            lambda z: (z - z.mean(-1, keepdim=True)) / z.var(-1, keepdim=True, correction=0)
        ],
        "The mean is not subtracted": [lambda z: z / z.std(-1, keepdim=True, correction=0)],
        "The division is missing": [lambda z: z - z.mean(-1, keepdim=True)],
        "`keepdim=True` is missing": [_axis_lost],
        "The division is by the norm": [
            lambda z: (
                (z - z.mean(-1, keepdim=True))
                / (z - z.mean(-1, keepdim=True)).norm(dim=-1)[:, None]
            )
        ],
        "The softmax is applied once more to the result": [
            lambda z: (
                (z - z.mean(-1, keepdim=True)) / z.std(-1, keepdim=True, correction=0)
            ).softmax(-1)
        ],
        "The rows are scaled to the range from 0 to 1": [
            lambda z: (z - z.amin(-1, True)) / (z.amax(-1, True) - z.amin(-1, True))
        ],
        "The row is multiplied by its deviation": [
            lambda z: (z - z.mean(-1, keepdim=True)) * z.std(-1, keepdim=True, correction=0)
        ],
        "The largest logit is subtracted": [
            lambda z: (z - z.amax(-1, keepdim=True)) / z.std(-1, keepdim=True, correction=0)
        ],
        "Only the mean is divided by the deviation": [
            lambda z: z - z.mean(-1, keepdim=True) / z.std(-1, keepdim=True, correction=0)
        ],
    },
    "expected_calibration_error": {
        "The absolute value is missing": [lambda p, y, bins=15: _ece(p, y, bins, absolute=False)],
        "There are no bins": [
            lambda p, y, bins=15: (
                100 * ((p.argmax(-1) == y).float().mean() - p.amax(-1).mean()).abs()
            )
        ],
        "Each picture is a bin of its own": [
            lambda p, y, bins=15: 100 * ((p.argmax(-1) == y).float() - p.amax(-1)).abs().mean()
        ],
        "Every bin has the same weight": [lambda p, y, bins=15: _ece(p, y, bins, weight="equal")],
        "This is a fraction": [lambda p, y, bins=15: _ece(p, y, bins, scale=1)],
        "The bins hold their lower end, not their upper one": [
            lambda p, y, bins=15: _ece(p, y, bins, left=True)
        ],
        "An empty bin gives NaN": [_ece_nan],
        "The probability of the label is taken": [_ece_of_the_label],
        "The gaps are squared": [_ece_square],
        "This is the largest gap (the maximum calibration error), not the mean one": [_ece_maximum],
        "`bins` has no effect": [_ece_fixed_bins],
        "The default of `bins` is wrong": [_ece_ten],
        "This is the accuracy alone": [
            lambda p, y, bins=15: 100 * (p.argmax(-1) == y).float().mean()
        ],
        "This is the mean confidence alone": [lambda p, y, bins=15: 100 * p.amax(-1).mean()],
        "Classes and pictures have changed places": [lambda p, y, bins=15: _ece(p.T, y, bins)],
    },
    "label_smoothing": {
        "epsilon is shared out among the other classes only": [_smooth_others],
        "The true class gets no share of epsilon": [_smooth_mixed],
        "Every class gets the whole epsilon": [
            lambda y, classes, epsilon=0.1: (1 - epsilon) * F.one_hot(y, classes) + epsilon
        ],
        "The true class is not lowered": [
            lambda y, classes, epsilon=0.1: F.one_hot(y, classes) + epsilon / classes
        ],
        "`epsilon` has no effect": [
            lambda y, classes, epsilon=0.1: F.one_hot(y, classes).float(),
            lambda y, classes, epsilon=0.1: 0.9 * F.one_hot(y, classes) + 0.1 / classes,
        ],
        "The result is not a float tensor": [lambda y, classes, epsilon=0.1: F.one_hot(y, classes)],
        "epsilon and 1 - epsilon have changed places": [
            lambda y, classes, epsilon=0.1: (
                epsilon * F.one_hot(y, classes) + (1 - epsilon) / classes
            )
        ],
        "Every row gets the labels of all rows": [_smooth_in_place],
        "The number of classes is guessed from the labels": [
            lambda y, classes, epsilon=0.1: (1 - epsilon) * F.one_hot(y) + epsilon / classes
        ],
        "epsilon is divided by the number of rows": [
            lambda y, classes, epsilon=0.1: (1 - epsilon) * F.one_hot(y, classes) + epsilon / len(y)
        ],
        "epsilon is taken away and given to no class": [
            lambda y, classes, epsilon=0.1: (1 - epsilon) * F.one_hot(y, classes)
        ],
        "Two axes have changed places": [
            lambda y, classes, epsilon=0.1: (
                ((1 - epsilon) * F.one_hot(y, classes) + epsilon / classes).T
            )
        ],
    },
}
