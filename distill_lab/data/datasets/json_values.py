"""JSON values of a file, one after the other: a list of them, or a text of several."""

import codecs
import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill_lab._util.io import no_text
from distill_lab.data.datasets.parts import CHUNK

SPACE = re.compile(r"[ \t\r\n]*")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each of whose names stands there once: a second value would hide the first."""
    item = dict(pairs)
    if len(item) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object: keep one of the values.")
    return item


DECODER = json.JSONDecoder(object_pairs_hook=_once)


def value_of(piece: bytes) -> Any:
    """The one JSON value of a piece of a file.

    Args:
        piece: text in UTF-8, perhaps with a mark in front.

    Returns:
        The value.

    Raises:
        ValueError: for what is no JSON, and for an object with one name twice.
    """
    try:
        return DECODER.decode(piece.decode("utf-8-sig"))
    except ValueError as error:
        raise (_bounded(error) or error) from None


def _bounded(error: ValueError) -> ValueError | None:
    """What to say of a number that Python does not read; None for any other error."""
    if not str(error).startswith("Exceeds the limit"):
        return None
    return ValueError("a number has thousands of digits: write it as a text, in quotes.")


class _Cursor:
    """A place in a JSON text that is read piece by piece.

    Args:
        path: the file, for the words of an error.
        raw: its bytes.
        begin: where the text begins.
    """

    def __init__(self, path: Path, raw: mmap.mmap, begin: int) -> None:
        self.path, self.raw, self.read = path, raw, begin
        self.text, self.place, self.line, self.size = "", 0, 1, CHUNK
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def more(self) -> bool:
        """Read on, more each time; False at the end."""
        piece = self.raw[self.read : self.read + self.size]
        try:
            text = self.decoder.decode(piece, not piece)
        except UnicodeDecodeError as error:
            line = self.raw[: self.read + error.start].count(b"\n") + 1
            byte = error.object[error.start]
            raise ValueError(no_text(f"{self.path}, line {line}", byte, "utf-8")) from None
        self.read += len(piece)
        self.size *= 2
        self.text, self.place = self.text[self.place :] + text, 0
        return bool(piece)

    def step(self, place: int) -> None:
        """Go on to a place of the text."""
        self.line += self.text.count("\n", self.place, place)
        self.place = place

    def letter(self) -> str:
        """The next letter that is no white space; none at the end."""
        while True:
            space = SPACE.match(self.text, self.place)
            self.step(space.end() if space else self.place)
            if self.place < len(self.text):
                return self.text[self.place]
            if not self.more():
                return ""

    def value(self) -> Any:
        """The JSON value that begins here."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.place)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self.text) - 64 or error.msg.startswith("Unterminated")
                if cut and self.more():
                    continue
                self.step(min(error.pos, len(self.text)))
                raise self.wrong(f"this is not JSON: {error.msg}") from None
            except RecursionError:
                raise self.wrong("the value is nested too deeply") from None
            except ValueError as error:  # a name twice, or a number of thousands of digits
                raise self.wrong(str(_bounded(error) or error).rstrip(".")) from None
            if end == len(self.text) and self.more():
                continue  # the digits of a number may go on
            self.step(end)
            self.size = CHUNK
            return value

    def wrong(self, what: str) -> ValueError:
        """The error to raise, with the line."""
        return ValueError(f"{self.path}, line {self.line}: {what}.")


def values(path: Path, raw: mmap.mmap, begin: int) -> Iterator[tuple[int, Any]]:
    """Every value of a list, or of a text of several, with its line.

    Args:
        path: the file, for the words of an error.
        raw: its text in UTF-8.
        begin: where it begins, behind a mark.

    Yields:
        The line a value begins at, and the value.
    """
    cursor = _Cursor(path, raw, begin)
    inside = cursor.letter() == "["
    if inside:
        cursor.step(cursor.place + 1)
    while letter := cursor.letter():
        if inside and letter == "]":
            cursor.step(cursor.place + 1)
            if cursor.letter():
                raise cursor.wrong("something stands behind the end of the list")
            return
        line = cursor.line
        yield line, cursor.value()
        letter = cursor.letter() if inside else ""
        if letter == ",":
            cursor.step(cursor.place + 1)
        elif letter not in ("", "]"):
            raise cursor.wrong("a comma is missing between two rows")
    if inside:
        raise cursor.wrong("the list has no end: the file may have been cut short")
