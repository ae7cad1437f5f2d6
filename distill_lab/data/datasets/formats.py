"""One file of rows, whatever its form: opened, unpacked, decoded."""

import codecs
import gzip
import mmap
import re
import tempfile
import zlib
from pathlib import Path
from typing import IO

from distill_lab._util.io import encoding_of, refuse_pointer
from distill_lab.data.datasets.arrow import read_arrow, read_saved
from distill_lab.data.datasets.parts import CHUNK, Part
from distill_lab.data.datasets.text_formats import read_json, read_jsonl, read_lines, read_separated

FORMATS = {
    **dict.fromkeys((".jsonl", ".ndjson", ".jsonlines"), "jsonl"),
    ".json": "json",
    ".csv": "csv",
    **dict.fromkeys((".tsv", ".tab"), "tsv"),
    ".txt": "txt",
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    ".arrow": "arrow",
}
ZIP = "a zip archive or an Excel file: unpack it, or save it as CSV"
OTHERS = {  # how files begin that hold no rows, in small letters where they are texts
    **dict.fromkeys((b"PK\x03\x04", b"PK\x05\x06"), ZIP),
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file: save it as CSV",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"\x1f\x8b": "compressed by gzip twice: unpack it once",
    b"\x5d\0\0": "compressed by lzma: unpack it",
    b"\x04\x22\x4d\x18": "compressed by lz4: unpack it",
    b"{\\rtf": "a text with its layout: save it as plain text",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x93NUMPY": "an array of numpy: write its rows as JSON lines",
    **dict.fromkeys(
        (b"\x80\x04\x95", b"\x80\x05\x95"), "pickled, and may run code: save JSON lines"
    ),
    **dict.fromkeys((b"<!doctype html", b"<html"), "a web page: get the file that it shows"),
    b"<?xml": "XML, often a server's refusal: look into it, and get the file itself",
    b"BZh": "compressed by bzip2: unpack it",
    b"\xfd7zXZ": "compressed by xz: unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it",
    b"%PDF": "a PDF: take its text out",
    b"SQLite": "a database: export its table as CSV",
}
LONE_RETURN = re.compile(rb"\r(?!\n)")
READERS = {"jsonl": read_jsonl, "json": read_json, "txt": read_lines}


def is_data_file(path: Path) -> bool:
    """Whether a file's name says that it holds rows."""
    return path.is_file() and path.name[0] != "." and format_of(path) is not None


def format_of(path: Path) -> str | None:
    """The form that a file's name says, without regard to .gz."""
    name = path.name.lower()
    name = name.removesuffix(".gz").removesuffix(".gzip")
    return FORMATS.get(Path(name).suffix)


def read_part(path: Path, encoding: str | None = None) -> Part:
    """Open one file of rows, or a folder that `datasets` saved.

    Args:
        path: where it lies.
        encoding: of a text that is not UTF-8.

    Returns:
        Its rows.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: for what is no list of rows, or cannot be read, with file and line.
    """
    if path.is_dir():
        return read_saved(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check the path.")
    form = format_of(path)
    if path.is_file():
        refuse_pointer(path)
        if form is None:
            raise ValueError(
                f"{path} is no list of rows by its ending: expected {', '.join(FORMATS)}, or one "
                "of them with .gz."
            )
    file = _unpacked(path)
    start = file.read(4096)
    file.seek(0)
    if not start.strip():
        raise ValueError(f"{path} is empty: expected at least one row.")
    if start[:4] == b"PAR1" or form in ("parquet", "arrow"):
        return read_arrow(path, file, form)
    text = start.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for magic, what in OTHERS.items():
        if start.startswith(magic) or text.startswith(magic):
            raise ValueError(f"{path} is {what}.")
    if start[257:262] == b"ustar":
        raise ValueError(f"{path} is a tar archive: unpack it.")
    if form is None:  # a pipe has no name
        form = "json" if start.lstrip()[:1] in (b"{", b"[", b'"') else "txt"
    raw, begin = _in_utf8(path, file, start, encoding)
    raw = _with_line_feeds(raw, form)
    if form in ("csv", "tsv"):
        part = read_separated(path, raw, begin, tab=form == "tsv")
    else:
        part = READERS[form](path, raw, begin)
    if not len(part):
        raise ValueError(f"{path} holds no rows: expected at least one.")
    return part


def _unpacked(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed; what cannot be read twice is kept in a file of its own."""
    file: IO[bytes] = open(path, "rb")  # noqa: SIM115
    regular = path.is_file()
    packed = regular and file.read(2) == b"\x1f\x8b"
    if regular:
        file.seek(0)
    if regular and not packed:
        return file
    with file:
        copy = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            source = gzip.GzipFile(fileobj=file) if packed else file
            while piece := source.read(CHUNK):
                copy.write(piece)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            copy.close()
            raise ValueError(f"{path} is damaged or cut short: {error}.") from None
    copy.seek(0)
    return copy


def _in_utf8(
    path: Path, file: IO[bytes], start: bytes, encoding: str | None
) -> tuple[mmap.mmap, int]:
    """The file's text in UTF-8, mapped into memory, and where it begins behind a mark."""
    name = encoding or encoding_of(start) or "utf-8"
    if encoding is None and re.search(rb"\x1b\$[@B)(]", start):
        raise ValueError(
            f"{path} seems to be a text in iso-2022-jp or iso-2022-kr: name its encoding, or save "
            "it as UTF-8."
        )
    if name.lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
        copy = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            for piece in codecs.iterdecode(iter(lambda: file.read(CHUNK), b""), name):
                copy.write(piece.encode("utf-8"))
        except LookupError:
            raise ValueError(
                f"{path}: there is no encoding {name!r}: try utf-16, cp1252 or latin-1."
            ) from None
        except UnicodeError as error:
            raise ValueError(f"{path} is no text in {name} ({error}): name another.") from None
        copy.flush()
        file = copy
    raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return raw, 3 if raw[:3] == codecs.BOM_UTF8 else 0


def _with_line_feeds(raw: mmap.mmap, form: str) -> mmap.mmap:
    """The same text, a line feed in place of each carriage return that ends a line alone.

    In separated values one may stand in a cell, unless nothing else ends a line.
    """
    if raw.find(b"\r") < 0 or form == "json" or (form in ("csv", "tsv") and raw.find(b"\n") >= 0):
        return raw
    if LONE_RETURN.search(raw) is None:
        return raw
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    for start in range(0, len(raw), CHUNK):  # with the letter behind, which may be a line feed
        copy.write(LONE_RETURN.sub(b"\n", raw[start : start + CHUNK + 1])[:CHUNK])
    copy.flush()
    return mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)
