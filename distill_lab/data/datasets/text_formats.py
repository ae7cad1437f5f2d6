"""Rows in texts: JSON lines, JSON, separated values, lines."""

import csv
import io
import json
import mmap
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from distill_lab._util.io import no_text
from distill_lab.data.datasets.json_values import values
from distill_lab.data.datasets.parts import Lines


def _lines(path: Path, raw: mmap.mmap, begin: int) -> Iterator[tuple[int, int, int, str]]:
    """Each line's number, first byte, end, and text with its end."""
    start, number = begin, 0
    while start < len(raw):
        end = raw.find(b"\n", start) + 1 or len(raw)
        number += 1
        line = raw[start:end]
        try:
            yield number, start, end, line.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise ValueError(no_text(f"{path}, line {number}", byte, "utf-8")) from None
        start = end


def _parts_of(path: Path, raw: Any, places: list[tuple[int, int, int]], parse: Any) -> Lines:
    table = np.array(places, dtype=np.int64).reshape(-1, 3)
    return Lines(path, raw, table[:, 1:], table[:, 0], parse)


def read_jsonl(path: Path, raw: mmap.mmap, begin: int) -> Lines:
    """A JSON value a line; a file whose first line is not a whole one is read as JSON.

    Args:
        path: the file, for the words of an error.
        raw: its text in UTF-8.
        begin: where it begins, behind a mark.

    Returns:
        The rows.
    """
    places: list[tuple[int, int, int]] = []
    for number, start, end, text in _lines(path, raw, begin):
        if not places and text.strip() and not _is_row(text):
            return read_json(path, raw, begin)
        if text.strip():
            places.append((number, start, end))
    if len(places) == 1 and _is_list_of_rows(raw[places[0][1] : places[0][2]]):
        return read_json(path, raw, begin)
    return _parts_of(path, raw, places, json.loads)


def _is_row(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return text.strip()[:1] == "{" and text.rstrip()[-1:] == "}"  # a row with a mistake in it
    return True


def _is_list_of_rows(line: bytes) -> bool:
    """Whether a file's only line is all its rows, and no conversation."""
    value = json.loads(line) if line.lstrip()[:1] == b"[" else None
    return isinstance(value, list) and not all(isinstance(m, dict) and "role" in m for m in value)


def read_lines(path: Path, raw: mmap.mmap, begin: int) -> Lines:
    """A text a line; blank lines are passed over.

    Args:
        path: the file, for the words of an error.
        raw: its text in UTF-8.
        begin: where it begins, behind a mark.

    Returns:
        The rows.
    """
    places = []
    for number, start, end, text in _lines(path, raw, begin):
        if "\0" in text:
            raise ValueError(
                f"{path}, line {number} holds the character NUL: this is no text in UTF-8. Name "
                "its encoding, such as utf-16-le."
            )
        if text.strip():
            places.append((number, start, end))
    return _parts_of(path, raw, places, lambda piece: piece.decode("utf-8").strip())


def read_separated(path: Path, raw: mmap.mmap, begin: int, *, tab: bool) -> Lines:
    """Separated values: each row must have as many cells as the first line has names.

    Args:
        path: the file, for the words of an error.
        raw: its text in UTF-8.
        begin: where it begins, behind a mark.
        tab: whether the values are separated by tabs.

    Returns:
        The rows.
    """
    first = next(_lines(path, raw, begin))
    skip, own = 0, re.fullmatch(r"sep=(.)\s*", first[3])  # as Excel begins a file
    if own:
        skip, begin = 1, first[2]
    letters = [own[1]] if own else ["\t"] if tab else [",", ";", "\t", "|"]
    forms: list[dict[str, Any]] = [{"delimiter": letter, "strict": True} for letter in letters]
    if tab:
        forms.append({"delimiter": "\t", "quoting": csv.QUOTE_NONE})
    header = next(_lines(path, raw, begin), first)[3]
    forms.sort(key=lambda form: -header.count(form["delimiter"]))
    likely = [form for form in forms if form["delimiter"] in header] or forms[:1]
    errors = []
    for form in likely:
        try:
            return _cells(path, raw, begin, skip, form)
        except ValueError as error:
            errors.append(error)
    raise errors[0]


def _cells(path: Path, raw: mmap.mmap, begin: int, skip: int, form: dict[str, Any]) -> Lines:
    """Separated values in one way to write them."""
    place = [0, begin, begin]  # the line, first byte and end that the reader has come to

    def texts() -> Iterator[str]:
        for number, _, end, text in _lines(path, raw, begin):
            place[0], place[2] = number + skip, end
            yield text

    places: list[tuple[int, int, int]] = []
    names: list[str] = []
    line = 1 + skip
    try:
        for row in _csv(texts(), form):
            if row and not names:
                names = [name.strip() for name in row]
                if len(set(names)) < len(names):
                    raise ValueError(f"{path}, line {line}: two columns have one name: {names}.")
            elif row and len(row) != len(names):
                raise ValueError(
                    f"{path}, line {line}: {len(row)} cells, where the first line names "
                    f"{len(names)} columns: is a quotation mark or a separator missing?"
                )
            elif row:
                places.append((line, place[1], place[2]))
            line, place[1] = place[0] + 1, place[2]
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}.") from None

    def parse(piece: bytes) -> dict[str, str]:
        cells = next(_csv(io.StringIO(piece.decode("utf-8"), newline=""), form))
        return dict(zip(names, cells, strict=True))

    return _parts_of(path, raw, places, parse)


def _csv(lines: Iterable[str], form: dict[str, Any]) -> Iterator[list[str]]:
    """Rows of cells of any length; the module's own limit is left as it was found."""
    reader = csv.reader(lines, **form)
    while True:
        limit = csv.field_size_limit(2**31 - 1)
        try:
            row = next(reader, None)
        finally:
            csv.field_size_limit(limit)
        if row is None:
            return
        yield row


def read_json(path: Path, raw: mmap.mmap, begin: int) -> Lines:
    """A list of values, or values one after the other; each becomes a line of a file of its own.

    Args:
        path: the file, for the words of an error.
        raw: its text in UTF-8.
        begin: where it begins, behind a mark.

    Returns:
        The rows.
    """
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    places, first = [], None
    for line, item in values(path, raw, begin):
        first = item if first is None else first
        start = copy.tell()
        copy.write(json.dumps(item).encode())
        places.append((line, start, copy.tell()))
    if not places:
        raise ValueError(f"{path} holds no rows: expected at least one.")
    if len(places) == 1 and isinstance(first, dict):
        _refuse_whole(path, first)
    copy.flush()
    return _parts_of(path, mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ), places, json.loads)


def _refuse_whole(path: Path, item: dict[str, Any]) -> None:
    """Refuse one object that holds rows somewhere inside, or columns."""
    for name, value in item.items():
        rows = isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
        if rows and not any("role" in row or "from" in row for row in value):
            raise ValueError(
                f"{path} is one object, and its rows seem to lie under {name!r}: save that list "
                "as a file of its own."
            )
    if len(item) and all(isinstance(value, dict | list) and len(value) for value in item.values()):
        sizes = {len(value) for value in item.values()}
        chats = any(isinstance(v, list) and v and isinstance(v[0], dict) for v in item.values())
        if len(sizes) == 1 and not chats:
            raise ValueError(
                f"{path} holds columns in place of rows: save it with a row an object, in pandas "
                'with to_json(..., orient="records", lines=True).'
            )
