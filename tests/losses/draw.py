"""Seeded tensors for the tests of the losses."""

import numpy as np
import torch
from torch import Tensor


def normal(
    *shape: int, seed: int = 0, dtype: torch.dtype = torch.float32, scale: float = 1.0
) -> Tensor:
    """Normal values that depend on the shape and the seed alone."""
    return torch.tensor(np.random.default_rng(seed).normal(0, scale, shape), dtype=dtype)


def ragged(batch: int, length: int, seed: int) -> Tensor:
    """A mask of sequences of unequal lengths, one of them whole, with a hole in the middle."""
    rng = np.random.default_rng(seed)
    mask = np.arange(length) < rng.integers(1, length + 1, (batch, 1))
    mask[0] = True
    mask[0, length // 2] = length < 3
    return torch.tensor(mask)


def some(batch: int, seed: int, at_least: int = 3) -> Tensor:
    """A mask that keeps at least so many examples, not the last ones only."""
    mask = np.random.default_rng(seed).random(batch) > 0.4
    mask[-at_least:] = True
    return torch.tensor(mask)
