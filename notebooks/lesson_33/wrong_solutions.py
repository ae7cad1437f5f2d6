"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _entropy(p):
    return -(p * p.clamp_min(1e-30).log()).sum(-1)


def _gap_loop(features, mean, variance):
    total = 0
    for unit in range(features.shape[1]):
        total = total + (features[:, unit].mean() - mean[unit]) ** 2
        total = total + (features[:, unit].var() - variance[unit]) ** 2
    return total


def _gap_biased(features, mean, variance):
    centre = features.mean(0)
    spread = ((features - centre) ** 2).mean(0)
    return (centre - mean).norm() + (spread - variance).norm()


def _gap_one_root(features, mean, variance):
    squares = (features.mean(0) - mean).pow(2).sum() + (features.var(0) - variance).pow(2).sum()
    return squares.sqrt()


def _count(made, private, unseen):
    count = 0
    for picture in made:
        near = (picture - private).norm(dim=1).min()
        far = (picture - unseen).norm(dim=1).min()
        count += int(near < far)
    return count


def _share(made, private, unseen, way="min", axis=1):
    near, far = (getattr(torch.cdist(made, part), way)(axis) for part in (private, unseen))
    if way in ("min", "max"):
        near, far = near.values, far.values
    return (near < far).float().mean()


WRONG = {
    "class_balance": {
        "The sign is missing": [lambda z: _entropy(z.softmax(-1).mean(0))],
        "This is the mean of the entropies": [
            lambda z: -_entropy(z.softmax(-1)).mean(),
            lambda z: -torch.distributions.Categorical(logits=z).entropy().mean(),
            lambda z: (z.softmax(-1) * z.log_softmax(-1)).sum(-1).mean(),
        ],
        "This is the mean of the entropies, with the sign turned": [
            lambda z: _entropy(z.softmax(-1)).mean()
        ],
        "The mean is over the logits": [lambda z: -_entropy(z.mean(0).softmax(-1))],
        "The logarithm has base 10": [
            lambda z: (z.softmax(1).mean(0) * z.softmax(1).mean(0).clamp_min(1e-30).log10()).sum()
        ],
        "This is in bits": [
            lambda z: (z.softmax(1).mean(0) * z.softmax(1).mean(0).clamp_min(1e-30).log2()).sum()
        ],
        "The softmax runs down the batch (axis 0)": [lambda z: -_entropy(z.softmax(0).mean(0))],
        "The mean is over the classes (axis 1), not over the pictures (axis 0)": [
            lambda z: -_entropy(z.softmax(-1).mean(-1))
        ],
        "There is a mean over the classes": [
            lambda z: -torch.special.entr(z.softmax(-1).mean(0)).mean()
        ],
        "The rows are summed, not averaged": [
            lambda z: -torch.special.entr(z.softmax(-1).sum(0)).sum()
        ],
        "The sum over the classes is missing": [
            lambda z: -torch.special.entr(z.softmax(-1).mean(0))
        ],
        "The factor m is missing": [lambda z: z.softmax(-1).mean(0).log().sum()],
        "The softmax is missing": [lambda z: -torch.special.entr(z.mean(0)).sum()],
    },
    "batch_norm_gap": {
        "The variance term is missing": [lambda f, m, v: torch.dist(f.mean(0), m)],
        "The mean term is missing": [lambda f, m, v: torch.dist(f.var(0), v)],
        "The norms are squared": [_gap_loop],
        "There is a mean of squares": [
            lambda f, m, v: F.mse_loss(f.mean(0), m) + F.mse_loss(f.var(0), v)
        ],
        "The absolute values are summed": [
            lambda f, m, v: (
                F.l1_loss(f.mean(0), m, reduction="sum") + F.l1_loss(f.var(0), v, reduction="sum")
            )
        ],
        "Standard deviations are compared with variances": [
            lambda f, m, v: (f.mean(0) - m).norm() + (f.std(0) - v).norm()
        ],
        "Standard deviations are compared": [
            lambda f, m, v: (f.mean(0) - m).norm() + (f.std(0) - v**0.5).norm()
        ],
        "The variance divides by B": [
            _gap_biased,
            lambda f, m, v: (f.mean(0) - m).norm() + (f.var(0, unbiased=False) - v).norm(),
        ],
        "Both differences are under one root": [_gap_one_root],
        "One mean over all units is taken": [
            lambda f, m, v: (f.mean() - m).norm() + (f.var() - v).norm()
        ],
        "One term is subtracted": [lambda f, m, v: (f.mean(0) - m).norm() - (f.var(0) - v).norm()],
    },
    "share_nearer": {
        "Private and unseen have changed places": [lambda a, p, u: 100 * _share(a, u, p)],
        "This is a fraction": [_share],
        "This is a count": [_count],
        "The mean distance is compared": [lambda a, p, u: 100 * _share(a, p, u, way="mean")],
        "The farthest picture is taken": [lambda a, p, u: 100 * _share(a, p, u, way="max")],
        "The minimum runs over the made pictures (axis 0)": [
            lambda a, p, u: 100 * _share(a, p, u, axis=0)
        ],
        "Pairs of distances are compared, without a minimum": [
            lambda a, p, u: 100 * (torch.cdist(a, p) < torch.cdist(a, u)).float().mean()
        ],
        "The mean over the made pictures is missing": [
            lambda a, p, u: 100 * (torch.cdist(a, p).amin(1) < torch.cdist(a, u).amin(1)).float()
        ],
        "A difference of distances is returned": [
            lambda a, p, u: (torch.cdist(a, u).amin(1) - torch.cdist(a, p).amin(1)).mean()
        ],
    },
}
