"""Right solutions in other styles: `check` has to accept each."""

import torch
from torch.nn import functional as F


def _cost_by_loop(confidence, costs, threshold):
    result = []
    for column in confidence.T:
        k = next((k for k, sure in enumerate(column) if sure >= threshold), len(costs) - 1)
        result.append(costs[k])
    return torch.stack(result)


def _cost_backwards(confidence, costs, threshold):
    result = costs[-1].repeat(confidence.shape[1])
    for row, cost in reversed(list(zip(confidence, costs, strict=True))):
        result = torch.where(row >= threshold, cost, result)
    return result


def _shrink_in_a_loop(eigenvalues, penalty, rounds):
    factor = torch.ones_like(eigenvalues)
    for _ in range(rounds):
        factor = factor * eigenvalues / (eigenvalues + penalty)
    return factor


def _exit_by_hand(shallow, deep, T=4.0):
    p = (deep.detach() / T).softmax(-1)
    gap = (deep.detach() / T).log_softmax(-1) - (shallow / T).log_softmax(-1)
    return T**2 * (p * gap).sum(-1).mean()


RIGHT = {
    "shrinkage": [
        _shrink_in_a_loop,
        lambda d, p, t: torch.pow(d / (d + p), t),
        lambda d, p, t: (1 / (1 + p / d)).pow(t),
    ],
    "exit_loss": [
        _exit_by_hand,
        lambda s, d, T=4.0: (
            T**2
            * F.kl_div(
                F.log_softmax(s / T, 1),
                F.log_softmax(d.detach() / T, 1),
                log_target=True,
                reduction="batchmean",
            )
        ),
    ],
    "exit_cost": [_cost_by_loop, _cost_backwards],
}
