"""Right solutions in many styles: `check` has to accept each."""

import torch
from torch.nn import functional as F


def _cka_by_grams(features, other):
    n = len(features)
    h = torch.eye(n) - 1 / n
    k, g = h @ features @ features.T @ h, h @ other @ other.T @ h
    return (k * g).sum() / (k.norm() * g.norm())


def _cka_cosine(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    return F.cosine_similarity((x @ x.T).flatten(), (y @ y.T).flatten(), dim=0)


def _sp_loops(student, teacher):
    total, n = 0.0, len(student)
    for i in range(n):
        a, b = (torch.stack([f[i] @ f[j] for j in range(n)]) for f in (student, teacher))
        total = total + (a / a.norm() - b / b.norm()).pow(2).sum()
    return total / n**2


RIGHT = {
    "linear_cka": [
        _cka_by_grams,
        _cka_cosine,
        lambda x, y: float(_cka_cosine(x.double(), y.double())),
    ],
    "hint": [
        lambda s, t, w, b: F.mse_loss(F.linear(s, w, b), t),
        lambda s, t, w, b: (torch.einsum("bs,ts->bt", s, w) + b - t).pow(2).sum() / t.numel(),
        lambda s, t, w, b: F.mse_loss(F.linear(s.bfloat16(), w.bfloat16(), b.bfloat16()), t),
    ],
    "similarity_preserving": [
        _sp_loops,
        lambda s, t: F.mse_loss(F.normalize(s @ s.T, dim=1), F.normalize(t @ t.T, dim=1)),
        lambda s, t: (F.normalize(s @ s.T) - F.normalize(t @ t.T)).norm() ** 2 / len(s) ** 2,
        # F F^T is symmetric: dividing its columns gives the transposed matrix, and the same mean
        lambda s, t: (
            (s @ s.T / (s @ s.T).norm(dim=1) - t @ t.T / (t @ t.T).norm(dim=1)).square().mean()
        ),
    ],
}
