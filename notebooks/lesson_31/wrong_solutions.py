"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _entropy(p):
    return -(p * p.clamp_min(1e-30).log()).sum(-1)


def _route_in_order(logits, choice):
    rows = []
    for number in range(len(logits)):
        rows += list(logits[number][choice == number])
    return torch.stack(rows)


def _route_masked(logits, choice):
    result = torch.zeros_like(logits[0])
    for number in range(len(logits)):
        result += logits[number] * (choice * number)[:, None]
    return result


WRONG = {
    "mean_of_probabilities": {
        "The exponential overflows or underflows": [
            lambda z, T=1.0: ((z / T).exp() / (z / T).exp().sum(-1, keepdim=True)).mean(0)
        ],
        "This is the mean of the logits": [
            lambda logits, T=1.0: (logits.mean(0) / T).softmax(-1),
            lambda logits, T=1.0: F.softmax((logits / T).mean(dim=0), dim=-1),
        ],
        "The temperature is missing": [lambda logits, T=1.0: logits.softmax(-1).mean(0)],
        "The probabilities are divided by T": [
            lambda logits, T=1.0: logits.softmax(-1).mean(0) / T
        ],
        "The logits are multiplied by T": [lambda logits, T=1.0: (logits * T).softmax(-1).mean(0)],
        "The softmax runs over the teachers": [
            lambda logits, T=1.0: F.softmax(logits / T, 0).mean(0)
        ],
        "The softmax runs over the pictures": [
            lambda logits, T=1.0: F.softmax(logits / T, 1).mean(0)
        ],
        "The mean runs over the pictures": [lambda logits, T=1.0: (logits / T).softmax(-1).mean(1)],
        "The probabilities are summed": [
            lambda logits, T=1.0: sum((z / T).softmax(-1) for z in logits)
        ],
        "The mean over the teachers is missing": [lambda logits, T=1.0: (logits / T).softmax(-1)],
        "These are logarithms": [lambda logits, T=1.0: (logits / T).softmax(-1).mean(0).log()],
        "This is the mean of log-probabilities": [
            lambda logits, T=1.0: torch.exp(F.log_softmax(logits / T, -1).mean(0))
        ],
        "The mean goes through a second softmax": [
            lambda logits, T=1.0: F.softmax((logits / T).softmax(-1).mean(0), -1)
        ],
        "Only the first teacher is used": [lambda logits, T=1.0: F.softmax(logits[0] / T, -1)],
    },
    "disagreement": {
        "Broken promise, two teachers that are sure of different classes have disagreement log 2": [
            lambda z: (
                (z.softmax(-1) * z.log_softmax(-1)).sum(-1).mean(0)
                - (z.softmax(-1).mean(0) * z.softmax(-1).mean(0).log()).sum(-1)
            )
        ],
        "This is the entropy of the mean alone": [lambda z: _entropy(z.softmax(-1).mean(0))],
        "This is the mean of the entropies alone": [lambda z: _entropy(z.softmax(-1)).mean(0)],
        "The sign is changed": [
            lambda z: _entropy(z.softmax(-1)).mean(0) - _entropy(z.softmax(-1).mean(0))
        ],
        "The two entropies are added": [
            lambda z: _entropy(z.softmax(-1)).mean(0) + _entropy(z.softmax(-1).mean(0))
        ],
        "The mean is of the logits": [
            lambda z: _entropy(z.mean(0).softmax(-1)) - _entropy(z.softmax(-1)).mean(0)
        ],
        "The entropies are summed over the teachers": [
            lambda z: _entropy(z.softmax(-1).mean(0)) - _entropy(z.softmax(-1)).sum(0)
        ],
        "There is a mean over the pictures": [
            lambda z: (_entropy(z.softmax(-1).mean(0)) - _entropy(z.softmax(-1)).mean(0)).mean()
        ],
        "The sum over the classes is missing": [
            lambda z: (
                torch.special.entr(z.softmax(-1).mean(0))
                - torch.special.entr(z.softmax(-1)).mean(0)
            )
        ],
        "This is in bits": [
            lambda z: (
                (_entropy(z.softmax(-1).mean(0)) - _entropy(z.softmax(-1)).mean(0))
                / torch.tensor(2.0).log()
            )
        ],
        "The KL divergence runs from the mean to the teachers": [
            lambda z: (
                F.kl_div(z.log_softmax(-1), z.softmax(-1).mean(0).expand_as(z), reduction="none")
                .sum(-1)
                .mean(0)
            )
        ],
        "This is the variance of the probabilities": [lambda z: z.softmax(-1).var(0).sum(-1)],
        "Teachers and pictures have changed places": [
            lambda z: _entropy(z.softmax(-1).mean(1)) - _entropy(z.softmax(-1)).mean(1)
        ],
    },
    "routed_logits": {
        "This picks whole teachers": [lambda logits, choice: logits[choice]],
        "The rows stand in the order of the teachers": [_route_in_order],
        "The first picture's teacher answers all pictures": [
            lambda logits, choice: logits[choice[0]]
        ],
        "This is the mean of the teachers": [lambda logits, choice: logits.mean(dim=0)],
        "This is the largest logit of any teacher": [lambda logits, choice: logits.max(0).values],
        "The choice is ignored: the first teacher answers": [lambda logits, choice: logits[0]],
        "The softmax is applied to the result": [
            lambda logits, choice: logits[choice, range(len(choice))].softmax(-1)
        ],
        "The choice is read from its end": [
            lambda logits, choice: logits[choice.flip(0), torch.arange(len(choice))]
        ],
    },
}
