"""Rows of people's files in memory, each with the place where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill_lab.data.datasets.tables import load_table
from distill_lab.jobs.held_out import kept_apart
from distill_lab.jobs.model_job import ModelJob


@dataclass(frozen=True)
class Table:
    """Rows, and where each of them stands.

    Args:
        rows: name -> value.
        places: of each row, as in "train.csv, line 7".
    """

    rows: list[dict[str, Any]]
    places: Sequence[str]

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
            known = list(dict.fromkeys(key for row in self.rows[:100] for key in row))
            raise ValueError(
                f"{self.places[0]}: there is no column {name!r}; the columns are "
                f"{', '.join(map(repr, known))}. Name the one that is meant, as "
                f"columns: {{{setting}: {known[0] if known else '...'}}}."
            )
        return [row.get(name) for row in self.rows]

    def part(self, numbers: Sequence[int]) -> "Table":
        """Some of the rows."""
        return Table([self.rows[i] for i in numbers], [self.places[i] for i in numbers])


def read_tables(job: ModelJob, key: str) -> tuple[Table, Table]:
    """Read what a job learns from and what it measures on: where nothing is held out, one table.

    Args:
        job: names the files.
        key: our word for the column that makes a row the one that it is, such as its text.

    Returns:
        The two tables.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: for what cannot be read, with its line.
    """
    train = read_table(job.train, job.encoding)
    if job.validation is not None:
        return train, read_table(job.validation, job.encoding)
    if job.held_out is None:
        return train, train
    values = train.column(job.columns.get(key, key), key)
    learned, apart = kept_apart(map(str, values), job.held_out, job.origin.training.seed)
    return train.part(learned), train.part(apart)


def read_table(path: str | list[str], encoding: str | None = None) -> Table:
    """Read files of rows in any form that `load_dataset` knows.

    Args:
        path: a file, a pattern, a folder, or a list of these.
        encoding: of texts that are not UTF-8.

    Returns:
        Their rows.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: for what cannot be read, with its line.
    """
    table = load_table(path, encoding=encoding)
    return Table(list(table), [table.place(number) for number in range(len(table))])
