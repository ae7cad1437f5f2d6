"""Right solutions in other styles than the lesson's: `check` has to accept each."""

import math

import torch
from torch.nn import functional as F


def _relative_by_loop(points):
    d = torch.stack([torch.stack([(a - b).norm() for b in points]) for a in points])
    return d * (d > 0).sum() / d.sum()


def _relative_from_pairs(points):
    d = (points.unsqueeze(1) - points.unsqueeze(0)).norm(dim=2)
    pairs = F.pdist(points)
    return d / pairs[pairs > 0].mean()


def _safe_by_cdist(points):
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")


def _safe_by_norm(points):
    return torch.linalg.vector_norm(points[:, None] - points[None], dim=-1)


def _pkt_by_kl_div(student, teacher, eps=1e-7):
    def log_rows(f):
        f = f / f.norm(dim=1, keepdim=True)
        near = (f @ f.T + 1) / 2 + eps
        return (near / near.sum(1, keepdim=True)).log()

    return F.kl_div(log_rows(student), log_rows(teacher), reduction="batchmean", log_target=True)


def _pkt_by_loop(student, teacher, eps=1e-7):
    total = 0.0
    for i in range(len(student)):
        q, p = (
            (F.cosine_similarity(f[i][None], f, dim=1) + 1) / 2 + eps for f in (student, teacher)
        )
        q, p = q / q.sum(), p / p.sum()
        total = total + (p * (p / q).log()).sum()
    return total / len(student)


def _recall_by_loop(embeddings, labels):
    right = 0
    for i, e in enumerate(embeddings):
        best, near = -math.inf, None
        for j, other in enumerate(embeddings):
            cosine = F.cosine_similarity(e, other, dim=0).item()
            if j != i and cosine > best:
                best, near = cosine, j
        right += int(labels[near] == labels[i])
    return 100 * right / len(labels)


def _recall_by_distance(embeddings, labels):
    e = embeddings / embeddings.norm(dim=1, keepdim=True)
    d = torch.cdist(e, e)
    d.fill_diagonal_(torch.inf)
    return 100 * (labels[d.argmin(1)] == labels).float().mean()


RIGHT = {
    "relative_distances": [_relative_by_loop, _relative_from_pairs],
    "safe_distances": [_safe_by_cdist, _safe_by_norm],
    "neighbours": [_pkt_by_kl_div, _pkt_by_loop],
    "recall": [_recall_by_loop, _recall_by_distance],
}
