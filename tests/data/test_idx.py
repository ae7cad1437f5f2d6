"""The idx parser, on files it should read and files it should refuse."""

import gzip
import struct

import numpy as np
import pytest
import torch

from distill_lab.data.datasets import parse_idx


def packed(head: bytes, sizes: tuple[int, ...], values: bytes) -> bytes:
    header = head + struct.pack(f">{len(sizes)}I", *sizes)
    return gzip.compress(header + values, mtime=0)


def test_a_file_comes_back_as_it_was_written():
    values = np.random.default_rng(0).integers(0, 256, (5, 3, 4), dtype=np.uint8)
    parsed = parse_idx(packed(b"\0\0\x08\x03", values.shape, values.tobytes()), "file.gz")
    assert parsed.dtype == torch.uint8
    assert np.array_equal(parsed.numpy(), values)


WHOLE = packed(b"\0\0\x08\x01", (3,), b"abc")

BAD = [
    (b"", "cannot be unpacked|must start"),
    (b"<html>not found</html>", "cannot be unpacked as gzip"),
    (WHOLE[:-4], "cannot be unpacked as gzip"),
    (WHOLE[:-12] + bytes(12), "cannot be unpacked as gzip"),
    (packed(b"\0\0\x0d\x01", (3,), b"abc"), r"must start as an idx file.*got \[0, 0, 13, 1\]"),
    (packed(b"\0\x01\x08\x01", (3,), b"abc"), r"got \[0, 1, 8, 1\]"),
    (packed(b"\0\0\x08\x00", (), b""), r"got \[0, 0, 8, 0\]"),
    (packed(b"\0\0", (), b""), r"got \[0, 0\]"),
    (packed(b"\0\0\x08\x03", (3,), b"abc"), "ends inside its header, after 11 bytes"),
    (packed(b"\0\0\x08\x01", (4,), b"abc"), "promises 4 values and holds 3"),
    (packed(b"\0\0\x08\x02", (1, 2), b"abc"), "promises 1 x 2 values and holds 3"),
    (packed(b"\0\0\x08\x02", (2**32 - 1, 2**32 - 1), b"abc"), "and holds 3"),
]


@pytest.mark.parametrize(("data", "sentence"), BAD, ids=range(len(BAD)))
def test_a_wrong_file_is_refused_by_name(data, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        parse_idx(data, "t10k-labels.gz")
    assert "t10k-labels.gz" in str(caught.value)
