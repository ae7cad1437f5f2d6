"""What lesson 13 calls and a reader need not see: pictures, a stream of examples, correlations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from distill_lab.data import datasets
from distill_lab.data.datasets import Examples

__all__ = ["CLASSES", "INPUTS", "Stream", "correlations", "dollars", "pictures"]

INPUTS, CLASSES, UNITS = 16, 8, 24  # of the network that makes the labels
DOLLARS_AN_HOUR, FLOPS_A_SECOND = 2.0, 4e14  # of one rented accelerator: an assumption, not a quote


def pictures(seeds: Sequence[int], *, real: bool) -> tuple[str, Examples, Examples]:
    """1,000 training pictures and the test pictures of each seed.

    Args:
        seeds: of the splits.
        real: whether to take MNIST, where it is on this machine; else the digits.

    Returns:
        The name of the set, training and test pictures.
    """
    if real:
        try:
            mnist = datasets.load("mnist", download=False)
            return "mnist", *mnist.split(train=1000, seeds=seeds, test=2000)
        except FileNotFoundError:
            pass  # the digits are always there
    return "digits", *datasets.load("digits").split(train=1000, seeds=seeds)


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

    >>> round(correlations(torch.tensor([[0.0], [1.0]]), torch.tensor([[5.0], [7.0]])).item(), 3)
    1.0
    """
    a, b = (x - x.mean(0) for x in (rooms, gains))
    return (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0))
