"""Right solutions in many styles: `check` has to accept each."""

from math import comb

import numpy as np
import torch
from torch.nn import functional as F


def _by_kl_div(student, teacher, s, t, n):
    q, p = student[s - 1 : s + n - 1], teacher[t - 1 : t + n - 1]
    return F.kl_div(q.log_softmax(-1), p.log_softmax(-1), reduction="batchmean", log_target=True)


def _from_the_end(student, teacher, s, t, n):
    q, p = student[:-1][-n:].log_softmax(-1), teacher[:-1][-n:].log_softmax(-1)
    return (p.exp() * (p - q)).sum() / n


def _by_loop(student, teacher, s, t, n):
    total = 0.0
    for i in range(n):
        p, q = teacher[t - 1 + i].softmax(-1), student[s - 1 + i].softmax(-1)
        total = total + (p * (p / q).log()).sum()
    return total / n


def _by_entropies(share, teachers):
    entropy = lambda p: torch.special.entr(p).sum(-1)  # noqa: E731
    return entropy(share @ teachers) - share @ entropy(teachers)


def _by_rows(share, teachers):
    q = (share[:, None] * teachers).sum(0)
    total = 0.0
    for weight, row in zip(share, teachers, strict=True):
        total = total + weight * F.kl_div(q.log(), row, reduction="sum")
    return total


def _by_comb(right, n, k):
    each = [1 - comb(n - int(c), k) / comb(n, k) for c in right]
    return sum(each) / len(each)


def _by_product(right, n, k):
    c = right.double()
    fail = torch.ones_like(c)
    for i in range(k):
        fail = fail * ((n - c - i).clamp_min(0) / (n - i))
    return (1 - fail).mean()


def _by_einsum(student, teacher, s, t, n):
    rows = torch.arange(n)
    q, p = student.double().log_softmax(-1)[s - 1 + rows], teacher.log_softmax(-1)[t - 1 + rows]
    return torch.einsum("nc,nc->", p.exp().double(), p - q) / n


def _hints_by_numpy(share, teachers):
    w, p = share.numpy().astype(float), teachers.numpy().astype(float)
    return torch.tensor((w[:, None] * p * np.log(p / (w @ p))).sum())


def _by_numpy(right, n, k):
    wrong = n - right.numpy()
    each = [1.0 if w < k else 1 - np.prod(1 - k / np.arange(w + 1, n + 1)) for w in wrong]
    return float(np.mean(each))


RIGHT = {
    "view_kl": [
        lambda s, t, a, b, n: torch.nn.functional.kl_div(
            s[-n - 1 : -1].log_softmax(-1), t[-n - 1 : -1].softmax(-1), reduction="batchmean"
        ),
        _by_kl_div,
        _from_the_end,
        _by_loop,
        _by_einsum,
    ],
    "left_over": [_by_entropies, _by_rows, _hints_by_numpy],
    "pass_at_k": [_by_comb, _by_product, _by_numpy],
}
