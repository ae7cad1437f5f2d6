"""The files that answers are written to, a line an answer, by one process at a time.

    answers.jsonl            one usable answer a line
    answers.aside.jsonl      what was set aside, a line each, with its reason
    answers.settings.json    who was asked, and how
    answers.torn.txt         pieces of lines that a killed process left; only if there were any
    answers.lock             held by the process that writes

Every line is handed to the system by one write as soon as it is known, so a process may be killed
at any moment and loses only what it was still waiting for. The disk is told to keep what it has
(fsync) at most once a second and at the end, so a power failure may lose the last second. A last
line that was cut short is moved to the torn file, and its answer asked for again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

FORMAT = "distill-lab answers 1"
SYNC_SECONDS = 1.0

Row = dict[str, Any]


def beside(path: Path, ending: str) -> Path:
    """The sister of an answers file: ``answers.jsonl`` and ``aside.jsonl`` -> answers.aside.jsonl.

    >>> beside(Path("runs/answers.jsonl"), "card.md").as_posix()
    'runs/answers.card.md'
    """
    stem = path.name.removesuffix(".jsonl")
    return path.with_name(f"{stem}.{ending}")


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a JSONL file; a last line that was cut short is left out.

    Raises FileNotFoundError, and ValueError for another line that is not a JSON object.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check the path.")
    return list(_rows(path, path.read_bytes()))


def write_rows(path: str | Path, rows: list[Row]) -> None:
    """Write rows as JSONL, whole or not at all.

    Raises OSError, in words, where the disk refuses.
    """
    write_whole(Path(path), b"".join(map(_line, rows)))


def write_whole(path: Path, raw: bytes) -> None:
    """Write a file beside its place, flush it, then move it there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with _in_words(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, "wb", buffering=0) as file:
                _write_all(file, raw)
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            if partial.parent.is_dir():
                partial.unlink(missing_ok=True)


class Journal:
    """The open files of one run: what was answered or set aside before, and room for more.

    Opening it takes the lock, moves torn last lines away and reads what is there. ``rows`` and
    ``aside`` hold it by id; an id that was answered later is in ``rows`` alone.
    Raises BlockingIOError where another process writes, ValueError where the settings differ or a
    line is no answer, OSError where the disk refuses.
    """

    def __init__(self, path: str | Path, settings: Row) -> None:
        self.path = Path(path)
        if self.path.suffix != ".jsonl":
            raise ValueError(f"answers are written to a .jsonl file; got {str(path)!r}.")
        with _in_words(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _take_lock(beside(self.path, "lock"))
        try:
            self._hold_against(settings)
            self.torn = 0
            self.rows = {row["id"]: row for row in self._recover(self.path)}
            self.aside = {
                row["id"]: row
                for row in self._recover(beside(self.path, "aside.jsonl"))
                if row["id"] not in self.rows
            }
            with _in_words(self.path):
                self._files = {
                    name: open(name, "ab", buffering=0)  # noqa: SIM115 - closed in __exit__
                    for name in (self.path, beside(self.path, "aside.jsonl"))
                }
        except BaseException:
            self._lock.close()
            raise
        self._synced = time.monotonic()

    def answer(self, row: Row) -> None:
        """Write one usable answer down."""
        self._append(self.path, row)
        self.rows[row["id"]] = row
        self.aside.pop(row["id"], None)

    def set_aside(self, row: Row) -> None:
        """Write down what cannot be used, with its reason."""
        self._append(beside(self.path, "aside.jsonl"), row)
        self.aside[row["id"]] = row

    def sync(self) -> None:
        """Tell the disk to keep everything written so far."""
        with _in_words(self.path):
            for file in self._files.values():
                os.fsync(file.fileno())
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None or not issubclass(kind, OSError):
                self.sync()
        finally:
            for file in self._files.values():
                file.close()
            self._lock.close()

    def _append(self, path: Path, row: Row) -> None:
        file = self._files[path]
        with _in_words(self.path):
            before = file.seek(0, os.SEEK_END)
            try:
                _write_all(file, _line(row))
            except OSError:
                file.truncate(before)  # a full disk took half a line: give it back
                raise
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def _recover(self, path: Path) -> Iterator[Row]:
        """The whole rows of a file; a torn last line is moved away, a missing line end put back."""
        if not path.exists():
            return
        raw = path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if last := raw[whole:]:
            with _in_words(path):
                if _is_object(last):  # an object cut short is none: only the line end is missing
                    with open(path, "ab", buffering=0) as file:
                        _write_all(file, b"\n")
                else:
                    with open(beside(self.path, "torn.txt"), "ab", buffering=0) as file:
                        _write_all(file, last + b"\n")
                        os.fsync(file.fileno())
                    os.truncate(path, whole)
                    raw, self.torn = raw[:whole], self.torn + 1
        for row in _rows(path, raw):
            if "id" not in row:
                raise ValueError(f"{path} has a line without an id: it is no file of answers.")
            yield row

    def _hold_against(self, settings: Row) -> None:
        path = beside(self.path, "settings.json")
        plain = json.loads(json.dumps({"format": FORMAT, **settings}))
        if not path.exists():
            if self.path.exists() and self.path.stat().st_size:
                raise ValueError(
                    f"{self.path} is there, but {path.name} is not, so nobody knows how it was "
                    "made: choose another path, or put the settings file back."
                )
            write_whole(path, json.dumps(plain, indent=1, ensure_ascii=False).encode() + b"\n")
            return
        try:
            known = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} is torn ({error}): choose another path.") from error
        changes = list(_changes(known, plain))
        if changes:
            raise ValueError(
                f"{self.path} was made with other settings: {'; '.join(changes)}. Give the old "
                "ones to go on, or choose another path."
            )


def _changes(known: Any, plain: Any, name: str = "") -> Iterator[str]:
    if isinstance(known, dict) and isinstance(plain, dict) and name != "schema":
        for key in sorted(known.keys() | plain.keys()):
            yield from _changes(known.get(key), plain.get(key), f"{name} {key}".strip())
    elif known != plain:
        yield f"{name} was {_short(known)} and is now {_short(plain)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _line(row: Row) -> bytes:
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"  # half a surrogate pair is no text


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(json.loads(raw), dict)
    except ValueError:
        return False


def _rows(path: Path, raw: bytes) -> Iterator[Row]:
    lines = raw.split(b"\n")  # not splitlines: a text may hold other line ends
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if _is_object(line):
            yield json.loads(line)
        elif number < len(lines):  # the last one has no end, and may have been cut short
            raise ValueError(
                f"{path}, line {number} is not a JSON object: the file was changed by hand or by "
                "the disk. Mend or remove that line."
            )


def _take_lock(path: Path) -> BinaryIO:
    """Be the one process that writes; the system lets go when the process ends, however."""
    file = open(path, "a+b", buffering=0)  # noqa: SIM115 - held until the writer ends
    try:
        try:
            import fcntl
        except ImportError:  # Windows
            import msvcrt

            file.seek(1 << 30)  # beyond the text, which others may then still read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        other = file.read().decode(errors="replace").strip() or "another"
        file.close()
        raise BlockingIOError(
            f"process {other} is writing {path.stem}.jsonl: wait until it has finished, or use "
            "another path."
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    return file


def _write_all(file: Any, raw: bytes) -> None:
    rest = memoryview(raw)
    while rest:
        rest = rest[file.write(rest) :]  # a nearly full disk takes part of it, then refuses


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """An error of the system, with what it means for the answers."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path}: {error.strerror or error}. The answers written before are "
            "intact: free some space and start again to go on, or choose another path",
        ) from error
