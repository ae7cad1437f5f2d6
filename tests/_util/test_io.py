"""A file is written whole or not at all: what was there stays, and nothing is left beside it."""

import os
from pathlib import Path

import pytest

from distill_lab._util import io


class Slow:
    """A file that takes three bytes at a time, as a disk that is nearly full may."""

    def __init__(self) -> None:
        self.taken = b""

    def write(self, raw: memoryview) -> int:
        self.taken += bytes(raw[:3])
        return min(3, len(raw))


def test_every_byte_is_written_in_as_many_pieces_as_it_takes() -> None:
    file = Slow()
    io.write_all(file, b"0123456789")
    assert file.taken == b"0123456789"


@pytest.mark.parametrize("raw", [b"", b"one\r\ntwo\x00", bytes(range(256)) * 999])
def test_a_whole_file_holds_these_bytes_and_has_its_folder_made(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "new" / "folder" / "a.bin"
    for content in (b"what was there, and is longer", raw):
        io.write_whole(file, content)
    assert file.read_bytes() == raw
    assert list(file.parent.iterdir()) == [file]


def test_it_is_on_the_disk_before_it_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(io.os, "fsync", lambda file: done.append("flush") or fsync(file))
    monkeypatch.setattr(io.os, "replace", lambda *at: done.append("move") or replace(*at))
    io.write_whole(tmp_path / "a.txt", b"new")
    assert done == ["flush", "move"]


@pytest.mark.parametrize("step", ["write_all", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "disk full"), KeyboardInterrupt("disk full")])
def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    file = tmp_path / "a.txt"
    io.write_whole(file, b"old")

    def stop(first: object, *_: object) -> None:
        if step == "write_all":
            first.write(b"ne")  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(io if step == "write_all" else io.os, step, stop)
    with pytest.raises(type(error), match="disk full"):
        io.write_whole(file, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert file.read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        io.write_whole(tmp_path / "file" / "a.txt", b"new")
