"""How files are written: whole or not at all, every byte, and by one process at a time."""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


def take_lock(path: Path, what: str) -> FileLock:
    """Be the one process that writes `what`; the system lets go when it ends, however.

    Args:
        path: The lock's file; its folder must be there.
        what: The thing written, as it stands in the error's sentence.

    Returns:
        The lock, held: call `.release()` when the writing has ended.

    Raises:
        BlockingIOError: Another process writes already; the sentence names it.
        OSError: The system refuses the file.
    """
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        writer = "another"
        with contextlib.suppress(OSError):  # Windows lets nobody read what is locked
            writer = path.read_text(errors="replace").strip() or writer
        raise BlockingIOError(
            f"process {writer} is writing {what}: wait until it has finished, or use another path."
        ) from error
    with contextlib.suppress(OSError):  # only for the words above
        path.write_text(str(os.getpid()))
    return lock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder while what lies in it is read, changed and written back; wait for others."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", thread_local=False):
        yield


def write_whole(path: Path, raw: bytes) -> None:
    """Write a file whole or not at all: beside its place, flushed to the disk, then moved there.

    Args:
        path: the file; its folder is made where it is missing.
        raw: all its bytes.

    Raises:
        OSError: where the system refuses, with what was there before still in place and nothing
            left beside it.
    """
    with partial_file(path) as partial, open(partial, "wb", buffering=0) as file:
        write_all(file, raw)


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
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
    """Write every byte, in as many pieces as the system takes.

    Args:
        file: an unbuffered binary file.
        raw: the bytes.
    """
    rest = memoryview(raw)
    while rest:
        rest = rest[file.write(rest) :]  # a nearly full disk takes part of it, then refuses


@contextmanager
def explained(what: object, intact: str, again: str) -> Iterator[None]:
    """Say of an error of the system what could not be written, what is safe, and how to go on.

    Args:
        what: the thing written.
        intact: what is safe.
        again: what to call to go on.

    Yields:
        Nothing; the writing stands in the block.

    Raises:
        OSError: the system's own error, in these words.

    >>> with explained("the cache runs/a", "What was written before", "call cache()"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] could not write the cache runs/a: No space left on device. What was written
    before is intact: free some space and call cache() to go on, or choose another path
    """
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {what}: {error.strerror or error}. {intact} is intact: free some "
            f"space and {again} to go on, or choose another path",
        ) from error


def short_hash(raw: bytes, size: int = 8) -> str:
    """Name bytes by twice as many hexadecimal digits as `size`: equal names, equal bytes.

    Args:
        raw: the bytes.
        size: of the hash, in bytes; with 8, two of a million things share a name with a chance of
            about 3e-8.

    Returns:
        The name.

    >>> short_hash(b"digits")
    '102358cd14af7442'
    """
    return hashlib.blake2b(raw, digest_size=size).hexdigest()


def to_json(value: Any) -> str:
    r"""JSON that every reader accepts: a number that is not finite becomes null.

    >>> to_json({"mean": math.nan})
    '{\n "mean": null\n}\n'
    """
    return json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
