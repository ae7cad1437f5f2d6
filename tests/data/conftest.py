"""A tiny published data set, so that every path of loading is walked without a network."""

import gzip
import hashlib
import struct
from pathlib import Path

import pytest

from distill_lab.data.datasets import files


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    """A gzipped idx file of unsigned bytes."""
    header = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
    return gzip.compress(header + values, mtime=0)


@pytest.fixture
def published(monkeypatch) -> dict[str, bytes]:
    """Six 2x2 images (four to train, two to test) published under the name mnist."""
    contents = {
        "train-images-idx3-ubyte.gz": idx((4, 2, 2), bytes(range(16))),
        "train-labels-idx1-ubyte.gz": idx((4,), bytes([7, 8, 7, 3])),
        "t10k-images-idx3-ubyte.gz": idx((2, 2, 2), bytes(range(248, 256))),
        "t10k-labels-idx1-ubyte.gz": idx((2,), bytes([1, 9])),
    }
    pinned = tuple(
        files.PinnedFile(name, len(data), hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    )
    monkeypatch.setitem(files.PINNED, "mnist", files.PinnedDataset(pinned, mirrors=()))
    return contents


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch, tmp_path) -> Path:
    """No folder of the user's own, and an empty cache; the path of the cache of mnist."""
    monkeypatch.delenv("DISTILL_LAB_DATA", raising=False)
    monkeypatch.setenv("DISTILL_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist"
