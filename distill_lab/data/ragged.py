"""Rows of different lengths in flat arrays, in memory or mapped from an Arrow file."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from distill_lab._util.io import partial_file, user_path

Array = np.ndarray[Any, Any]


class Ragged:
    """Rows of whole numbers: each column one flat array, four bytes a number.

    Args:
        columns: by name, the numbers of all rows one after the other (total,).
        ends: where each row begins, and where the last one ends (N + 1,).
        facts: what else is to be kept with them, as plain values.

    >>> rows = Ragged.of([{"ids": [[5, 6, 7], [8]]}])
    >>> rows.padded("ids", torch.tensor([1, 0]), fill=0)
    tensor([[8, 0, 0],
            [5, 6, 7]])
    """

    def __init__(
        self, columns: Mapping[str, Array], ends: Array, facts: Mapping[str, Any] | None = None
    ) -> None:
        self.columns, self.ends, self.facts = dict(columns), ends, dict(facts or {})

    @classmethod
    def of(cls, parts: Iterable[Mapping[str, Sequence[Sequence[int]]]]) -> "Ragged":
        """Gather rows that come in parts, each with the same columns.

        Args:
            parts: column -> rows; the rows of one number are of one length in every column.

        Returns:
            All of them.
        """
        columns: dict[str, list[Array]] = {}
        lengths: list[int] = []
        for part in parts:
            for name, rows in part.items():
                flat = [number for row in rows for number in row]
                columns.setdefault(name, []).append(np.asarray(flat, dtype=np.int32))
            lengths += [len(row) for row in next(iter(part.values()))]
        ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        return cls({name: np.concatenate(flats) for name, flats in columns.items()}, ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

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
        table = arrow.table(lists)
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
            lists = {name: table.column(name).chunk(0) for name in table.column_names}
            ends = lists[table.column_names[0]].offsets.to_numpy()
            facts = json.loads(table.schema.metadata[b"facts"])
            columns = {name: column.values.to_numpy() for name, column in lists.items()}
            return cls(columns, ends, facts)
        except (arrow.ArrowException, LookupError, TypeError, ValueError, OSError) as error:
            raise ValueError(
                f"{path} cannot be read as tokenised texts ({error}): delete it, and they are "
                "tokenised again."
            ) from error


def kept(folder: str | os.PathLike[str] | None, name: str, make: Callable[[], Ragged]) -> Ragged:
    """Make rows, or find them in a folder where they were kept under that name.

    Args:
        folder: where; None makes them and keeps nothing. Of several processes one makes them and
            the others wait.
        name: changes with whatever the rows follow from.
        make: gives the rows.

    Returns:
        The rows, mapped from the disk where there is a folder.

    Raises:
        ImportError: without pyarrow, before anything is made.
        ValueError: for a file that was torn.
    """
    if folder is None:
        return make()
    _arrow()
    place = user_path(folder, "folder")
    path = place / f"{name}.arrow"
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / f"{name}.lock"):
            if not path.exists():
                make().save(path)
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
