"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _relu(p, q):
    return F.relu(p - q)


def _without_keepdim(p, q):
    missing = (p - q).clamp(min=0)
    return missing / missing.sum(-1)


def _in_place(p, q):
    p -= q
    p.clamp_(min=0)
    return p / p.sum(-1, keepdim=True)


def _min_sum(s, t):
    return torch.minimum(s.softmax(-1), t.softmax(-1)).sum(-1)


def _by_ratio(s, t, weights):
    p, q = t.softmax(-1), s.softmax(-1)
    return (weights(p, q) * torch.clamp(p / q, max=1)).sum(-1).mean()


def _geometric(a, n):
    return (1 - a ** (n + 1)) / (1 - a)


WRONG = {
    "residual": {
        "The rows are not scaled": [_relu, lambda p, q: p - torch.minimum(p, q)],
        "Draft and target are exchanged": [
            lambda p, q: F.relu(q - p) / F.relu(q - p).sum(-1, keepdim=True)
        ],
        "This is the target's distribution": [lambda p, q: p.clone()],
        "The negative differences are still there": [lambda p, q: p - q],
        "Tokens that the draft gives too often are not at 0": [
            lambda p, q: (p - q) / (p - q).sum(-1, keepdim=True)
        ],
        "Logarithms are subtracted": [
            lambda p, q: F.normalize(F.relu(p.log() - q.log()), p=1, dim=-1)
        ],
        "Only the token that is missing most is drawn": [
            lambda p, q: F.one_hot((p - q).argmax(-1), p.shape[-1]).float()
        ],
        "The rows are not normalised": [
            lambda p, q: _relu(p, q) / _relu(p, q).mean(-1, keepdim=True),
            lambda p, q: F.normalize(_relu(p, q), dim=-1),
        ],
        "`keepdim=True` is missing": [_without_keepdim],
        "An argument is changed in place": [_in_place],
        "This is the absolute difference": [
            lambda p, q: (p - q).abs() / (p - q).abs().sum(-1, keepdim=True)
        ],
        "This is the part that was accepted": [
            lambda p, q: torch.minimum(p, q) / torch.minimum(p, q).sum(-1, keepdim=True)
        ],
        "There is one sum for all rows": [lambda p, q: _relu(p, q) / _relu(p, q).sum()],
        "The sum runs down the batch": [lambda p, q: _relu(p, q) / _relu(p, q).sum(0)],
        "This is a softmax of the differences": [lambda p, q: F.softmax(_relu(p, q), -1)],
        "The ratio is used in place of the difference": [
            lambda p, q: F.normalize(F.relu(p / q - 1), p=1, dim=-1)
        ],
    },
    "acceptance": {
        "This is the total variation": [
            lambda s, t: (t.softmax(-1) - s.softmax(-1)).abs().sum(-1).mean() / 2
        ],
        "The half is missing": [
            lambda s, t: (1 - (t.softmax(-1) - s.softmax(-1)).abs().sum(-1)).mean()
        ],
        "The probabilities are multiplied": [
            lambda s, t: torch.einsum("bc,bc->b", s.softmax(-1), t.softmax(-1)).mean()
        ],
        "The logits are compared": [lambda s, t: torch.min(s, t).sum(-1).mean()],
        "This is the larger one of each pair": [
            lambda s, t: torch.max(s.softmax(-1), t.softmax(-1)).sum(-1).mean()
        ],
        "There is a mean over the classes": [
            lambda s, t: torch.minimum(s.softmax(-1), t.softmax(-1)).mean()
        ],
        "The rows are summed": [lambda s, t: _min_sum(s, t).sum()],
        "The mean over the rows is missing": [_min_sum],
        "Each token has the same weight here": [
            lambda s, t: torch.clamp(t.softmax(-1) / s.softmax(-1), max=1).mean()
        ],
        "The target's probabilities are the weights": [
            lambda s, t: _by_ratio(s, t, lambda p, q: p)
        ],
        "The ratio is turned round": [
            lambda s, t: (
                (s.softmax(-1) * torch.clamp(s.softmax(-1) / t.softmax(-1), max=1)).sum(-1).mean()
            )
        ],
        "The log-probabilities are compared": [
            lambda s, t: torch.minimum(s.log_softmax(-1), t.log_softmax(-1)).sum(-1).mean()
        ],
        "Only the target has a softmax": [
            lambda s, t: torch.minimum(s, t.softmax(-1)).sum(-1).mean()
        ],
        "Only the draft has a softmax": [
            lambda s, t: torch.minimum(s.softmax(-1), t).sum(-1).mean()
        ],
        "A sigmoid stands in the place of the softmax": [
            lambda s, t: torch.minimum(s.sigmoid(), t.sigmoid()).sum(-1).mean()
        ],
        "The logarithm of the acceptance is returned": [
            lambda s, t: -_min_sum(s, t).log().mean(),
            lambda s, t: torch.log(_min_sum(s, t)).mean(),
        ],
        "There is a mean over the classes in the total variation": [
            lambda s, t: 1 - 0.5 * F.l1_loss(s.softmax(-1), t.softmax(-1))
        ],
        "The ratios are summed without weights": [
            lambda s, t: torch.clamp(t.softmax(-1) / s.softmax(-1), max=1).sum(-1).mean()
        ],
        "The ratio is not cut at 1": [
            lambda s, t: (s.softmax(-1) * t.softmax(-1) / s.softmax(-1)).sum(-1).mean()
        ],
        "This is the KL divergence": [
            lambda s, t: F.kl_div(s.log_softmax(-1), t.softmax(-1), reduction="batchmean")
        ],
        "This is how often both have the same most probable token": [
            lambda s, t: s.argmax(-1).eq(t.argmax(-1)).float().mean()
        ],
        "The softmax runs down the batch": [
            lambda s, t: torch.minimum(s.softmax(0), t.softmax(0)).sum(-1).mean()
        ],
        "A division by a probability of zero": [lambda s, t: _by_ratio(s, t, lambda p, q: q)],
    },
    "speed_up": {
        "The target's own token is missing": [
            lambda a, c, n: sum(a**i for i in range(1, n + 1)) / (n * c + 1)
        ],
        "The last power is missing": [lambda a, c, n: sum(a**i for i in range(n)) / (n * c + 1)],
        "The pass of the target is missing in the cost": [
            lambda a, c, n: sum(a**i for i in range(n + 1)) / (n * c) if c else float(n + 1)
        ],
        "Brackets are missing around the cost": [
            lambda a, c, n: sum(a**i for i in range(n + 1)) / n * c + 1,
            lambda a, c, n: sum(a**i for i in range(n + 1)) / (n * c) + 1 if c else n + 1.0,
        ],
        "There is a power too many": [
            lambda a, c, n: sum(a**i for i in range(n + 2)) / (n * c + 1)
        ],
        "Only the last power is counted": [lambda a, c, n: a**n / (n * c + 1)],
        "The sum has no end": [lambda a, c, n: 1 / (1 - a) / (n * c + 1) if a < 1 else n + 1.0],
        "Acceptance is multiplied by i": [
            lambda a, c, n: sum(a * i for i in range(n + 1)) / (n * c + 1)
        ],
        "This is the gain, not the speed": [
            lambda a, c, n: sum(a**i for i in range(n + 1)) / (n * c + 1) - 1
        ],
        "The result is rounded": [lambda a, c, n: sum(a**i for i in range(n + 1)) // (n * c + 1)],
        "The cost has no effect": [lambda a, c, n: sum(a**i for i in range(n + 1))],
        "The draft is paid once": [lambda a, c, n: sum(a**i for i in range(n + 1)) / (1 + c)],
        "The draft is called once too often": [
            lambda a, c, n: sum(a**i for i in range(n + 1)) / (n * c + c + 1)
        ],
        "Tokens after a rejection are counted": [lambda a, c, n: (a * n + 1) / (c * n + 1)],
        "This is the time, not the speed": [
            lambda a, c, n: (n * c + 1) / sum(a**i for i in range(n + 1))
        ],
        "Only the case that all are accepted is counted": [
            lambda a, c, n: (n * a**n + 1) / (n * c + 1)
        ],
        "The target is called once for each token": [
            lambda a, c, n: sum(a**i for i in range(n + 1)) / (n * (c + 1))
        ],
        "At acceptance 1 there is a division by zero": [
            lambda a, c, n: _geometric(a, n) / (n * c + 1)
        ],
    },
}
