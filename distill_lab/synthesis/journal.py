"""The files that answers are written to, a line an answer, by one process at a time.

    answers.jsonl            one usable answer a line
    answers.rejected.jsonl   what cannot be used, a line each, with its reason
    answers.settings.json    who was asked, and how
    answers.torn.txt         pieces of lines that a killed process left; only if there were any
    answers.lock             held by the process that writes

Every line is handed to the system by one write as soon as it is known, so a process may be killed
at any moment and loses only what it was still waiting for. The disk is told to keep what it has
(fsync) with the first line that comes a second or more after the last time, and at the end; what a
power failure can take is what was written since. A last line that was cut short is moved to the
torn file, and its answer asked for again.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distill_lab._util.io import take_lock, user_path, write_all, write_whole
from distill_lab._util.jsonl import Row, beside, in_words, is_object, line_of, read_rows, rows_in

FORMAT = "distill-lab answers 2"
SYNC_SECONDS = 1.0


class Journal:
    """The open files of one run: what was answered or rejected before, and room for more.

    Opening it takes the lock, moves torn last lines away and reads what is there. `rows` and
    `rejected` hold it by id; an id that was answered later is in `rows` alone.

    Args:
        path: The .jsonl file of the answers.
        settings: Who is asked, and how: an existing file must have been made with the same.

    Raises:
        BlockingIOError: Where another process writes.
        ValueError: Where the settings differ or a line is no answer.
        OSError: Where the disk refuses.
    """

    def __init__(self, path: str | Path, settings: Row) -> None:
        self.path = user_path(path, "the answers")
        if self.path.suffix != ".jsonl":
            raise ValueError(f"answers are written to a .jsonl file; got {str(path)!r}.")
        with in_words(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(beside(self.path, "lock"), self.path.name)
        try:
            self._hold_against(settings)
            self.torn = 0
            self.rows = {row["id"]: row for row in self._recover(self.path)}
            self.rejected = {
                row["id"]: row
                for row in self._recover(beside(self.path, "rejected.jsonl"))
                if row["id"] not in self.rows
            }
            with in_words(self.path):
                self._files = {
                    name: open(name, "ab", buffering=0)  # noqa: SIM115 - closed in __exit__
                    for name in (self.path, beside(self.path, "rejected.jsonl"))
                }
                self._ends = {name: file.seek(0, os.SEEK_END) for name, file in self._files.items()}
        except BaseException:
            self._lock.release()
            raise
        self._synced = time.monotonic()

    def answer(self, row: Row) -> None:
        """Write one usable answer down."""
        self._append(self.path, row)
        self.rows[row["id"]] = row
        self.rejected.pop(row["id"], None)

    def reject(self, row: Row) -> None:
        """Write down what cannot be used, with its reason."""
        self._append(beside(self.path, "rejected.jsonl"), row)
        self.rejected[row["id"]] = row

    def sync(self) -> None:
        """Tell the disk to keep everything written so far."""
        with in_words(self.path):
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
            self._lock.release()

    def _append(self, path: Path, row: Row) -> None:
        file, line = self._files[path], line_of(row)
        with in_words(self.path):
            try:
                write_all(file, line)
            except OSError:
                file.truncate(self._ends[path])  # a full disk took half a line: give it back
                raise
        self._ends[path] += len(line)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def _recover(self, path: Path) -> Iterator[Row]:
        """Yield the rows of a file; a torn last line is moved away, a missing line end put back."""
        if not path.exists():
            return
        raw = path.read_bytes()
        end = raw.rfind(b"\n") + 1
        if last := raw[end:]:
            with in_words(path):
                if is_object(last):  # an object cut short is none: only the line end is missing
                    with open(path, "ab", buffering=0) as file:
                        write_all(file, b"\n")
                else:
                    with open(beside(self.path, "torn.txt"), "ab", buffering=0) as file:
                        write_all(file, last + b"\n")
                        os.fsync(file.fileno())
                    os.truncate(path, end)
                    raw, self.torn = raw[:end], self.torn + 1
        for row in rows_in(path, raw):
            if "id" not in row:
                raise ValueError(f"{path} has a line without an id: it is no file of answers.")
            yield row

    def _hold_against(self, settings: Row) -> None:
        if _settings_of(self.path, settings) is None:
            raw = json.dumps(_plain(settings), indent=1, ensure_ascii=False).encode() + b"\n"
            with in_words(self.path):
                write_whole(beside(self.path, "settings.json"), raw)


def earlier_rows(path: str | Path, settings: Row) -> dict[str, Row]:
    """Read what earlier runs wrote, by id; nothing is written, locked or moved.

    Args:
        path: The .jsonl file of the answers, there or not.
        settings: Who would be asked, and how.

    Returns:
        Usable and rejected rows.

    Raises:
        ValueError: Where the settings differ or a line is no answer.
    """
    path = user_path(path, "the answers")
    _settings_of(path, settings)
    files = (beside(path, "rejected.jsonl"), path)
    return {row["id"]: row for file in files if file.exists() for row in read_rows(file)}


def _plain(settings: Row) -> Row:
    plain: Row = json.loads(json.dumps({"format": FORMAT, **settings}))
    return plain


def _settings_of(answers: Path, settings: Row) -> Row | None:
    """The settings that a file was made with, None for a new one; others than these are refused."""
    path = beside(answers, "settings.json")
    if not path.exists():
        if answers.exists() and answers.stat().st_size:
            raise ValueError(
                f"{answers} is there, but {path.name} is not, so nobody knows how it was "
                "made: choose another path, or put the settings file back."
            )
        return None
    try:
        existing: Row = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is torn ({error}): choose another path.") from error
    if changes := list(_changes(existing, _plain(settings))):
        raise ValueError(
            f"{answers} was made with other settings: {'; '.join(changes)}. Give the old "
            "ones to go on, or choose another path."
        )
    return existing


def _changes(old: Any, new: Any, name: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict) and name != "schema":
        for key in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(key), new.get(key), f"{name} {key}".strip())
    elif old != new:
        yield f"{name} was {_short(old)} and is now {_short(new)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
