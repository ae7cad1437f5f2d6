"""Right solutions in many styles: `check` has to accept each."""

import torch
from torch.nn import functional as F


def _flat(student, teacher, labels):
    kept = labels[:, 1:].ne(-100).flatten()
    log_q = student[:, :-1].log_softmax(-1).flatten(0, 1)[kept]
    log_p = teacher[:, :-1].log_softmax(-1).flatten(0, 1)[kept]
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def _by_weights(student, teacher, labels):
    mask = (labels[:, 1:] != -100).float()
    p = teacher[:, :-1].softmax(-1)
    values = (p * (teacher[:, :-1].log_softmax(-1) - student[:, :-1].log_softmax(-1))).sum(-1)
    return (values * mask).sum() / mask.sum()


def _by_cross_entropies(student, teacher, labels):
    kept = labels[:, 1:] != -100
    s, t = student[:, :-1][kept], teacher[:, :-1][kept]
    return F.cross_entropy(s, t.softmax(-1)) - F.cross_entropy(t, t.softmax(-1))


def _jsd_by_kl_div(student, teacher, labels, beta=0.5):
    kept = labels[:, 1:] != -100
    q, p = student[:, :-1][kept].softmax(-1), teacher[:, :-1][kept].softmax(-1)
    log_m = torch.log(beta * p + (1 - beta) * q)
    left, right = (F.kl_div(log_m, x, reduction="batchmean") for x in (p, q))
    return beta * left + (1 - beta) * right


def _jsd_by_entropies(student, teacher, labels, beta=0.5):
    kept = labels[:, 1:] != -100
    q, p = student[:, :-1][kept].softmax(-1), teacher[:, :-1][kept].softmax(-1)
    entropy = lambda x: torch.special.entr(x).sum(-1)  # noqa: E731
    m = beta * p + (1 - beta) * q
    return (entropy(m) - beta * entropy(p) - (1 - beta) * entropy(q)).mean()


def _top_k_by_rows(student, teacher, k):
    total = 0.0
    for s, t in zip(student.softmax(-1), teacher.softmax(-1), strict=True):
        ids = t.argsort(descending=True)[:k]
        p = torch.cat((t[ids], (1 - t[ids].sum())[None]))
        q = torch.cat((s[ids], (1 - s[ids].sum())[None]))
        total = total + (p * (p / q).log()).sum()
    return total / len(student)


def _top_k_by_kl_div(student, teacher, k):
    p, ids = teacher.softmax(-1).topk(k)
    q = student.softmax(-1).gather(-1, ids)
    p, q = (F.pad(x, (0, 1)) + F.pad(1 - x.sum(-1, True), (k, 0)) for x in (p, q))
    return F.kl_div(q.log(), p, reduction="batchmean")


RIGHT = {
    "token_kl": [
        _flat,
        _by_weights,
        _by_cross_entropies,
        lambda s, t, y: _flat(s.half(), t.half(), y),
        lambda s, t, y: _flat(s.bfloat16(), t.bfloat16(), y),
    ],
    "token_jsd": [
        _jsd_by_kl_div,
        _jsd_by_entropies,
        lambda s, t, y, beta=0.5: _jsd_by_kl_div(s.double(), t.double(), y, beta),
    ],
    "top_k_kl": [_top_k_by_rows, _top_k_by_kl_div],
}
