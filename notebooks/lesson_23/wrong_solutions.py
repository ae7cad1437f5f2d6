"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _relative(points, *, divide=lambda d: d[d > 0].mean(), p=2.0):
    d = torch.cdist(points, points, p=p)
    return d / divide(d)


def _relative_squared(points):
    d = (points[:, None] - points[None]).pow(2).sum(-1)
    return d / d[d > 0].mean()


def _root_of_zero(points):
    return (points[:, None] - points[None]).square().sum(-1).sqrt()


def _norm_of_zero(points):
    return (points[:, None] - points[None]).square().sum(-1) ** 0.5


def _where_after_the_root(points):
    squares = (points[:, None] - points[None]).square().sum(-1)
    return torch.where(squares > 0, squares.sqrt(), torch.zeros_like(squares))


def _nan_to_num(points):
    return _root_of_zero(points).nan_to_num(0.0)


def _epsilon(points):
    return ((points[:, None] - points[None]).square().sum(-1) + 1e-6).sqrt()


def _floor(points):
    return (points[:, None] - points[None]).square().sum(-1).clamp(min=1e-8).sqrt()


def _detached(points):
    return torch.cdist(points.detach(), points.detach())


def _without_graph(points):
    with torch.no_grad():
        return torch.cdist(points, points)


def _manhattan(points):
    return (points[:, None] - points[None]).abs().sum(-1)


def _mean_over_features(points):
    squares = (points[:, None] - points[None]).square().mean(-1)
    apart = squares > 0
    return torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)


def _pkt(student, teacher, eps=1e-7, *, turned=False, over=None, rows=True, soft=False, cos=True):
    both = []
    for f in (student, teacher):
        f = f / f.norm(dim=1, keepdim=True) if cos else f
        near = (f @ f.T + 1) / 2 + eps
        if soft:
            near = (f @ f.T).softmax(1)
        elif rows == "all":
            near = near / near.sum()
        elif rows:
            near = near / near.sum(1, keepdim=True)
        both.append(near)
    q, p = both[::-1] if turned else both
    each = p * (p.log() - q.log())
    if over == "mean":
        return each.mean()
    return each.sum() if over == "sum" else each.sum(1).mean()


def _pkt_kl_div(student, teacher, eps=1e-7):
    q, p = ((F.normalize(f) @ F.normalize(f).T + 1) / 2 + eps for f in (student, teacher))
    q, p = q / q.sum(1, keepdim=True), p / p.sum(1, keepdim=True)
    return F.kl_div(q.log(), p)


def _pkt_cross_entropy(student, teacher, eps=1e-7):
    q, p = ((F.normalize(f) @ F.normalize(f).T + 1) / 2 + eps for f in (student, teacher))
    q, p = q / q.sum(1, keepdim=True), p / p.sum(1, keepdim=True)
    return -(p * q.log()).sum(1).mean()


def _found_itself(embeddings, labels):
    e = F.normalize(embeddings)
    return 100 * (labels[(e @ e.T).argmax(1)] == labels).float().mean()


def _share(embeddings, labels):
    e = F.normalize(embeddings)
    near = (e @ e.T).fill_diagonal_(-torch.inf).argmax(1)
    return (labels[near] == labels).float().mean()


def _nearest_by_length_too(embeddings, labels):
    d = torch.cdist(embeddings, embeddings).fill_diagonal_(torch.inf)
    return 100 * (labels[d.argmin(1)] == labels).float().mean()


def _inner(embeddings, labels):
    d = (embeddings @ embeddings.T).fill_diagonal_(-torch.inf)
    return 100 * (labels[d.argmax(1)] == labels).float().mean()


def _farthest(embeddings, labels):
    e = F.normalize(embeddings)
    return 100 * (labels[(e @ e.T).argmin(1)] == labels).float().mean()


def _hits(embeddings, labels):
    e = F.normalize(embeddings)
    near = (e @ e.T).fill_diagonal_(-torch.inf).argmax(1)
    return (labels[near] == labels).float().sum()


def _misses(embeddings, labels):
    return 100 - 100 * _share(embeddings, labels)


WRONG = {
    "relative_distances": {
        "The distance 0 of two equal rows is in the mean": [
            lambda x: torch.cdist(x, x) / F.pdist(x).mean(),
            lambda x: torch.cdist(x, x) / torch.cdist(x, x)[~torch.eye(len(x)).bool()].mean(),
        ],
        "The distances are not divided by their mean": [lambda x: torch.cdist(x, x)],
        "The mean includes the zeros": [lambda x: _relative(x, divide=lambda d: d.mean())],
        "The largest distance is 1": [lambda x: _relative(x, divide=lambda d: d.max())],
        "The sum of all is 1": [lambda x: _relative(x, divide=lambda d: d.sum())],
        "Each row has its own mean": [
            lambda x: _relative(x, divide=lambda d: d.mean(1, keepdim=True))
        ],
        "The root is missing": [_relative_squared],
        "The absolute differences are summed": [lambda x: _relative(x, p=1.0)],
        "These are cosines, not distances": [lambda x: F.normalize(x) @ F.normalize(x).T],
        "The columns are compared": [lambda x: _relative(x.T)],
    },
    "safe_distances": {
        "The gradient at equal rows is NaN or huge": [
            _root_of_zero,
            _norm_of_zero,
            _where_after_the_root,
            _nan_to_num,
        ],
        "The root has a floor": [_epsilon, _floor],
        "`detach` stops the gradient": [_detached],
        "`no_grad` stops the gradient": [_without_graph],
        "The root is missing": [lambda x: (x[:, None] - x[None]).square().sum(-1)],
        "The absolute differences are summed": [_manhattan],
        "The mean over the features is taken": [_mean_over_features],
    },
    "neighbours": {
        "The mean is over all pairs": [
            lambda s, t, eps=1e-7: _pkt(s, t, eps, over="mean"),
            _pkt_kl_div,
        ],
        "Everything is summed": [lambda s, t, eps=1e-7: _pkt(s, t, eps, over="sum")],
        "The divergence is reversed": [lambda s, t, eps=1e-7: _pkt(s, t, eps, turned=True)],
        "The rows do not sum to 1": [lambda s, t, eps=1e-7: _pkt(s, t, eps, rows=False)],
        "The whole matrix sums to 1": [lambda s, t, eps=1e-7: _pkt(s, t, eps, rows="all")],
        "A softmax is used": [lambda s, t, eps=1e-7: _pkt(s, t, eps, soft=True)],
        "The entropy of the teacher is missing": [_pkt_cross_entropy],
    },
    "recall": {
        "The second largest cosine is taken": [
            lambda e, y: (
                100 * (y[(F.normalize(e) @ F.normalize(e).T).topk(2, 1)[1][:, 1]] == y).float()
            ).mean()
        ],
        "The diagonal is 0": [
            lambda e, y: (
                100
                * (
                    y[((F.normalize(e) @ F.normalize(e).T) * (1 - torch.eye(len(e)))).argmax(1)]
                    == y
                )
                .float()
                .mean()
            )
        ],
        "Each row finds itself, so everything is right": [_found_itself],
        "This is a share of 1": [_share],
        "Lengths matter here": [_nearest_by_length_too, _inner],
        "The row farthest away is taken": [_farthest],
        "The number of hits is returned": [_hits],
        "The misses are counted": [_misses],
    },
}
