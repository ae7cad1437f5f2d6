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


def _in_two_lines(length, eps, r):
    wrong, total = 0.0, 0.0
    for _ in range(length):
        wrong = wrong * (1 - r)
        wrong = wrong + (1 - wrong) * eps
        total += wrong
    return total


def _added_to_the_old(length, eps, r):
    wrong, total = 0.0, 0.0
    for _ in range(length):
        wrong += wrong * (1 - r) + (1 - wrong) * eps
        total += wrong
    return total


def _never_changed(length, eps, r):
    wrong, total = 0.0, 0.0
    for _ in range(length):
        total += wrong * (1 - r) + (1 - wrong) * eps
    return total


def _one_variable(length, eps, r):
    total = 0.0
    for _ in range(length):
        total += total * (1 - r) + (1 - total) * eps
    return total


def _zeros_in_place(log_q, log_p, mask):
    log_q[~mask] = 0
    return ((log_q - log_p).detach() * log_q).sum() / mask.sum()


def _gap_in_place(log_q, log_p, mask):
    gap = log_q.detach()  # the same memory as log_q
    gap -= log_p
    return (gap * log_q)[mask].mean()


def _by_ratio(log_q, log_p, mask):
    ratio = (log_q - log_q.detach()).exp()
    return ((log_q - log_p).detach() * ratio)[mask].mean()


def _centred(log_q, log_p, mask):
    gap = (log_q - log_p).detach()
    return ((gap - gap[mask].mean()) * log_q)[mask].mean()


def _without_gradient(log_q, log_p, mask):
    with torch.no_grad():
        return ((log_q - log_p) * log_q)[mask].mean()


def _of(p, keep):
    p = p * keep
    return p / p.sum(-1, keepdim=True)


def _gathered(logits, T, top_p):
    p, order = (logits / T).softmax(-1).sort(-1, descending=True)
    return _of(p, p.cumsum(-1) - p < top_p).gather(-1, order)


def _min_p(logits, T, top_p):
    p = (logits / T).softmax(-1)
    return _of(p, p >= top_p * p.max(-1, keepdim=True).values)


def _unsorted(logits, T, top_p):
    p = (logits / T).softmax(-1)
    return _of(p, p.cumsum(-1) - p < top_p)


def _logits_summed(logits, T, top_p):
    z, order = (logits / T).sort(-1, descending=True)
    z = torch.where(z.cumsum(-1) - z < top_p, z, -1e9)
    return torch.zeros_like(z).scatter(-1, order, z.softmax(-1))


def _in_place(logits, T, top_p):
    logits /= T
    return _nucleus(logits, 1.0, top_p)


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


def _sorted_mask(logits, T, top_p):
    p = (logits / T).softmax(-1)
    ordered = p.sort(-1, descending=True).values
    return _of(p, ordered.cumsum(-1) - ordered < top_p)


def _sorted_mask_on_logits(logits, T, top_p):
    p, _ = (logits / T).softmax(-1).sort(-1, descending=True)
    return (logits / T).masked_fill(p.cumsum(-1) - p >= top_p, float("-inf")).softmax(-1)


def _probabilities_over_t(logits, T, top_p):
    p, order = (logits.softmax(-1) / T).sort(-1, descending=True)
    return torch.zeros_like(p).scatter(-1, order, _of(p, p.cumsum(-1) - p < top_p))


def _one_too_many(logits, T, top_p):
    p, order = (logits / T).softmax(-1).sort(-1, descending=True)
    for row in p:
        last = int((row.cumsum(-1) - row < top_p).sum())
        row[last + 1 :] = 0.0
    return torch.zeros_like(p).scatter(-1, order, p / p.sum(-1, keepdim=True))


def _share_of_tokens(logits, T, top_p):
    p = (logits / T).softmax(-1)
    top = p.topk(max(1, int(top_p * p.shape[-1])), -1)
    kept = torch.zeros_like(p).scatter(-1, top.indices, top.values)
    return kept / kept.sum(-1, keepdim=True)


def _first_tokens(log_q, log_p, mask):
    values = (log_q - log_p).detach() * log_q
    return torch.cat([row[: int(n)] for row, n in zip(values, mask.sum(1), strict=True)]).mean()


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
        "Tokens are taken as independent": [lambda length, eps, r: length * eps, _never_changed],
        "The first token already stands after an error": [
            lambda length, eps, r: _chain(length, lambda w: w * (1 - r) + (1 - w) * eps, 1.0)
        ],
        "The probability begins at eps": [
            lambda length, eps, r: _chain(length, lambda w: w * (1 - r) + (1 - w) * eps, eps)
        ],
        "The second part uses the changed probability": [_in_two_lines],
        "The result is always 0": [
            lambda length, eps, r: _chain(length, lambda w: w * (1 - r) + w * eps),
            lambda length, eps, r: sum(0.0 for _ in range(length)),
        ],
        "r is subtracted": [lambda length, eps, r: _chain(length, lambda w: w - r + (1 - w) * eps)],
        "This is the probability of one error or more": [
            lambda length, eps, r: 1 - (1 - eps) ** length
        ],
        "This is the share of errors in a very long text": [
            lambda length, eps, r: length * eps / (eps + r) if eps else 0.0
        ],
        "Right tokens are counted": [
            lambda length, eps, r: length - _chain(length, lambda w: w * (1 - r) + (1 - w) * eps)
        ],
        "The sum is used as the probability": [_one_variable],
        "The old probability is counted twice": [_added_to_the_old],
        "Every error ends after one token": [
            lambda length, eps, r: _chain(length, lambda w: (1 - w) * eps)
        ],
        "A new error is multiplied by 1 - r, too": [
            lambda length, eps, r: _chain(length, lambda w: (w + (1 - w) * eps) * (1 - r))
        ],
        "A new error is more probable after an error": [
            lambda length, eps, r: _chain(length, lambda w: w * (1 - r) + eps + w * eps)
        ],
        "`eps` and `r` have changed places": [
            lambda length, eps, r: _chain(length, lambda w: w * (1 - eps) + (1 - w) * r)
        ],
        "`length` has no effect": [lambda length, eps, r: eps],
    },
    "sampled_loss": {
        "The mask is read as a length": [_first_tokens],
        "The text ends at the first gap of the mask": [
            lambda q, p, m: ((q - p).detach() * q * m.cumprod(1)).sum() / m.cumprod(1).sum()
        ],
        "The bracket is not held fixed": [
            lambda log_q, log_p, mask: ((log_q - log_p) * log_q)[mask].mean(),
            lambda log_q, log_p, mask: ((log_q - log_p.detach()) * log_q)[mask].mean(),
        ],
        "This is the mean of the log-ratio": [
            lambda log_q, log_p, mask: (log_q - log_p)[mask].mean(),
            lambda log_q, log_p, mask: (log_q - log_p.detach())[mask].mean(),
            _by_ratio,
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
        "`detach` stops the gradient": [
            lambda log_q, log_p, mask: ((log_q - log_p) * log_q).detach()[mask].mean()
        ],
        "`no_grad` stops the gradient": [_without_gradient],
        "An argument is changed in place": [_zeros_in_place, _gap_in_place],
        "Each place is averaged first": [
            lambda log_q, log_p, mask: (
                ((log_q - log_p).detach() * log_q * mask).sum(0) / mask.sum(0).clamp(min=1)
            ).mean()
        ],
        "The division is by the length L": [
            lambda log_q, log_p, mask: (
                ((log_q - log_p).detach() * log_q * mask).sum() / log_q.shape[1]
            )
        ],
        "The first token is left out": [
            lambda log_q, log_p, mask: ((log_q[:, 1:] - log_p[:, 1:]).detach() * log_q[:, 1:])[
                mask[:, 1:]
            ].mean()
        ],
        "Each token gets the brackets of all later ones, too": [
            lambda log_q, log_p, mask: (
                ((log_q - log_p) * mask).flip(1).cumsum(1).flip(1).detach() * log_q
            )[mask].mean()
        ],
        "The bracket is centred": [_centred],
        "The tokens are weighed by q / p": [
            lambda log_q, log_p, mask: (((log_q - log_p).exp() * (log_q - log_p)).detach() * log_q)[
                mask
            ].mean()
        ],
        "The tokens are weighed by p": [
            lambda log_q, log_p, mask: (log_p.exp() * (log_q - log_p).detach() * log_q)[mask].mean()
        ],
        "This estimates the value of the divergence (k3)": [
            lambda log_q, log_p, mask: ((log_p - log_q).exp() - (log_p - log_q) - 1)[mask].mean()
        ],
        "The bracket is multiplied by the teacher's log p": [
            lambda log_q, log_p, mask: ((log_q - log_p).detach() * log_p)[mask].mean()
        ],
        "The division is by the number of texts": [
            lambda log_q, log_p, mask: ((log_q - log_p).detach() * log_q * mask).sum(1).mean()
        ],
        "The logarithms are added": [
            lambda log_q, log_p, mask: ((log_q + log_p).detach() * log_q)[mask].mean()
        ],
        "The logarithms are divided": [
            lambda log_q, log_p, mask: ((log_q / log_p).detach() * log_q)[mask].mean()
        ],
        "The bracket is the ratio q / p": [
            lambda log_q, log_p, mask: ((log_q - log_p).exp().detach() * log_q)[mask].mean()
        ],
        "The bracket has no sign": [
            lambda log_q, log_p, mask: ((log_q - log_p).abs().detach() * log_q)[mask].mean()
        ],
        "The mean is taken before the product": [
            lambda log_q, log_p, mask: (log_q - log_p)[mask].mean().detach() * log_q[mask].mean()
        ],
        "The weights are the teacher's": [
            lambda log_q, log_p, mask: (log_p.exp() * (log_p - log_q))[mask].mean()
        ],
        "The log-ratio is squared": [
            lambda log_q, log_p, mask: (log_q - log_p)[mask].square().mean(),
            lambda log_q, log_p, mask: 0.5 * ((log_q - log_p)[mask] ** 2).mean(),
        ],
        "The bracket has probabilities": [
            lambda log_q, log_p, mask: ((log_q.exp() - log_p.exp()).detach() * log_q)[mask].mean()
        ],
    },
    "nucleus": {
        "The token that crosses top_p is cut too": [
            lambda z, T, top_p: _nucleus(z, T, top_p, keep=lambda p, total: total <= top_p),
            lambda z, T, top_p: (lambda kept: kept / kept.sum(-1, keepdim=True))(
                _nucleus(z, T, top_p, keep=lambda p, total: total <= top_p, normalise=False)
            ),
        ],
        "`gather` stands in the place of `scatter`": [_gathered],
        "Each probability is compared with a share of the largest": [_min_p],
        "The probabilities are not sorted": [_unsorted],
        "Logits are summed": [_logits_summed],
        "An argument is changed in place": [_in_place],
        "The sum runs down the batch": [
            lambda z, T, top_p: _nucleus(z, T, top_p, keep=lambda p, _: p.cumsum(0) - p < top_p)
        ],
        "The kept and the cut tokens are exchanged": [
            lambda z, T, top_p: _nucleus(z, T, top_p, keep=lambda p, total: total - p >= top_p)
        ],
        "A softmax is taken of probabilities": [
            lambda z, T, top_p: _nucleus(z, T, top_p, normalise=False).softmax(-1)
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
            lambda z, T, top_p: _nucleus(z, T, top_p, keep=lambda p, total: p >= 1 - top_p),
            lambda z, T, top_p: _nucleus(z, T, top_p, keep=lambda p, total: p >= top_p),
            lambda z, T, top_p: _of((z / T).softmax(-1), (z / T).softmax(-1) > top_p),
        ],
        "The mask is in sorted order, the probabilities are not": [
            _sorted_mask,
            _sorted_mask_on_logits,
        ],
        "Cut tokens get the logit 0": [
            lambda z, T, top_p: (z / T).masked_fill(_nucleus(z, T, top_p) == 0, 0.0).softmax(-1)
        ],
        "The probabilities are divided by T": [_probabilities_over_t],
        "One token too many is kept": [_one_too_many],
        "top_p is used as a share of the tokens": [_share_of_tokens],
        "All kept tokens get the same probability": [
            lambda z, T, top_p: _of(torch.ones_like(z), _nucleus(z, T, top_p) > 0)
        ],
        "Nothing is cut": [lambda z, T, top_p: (z / T).softmax(-1)],
    },
}
