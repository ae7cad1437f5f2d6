"""What lesson 13 calls and a reader need not see: a stream of examples, and one row of FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from distill_lab.evaluation.statistics import Interval

__all__ = ["CLASSES", "INPUTS", "Stream", "correlations", "crossing", "dollars"]

INPUTS, CLASSES, UNITS = 16, 8, 24  # of the network that makes the labels
DOLLARS_AN_HOUR, FLOPS_A_SECOND = 2.0, 4e14  # of one rented accelerator: an assumption, not a quote


class Drawn(NamedTuple):
    """Examples of every seed's own stream.

    Args:
        inputs: (S, N, 16).
        labels: (S, N), drawn from the probabilities.
        probabilities: (S, N, 8), which no student sees.
    """

    inputs: Tensor
    labels: Tensor
    probabilities: Tensor


class Stream:
    """As many new examples as are asked for, as of text: a label is drawn, not fixed by its input.

    Each seed has a world of its own, a network with random weights whose probabilities are known.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = list(seeds)
        self.worlds = [self._world(seed) for seed in self.seeds]

    def _world(self, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(100 + seed)
        first = 1.5 * torch.randn(UNITS, INPUTS, generator=generator) / INPUTS**0.5
        return first, 4.5 * torch.randn(CLASSES, UNITS, generator=generator) / UNITS**0.5

    def draw(self, n: int, part: int) -> Drawn:
        """Draw n examples of each seed; other parts hold other examples."""
        rows = []
        for seed, (first, second) in zip(self.seeds, self.worlds, strict=True):
            generator = torch.Generator().manual_seed(10_000 * part + seed)
            x = torch.randn(n, INPUTS, generator=generator)
            p = ((x @ first.T).tanh() @ second.T).softmax(-1)
            rows.append((x, torch.multinomial(p, 1, generator=generator)[:, 0], p))
        return Drawn(*(torch.stack(part) for part in zip(*rows, strict=True)))


def dollars(flops: float) -> float:
    """What FLOPs cost at 2 dollars an hour and 4e14 useful FLOPs a second.

    >>> round(dollars(1.44e18), 2)
    2.0
    """
    return DOLLARS_AN_HOUR * flops / (3600 * FLOPS_A_SECOND)


def correlations(rooms: Tensor, gains: Tensor) -> Tensor:
    """Pearson's correlation over the pairs, of each seed by itself.

    Args:
        rooms: (pairs, S).
        gains: (pairs, S).

    Returns:
        Correlations (S,).

    >>> correlations(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[5.0], [6.0], [7.0]]))
    tensor([1.])
    """
    a, b = (x - x.mean(0) for x in (rooms, gains))
    return (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0))


def crossing(costs: Sequence[float], losses: Sequence[float], loss: float) -> float | None:
    """The FLOPs at which a falling curve reaches a loss, a straight line between its points in log.

    Args:
        costs: FLOPs, rising.
        losses: of as many points, falling.
        loss: the one to reach.

    Returns:
        FLOPs; None where the curve does not get so low.

    >>> crossing([1e6, 1e8], [2.0, 1.0], 1.5)
    10000000.0
    """
    for i in range(1, len(costs)):
        if losses[i] <= loss <= losses[i - 1]:
            share = (losses[i - 1] - loss) / (losses[i - 1] - losses[i])
            low, high = (torch.tensor(c, dtype=torch.float64).log10() for c in costs[i - 1 : i + 1])
            return round((10 ** (low + share * (high - low))).item(), 3)
    return None


def in_words(interval: Interval) -> str:
    """The mean with its interval, with a real minus.

    >>> in_words(Interval(-1.0, -2.0, 0.0, n=5, sd=1.0, wins=5, kind="paired"))
    '−1.0 [−2.0, 0.0]'
    """
    return f"{interval.mean:+.1f} [{interval.low:.1f}, {interval.high:.1f}]".replace("-", "−")
