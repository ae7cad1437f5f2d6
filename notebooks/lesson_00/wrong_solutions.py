"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch


def _printed(logits, T=1.0):
    print(torch.softmax(logits / T, dim=-1))


def _no_return(logits, T=1.0):
    result = torch.softmax(logits / T, dim=-1)  # noqa: F841


def _in_place(logits, T=1.0):
    logits /= T
    return torch.softmax(logits, dim=-1)


def _axis_lost(logits, T=1.0):
    return torch.exp(logits / T) / torch.exp(logits / T).sum(-1)


def _interval_of_two_means(taught, alone, t):
    low = taught.mean() - t * taught.std() / len(taught) ** 0.5
    return torch.stack((low, taught.mean() + t * taught.std() / len(taught) ** 0.5))


def _interval_as_tuple(taught, alone, t):
    gain = taught - alone
    half = t * gain.std() / len(gain) ** 0.5
    return gain.mean() - half, gain.mean() + half


def _interval_as_column(taught, alone, t):
    gain = taught - alone
    half = t * gain.std() / len(gain) ** 0.5
    return torch.stack((gain.mean() - half, gain.mean() + half))[None]


def _interval(taught, alone, t, n=1.0):
    gain = taught - alone
    half = t * gain.std() / n
    return torch.stack((gain.mean() - half, gain.mean() + half))


WRONG = {
    "paired_interval_by_hand": {
        "Absolute gains are taken": [
            lambda a, b, t: torch.stack(
                [
                    (a - b).abs().mean() + sign * t * (a - b).abs().std() / len(a) ** 0.5
                    for sign in (-1, 1)
                ]
            )
        ],
        "A tuple is returned": [_interval_as_tuple],
        "The values are right, but their shape is not": [_interval_as_column],
        "`alone` has no effect": [_interval_of_two_means],
        "This is the standard deviation of single gains": [
            lambda taught, alone, t: _interval(taught, alone, t)
        ],
        "It divides by n": [lambda taught, alone, t: _interval(taught, alone, t, len(taught))],
        "The order of the difference is wrong": [
            lambda taught, alone, t: _interval(alone, taught, t, len(taught) ** 0.5)
        ],
        "Twice `t` is used": [
            lambda taught, alone, t: _interval(taught, alone, 2 * t, len(taught) ** 0.5)
        ],
        "The parameter `t` is missing": [
            lambda taught, alone: _interval(taught, alone, 1.96, len(taught) ** 0.5)
        ],
    },
    "gain_from_pairs": {
        "This is the ratio of the variances": [
            lambda taught, alone: (taught.var() + alone.var()) / (taught - alone).var()
        ],
        "Numerator and denominator are exchanged": [
            lambda taught, alone: (taught - alone).std() / (taught.var() + alone.var()).sqrt()
        ],
        "Standard deviations do not add up": [
            lambda taught, alone: (taught.std() + alone.std()) / (taught - alone).std()
        ],
        "Both standard errors divide by sqrt(n); here only one of them does": [
            lambda taught, alone: (
                ((taught.var() + alone.var()) / len(taught)).sqrt() / (taught - alone).std()
            )
        ],
        "The spread of the students with labels alone is missing": [
            lambda taught, alone: taught.std() / (taught - alone).std()
        ],
        "This is the logarithm of the result": [
            lambda taught, alone: (
                (taught.var() + alone.var()).sqrt() / (taught - alone).std()
            ).log()
        ],
        "A factor is wrong": [
            lambda taught, alone: ((taught.var() + alone.var()) / 2).sqrt() / (taught - alone).std()
        ],
    },
    "softmax_with_temperature": {
        "The softmax runs down the batch (axis 0)": [
            lambda logits, T=1.0: torch.softmax(logits / T, dim=0)
        ],
        "The logits are multiplied by T": [lambda logits, T=1.0: torch.softmax(logits * T, dim=-1)],
        "The probabilities are divided by T, after the softmax": [
            lambda logits, T=1.0: torch.softmax(logits, dim=-1) / T
        ],
        "T is not used": [lambda logits, T=1.0: torch.softmax(logits, dim=-1)],
        "These are log-probabilities": [
            lambda logits, T=1.0: torch.log_softmax(logits / T, dim=-1)
        ],
        "The sum runs over the whole tensor": [
            lambda logits, T=1.0: torch.exp(logits / T) / torch.exp(logits / T).sum()
        ],
        "The rows are not normalised": [lambda logits, T=1.0: torch.exp(logits / T)],
        "Axis 1 is gone": [lambda logits, T=1.0: (logits / T).argmax(dim=-1)],
        "This is a sigmoid": [lambda logits, T=1.0: torch.sigmoid(logits / T)],
        "The exponential overflows or underflows": [
            lambda logits, T=1.0: torch.exp(logits / T) / torch.exp(logits / T).sum(-1, True)
        ],
        "The softmax is applied twice": [
            lambda logits, T=1.0: torch.softmax(torch.softmax(logits, -1) / T, dim=-1)
        ],
        "The result is printed, not returned": [_printed],
        "Nothing is returned": [_no_return],
        "An argument is changed in place": [_in_place],
        "`keepdim=True` is missing": [_axis_lost],
    },
}
