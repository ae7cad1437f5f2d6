"""Lesson 24's data and controls: labels drawn again, shuffled logits, who leaves where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill_lab.data.datasets import Examples

__all__ = ["Leaving", "leave", "redraw_labels", "right_when_leaving", "shuffle_wrong_classes"]


def redraw_labels(data: Examples, *, share: float, seeds: Iterable[int]) -> Examples:
    """Draw a share of each seed's labels again, uniformly; a new label may be the old one.

    Args:
        data: Examples with a row for each seed, labels (S, N).
        share: Of the labels, in [0, 1].
        seeds: S numbers; each draws its own.

    Returns:
        The same pictures with the new labels.
    """
    labels = data.labels.clone()
    for row, seed in zip(labels, seeds, strict=True):
        generator = torch.Generator().manual_seed(24_000 + seed)
        chosen = torch.randperm(len(row), generator=generator)[: int(share * len(row))]
        row[chosen] = torch.randint(0, 10, (len(chosen),), generator=generator)
    return Examples(data.inputs, labels)


def shuffle_wrong_classes(logits: Tensor, *, seed: int) -> Tensor:
    """Shuffle each row's logits among the classes that are not the largest.

    Args:
        logits: A teacher's, (..., C).
        seed: Of the shuffling.

    Returns:
        Logits of the same shape: the same largest one, the others in another order.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(logits.shape, generator=generator)
    top = logits.argmax(-1, keepdim=True)
    order = order.scatter(-1, top, -1.0).argsort(-1)  # the largest first, the rest at random
    target = torch.rand(logits.shape, generator=generator).scatter(-1, top, -1.0).argsort(-1)
    return torch.empty_like(logits).scatter(-1, target, logits.gather(-1, order))


@dataclass(frozen=True)
class Leaving:
    """What a threshold does, as means over the seeds.

    Args:
        cost: Mean cost of a picture, in the unit of the costs given.
        accuracy: In percent.
        shares: Percent of the pictures that leave at each exit.
        right: Percent of these that are right; NaN where none leaves.
    """

    cost: float
    accuracy: float
    shares: tuple[float, ...]
    right: tuple[float, ...]


def _leave(logits: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The exit (S, N) of every picture, and its logits there (S, N, C)."""
    sure = logits.softmax(-1).amax(-1) >= threshold
    sure[-1] = True
    exits = sure.int().argmax(0)
    index = exits[None, ..., None].expand(1, *logits.shape[1:])
    return exits, logits.gather(0, index)[0]


def leave(logits: Tensor, labels: Tensor, threshold: float, costs: Sequence[float]) -> Leaving:
    """Let every picture leave at the first exit that is sure enough.

    Args:
        logits: Of every exit, (K, S, N, C).
        labels: (S, N).
        threshold: The least highest probability at which a picture leaves.
        costs: Of each exit, with all that comes before it, K numbers.

    Returns:
        Cost, accuracy, and who leaves where.
    """
    exits, answers = _leave(logits, threshold)
    correct = answers.argmax(-1) == labels
    at = [exits == k for k in range(len(logits))]
    return Leaving(
        torch.as_tensor(costs, dtype=torch.float64)[exits].mean().item(),
        100 * correct.double().mean().item(),
        tuple(100 * there.double().mean().item() for there in at),
        tuple(100 * correct[there].double().mean().item() for there in at),
    )


def right_when_leaving(logits: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Each seed's accuracy, in percent, when pictures leave early: (S,)."""
    _, answers = _leave(logits, threshold)
    return 100 * (answers.argmax(-1) == labels).double().mean(-1)
