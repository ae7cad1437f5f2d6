"""Search by example: is one of the nearest other examples of the same class?"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from distill_lab.evaluation.metrics import plain

__all__ = ["hits_at_k", "recall_at_k"]

CHUNK = 512  # queries compared with all examples at once
DISTANCES = ("cosine", "euclidean")
ROUNDING = 1e-12  # of the largest square: squared distances closer than this are equal


def recall_at_k(
    embeddings: Tensor, labels: Tensor, *, k: int = 1, distance: str = "cosine"
) -> float | Tensor:
    """Percent of examples with one of their own class among their k nearest others.

    Every example is the query once and never its own answer. Where several are equally near for the
    last places, the value is the mean over all ways to choose among them: the order of the examples
    does not matter, and features that collapsed into one point get what chance gets. In float64.

    Args:
        embeddings: one row an example (N, D), or (S, N, D) of S seeds.
        labels: classes (N,), or (S, N).
        k: how many neighbours are looked at.
        distance: "cosine" compares directions, "euclidean" lengths as well.

    Returns:
        Percent: a float for (N, D), a tensor (S,) for (S, N, D).

    Raises:
        ValueError: for labels that do not fit, a class with one example, k outside 1 to N - 1,
            another distance, or values that are not finite.

    Source: Jegou et al. 2011, IEEE TPAMI 33(1); on unseen classes as in Park et al. 2019 (RKD).

    >>> points = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.5, 0.6]])
    >>> recall_at_k(points, torch.tensor([0, 0, 1, 1]))
    100.0
    >>> round(recall_at_k(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1])), 1)  # collapsed: chance
    33.3
    """
    points, classes = _check(embeddings, labels, k, distance)
    if distance == "cosine":
        lengths = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
        points = torch.where(lengths > 0, points / torch.where(lengths > 0, lengths, 1.0), 0.0)
    share = torch.stack([_hits(x, y, k).mean() for x, y in zip(points, classes, strict=True)])
    return plain(100 * (share if embeddings.ndim == 3 else share[0]))


def hits_at_k(embeddings: Tensor, labels: Tensor, k: int) -> Tensor:
    """The chance of a hit of each query by cosine, (N, D) and (N,) -> (N,); 0 of a class of one."""
    points, classes = _check(embeddings, labels, k, "cosine", alone=True)
    return _hits(normalize(points[0], dim=-1), classes[0], k)


def _hits(points: Tensor, classes: Tensor, k: int) -> Tensor:
    """The chance of a hit of each query, (N, D) and (N,) -> (N,)."""
    hits = []
    points = points - points.mean(0)  # an offset of all would cost digits
    squares = points.square().sum(1)
    equal = ROUNDING * squares.max()
    for queries in torch.arange(len(points)).split(CHUNK):
        apart = squares[queries, None] + squares - 2 * points[queries] @ points.T
        apart = apart.scatter(1, queries[:, None], torch.inf)  # nobody is their own neighbour
        last = apart.kthvalue(k, dim=1, keepdim=True).values
        same = classes[queries, None] == classes
        nearer, tied = apart < last - equal, (apart - last).abs() <= equal
        certain = (nearer & same).any(1)
        total, good = tied.sum(1), (tied & same).sum(1)
        places = k - nearer.sum(1)
        missed = torch.ones(len(queries), dtype=torch.float64)
        for place in range(int(places.max())):  # draw the places among the tied, one by one
            wrong = (total - good - place).clamp_min(0) / (total - place).clamp_min(1)
            missed = torch.where(place < places, missed * wrong, missed)
        hits.append(torch.where(certain, 1.0, 1.0 - missed))
    return torch.cat(hits)


def _check(
    embeddings: Tensor, labels: Tensor, k: int, distance: str, alone: bool = False
) -> tuple[Tensor, Tensor]:
    if embeddings.ndim not in (2, 3) or labels.shape not in (
        embeddings.shape[:-1],
        embeddings.shape[-2:-1],
    ):
        raise ValueError(
            f"embeddings {tuple(embeddings.shape)} must be (N, D), or (S, N, D) for S seeds, with "
            f"one label an example; got labels {tuple(labels.shape)}."
        )
    n = embeddings.shape[-2]
    if not 1 <= k < n:
        raise ValueError(f"k must be from 1 to {n - 1}, the other examples there are; got {k!r}.")
    if distance not in DISTANCES:
        raise ValueError(f"distance must be one of {DISTANCES}, got {distance!r}.")
    points = embeddings.detach().cpu().double()
    if not points.isfinite().all():
        raise ValueError("embeddings hold NaN or infinite values: look for a run that diverged.")
    classes = labels.detach().cpu().expand(embeddings.shape[:-1])
    points, classes = points.reshape(-1, *points.shape[-2:]), classes.reshape(-1, n)
    for row in classes:
        names, counts = row.unique(return_counts=True)
        if not alone and (counts < 2).any():
            raise ValueError(
                f"class {int(names[counts.argmin()])} has one example, which nobody else can "
                "find: leave it out, or add others of its class."
            )
    return points, classes
