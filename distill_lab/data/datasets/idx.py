"""The idx format of MNIST and its relatives: a few bytes of header, then plain numbers."""

from __future__ import annotations

import gzip
import math
import struct
import zlib

import torch
from torch import Tensor

__all__ = ["parse_idx"]


def parse_idx(packed: bytes, name: str) -> Tensor:
    """Read a gzipped idx file of unsigned bytes into a uint8 tensor of the shape it states.

    The header is two zero bytes, the type (8 = unsigned byte), the number of dimensions d, then d
    sizes as big-endian 32-bit numbers. `name` is the file named in the errors. Raises ValueError if
    a byte is missing, left over or not what the format says.

    >>> header = bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3])
    >>> parse_idx(gzip.compress(header + bytes([5, 6, 7])), "small.gz")
    tensor([[5, 6, 7]], dtype=torch.uint8)
    """
    try:
        data = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise ValueError(
            f"{name} cannot be unpacked as gzip ({error}). It is cut short, damaged or another "
            "kind of file: fetch it again."
        ) from error
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or data[3] == 0:
        raise ValueError(
            f"{name} must start as an idx file of unsigned bytes does (0, 0, 8, dimensions); "
            f"got {list(data[:4])}. Is it another file under this name?"
        )
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"{name} ends inside its header, after {len(data)} bytes: fetch it again.")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise ValueError(
            f"{name} promises {' x '.join(map(str, shape))} values and holds "
            f"{len(data) - start:,}: fetch it again."
        )
    if 0 in shape:
        return torch.empty(shape, dtype=torch.uint8)
    # bytearray: torch warns about memory that must not be written.
    return torch.frombuffer(bytearray(data[start:]), dtype=torch.uint8).reshape(shape)
