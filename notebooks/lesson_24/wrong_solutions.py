"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _kl(a, b, T, reduction="batchmean"):
    return F.kl_div(F.log_softmax(a / T, -1), F.softmax(b / T, -1), reduction=reduction)


def _loop_last(confidence, costs, threshold):
    result = costs[-1].repeat(confidence.shape[1])
    for row, cost in zip(confidence, costs, strict=True):
        result = torch.where(row >= threshold, cost, result)
    return result


def _loop_strict(confidence, costs, threshold):
    result = costs[-1].repeat(confidence.shape[1])
    for row, cost in reversed(list(zip(confidence, costs, strict=True))):
        result = torch.where(row > threshold, cost, result)
    return result


def _loop_reversed(confidence, costs, threshold):
    result = costs[-1].repeat(confidence.shape[1])
    for row, cost in reversed(list(zip(confidence, costs, strict=True))):
        result = torch.where(row <= threshold, cost, result)
    return result


def _number(confidence, costs, threshold):
    ok = (confidence >= threshold).clone()
    ok[-1] = True
    return ok.float().argmax(0).float()


WRONG = {
    "shrinkage": {
        "The rounds multiply the penalty": [lambda d, p, t: d / (d + p * t)],
        "The rounds multiply the factor": [lambda d, p, t: d / (d + p) * t],
        "The rounds have no effect": [lambda d, p, t: 1 / (1 + p / d)],
        "This is the part that is lost in a round": [lambda d, p, t: (1 - d / (d + p)) ** t],
        "This is boosting": [lambda d, p, t: 1 - (1 - d / (d + p)) ** t],
        "Only the numerator has the power": [lambda d, p, t: d.pow(t) / (d + p)],
        "Only the denominator has the power": [lambda d, p, t: d / (d + p).pow(t)],
        "The eigenvalue is missing above": [lambda d, p, t: (d + p) ** -t],
        "There is one round too many": [lambda d, p, t: (d / (d + p)) ** (t + 1)],
    },
    "exit_loss": {
        "T² is missing": [lambda s, d, T=4.0: _kl(s, d.detach(), T)],
        "The divergence is reversed": [lambda s, d, T=4.0: T**2 * _kl(d.detach(), s, T)],
        "There is a mean over the classes": [
            lambda s, d, T=4.0: T**2 * _kl(s, d.detach(), T, "mean")
        ],
        "The batch is summed": [lambda s, d, T=4.0: T**2 * _kl(s, d.detach(), T, "sum")],
        "The deep exit is not detached": [
            lambda s, d, T=4.0: T**2 * _kl(s, d, T),
            lambda s, d, T=4.0: T * T * _kl(s, d, T),
        ],
        "This is T, not T²": [lambda s, d, T=4.0: T * _kl(s, d.detach(), T)],
        "This is the cross-entropy": [
            lambda s, d, T=4.0: (
                -(T**2) * ((d.detach() / T).softmax(-1) * (s / T).log_softmax(-1)).sum(-1).mean()
            )
        ],
        "The deep exit's decision is used as a label": [
            lambda s, d, T=4.0: F.cross_entropy(s, d.argmax(dim=1))
        ],
        "No gradient reaches the student": [lambda s, d, T=4.0: T**2 * _kl(s.detach(), d, T)],
    },
    "exit_cost": {
        "A picture that no exit is sure of leaves at the first": [
            lambda c, costs, t: costs[(c >= t).float().argmax(0)]
        ],
        "The most confident exit is taken": [lambda c, costs, t: costs[c.max(0).indices]],
        "The last confident exit is taken": [_loop_last],
        "The comparison is reversed": [_loop_reversed],
        "Equal is not enough in your comparison": [_loop_strict],
        "This is the number of the exit": [_number],
        "This is the number of the exit, from 1": [lambda c, k, t: _number(c, k, t) + 1],
    },
}
