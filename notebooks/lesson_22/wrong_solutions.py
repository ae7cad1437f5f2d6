"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _map(features):
    return features.square().sum(1).flatten(1)


def _heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _scores(query, key, heads, cut=_heads):
    q, k = cut(query, heads), cut(key, heads)
    return q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5


def _reshaped(x, heads):
    B, L, width = x.shape
    return x.reshape(B, heads, L, width // heads)


def _interleaved(x, heads):
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


def _whole_width(query, key, heads):
    q, k = _heads(query, heads), _heads(key, heads)
    return q @ k.transpose(-1, -2) / query.shape[-1] ** 0.5


def _unscaled(query, key, heads):
    return _heads(query, heads) @ _heads(key, heads).transpose(-1, -2)


def _divided_by_d(query, key, heads):
    q, k = _heads(query, heads), _heads(key, heads)
    return q @ k.transpose(-1, -2) / q.shape[-1]


def _divided_by_heads(query, key, heads):
    return _heads(query, heads) @ _heads(key, heads).transpose(-1, -2) / heads**0.5


def _attention_kl(student, teacher, mask, *, fill=-1e30, keys=True, queries=True, heads="mean"):
    if keys:
        keep = mask[:, None, None, :]
        student = student.masked_fill(~keep, fill)
        teacher = teacher.masked_fill(~keep, fill)
    log_s, log_t = student.log_softmax(-1), teacher.log_softmax(-1)
    each = (log_t.exp() * (log_t - log_s)).sum(-1)
    each = each.mean(1) if heads == "mean" else each.sum(1)
    return each[mask].mean() if queries else each.mean()


def _kl_padding_in_the_mean(student, teacher, mask):
    keep = mask[:, None, None, :]
    log_s = student.masked_fill(~keep, -1e30).log_softmax(-1)
    log_t = teacher.masked_fill(~keep, -1e30).log_softmax(-1)
    each = (log_t.exp() * (log_t - log_s)).sum(-1).mean(1)
    return (each * mask).mean()


def _kl_masked_afterwards(student, teacher, mask):
    log_s, log_t = student.log_softmax(-1), teacher.log_softmax(-1)
    terms = log_t.exp() * (log_t - log_s) * mask[:, None, None, :]
    return terms.sum(-1).mean(1)[mask].mean()


def _kl_mean_over_keys(student, teacher, mask):
    keep = mask[:, None, None, :]
    log_s = student.masked_fill(~keep, -1e30).log_softmax(-1)
    log_t = teacher.masked_fill(~keep, -1e30).log_softmax(-1)
    return (log_t.exp() * (log_t - log_s)).mean(-1).mean(1)[mask].mean()


def _kl_of_masked_rows(student, teacher, mask):
    rows = mask[:, None, :, None]
    log_s = student.masked_fill(~rows, -1e30).log_softmax(-1)
    log_t = teacher.masked_fill(~rows, -1e30).log_softmax(-1)
    return (log_t.exp() * (log_t - log_s)).sum(-1).mean(1)[mask].mean()


def _kl_mean_of_means(student, teacher, mask):
    keep = mask[:, None, None, :]
    log_s = student.masked_fill(~keep, -1e30).log_softmax(-1)
    log_t = teacher.masked_fill(~keep, -1e30).log_softmax(-1)
    each = (log_t.exp() * (log_t - log_s)).sum(-1).mean(1)
    return ((each * mask).sum(-1) / mask.sum(-1)).mean()


def _kl_stops(student, teacher, mask):
    log_s = student.masked_fill(~mask, -1e30).log_softmax(-1)
    log_t = teacher.masked_fill(~mask, -1e30).log_softmax(-1)
    return (log_t.exp() * (log_t - log_s)).sum(-1).mean()


def _axis_lost(f):
    return _map(f) / _map(f).norm(dim=-1)


def _by_length(student_scores, teacher_scores, mask):
    values = []
    for s, t, n in zip(student_scores, teacher_scores, mask.sum(1).tolist(), strict=True):
        log_s, log_t = s[:, :n, :n].log_softmax(-1), t[:, :n, :n].log_softmax(-1)
        values.append((log_t.exp() * (log_t - log_s)).sum(-1).mean(0))
    return torch.cat(values).mean()


def _filled(change, student_scores, teacher_scores, mask):
    log_s, log_t = (change(x).log_softmax(-1) for x in (student_scores, teacher_scores))
    return (log_t.exp() * (log_t - log_s)).sum(-1).mean(1)[mask].mean()


def _filled_with(value):
    return lambda s, t, mask: _filled(
        lambda x: x.masked_fill(~mask[:, None, None, :], value), s, t, mask
    )


def _filled_by_adding(value):
    return lambda s, t, mask: _filled(lambda x: x + value * ~mask[:, None, None, :], s, t, mask)


WRONG = {
    "attention_map": {
        "The whole batch shares one length": [lambda f: _map(f) / _map(f).norm()],
        "The square is missing": [lambda f: F.normalize(f.sum(1).flatten(1), dim=-1)],
        "Absolute values are summed, not squares": [
            lambda f: F.normalize(f.abs().sum(1).flatten(1), dim=-1)
        ],
        "The maps are not divided by their length": [_map],
        "The maps are divided by their sum": [lambda f: _map(f) / _map(f).sum(-1, keepdim=True)],
        "A softmax replaces the norm": [lambda f: _map(f).softmax(-1)],
        "The sum over channels is squared": [
            lambda f: F.normalize(f.sum(1).square().flatten(1), dim=-1)
        ],
        "The sum runs over another axis": [
            lambda f: F.normalize(f.square().sum(-1).flatten(1), dim=-1),
            lambda f: F.normalize(f.square().sum(0).flatten(1), dim=-1),
        ],
        "The values are right, but their shape is not": [
            lambda f: f.square().sum(1) / f.square().sum(1).flatten(1).norm(dim=-1)[:, None, None]
        ],
        "The norm runs down the batch (axis 0)": [lambda f: F.normalize(_map(f), dim=0)],
        "The maps are divided by their largest value": [
            lambda f: _map(f) / _map(f).amax(-1, keepdim=True)
        ],
        "`keepdim=True` is missing": [_axis_lost],
        "Height and width have changed places": [
            lambda f: F.normalize(f.square().sum(1).transpose(1, 2).flatten(1), dim=-1)
        ],
        "The root of the sum is taken": [lambda f: F.normalize(_map(f).sqrt(), dim=-1)],
        "The largest channel is taken": [
            lambda f: F.normalize(f.square().amax(1).flatten(1), dim=-1)
        ],
        "The maps are divided by the square of their length": [
            lambda f: _map(f) / _map(f).square().sum(-1, keepdim=True)
        ],
        "The channels are not summed": [lambda f: F.normalize(f.square().flatten(1), dim=-1)],
    },
    "attention_scores": {
        "The heads are cut across the tokens": [
            lambda q, k, heads: _scores(q, k, heads, cut=_reshaped)
        ],
        "The division is by the root of the whole width": [_whole_width],
        "The scale is missing": [_unscaled],
        "The division is by the width, not by its root": [_divided_by_d],
        "The division is by the root of the number of heads": [_divided_by_heads],
        "These are probabilities": [lambda q, k, heads: _scores(q, k, heads).softmax(-1)],
        "Queries and keys have changed places": [lambda q, k, heads: _scores(k, q, heads)],
        "The heads are taken crosswise": [
            lambda q, k, heads: _scores(q, k, heads, cut=_interleaved)
        ],
        "The width is not cut into heads": [
            lambda q, k, heads: q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        ],
        "`key` has no effect": [lambda q, k, heads: _scores(q, q, heads)],
        "The heads are compared with each other": [
            lambda q, k, heads: (
                q.unflatten(-1, (heads, -1)) @ k.unflatten(-1, (heads, -1)).transpose(-1, -2)
            )
        ],
        "A matrix has to be transposed": [
            lambda q, k, heads: _heads(q, heads) @ _heads(k, heads) / 2
        ],
        "The scores are multiplied by the root of the width": [
            lambda q, k, heads: (
                _heads(q, heads)
                @ _heads(k, heads).transpose(-1, -2)
                * (q.shape[-1] // heads) ** 0.5
            )
        ],
        "The axes stand in another order": [
            lambda q, k, heads: _scores(q, k, heads).permute(0, 2, 3, 1)
        ],
        "Axis 1 is gone": [lambda q, k, heads: _scores(q, k, heads).mean(1)],
    },
    "relation": {
        "The division is by the root of the whole width": [
            lambda x, heads: _whole_width(x, x, heads).softmax(-1)
        ],
        "The scale is missing": [lambda x, heads: _unscaled(x, x, heads).softmax(-1)],
        "The softmax is missing": [lambda x, heads: _scores(x, x, heads)],
        "The softmax runs down the queries": [lambda x, heads: _scores(x, x, heads).softmax(-2)],
        "The softmax runs over the groups": [lambda x, heads: _scores(x, x, heads).softmax(1)],
        "The groups are cut across the tokens": [
            lambda x, heads: _scores(x, x, heads, cut=_reshaped).softmax(-1)
        ],
        "The division is by the width, not by its root": [
            lambda x, heads: _divided_by_d(x, x, heads).softmax(-1)
        ],
        "The groups are taken crosswise": [
            lambda x, heads: _scores(x, x, heads, cut=_interleaved).softmax(-1)
        ],
        "This is the logarithm of the result": [
            lambda x, heads: _scores(x, x, heads).log_softmax(-1)
        ],
        "The columns are compared, not the tokens": [
            lambda x, heads: (_heads(x, heads).transpose(-1, -2) @ _heads(x, heads)).softmax(-1)
        ],
        "The width is not cut into groups": [
            lambda x, heads: (x @ x.transpose(-1, -2) / x.shape[-1] ** 0.5).softmax(-1)
        ],
        "The scale comes after the softmax": [
            lambda x, heads: _unscaled(x, x, heads).softmax(-1) / (x.shape[-1] // heads) ** 0.5
        ],
        "The division is by the root of the number of groups": [
            lambda x, heads: _divided_by_heads(x, x, heads).softmax(-1)
        ],
        "The rows are brought to length 1 first": [
            lambda x, heads: _scores(F.normalize(x, dim=-1), F.normalize(x, dim=-1), heads).softmax(
                -1
            )
        ],
        "The numbers do not fill that shape": [
            lambda x, heads: x.view(x.shape[0], heads, x.shape[1], 64).softmax(-1)
        ],
    },
    "attention_kl": {
        "The padding is taken to be at the end": [_by_length],
        "Broken promise, scores far below 0 give the same": [_filled_with(-100.0)],
        "Broken promise, more padding changes nothing": [_filled_by_adding(-20.0)],
        "The mask is filled with -inf": [lambda s, t, m: _attention_kl(s, t, m, fill=-torch.inf)],
        "The mask is inverted": [
            lambda s, t, m: _attention_kl(s, t, ~m),
            lambda s, t, m: (lambda ls, lt: (lt.exp() * (lt - ls)).sum(-1).mean(1)[m].mean())(
                s.masked_fill(m[:, None, None, :], -1e30).log_softmax(-1),
                t.masked_fill(m[:, None, None, :], -1e30).log_softmax(-1),
            ),
        ],
        "The mask is filled with 0": [lambda s, t, m: _attention_kl(s, t, m, fill=0.0)],
        "Padding still gets attention": [
            lambda s, t, m: _attention_kl(s, t, m, keys=False),
            _kl_of_masked_rows,
        ],
        "Padding counts as a query": [lambda s, t, m: _attention_kl(s, t, m, queries=False)],
        "The mask is not used": [lambda s, t, m: _attention_kl(s, t, m, keys=False, queries=False)],
        "The heads are summed": [lambda s, t, m: _attention_kl(s, t, m, heads="sum")],
        "The direction is turned round": [lambda s, t, m: _attention_kl(t, s, m)],
        "The padding counts in the mean as zeros": [_kl_padding_in_the_mean],
        "The keys are masked after the softmax": [_kl_masked_afterwards],
        "There is a mean over the keys": [_kl_mean_over_keys],
        "Each text is averaged first": [_kl_mean_of_means],
        "The mask has another shape than the values": [_kl_stops],
        "These are squared differences of scores": [
            lambda s, t, m: (s - t).square().mean(-1).mean(1)[m].mean()
        ],
        "The queries are summed": [lambda s, t, m: _attention_kl(s, t, m) * m.sum()],
    },
}
