"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch


def _chain(length, step, first=0.0):
    wrong, total = first, 0.0
    for _ in range(length):
        wrong = step(wrong)
        total += wrong
    return total


def _last_alone(length, eps, r):
    wrong = 0.0
    for _ in range(length):
        wrong = wrong * (1 - r) + (1 - wrong) * eps
    return wrong


def _added_too_early(length, eps, r):
    wrong, total = 0.0, 0.0
    for _ in range(length):
        total += wrong
        wrong = wrong * (1 - r) + (1 - wrong) * eps
    return total


def _nucleus(logits, T, top_p, *, keep=None, normalise=True, back=True, descending=True):
    p, order = (logits / T).softmax(-1).sort(dim=-1, descending=descending)
    total = p.cumsum(-1)
    kept = total - p < top_p if keep is None else keep(p, total)
    p = p * kept
    if normalise:
        p = p / p.sum(-1, keepdim=True).clamp_min(1e-12)
    return torch.zeros_like(p).scatter_(-1, order, p) if back else p


def _cut_before_temperature(logits, T, top_p):
    kept = _nucleus(logits, 1.0, top_p) > 0
    return torch.where(kept, logits / T, -1e9).softmax(-1)


WRONG = {
    "expected_errors": {
        "The way back is missing": [
            lambda length, eps, r: sum(1 - (1 - eps) ** i for i in range(1, length + 1))
        ],
        "The error goes on with probability r": [
            lambda length, eps, r: _chain(length, lambda w: w * r + (1 - w) * eps)
        ],
        "A new error begins even after an error": [
            lambda length, eps, r: _chain(length, lambda w: w * (1 - r) + eps)
        ],
        "Only the last token is counted": [_last_alone],
        "The sum begins before the first token's step": [_added_too_early],
        "The sum was divided by the length": [
            lambda length, eps, r: _chain(length, lambda w: w * (1 - r) + (1 - w) * eps) / length
        ],
        "Tokens are taken as independent": [lambda length, eps, r: length * eps],
        "The first token already stands after an error": [
            lambda length, eps, r: _chain(length, lambda w: w * (1 - r) + (1 - w) * eps, 1.0)
        ],
    },
    "sampled_loss": {
        "The bracket is not held fixed": [
            lambda log_q, log_p, mask: ((log_q - log_p) * log_q)[mask].mean(),
            lambda log_q, log_p, mask: ((log_q - log_p.detach()) * log_q)[mask].mean(),
        ],
        "This is the log-ratio alone": [
            lambda log_q, log_p, mask: (log_q - log_p)[mask].mean(),
            lambda log_q, log_p, mask: (log_q - log_p.detach())[mask].mean(),
        ],
        "The sign is reversed": [
            lambda log_q, log_p, mask: -((log_q - log_p).detach() * log_q)[mask].mean()
        ],
        "The mask is missing": [
            lambda log_q, log_p, mask: ((log_q - log_p).detach() * log_q).mean()
        ],
        "Masked tokens count in the mean as zeros": [
            lambda log_q, log_p, mask: ((log_q - log_p).detach() * log_q * mask).mean()
        ],
        "Each text is averaged first": [
            lambda log_q, log_p, mask: (
                ((log_q - log_p).detach() * log_q * mask).sum(1) / mask.sum(1)
            ).mean()
        ],
        "The tokens are summed": [
            lambda log_q, log_p, mask: ((log_q - log_p).detach() * log_q)[mask].sum()
        ],
        "The bracket is multiplied by q in place of log q": [
            lambda log_q, log_p, mask: ((log_q - log_p).detach() * log_q.exp())[mask].mean()
        ],
        "The bracket has probabilities": [
            lambda log_q, log_p, mask: ((log_q.exp() - log_p.exp()).detach() * log_q)[mask].mean()
        ],
    },
    "nucleus": {
        "The token that crosses top_p is cut too": [
            lambda z, T, top_p: _nucleus(z, T, top_p, keep=lambda p, total: total <= top_p)
        ],
        "The kept probabilities do not sum to 1": [
            lambda z, T, top_p: _nucleus(z, T, top_p, normalise=False)
        ],
        "The result is in sorted order": [lambda z, T, top_p: _nucleus(z, T, top_p, back=False)],
        "The least probable tokens are kept": [
            lambda z, T, top_p: _nucleus(z, T, top_p, descending=False)
        ],
        "The temperature is missing": [lambda z, T, top_p: _nucleus(z, 1.0, top_p)],
        "The logits are multiplied by T": [lambda z, T, top_p: _nucleus(z * T * T, T, top_p)],
        "The cut is made before the temperature": [_cut_before_temperature],
        "Each probability is compared with top_p": [
            lambda z, T, top_p: _nucleus(z, T, top_p, keep=lambda p, total: p >= 1 - top_p)
        ],
        "Nothing is cut": [lambda z, T, top_p: (z / T).softmax(-1)],
    },
}
