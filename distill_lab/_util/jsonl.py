"""JSON lines on disk, and errors of the disk in words."""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, overload

from distill_lab._util.io import explained, user_path

Row = dict[str, Any]
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def beside(path: Path, ending: str) -> Path:
    """Name the sister of an answers file.

    Args:
        path: the answers file.
        ending: what stands in place of "jsonl".

    Returns:
        The sister's path.

    >>> beside(Path("runs/answers.jsonl"), "card.md").as_posix()
    'runs/answers.card.md'
    """
    stem = path.name.removesuffix(".jsonl")
    return path.with_name(f"{stem}.{ending}")


def read_rows(path: str | Path) -> list[Row]:
    """Read the rows of a JSONL file; a last line that was cut short is left out.

    Raises:
        FileNotFoundError: Where there is no file.
        ValueError: For another line that is not a JSON object.
    """
    path = user_path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check the path.")
    return [row for _, row in rows_in(path)]


def line_of(row: Row) -> bytes:
    """Write a row as one line, with its end."""
    return _ENCODER.encode(row).encode("utf-8", "replace") + b"\n"  # half a pair is no text


def is_object(raw: bytes) -> bool:
    """Say whether bytes are one whole JSON object."""
    return _object(raw) is not None


def rows_in(path: Path) -> Iterator[tuple[int, Row]]:
    """Read the rows of a file one by one; a last line that was cut short is left out.

    Args:
        path: the file.

    Yields:
        Where a row begins, in bytes, and the row.

    Raises:
        ValueError: for a line that is no JSON object, but the last.
    """
    begin = 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):  # bytes end at \n alone, texts at others too
            if line.strip():
                if (row := _object(line)) is not None:
                    yield begin, row
                elif line.endswith(b"\n"):  # the last one has no end, and may have been cut short
                    raise ValueError(
                        f"{path}, line {number} is not a JSON object: the file was changed by hand "
                        "or by the disk. Mend or remove that line."
                    )
            begin += len(line)


class StoredRows(Sequence[Row]):
    r"""Rows of a JSONL file in an order of their own, read when they are asked for.

    Args:
        path: the file, to which lines may be added.
        places: where each row begins, in bytes (N,).
        change: made with each row that is read; None for none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "r.jsonl")
    >>> path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    18
    >>> list(StoredRows(path, [9, 0]))
    [{'a': 2}, {'a': 1}]
    """

    def __init__(
        self, path: Path, places: Iterable[int], change: Callable[[Row], Row] | None = None
    ) -> None:
        self.path, self.places, self.change = path, array("q", places), change

    @classmethod
    def of(cls, path: Path) -> "StoredRows":
        """All rows of a file."""
        return cls(path, (place for place, _ in rows_in(path)))

    def changed(self, change: Callable[[Row], Row]) -> "StoredRows":
        """The same rows, with something made of each that is read."""
        return StoredRows(self.path, self.places, change)

    def pick(self, numbers: Iterable[int]) -> "StoredRows":
        """The rows of these numbers."""
        return StoredRows(self.path, (self.places[i] for i in numbers), self.change)

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Row]:
        with self._open() as file:
            for place in self.places:
                yield self._row(file, place)

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> "StoredRows": ...
    def __getitem__(self, number: int | slice) -> "Row | StoredRows":
        if isinstance(number, slice):
            return StoredRows(self.path, self.places[number], self.change)
        with self._open() as file:
            return self._row(file, self.places[number])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(own == their for own, their in zip(self, other, strict=True))

    def __add__(self, other: Iterable[Row]) -> list[Row]:
        return [*self, *other]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StoredRows({len(self):,} rows of {self.path})"

    @property
    def fingerprint(self) -> str:
        """A short name for the content, by which it is known again."""
        digest = blake2b(digest_size=8)
        with self._open() as file:
            for place in self.places:
                file.seek(place)
                digest.update(file.readline())
        return digest.hexdigest()

    def _open(self) -> IO[bytes]:
        try:
            return open(self.path, "rb")
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.path} is gone: its rows are read when they are asked for."
            ) from None

    def _row(self, file: IO[bytes], place: int) -> Row:
        file.seek(place)
        row: Row = json.loads(file.readline())
        return row if self.change is None else self.change(row)


def as_sequence(rows: Iterable[Row]) -> Sequence[Row]:
    """Rows that can be read again and again: those on the disk stay there, others in a list."""
    return rows if isinstance(rows, StoredRows) else list(rows)


def picked(rows: Sequence[Row], numbers: Sequence[int]) -> Sequence[Row]:
    """Choose some rows, which stay on the disk where all of them are.

    Args:
        rows: all of them.
        numbers: which of them are wanted, in this order.

    Returns:
        Those.
    """
    return rows.pick(numbers) if isinstance(rows, StoredRows) else [rows[i] for i in numbers]


def in_words(path: Path) -> AbstractContextManager[None]:
    """Say of an error of the system what it means for the answers."""
    return explained(path, "What was answered before", "start again")


def _object(raw: bytes) -> Row | None:
    """One whole JSON object; None for anything else."""
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
