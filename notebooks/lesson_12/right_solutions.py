"""Right solutions in many styles: `check` has to accept each."""

from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional as F


def _ece_by_bins(probabilities, labels, bins=15):
    confidence, guess = probabilities.max(dim=1)
    right = guess.eq(labels)
    edges = torch.linspace(0, 1, bins + 1)
    ece = torch.zeros(1)
    for low, high in pairwise(edges):
        inside = confidence.gt(low) & confidence.le(high)
        if inside.sum() > 0:
            gap = (confidence[inside].mean() - right[inside].float().mean()).abs()
            ece += gap * inside.float().mean()
    return 100 * ece[0]


def _ece_numpy(probabilities, labels, bins=15):
    p, y = probabilities.numpy(), labels.numpy()
    gap = (p.argmax(1) == y) - p.max(1).astype(np.float64)
    place = np.ceil(p.max(1) * bins).astype(int) - 1
    return 100 * float(np.abs(np.bincount(place, weights=gap, minlength=bins)).sum()) / len(y)


def _smooth_by_scatter(labels, classes, epsilon=0.1):
    targets = torch.full((len(labels), classes), epsilon / classes)
    return targets.scatter(1, labels[:, None], 1 - epsilon + epsilon / classes)


def _smooth_by_rows(labels, classes, epsilon=0.1):
    targets = torch.full((len(labels), classes), epsilon / classes)
    targets[torch.arange(len(labels)), labels] += 1 - epsilon
    return targets


def _entropy_loops(probabilities):
    return torch.stack([-sum(p * p.log() for p in row if p > 0) for row in probabilities])


RIGHT = {
    "entropy": [
        lambda p: -(p * p.clamp_min(1e-12).log()).sum(-1),
        lambda p: -torch.xlogy(p, p).sum(dim=1),
        lambda p: -torch.where(p > 0, p * p.log(), 0.0).sum(-1),
        lambda p: torch.distributions.Categorical(probs=p).entropy(),
        lambda p: torch.special.entr(p.half()).sum(-1),
        _entropy_loops,
    ],
    "standardize_logits": [
        lambda z: F.layer_norm(z, z.shape[-1:], eps=0.0),
        lambda z: (z - z.mean(1)[:, None]) / z.var(1, unbiased=False).sqrt()[:, None],
        lambda z: (z.T - z.T.mean(0)).T / z.T.std(0, correction=0)[:, None],
        lambda z: F.layer_norm(z.double(), z.shape[-1:], eps=0.0),
    ],
    "expected_calibration_error": [
        _ece_by_bins,
        _ece_numpy,
        lambda p, y, bins=15: _ece_by_bins(p.double(), y, bins).item(),
    ],
    "label_smoothing": [
        _smooth_by_scatter,
        _smooth_by_rows,
        lambda y, classes, epsilon=0.1: torch.lerp(
            torch.eye(classes)[y], torch.full((), 1 / classes), epsilon
        ),
        lambda y, classes, epsilon=0.1: (
            (1 - epsilon) * torch.eye(classes, dtype=torch.float64)[y] + epsilon / classes
        ),
    ],
}
