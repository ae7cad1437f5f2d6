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


WRONG = {
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
    }
}
