"""Rows of different lengths in flat arrays, in memory or mapped from an Arrow file."""

import json
import mmap
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from distill_lab._util.io import partial_file, user_path
from distill_lab._util.runtime import Progress, progress_line

Array = np.ndarray[Any, Any]
Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
_OTHERS = (TypeError, AttributeError, ValueError, OSError)
AT_ONCE = 1000  # rows in one call of a tokenizer: all cores have work, and the line moves
Part = Mapping[str, Sequence[Sequence[int]] | Sequence[int]]


class Ragged:
    """Rows of whole numbers: each column one flat array, four bytes a number.

    Args:
        columns: by name, the numbers of all rows one after the other (total,).
        ends: where each row begins, and where the last one ends (N + 1,).
        facts: what else is to be kept with them, as plain values.
        singles: by name, a number for each row (N,).

    >>> rows = Ragged.of([{"ids": [[5, 6, 7], [8]]}])
    >>> rows.padded("ids", torch.tensor([1, 0]), fill=0)
    tensor([[8, 0, 0],
            [5, 6, 7]])
    """

    def __init__(
        self,
        columns: Mapping[str, Array],
        ends: Array,
        facts: Mapping[str, Any] | None = None,
        singles: Mapping[str, Array] | None = None,
    ) -> None:
        self.columns, self.ends, self.facts = dict(columns), ends, dict(facts or {})
        self.singles = dict(singles or {})

    @classmethod
    def of(cls, parts: Iterable[Part], spool: Path | None = None) -> "Ragged":
        """Gather rows that come in parts, each with the same columns.

        Args:
            parts: column -> rows, or a number for each; the rows of one number are of one length in
                every column.
            spool: a folder on whose disk they are gathered, where memory shall not grow with them.

        Returns:
            All of them.
        """
        columns: dict[str, _Flat] = {}
        singles: dict[str, list[Array]] = {}
        lengths: list[Array] = []
        for part in parts:
            rows: Sequence[Sequence[int]] = ()
            for name, given in part.items():
                if len(given) and isinstance(given[0], int):
                    singles.setdefault(name, []).append(np.asarray(given, dtype=np.int32))
                else:
                    rows = given  # type: ignore[assignment]
                    columns.setdefault(name, _Flat(spool)).add(rows)
            lengths.append(np.fromiter(map(len, rows), np.int64, len(rows)))
        ends = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        flats = {name: column.numbers() for name, column in columns.items()}
        return cls(flats, ends, singles={n: np.concatenate(each) for n, each in singles.items()})

    def __len__(self) -> int:
        return len(self.ends) - 1

    def equals(self, other: "Ragged") -> bool:
        """Whether other rows hold the same numbers in the same columns."""
        return (
            self.columns.keys() == other.columns.keys()
            and np.array_equal(self.ends, other.ends)
            and all(
                np.array_equal(self.columns[name], other.columns[name]) for name in self.columns
            )
        )

    @property
    def lengths(self) -> Tensor:
        """How long each row is (N,)."""
        return torch.from_numpy(np.diff(self.ends))

    def row(self, name: str, number: int) -> list[int]:
        """One row of a column.

        Args:
            name: of the column.
            number: of the row, from 0.

        Returns:
            Its numbers, without padding.
        """
        numbers: list[int] = self.columns[name][self.ends[number] : self.ends[number + 1]].tolist()
        return numbers

    def mask(self, index: Tensor, *, left: bool = False) -> Tensor:
        """Where some rows have numbers and no padding: (B, L) int64.

        Args:
            index: which rows (B,).
            left: whether they are padded on the left.

        Returns:
            1 where there is a number.
        """
        rows = index.numpy()
        lengths = torch.from_numpy(self.ends[rows + 1] - self.ends[rows])[:, None]
        width = int(lengths.max())
        place = torch.arange(width)
        return (place >= width - lengths if left else place < lengths).long()

    def padded(self, name: str, index: Tensor, *, fill: int, left: bool = False) -> Tensor:
        """Some rows of a column, as wide as the longest of them: (B, L) int64.

        Args:
            name: of the column.
            index: which rows (B,).
            fill: what stands where a row is over.
            left: whether they are padded on the left.

        Returns:
            The numbers.
        """
        flat = self.columns[name]
        mask = self.mask(index, left=left).bool()
        out = torch.full(mask.shape, fill)
        rows = [flat[self.ends[i] : self.ends[i + 1]] for i in index.tolist()]
        out[mask] = torch.from_numpy(np.concatenate(rows).astype(np.int64))
        return out

    def save(self, path: Path) -> None:
        """Write an Arrow file whole or not at all, as `datasets.Dataset.from_file` reads it."""
        arrow = _arrow()
        ends = arrow.array(self.ends)
        lists = {
            name: arrow.LargeListArray.from_arrays(ends, arrow.array(column))
            for name, column in self.columns.items()
        }
        table = arrow.table(lists | {name: arrow.array(one) for name, one in self.singles.items()})
        table = table.replace_schema_metadata({"facts": json.dumps(self.facts)})
        with (
            partial_file(path) as partial,
            arrow.OSFile(str(partial), "wb") as file,
            arrow.ipc.new_stream(file, table.schema) as stream,
        ):
            stream.write_table(table)

    @classmethod
    def open(cls, path: Path) -> "Ragged":
        """Map a file that `save` wrote: what is not asked for stays on disk.

        Raises:
            ValueError: for a file that is none, or that was cut short.
        """
        arrow = _arrow()
        try:
            table = arrow.ipc.open_stream(arrow.memory_map(str(path))).read_all().combine_chunks()
            parts = {name: table.column(name).chunk(0) for name in table.column_names}
            lists = {name: part for name, part in parts.items() if hasattr(part, "offsets")}
            ends = parts[table.column_names[0]].offsets.to_numpy()
            facts = json.loads(table.schema.metadata[b"facts"])
            columns = {name: column.values.to_numpy() for name, column in lists.items()}
            singles = {name: parts[name].to_numpy() for name in parts.keys() - lists}
            return cls(columns, ends, facts, singles)
        except (arrow.ArrowException, LookupError, *_OTHERS) as error:
            raise ValueError(
                f"{path} cannot be read as tokenised texts ({error}): delete it, and they are "
                "tokenised again."
            ) from error


class _Flat:
    """The numbers of rows one after the other, in memory or on a file that goes with its use."""

    def __init__(self, spool: Path | None) -> None:
        self.file = None if spool is None else tempfile.TemporaryFile(dir=spool)  # noqa: SIM115
        self.parts: list[Array] = []

    def add(self, rows: Sequence[Sequence[int]]) -> None:
        part = np.fromiter(chain.from_iterable(rows), np.int32)
        if self.file is None:
            self.parts.append(part)
        else:
            self.file.write(part.data)

    def numbers(self) -> Array:
        if self.file is None:
            return np.concatenate(self.parts)
        self.file.flush()
        if not self.file.tell():
            return np.zeros(0, dtype=np.int32)
        with self.file as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.int32)


def ahead(
    chunks: Iterable[tuple[int, Chunk]],
    work: Callable[[Chunk], Result],
    total: int,
    progress: Progress,
) -> Iterator[Result]:
    """Work on chunks of rows in a thread while the next ones are read.

    Args:
        chunks: each behind the number of rows that are read with it.
        work: what is done with each, such as to tokenise it.
        total: of the rows; 0 where it is not known.
        progress: as in `distill`.

    Yields:
        What comes of each, in their order.
    """
    waiting: deque[tuple[int, Future[Result]]] = deque()
    with (
        progress_line(progress, "tokenise", unit="text") as show,
        ThreadPoolExecutor(1, "tokenise") as pool,
    ):

        def first() -> Result:
            done, future = waiting.popleft()
            result = future.result()
            show(dict, done, max(total, done))
            return result

        for done, chunk in chunks:
            waiting.append((done, pool.submit(work, chunk)))
            if len(waiting) > 2:
                yield first()
        while waiting:
            yield first()


def kept(
    folder: str | os.PathLike[str] | None, name: str, make: Callable[[Path | None], Ragged]
) -> Ragged:
    """Make rows, or find them in a folder where they were kept under that name.

    Args:
        folder: where; None makes them and keeps nothing. Of several processes one makes them and
            the others wait.
        name: changes with whatever the rows follow from.
        make: gives the rows, gathered on the disk of a folder or in memory.

    Returns:
        The rows, mapped from the disk where there is a folder.

    Raises:
        ImportError: without pyarrow, before anything is made.
        ValueError: for a file that was torn.
    """
    if folder is None:
        return make(None)
    _arrow()
    place = user_path(folder, "the folder", "folder")
    path = place / f"{name}.arrow"
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / f"{name}.lock"):
            if not path.exists():
                for torn in place.glob(f".{path.name}.*.partial"):  # of a process that was killed
                    torn.unlink()
                make(place).save(path)
    return Ragged.open(path)


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise ImportError(
            "keeping tokenised texts on disk needs pyarrow, which is not installed: pip install "
            "'distill-lab[synthesis]'; or leave folder= out."
        ) from error
    return pyarrow
