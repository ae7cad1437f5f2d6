"""How files are written: whole or not at all, every byte, and by one process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


def take_lock(path: Path, what: str) -> BinaryIO:
    """Be the one process that writes ``what``; the system lets go when it ends, however.

    Raises BlockingIOError, naming the other process, where one writes already.
    """
    file = open(path, "a+b", buffering=0)  # noqa: SIM115 - held until the writer ends
    try:
        _lock(file)
    except OSError as error:
        file.seek(0)
        other = file.read().decode(errors="replace").strip() or "another"
        file.close()
        raise BlockingIOError(
            f"process {other} is writing {what}: wait until it has finished, or use another path."
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    return file


def write_whole(path: Path, raw: bytes) -> None:
    """Write a file whole or not at all: beside its place, flushed to the disk, then moved there.

    The folder is made where it is missing. Raises OSError where the system refuses, with what was
    there before still in place and nothing left beside it.
    """
    with whole(path) as partial, open(partial, "wb", buffering=0) as file:
        write_all(file, raw)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The same for a writer that wants a path: yields one beside, to be moved at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_all(file: Any, raw: bytes) -> None:
    """Write every byte, in as many pieces as the system takes."""
    rest = memoryview(raw)
    while rest:
        rest = rest[file.write(rest) :]  # a nearly full disk takes part of it, then refuses


def _lock(file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(1 << 30)  # beyond the text, which others may then still read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
