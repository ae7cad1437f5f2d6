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
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from distill_lab._util.describe import as_it_was
from distill_lab._util.io import take_lock, user_path, write_all, write_whole
from distill_lab._util.jsonl import Row, StoredRows, beside, in_words, is_object, line_of, rows_in

FORMAT = "distill-lab answers 2"
SYNC_SECONDS = 1.0
PIECE = 1 << 16  # bytes of a file's end that are looked at together
UNKNOWN, NONE = -1, -2  # tokens that were not counted, and those of a reply that never came


class Entries(Mapping[str, Row]):
    """Rows of a file by id: of each its place and the tokens it took are held, no more.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._numbers: dict[str, int] = {}
        self._places = array("q")
        self._tokens = (array("q"), array("q"))

    def add(self, row: Row, place: int) -> None:
        """Hold a row that stands at a place of the file; it takes that of an earlier one."""
        self._numbers[row["id"]] = len(self._places)
        self._places.append(place)
        counts = row.get("tokens") or (None, None)
        missing = UNKNOWN if row.get("tokens") else NONE
        for side, count in zip(self._tokens, counts, strict=True):
            side.append(missing if count is None else count)

    def discard(self, name: str) -> None:
        """Let go of a row, where it is held."""
        self._numbers.pop(name, None)

    def tokens(self, name: str) -> tuple[int | None, int | None] | None:
        """What a reply used, of prompt and answer; None where no reply came."""
        counts = [side[self._numbers[name]] for side in self._tokens]
        if NONE in counts:
            return None
        prompt, answer = (None if count == UNKNOWN else count for count in counts)
        return prompt, answer

    def chosen(self, names: Iterable[str]) -> StoredRows:
        """Those of the rows with these ids that are held, in their order."""
        numbers = (self._numbers[name] for name in names if name in self._numbers)
        return StoredRows(self.path, (self._places[number] for number in numbers))

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def __getitem__(self, name: str) -> Row:
        return StoredRows(self.path, [self._places[self._numbers[name]]])[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class Journal:
    """The open files of one run: what was answered or rejected before, and room for more.

    Opening it takes the lock, moves torn last lines away and reads what is there. `rows` and
    `rejected` have it by id, on disk; an id that was answered later is in `rows` alone.

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
            self.rows = self._recover(self.path)
            self.rejected = self._recover(beside(self.path, "rejected.jsonl"))
            for name in self.rows.keys() & self.rejected.keys():
                self.rejected.discard(name)
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
        self.rows.add(row, self._append(self.path, row))
        self.rejected.discard(row["id"])

    def reject(self, row: Row) -> None:
        """Write down what cannot be used, with its reason."""
        self.rejected.add(row, self._append(beside(self.path, "rejected.jsonl"), row))

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

    def _append(self, path: Path, row: Row) -> int:
        """Write a line; where it begins."""
        file, line = self._files[path], line_of(row)
        place = self._ends[path]
        try:
            write_all(file, line)
        except OSError:
            with in_words(self.path):
                file.truncate(place)  # a full disk took half a line: give it back
                raise
        self._ends[path] += len(line)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()
        return place

    def _recover(self, path: Path) -> Entries:
        """The rows of a file; a torn last line is moved away, a missing line end put back."""
        entries = Entries(path)
        if not path.exists():
            return entries
        with open(path, "rb") as file:
            end, last = _last_line(file)
        if last:
            with in_words(path):
                if is_object(last):  # an object cut short is none: only the line end is missing
                    with open(path, "ab", buffering=0) as answers:
                        write_all(answers, b"\n")
                else:
                    with open(beside(self.path, "torn.txt"), "ab", buffering=0) as torn:
                        write_all(torn, last + b"\n")
                        os.fsync(torn.fileno())
                    os.truncate(path, end)
                    self.torn += 1
        for place, row in rows_in(path):
            if "id" not in row:
                raise ValueError(f"{path} has a line without an id: it is no file of answers.")
            entries.add(row, place)
        return entries

    def _hold_against(self, settings: Row) -> None:
        if _settings_of(self.path, settings) is None:
            raw = json.dumps(_plain(settings), indent=1, ensure_ascii=False).encode() + b"\n"
            with in_words(self.path):
                write_whole(beside(self.path, "settings.json"), raw)


def check_made_with(path: str | Path, settings: Row, unknown: Iterable[str] = ()) -> None:
    """Refuse a file that was made with other settings; nothing is written, locked or moved.

    Args:
        path: The .jsonl file of the answers, there or not.
        settings: Who would be asked, and how.
        unknown: Entries of the teacher that are not known before it is loaded.

    Raises:
        ValueError: Where the settings differ.
    """
    _settings_of(user_path(path, "the answers"), settings, unknown)


def earlier_tokens(path: str | Path, settings: Row) -> dict[str, int | None]:
    """Read how long earlier answers are, by id; nothing is written, locked or moved.

    Args:
        path: The .jsonl file of the answers, there or not.
        settings: Who would be asked, and how.

    Returns:
        Tokens of usable and rejected answers; None where they are not known.

    Raises:
        ValueError: Where the settings differ or a line is no answer.
    """
    path = user_path(path, "the answers")
    _settings_of(path, settings)
    files = (beside(path, "rejected.jsonl"), path)
    rows = (row for file in files if file.exists() for _, row in rows_in(file))
    return {row["id"]: (row.get("tokens") or (None, None))[1] for row in rows}


def _last_line(file: IO[bytes]) -> tuple[int, bytes]:
    """What stands behind the last line end of a file, and where it begins."""
    end = begin = file.seek(0, os.SEEK_END)
    tail = b""
    while begin and b"\n" not in tail:
        begin = max(0, begin - max(PIECE, end - begin))  # twice as much each time
        file.seek(begin)
        tail = file.read(end - begin)
    cut = tail.rfind(b"\n") + 1
    return begin + cut, tail[cut:]


def _plain(settings: Row) -> Row:
    plain: Row = json.loads(json.dumps({"format": FORMAT, **settings}))
    return plain


def _settings_of(answers: Path, settings: Row, unknown: Iterable[str] = ()) -> Row | None:
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
    if "max_tokens" in existing:  # its name of before
        existing["max_new_tokens"] = existing.pop("max_tokens")
    wanted = _plain(settings)
    for name in unknown:
        wanted["teacher"].pop(name, None)
        if name in existing["teacher"]:
            wanted["teacher"][name] = existing["teacher"][name]
    if changes := list(_changes(existing, wanted)):
        raise ValueError(
            f"{answers} was made with other settings: {'; '.join(changes)}. Give the old "
            "ones to go on, or choose another path."
        )
    return existing


def _changes(old: Any, new: Any, name: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict) and name != "schema":
        for key in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(key), new.get(key), f"{name} {key}".strip())
    elif old != new and name == "refusals":  # a job's setting of this name says the opposite
        was, now = (("rejected" if one else "kept") for one in (old, new))
        yield f"answers that begin like refusals were {was} and are now {now}"
    elif not as_it_was(old, new):
        yield f"{name} was {_short(old)} and is now {_short(new)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
