"""How files are written: whole or not at all, every byte, and by one process at a time."""

import contextlib
import hashlib
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("Git LFS", "git lfs pull"),
    b"version https://hawser.github.com/spec/": ("Git LFS", "git lfs pull"),  # its first name
    b"/annex/objects/": ("git-annex", "git annex get"),
}


def user_path(
    path: str | os.PathLike[str], what: str = "the path", kind: str | None = None
) -> Path:
    r"""The path that somebody wrote: `~` and `$NAME` or `${NAME}` stand for what they stand for.

    A part that holds a $ and lies there under that very name is left as it is.

    Args:
        path: As it was given.
        what: Its name in an error's sentence.
        kind: "file" or "folder", where what lies there already has to be one.

    Returns:
        The path to use.

    Raises:
        ValueError: For control characters, and for a variable or a home that is not there.
        IsADirectoryError: For a folder in the place of a file.
        NotADirectoryError: For a file in the place of a folder.

    >>> user_path("~/runs/a") == Path.home() / "runs/a"
    True
    >>> user_path("C:\temp")
    Traceback (most recent call last):
    ValueError: the path 'C:\temp' holds the control character '\t': in double quotes a backslash
    begins an escape. Use single quotes (in Python: r"..."), or forward slashes.
    """
    given = os.fspath(path)
    for letter in given:
        if unicodedata.category(letter) in ("Cc", "Zl", "Zp"):
            raise ValueError(
                f"{what} {given!r} holds the control character {letter!r}: in double quotes a "
                'backslash begins an escape. Use single quotes (in Python: r"..."), or forward '
                "slashes."
            )

    if re.match(r"[A-Za-z][\w+.-]+:/", given):
        raise ValueError(
            f"{what} {given!r} is an address: only paths of this machine are read and written. "
            "Fetch it first, or write the path alone."
        )
    if (windows := re.search(r"%([A-Za-z_]\w*)%", given)) and not os.path.lexists(given):
        raise ValueError(
            f"{what} {given!r} names {windows[0]}, as Windows does: write ${{{windows[1]}}}."
        )

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        until = given[: match.end()] + given[match.end() :].split("/")[0]
        if name not in os.environ and os.path.lexists(until):
            return match[0]
        if name not in os.environ:
            raise ValueError(
                f"{what} {given!r} names the environment variable {name}, which is not set: set "
                "it, or write the path in full."
            )
        return os.environ[name]

    known = re.sub(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))", value, given)
    if known.startswith("~"):
        home = os.path.expanduser(known)
        if home == known and not os.path.lexists(known.split("/")[0]):
            raise ValueError(f"{what} {given!r}: there is no such home folder. Write it in full.")
        known = home
    place = Path(known)
    if kind == "file" and place.is_dir():
        raise IsADirectoryError(
            f"{what} {given!r} is a folder: name a file in it, as {str(place / 'run')!r}, which "
            "need not be there yet."
        )
    if kind == "folder" and place.is_file():
        raise NotADirectoryError(f"{what} {given!r} is a file, and a folder is needed: name one.")
    return place


def encoding_of(start: bytes) -> str | None:
    r"""The encoding that a file's first bytes tell; None: nothing but UTF-8 to think of.

    >>> encoding_of("hi".encode("utf-16")), encoding_of(b"hi"), encoding_of(b"h\0i\0")
    ('utf-16', None, 'utf-16-le')
    """
    for mark, name in MARKS.items():
        if start.startswith(mark):
            return name
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        nulls, letters = start[first::2], start[1 - first :: 2]
        many = nulls.count(0) > 0.4 * len(nulls) and letters.count(0) == 0
        if len(start) > 3 and many and 10 not in nulls:  # a line's end has its null behind it
            return name
    return None


def read_text(path: Path, encoding: str | None = None) -> str:
    """Read a text file: UTF-8, or what its mark says, or as it is named.

    Args:
        path: The file.
        encoding: Its encoding, where it is neither.

    Returns:
        The text, without a mark in front.

    Raises:
        ValueError: For a pointer of Git LFS, and for bytes that are no such text, with the line.
    """
    refuse_pointer(path)
    raw = path.read_bytes()
    name = encoding or encoding_of(raw[:4096]) or "utf-8-sig"
    try:
        return raw.decode(name)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[min(error.start, len(raw) - 1)]
        raise ValueError(no_text(f"{path}, line {line}", byte, name)) from None
    except LookupError:
        raise ValueError(
            f"{path}: there is no encoding {name!r}: try utf-16, cp1252 or latin-1."
        ) from None


def no_text(where: str, byte: int, encoding: str) -> str:
    """What to say of a byte that is no text in an encoding.

    Args:
        where: the file and line.
        byte: the byte.
        encoding: the encoding's name.

    Returns:
        A sentence.
    """
    return (
        f"{where}: the byte 0x{byte:02x} is no text in {encoding.removesuffix('-sig')}: name the "
        "encoding, such as cp1252 or utf-16, or save it as UTF-8."
    )


def refuse_pointer(path: Path) -> None:
    """Refuse a file that only points to its content, as Git LFS and git-annex leave it.

    Raises:
        ValueError: Naming the file and how to get its content.
    """
    with open(path, "rb") as file:
        start = file.read(max(map(len, POINTERS)))
    for pointer, (what, command) in POINTERS.items():
        if start.startswith(pointer):
            raise ValueError(
                f"{path} is a {what} pointer and holds none of the content: get it with "
                f"`{command}`, or download the file itself."
            )


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
        open_to_all(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def open_to_all(path: Path) -> None:
    """Give a file the rights that files have here: safetensors writes for its owner alone.

    Args:
        path: the file, or a folder with such files.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    for file in path.iterdir() if path.is_dir() else (path,):
        if file.is_file():
            file.chmod(0o666 & ~mask)


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
