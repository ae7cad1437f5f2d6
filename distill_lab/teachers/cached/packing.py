"""Whole numbers in as many bits as they need: class ids and 16-bit fractions in rows of bytes."""

import numpy as np
import torch
from torch import Tensor

WIDEST = 25  # bits of a number that always lies within four bytes, wherever it starts


def bits_for(classes: int) -> int:
    """How many bits an id from 0 to classes - 1 takes.

    >>> bits_for(10), bits_for(128_256)
    (4, 17)
    """
    bits = max(1, (classes - 1).bit_length())
    if bits > WIDEST:
        raise ValueError(f"{classes:,} classes are more than the {2**WIDEST:,} this can number.")
    return bits


def pack(numbers: Tensor, bits: int) -> Tensor:
    """Write each row's numbers one after the other, lowest bit first: (R, n) -> (R, bytes) uint8.

    >>> pack(torch.tensor([[1, 2, 3]]), 2)
    tensor([[57]], dtype=torch.uint8)
    """
    each = (numbers.cpu().numpy()[..., None] >> np.arange(bits)) & 1
    packed = np.packbits(each.reshape(len(each), -1).astype(np.uint8), -1, bitorder="little")
    return torch.from_numpy(packed)


def unpack(rows: Tensor, n: int, bits: int, *, first: int = 0) -> Tensor:
    """Read n numbers a row from byte `first` on: (R, bytes) uint8 -> (R, n) int64."""
    at = torch.arange(n) * bits
    byte = first + at // 8
    window = torch.zeros(len(rows), n, dtype=torch.int64)
    for i in range(4):  # beyond the end of a row nothing that is wanted follows
        window |= rows[:, (byte + i).clamp_max(rows.shape[1] - 1)].long() << (8 * i)
    return (window >> (at % 8)) & ((1 << bits) - 1)


def two_bytes(numbers: Tensor) -> Tensor:
    """Numbers from 0 to 65,535 as two bytes each, low first: (R, n) -> (R, 2 n) uint8."""
    wide = numbers.cpu().long()
    return torch.stack((wide & 255, wide >> 8), -1).flatten(1).to(torch.uint8)


def from_two_bytes(rows: Tensor) -> Tensor:
    """Undo `two_bytes`: (R, 2 n) uint8 -> (R, n) int64."""
    low, high = rows.long().view(len(rows), -1, 2).unbind(-1)
    return low | high << 8
