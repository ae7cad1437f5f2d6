"""Right solutions in many styles: `check` has to accept each."""

import torch
from torch.nn import functional as F


def _scores_by_head(query, key, heads):
    d = query.shape[-1] // heads
    pairs = zip(query.split(d, -1), key.split(d, -1), strict=True)
    return torch.stack([torch.bmm(q, k.transpose(1, 2)) / d**0.5 for q, k in pairs], 1)


def _scores_einsum(query, key, heads):
    q, k = (x.unflatten(-1, (heads, -1)) for x in (query, key))
    return torch.einsum("bihd,bjhd->bhij", q, k) * q.shape[-1] ** -0.5


def _kl_by_token(student_scores, teacher_scores, mask):
    values = []
    for b in range(len(mask)):
        for h in range(student_scores.shape[1]):
            for i in mask[b].nonzero()[:, 0]:
                log_s = student_scores[b, h, i, mask[b]].log_softmax(-1)
                log_t = teacher_scores[b, h, i, mask[b]].log_softmax(-1)
                values.append((log_t.exp() * (log_t - log_s)).sum())
    return torch.stack(values).mean()


def _kl_least_finite(student_scores, teacher_scores, mask):
    keys = mask[:, None, None, :]
    least = torch.finfo(student_scores.dtype).min
    log_s = student_scores.where(keys, least).log_softmax(-1)
    p = teacher_scores.where(keys, least).softmax(-1)
    each = F.kl_div(log_s, p, reduction="none").sum(-1).mean(1)
    return (each * mask).sum() / mask.sum()


RIGHT = {
    "attention_map": [
        lambda f: F.normalize(f.pow(2).mean(1).flatten(1), dim=1),
        lambda f: F.normalize(torch.einsum("bchw,bchw->bhw", f, f).reshape(len(f), -1)),
        lambda f: F.normalize(f.norm(dim=1).square().flatten(1)).double(),
        lambda f: F.normalize(f.half().float().square().sum(1).flatten(1)),
    ],
    "attention_scores": [
        _scores_by_head,
        _scores_einsum,
        lambda q, k, heads: _scores_einsum(q.bfloat16(), k.bfloat16(), heads),
    ],
    "relation": [
        lambda x, heads: _scores_by_head(x, x, heads).softmax(-1),
        lambda x, heads: _scores_einsum(x.double(), x.double(), heads).log_softmax(-1).exp(),
        lambda x, heads: _scores_einsum(x.half(), x.half(), heads).softmax(-1),
    ],
    "attention_kl": [_kl_by_token, _kl_least_finite],
}
