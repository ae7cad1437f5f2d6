"""JSON lines on disk, and errors of the disk in words."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from distill_lab._util.io import explained, user_path

Row = dict[str, Any]


def beside(path: Path, ending: str) -> Path:
    """Name the sister of an answers file.

    Args:
        path: the answers file.
        ending: what stands in place of "jsonl".

    Returns:
        The sister's path.

    >>> beside(Path("runs/answers.jsonl"), "card.md").as_posix()
    'runs/answers.card.md'
    """
    stem = path.name.removesuffix(".jsonl")
    return path.with_name(f"{stem}.{ending}")


def read_rows(path: str | Path) -> list[Row]:
    """Read the rows of a JSONL file; a last line that was cut short is left out.

    Raises:
        FileNotFoundError: Where there is no file.
        ValueError: For another line that is not a JSON object.
    """
    path = user_path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check the path.")
    return list(rows_in(path, path.read_bytes()))


def line_of(row: Row) -> bytes:
    """Write a row as one line, with its end."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"  # half a surrogate pair is no text


def is_object(raw: bytes) -> bool:
    """Say whether bytes are one whole JSON object."""
    try:
        return isinstance(json.loads(raw), dict)
    except ValueError:
        return False


def rows_in(path: Path, raw: bytes) -> Iterator[Row]:
    """Read the rows of a file's bytes; a last line that was cut short is left out.

    Args:
        path: the file, for the words of an error.
        raw: its bytes.

    Yields:
        The rows.

    Raises:
        ValueError: for a line that is no JSON object, but the last.
    """
    lines = raw.split(b"\n")  # not splitlines: a text may hold other line ends
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if is_object(line):
            yield json.loads(line)
        elif number < len(lines):  # the last one has no end, and may have been cut short
            raise ValueError(
                f"{path}, line {number} is not a JSON object: the file was changed by hand or by "
                "the disk. Mend or remove that line."
            )


def in_words(path: Path) -> AbstractContextManager[None]:
    """Say of an error of the system what it means for the answers."""
    return explained(path, "What was answered before", "start again")
