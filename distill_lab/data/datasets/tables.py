"""Rows of people's files as they are: read from the disk when they are asked for."""

import bisect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from glob import glob, has_magic
from hashlib import blake2b
from pathlib import Path
from typing import Any

from distill_lab._util.io import user_path
from distill_lab.data.datasets.formats import FORMATS, format_of, is_data_file, read_part
from distill_lab.data.datasets.parts import Part
from distill_lab.data.datasets.pictures import PictureFolder, holds_classes

Row = dict[str, Any]
Paths = Any  # a path, a pattern, or a list of such


class Table:
    """Rows of one or several files: a map-style Dataset of mappings, in constant memory.

    Args:
        parts: the files, opened.
        columns: our names for columns, each with the name that it has in the files.
    """

    def __init__(self, parts: Sequence[Part], columns: Mapping[str, str] | None = None) -> None:
        if not parts:
            raise ValueError("a table needs at least one file of rows, got none.")
        self.parts, self.renamed = list(parts), dict(columns or {})
        self.ends = list(itertools.accumulate(len(part) for part in self.parts))
        self[0]  # a wrong name of a column is better known at once

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, number: int) -> Row:
        part, inside = self._find(number)
        return self._row(part.item(inside), partial(part.place, inside))

    def __iter__(self) -> Iterator[Row]:
        for part in self.parts:
            for inside, item in enumerate(part):
                yield self._row(item, partial(part.place, inside))

    def place(self, number: int) -> str:
        """Where a row stands, as in "train.csv, line 7"; number from 0."""
        part, inside = self._find(number)
        return part.place(inside)

    @property
    def columns(self) -> list[str]:
        """The names in the first rows."""
        return list(dict.fromkeys(name for row in itertools.islice(self, 100) for name in row))

    def column(self, name: str) -> list[Any]:
        """The values of one column, None where a row has none.

        Raises:
            ValueError: where no row has it.
        """
        values = [row.get(name) for row in self]
        if all(value is None for value in values):
            known = self.columns
            raise ValueError(
                f"{self.place(0)}: there is no column {name!r}; there are {_quoted(known)}. Name "
                f"the one that is meant: columns = {{{name!r}: {known[0]!r}}}."
            )
        return values

    @cached_property
    def fingerprint(self) -> str:
        """A short name for the content of the files, by which it is known again."""
        digest = blake2b(repr(sorted(self.renamed.items())).encode(), digest_size=8)
        for part in self.parts:
            for piece in part.content():
                digest.update(piece)
        return digest.hexdigest()

    @property
    def files(self) -> list[Path]:
        """Where the rows come from."""
        return [part.path for part in self.parts]

    def _find(self, number: int) -> tuple[Part, int]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} rows, and none with the number {number}.")
        number %= len(self)
        which = bisect.bisect_right(self.ends, number)
        return self.parts[which], number - (self.ends[which - 1] if which else 0)

    def _row(self, item: Any, place: Callable[[], str]) -> Row:
        if isinstance(item, str):
            item = {"text": item}
        elif isinstance(item, list) and item and all(isinstance(m, Mapping) for m in item):
            item = {"messages": item}
        elif not isinstance(item, Mapping):
            raise ValueError(f"{place()}: expected an object, got {str(item)[:60]!r}.")
        if not self.renamed:
            return dict(item)
        if absent := [name for name in self.renamed.values() if name not in item]:
            raise ValueError(
                f"{place()}: columns names {_quoted(absent)}, which is not there; there are "
                f"{_quoted(item)}."
            )
        taken = {*self.renamed, *self.renamed.values()}
        others = {name: value for name, value in item.items() if name not in taken}
        return {ours: item[theirs] for ours, theirs in self.renamed.items()} | others

    def __repr__(self) -> str:
        files = f"{self.files[0]}" if len(self.files) == 1 else f"{len(self.files)} files"
        return f"Table({len(self):,} rows of {files}: {', '.join(self.columns)})"


def load_dataset(
    path: Paths, *, columns: Mapping[str, str] | None = None, encoding: str | None = None
) -> Table | PictureFolder:
    """Read data as people have them, by the ending of the name.

    - JSON lines (.jsonl, .ndjson), JSON (.json), CSV, TSV, Parquet, lines of text (.txt), each also
      compressed by gzip (.gz); the values of CSV and TSV are texts;
    - a folder that `datasets` saved, or one that holds such files;
    - a folder with a folder of pictures (JPEG, PNG) for each class: `PictureFolder`.

    A mark of UTF-8 or UTF-16 in front and Windows' line ends are understood.

    Args:
        path: a path, a pattern such as "part-*.jsonl", or a list of these.
        columns: our names for columns: {"prompt": "question"}.
        encoding: of texts that are not UTF-8, such as "cp1252".

    Returns:
        A map-style Dataset: of mappings, or of (picture, label).

    Raises:
        FileNotFoundError: where there is nothing.
        ValueError: for what is no list of rows, or cannot be read, with file and line.
    """
    paths = [path] if isinstance(path, str) or hasattr(path, "__fspath__") else list(path)
    if len(paths) == 1:
        folder = user_path(paths[0], "the data")
        if folder.is_dir() and holds_classes(folder):
            if columns:
                raise ValueError(f"{folder} holds pictures, which have no columns to rename.")
            return PictureFolder(folder)
    return load_table(paths, columns=columns, encoding=encoding)


def load_table(
    path: Paths, *, columns: Mapping[str, str] | None = None, encoding: str | None = None
) -> Table:
    """Read rows as `load_dataset` does, but no pictures.

    Args:
        path: a path, a pattern, or a list of these.
        columns: our names for columns.
        encoding: of texts that are not UTF-8.

    Returns:
        The rows.

    Raises:
        FileNotFoundError: where there is nothing.
        ValueError: for what is no list of rows, or cannot be read, with file and line.
    """
    paths = [path] if isinstance(path, str) or hasattr(path, "__fspath__") else list(path)
    parts = [part for each in paths for part in _parts(each, encoding)]
    if not parts:
        raise ValueError("no file was named: expected at least one.")
    return Table(parts, columns)


def _parts(given: Any, encoding: str | None) -> Iterator[Part]:
    path = user_path(given, "the data")
    if not path.exists() and has_magic(str(path)):
        files = sorted(map(Path, glob(str(path), recursive=True)))
        if not files:
            raise FileNotFoundError(f"no file fits the pattern {path}: check the path.")
    elif path.is_dir():
        files = _inside(path)
    else:
        files = [path]
    for file in files:
        yield read_part(file, encoding)


def _inside(folder: Path) -> list[Path]:
    """The files of rows that a folder holds, or the folder itself where `datasets` wrote it."""
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(each.name for each in folder.iterdir() if each.is_dir())
        raise ValueError(
            f"{folder} holds the splits {_quoted(splits)}: name one, as in {folder / splits[0]}."
        )
    if (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file():
        return [folder]
    files = sorted(each for each in folder.iterdir() if is_data_file(each))
    if not files and (folder / "data").is_dir():
        files = sorted(each for each in (folder / "data").iterdir() if is_data_file(each))
    if not files:
        raise ValueError(
            f"{folder} holds no data: expected files that end with {', '.join(FORMATS)}, or a "
            "folder of pictures for each class."
        )
    parts = {split for split in ("train", "valid", "dev", "test") for file in files
              if file.name.lower().startswith(split)}  # fmt: skip
    kinds = {format_of(file) for file in files}
    if len(parts) > 1 or len(kinds) > 1:
        several = f"the splits {_quoted(sorted(parts))}" if len(parts) > 1 else "several forms"
        raise ValueError(
            f"{folder} holds {several}: name the files, as in {files[0]}, or with a pattern."
        )
    return files


def _quoted(names: Any) -> str:
    return ", ".join(repr(str(name)) for name in names)
