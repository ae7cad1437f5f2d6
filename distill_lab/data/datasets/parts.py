"""The rows of one file, read from the disk when they are asked for."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 20


class Part(Protocol):
    """The rows of one file.

    Args:
        path: the file.
    """

    path: Path

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def item(self, number: int) -> Any:
        """One row, number from 0."""

    def place(self, number: int) -> str:
        """Where it stands, in words."""

    def content(self) -> Iterator[bytes]:
        """Every byte that the rows come from."""


class Lines:
    """Rows that are pieces of a text on disk; a piece is read when it is asked for.

    Args:
        path: the file, for the words of an error.
        raw: its text in UTF-8.
        spans: first byte and end of each row (N, 2).
        lines: the line each row begins at (N,), from 1.
        parse: makes a row of a piece.
    """

    def __init__(
        self,
        path: Path,
        raw: Any,
        spans: NDArray[np.int64],
        lines: NDArray[np.int64],
        parse: Callable[[bytes], Any],
    ) -> None:
        self.path, self.raw, self.spans, self.lines, self.parse = path, raw, spans, lines, parse

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Any]:
        return (self.item(number) for number in range(len(self)))

    def item(self, number: int) -> Any:
        """One row, number from 0."""
        start, end = self.spans[number].tolist()
        try:
            return self.parse(self.raw[start:end])
        except json.JSONDecodeError as error:
            cut = number == len(self) - 1 and end == len(self.raw)
            hint = " The file may have been cut short: mend or remove that line." if cut else ""
            what = f"this is not JSON: {error.msg}, column {error.colno}"
            raise ValueError(f"{self.place(number)}: {what}.{hint}") from None
        except RecursionError:
            raise ValueError(f"{self.place(number)}: the value is nested too deeply.") from None
        except ValueError as error:
            raise ValueError(f"{self.place(number)}: {error}") from None

    def place(self, number: int) -> str:
        """Where it stands, in words."""
        return f"{self.path}, line {self.lines[number]}"

    def content(self) -> Iterator[bytes]:
        """Every byte that the rows come from."""
        for start in range(0, len(self.raw), CHUNK):
            yield self.raw[start : start + CHUNK]


class Columns:
    """Rows of an Arrow table, or of a data set of Hugging Face: both are slices of columns.

    Args:
        path: the file or folder, for the words of an error.
        size: how many rows it has.
        slice_of: `(start, end)` gives these rows.
    """

    def __init__(
        self, path: Path, size: int, slice_of: Callable[[int, int], list[dict[str, Any]]]
    ) -> None:
        self.path, self.size, self.slice_of = path, size, slice_of

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, self.size, 1000):
            yield from self.slice_of(start, min(start + 1000, self.size))

    def item(self, number: int) -> Any:
        """One row, number from 0."""
        return self.slice_of(number, number + 1)[0]

    def place(self, number: int) -> str:
        """Where it stands, in words."""
        return f"{self.path}, row {number + 1}"

    def content(self) -> Iterator[bytes]:
        """Every byte that the rows come from."""
        files = sorted(self.path.glob("*.arrow")) if self.path.is_dir() else [self.path]
        for file in files:
            with open(file, "rb") as stream:
                while piece := stream.read(CHUNK):
                    yield piece
