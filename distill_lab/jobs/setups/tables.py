"""Rows of people's files, each with the place where it stands."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows, and where each of them stands.

    Args:
        rows: name -> value.
        places: of each row, as in "train.csv, line 7".
    """

    rows: list[dict[str, Any]]
    places: list[str]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str, setting: str) -> list[Any]:
        """The values of one column, None where a row has none.

        Args:
            name: the column's.
            setting: our word for it, for the error's sentence.

        Returns:
            A value for each row.

        Raises:
            ValueError: where no row has such a column.
        """
        if not any(name in row for row in self.rows):
            known = sorted({key for row in self.rows[:100] for key in row})
            raise ValueError(
                f"{self.places[0]}: there is no column {name!r}; the columns are "
                f"{', '.join(map(repr, known))}. Name the one that is meant, as "
                f"columns: {{{setting}: {known[0] if known else '...'}}}."
            )
        return [row.get(name) for row in self.rows]


def read_table(path: str, encoding: str | None = None) -> Table:
    """Read a CSV, TSV or JSONL file.

    Args:
        path: the file.
        encoding: of a file that is not UTF-8.

    Returns:
        Its rows.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: for what cannot be read, with its line.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}: check the path of the data.")
    text = file.read_bytes().decode(encoding or "utf-8-sig")
    read = _csv if file.suffix in (".csv", ".tsv") else _jsonl
    pairs = list(read(text, file))
    if not pairs:
        raise ValueError(f"{file} holds no examples: expected at least one row.")
    return Table([row for row, _ in pairs], [f"{file}, line {line}" for _, line in pairs])


def _csv(text: str, file: Path) -> Iterator[tuple[dict[str, Any], int]]:
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter="\t" if file.suffix == ".tsv" else ","
    )
    line = 2
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(
                f"{file}, line {line}: expected {len(reader.fieldnames or ())} cells as in the "
                "first line: is a quotation mark or a comma missing?"
            )
        yield row, line
        line = reader.line_num + 1


def _jsonl(text: str, file: Path) -> Iterator[tuple[dict[str, Any], int]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: this is not JSON: {error}") from None
        if not isinstance(row, Mapping):
            raise ValueError(f"{file}, line {number}: expected an object, got {line[:60]!r}.")
        yield dict(row), number
