"""Rows in texts: JSON lines, JSON, separated values, lines."""

import csv
import io
import json
import mmap
import re
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_lab._util.io import no_text
from distill_lab.data.datasets.exchanges import PROMPTS
from distill_lab.data.datasets.json_values import value_of, values
from distill_lab.data.datasets.parts import CHUNK, Lines

Places = NDArray[np.int64]


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


def _filled(path: Path, raw: mmap.mmap, begin: int) -> Places:
    """Number, first byte and end of each line that is not blank (N, 3)."""
    places, start, before = [np.zeros((0, 3), dtype=np.int64)], begin, 0
    while start < len(raw):
        stop = raw.rfind(b"\n", start, start + CHUNK) + 1 or raw.find(b"\n", start) + 1 or len(raw)
        piece = raw[start:stop]
        try:
            piece.decode("utf-8")
        except UnicodeDecodeError as error:
            line = before + piece.count(b"\n", 0, error.start) + 1
            raise ValueError(no_text(f"{path}, line {line}", piece[error.start], "utf-8")) from None
        letters = np.frombuffer(piece, dtype=np.uint8)
        ends = np.flatnonzero(letters == ord("\n")) + 1
        if not len(ends) or ends[-1] < len(piece):
            ends = np.append(ends, len(piece))
        begins = np.append(0, ends[:-1])
        filled = np.logical_or.reduceat((letters > ord(" ")) & (letters < 127), begins)
        for doubtful in np.flatnonzero(~filled):  # white space of other scripts, or none at all
            filled[doubtful] = piece[begins[doubtful] : ends[doubtful]].decode("utf-8").strip()
        table = np.stack([np.arange(len(ends)) + before + 1, begins + start, ends + start], axis=1)
        places.append(table[filled])
        start, before = stop, before + len(ends)
    return np.concatenate(places)


def _parts_of(path: Path, raw: Any, places: Places, parse: Any) -> Lines:
    return Lines(path, raw, places[:, 1:], places[:, 0], parse)


def _as_places(numbers: "array[int]") -> Places:
    return np.frombuffer(numbers, dtype=np.int64).reshape(-1, 3)


def read_jsonl(path: Path, raw: mmap.mmap, begin: int) -> Lines:
    """A JSON value a line; a file whose first line is not a whole one is read as JSON.

    Args:
        path: the file, for the words of an error.
        raw: its text in UTF-8.
        begin: where it begins, behind a mark.

    Returns:
        The rows.
    """
    places = _filled(path, raw, begin)
    if len(places):
        _, start, end = places[0].tolist()
        alone = len(places) == 1 and raw[start : start + 100].lstrip()[:1] == b"["
        if _are_rows(path, raw, start) if alone else not _is_row(raw[start:end].decode("utf-8")):
            return read_json(path, raw, begin)
    return _parts_of(path, raw, places, value_of)


def _is_row(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return text.strip()[:1] == "{" and text.rstrip()[-1:] == "}"  # a row with a mistake in it
    except (ValueError, RecursionError):
        return True  # with a number or a depth beyond all bounds, which has its line said
    return True


def _are_rows(path: Path, raw: mmap.mmap, start: int) -> bool:
    """Whether the list in a file's only line is all its rows, and no conversation."""
    items = (item for _, item in values(path, raw, start))
    return not all(isinstance(item, dict) and "role" in item for item in items)


def read_lines(path: Path, raw: mmap.mmap, begin: int) -> Lines:
    """A text a line; blank lines are passed over.

    Args:
        path: the file, for the words of an error.
        raw: its text in UTF-8.
        begin: where it begins, behind a mark.

    Returns:
        The rows.
    """
    _refuse_nulls(path, raw, begin)
    places = _filled(path, raw, begin)
    for _, start, end in places[:1].tolist():
        _refuse_rows(path, raw[start:end].decode("utf-8").strip(), raw[-100:].rstrip()[-1:])
    return _parts_of(path, raw, places, lambda piece: piece.decode("utf-8").strip())


def _refuse_nulls(path: Path, raw: mmap.mmap, begin: int) -> None:
    if (null := raw.find(b"\0", begin)) >= 0:
        line = raw[:null].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {line} holds the character NUL: this is no text in UTF-8. Name its "
            "encoding, such as utf-16-le."
        )


def _refuse_rows(path: Path, first: str, last: bytes) -> None:
    """Refuse lines of text whose first one shows that they are rows in another form."""
    form = None
    if first[:1] == "[" and last == b"]" and re.match(r"\[\s*($|[\[{\"])", first):
        form = "a list in JSON: name it .json"
    elif first[:1] == "{" and isinstance(_value_or_none(first), dict):
        form = "JSON lines: name it .jsonl"
    elif _are_names(next((first.split(mark) for mark in ",;\t" if mark in first), [])):
        form = "a table: name it .csv or .tsv"
    if form is not None:
        raise ValueError(
            f"{path} ends with .txt, where each line is a text, and seems to be {form}. Where each "
            "line is meant as it stands, write it into JSON lines as a text in quotes."
        )


def _are_names(cells: list[str]) -> bool:
    names = {cell.strip(' "') for cell in cells}
    return all(map(str.isidentifier, names)) and bool(names & {*PROMPTS})


def _value_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


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
    _refuse_nulls(path, raw, begin)
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

    places = array("q")
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
                places.extend((line, place[1], place[2]))
            line, place[1] = place[0] + 1, place[2]
    except csv.Error as error:
        words = "a carriage return stands alone in a cell without quotation marks"
        words = words if "new-line character" in str(error) else str(error)
        if words == "unexpected end of data":
            words = "a quotation mark is opened and never closed"
        raise ValueError(f"{path}, line {line}: {words}.") from None

    def parse(piece: bytes) -> dict[str, str]:
        cells = next(_csv(io.StringIO(piece.decode("utf-8"), newline=""), form))
        return dict(zip(names, cells, strict=True))

    return _parts_of(path, raw, _as_places(places), parse)


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
    numbers, first = array("q"), None
    for line, item in values(path, raw, begin):
        first = item if first is None else first
        start = copy.tell()
        copy.write(json.dumps(item).encode())
        numbers.extend((line, start, copy.tell()))
    if not numbers:
        raise ValueError(f"{path} holds no rows: expected at least one.")
    places = _as_places(numbers)
    if len(places) == 1 and isinstance(first, dict):
        _refuse_whole(path, first)
    copy.flush()
    return _parts_of(path, mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ), places, value_of)


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
