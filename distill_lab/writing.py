"""One process writes at a time, and every byte: what the files that grow have in common."""

from __future__ import annotations

import os
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
