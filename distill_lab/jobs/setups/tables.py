"""Rows of people's files in memory, each with the place where it stands."""

import ast
import difflib
import io
import re
import tokenize
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from distill_lab.data.calls import parsed
from distill_lab.data.datasets.tables import load_table
from distill_lab.data.plain_values import HalfCharacterError, check_characters
from distill_lab.jobs.held_out import kept_apart
from distill_lab.jobs.model_job import ModelJob

ENDS = {"[": "]", "(": ")", "{": "}"}  # of what Python writes for a list, a tuple and a set
# what no text looks like: arrays as NumPy writes them, and lists of NumPy's values or of NaN
ARRAY = re.compile(r"\[\s*(-?\d[\d.]*\s+)+-?\d[\d.]*\s*\]")
TORN = re.compile(r"""\[\s*(nan, )*(['"].*['"]|np\.\w+\(.*\))(, nan)*\s*\]""", re.DOTALL)


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
            ValueError: where no row has such a column, or one holds half a character.
        """
        if not any(name in row for row in self.rows):
            known = list(dict.fromkeys(key for row in self.rows[:100] for key in row))
            raise ValueError(
                f"{self.places[0]}: there is no column {name!r}; the columns are "
                f"{', '.join(map(repr, known))}. Name the one that is meant, as "
                f"columns: {{{setting}: {_nearest(name, known)}}}."
            )
        return self._whole(name, [row.get(name) for row in self.rows])

    def lists(self, name: str, setting: str) -> list[Any]:
        """The values of one column, as `column` gives them; a list that is written as text is read.

        Args:
            name: the column's.
            setting: our word for it, for the error's sentence.

        Returns:
            A value for each row.

        Raises:
            ValueError: where no row has such a column, or for a list that cannot be read.
        """
        cells = zip(self.column(name, setting), self.places, strict=True)
        # looked at again: an escape within a list that is written as text may stand for half one
        return self._whole(name, [list_of(cell, place) for cell, place in cells])

    def _whole(self, name: str, values: list[Any]) -> list[Any]:
        """Values of a column, none of which holds half a character."""
        for value, place in zip(values, self.places, strict=True):
            try:
                check_characters(value)
            except HalfCharacterError as error:
                raise HalfCharacterError(f"{place}: {name!r} {error}") from None
        return values

    def part(self, numbers: Sequence[int]) -> "Table":
        """Some of the rows."""
        return Table([self.rows[i] for i in numbers], [self.places[i] for i in numbers])


def list_of(cell: Any, place: str) -> Any:
    """Read the list that a cell's text writes, as JSON or as Python does; others stay as they are.

    Args:
        cell: of a table; of CSV always a text.
        place: where it stands.

    Returns:
        The list, or the cell.

    Raises:
        ValueError: for a list that can be told from a text, and not be read, such as NumPy's.

    >>> list_of("['fly', 'off']", "line 2"), list_of('["O"]', "line 3"), list_of("[UNK]", "")
    (['fly', 'off'], ['O'], '[UNK]')
    """
    text = cell.strip() if isinstance(cell, str) else ""
    if not text or ENDS.get(text[0]) != text[-1]:
        return cell
    try:
        if isinstance(read := parsed(text), list):
            return read
        with warnings.catch_warnings(action="ignore"):  # of what would be odd in a program
            tree = ast.parse(text, mode="eval").body
            parts = [ast.literal_eval(each) for each in getattr(tree, "elts", ())]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        torn = bool(ARRAY.fullmatch(text) or TORN.fullmatch(text))
    else:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        kinds = [token.type for token in tokens if token.type != tokenize.NL]
        torn = (tokenize.STRING, tokenize.STRING) in pairwise(kinds)  # 'a' 'b' is 'ab' in Python
        words = bool(parts) and all(isinstance(part, str) for part in parts)
        torn &= words
        if not torn and isinstance(tree, (ast.List, ast.Tuple, ast.Set)[: 3 if words else 1]):
            return parts
    if torn:
        raise ValueError(
            f"{place}: expected a list as JSON or Python writes it, such as "
            f'["a", "b"], got {text[:60]!r}: call .tolist() on an array before it is written.'
        )
    return cell


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


def _nearest(name: str, known: list[str]) -> str:
    """The column that is most likely meant."""
    lower = {each.lower(): each for each in reversed(known)}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    return lower[near[0]] if near else known[0] if known else "..."
