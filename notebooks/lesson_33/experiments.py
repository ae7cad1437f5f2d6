"""What lesson 33 calls and a reader need not see: a step, random numbers, draws, neighbours."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Make", "draw_from", "nearest", "normal", "take_step"]

Make = Callable[[torch.Generator], Tensor]


def normal(rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    """Draw standard normal numbers of this shape."""
    return torch.randn(*shape, generator=rng)


def take_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Set the gradients of what the optimizer changes to zero, compute them anew, and change it."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def draw_from(pictures: Tensor, batch: int) -> Make:
    """Make batches out of pictures that are there: each seed draws its own, with replacement.

    Args:
        pictures: (S, N, D).
        batch: How many a batch holds.

    Returns:
        A maker: generator of random numbers -> (S, batch, D).
    """
    seeds, count = pictures.shape[:2]
    row = torch.arange(seeds)[:, None]
    return lambda rng: pictures[row, torch.randint(count, (seeds, batch), generator=rng)]


def nearest(made: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Find each made picture's nearest one.

    Args:
        made: (N, D).
        pictures: (M, D).

    Returns:
        Distances (N,), and the numbers of the pictures (N,).
    """
    distances, index = torch.cdist(made, pictures).min(1)
    return distances, index
