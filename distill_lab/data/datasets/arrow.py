"""Parquet, Arrow, and the folders that Hugging Face's `datasets` saves."""

import mmap
import tempfile
from pathlib import Path
from typing import IO, Any

from distill_lab._util.checks import needs
from distill_lab.data.datasets.parts import Columns


def read_arrow(path: Path, file: IO[bytes], form: str | None) -> Columns:
    """Parquet or Arrow, as a table that is mapped into memory.

    Args:
        path: the file, for the words of an error.
        file: its bytes.
        form: "arrow", or anything else for Parquet.

    Returns:
        The rows.
    """
    with needs("pyarrow"):
        import pyarrow
        from pyarrow import ipc, parquet
    try:
        if form != "arrow":
            copy = tempfile.TemporaryFile()  # noqa: SIM115
            reader = parquet.ParquetFile(file)
            with ipc.new_stream(copy, reader.schema_arrow) as writer:
                for batch in reader.iter_batches(10_000):
                    writer.write_batch(batch)
            copy.flush()
            file = copy
        raw = pyarrow.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        feather = raw[:6].to_pybytes() == b"ARROW1"
        table = (ipc.open_file(raw) if feather else ipc.open_stream(raw)).read_all()
    except (pyarrow.ArrowException, OSError) as error:
        what = "Arrow" if form == "arrow" else "Parquet"
        raise ValueError(f"{path} cannot be read as {what}: {error}") from None
    if not len(table):
        raise ValueError(f"{path} holds no rows: expected at least one.")
    return Columns(path, len(table), lambda start, end: table[start:end].to_pylist())


def read_saved(folder: Path) -> Columns:
    """A folder that `datasets` saved; the numbers of its classes become their names."""
    with needs("datasets"):
        import datasets
    try:
        data = datasets.load_from_disk(str(folder))
    except Exception as error:  # the library's own of many kinds, all of which mean this
        raise ValueError(f"{folder} cannot be read as a data set: {error}") from None
    if not len(data):
        raise ValueError(f"{folder} holds no rows: expected at least one.")
    classes = {
        name: feature.names
        for name, feature in data.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }

    def rows(start: int, end: int) -> list[dict[str, Any]]:
        columns = data[start:end]
        for name, names in classes.items():
            columns[name] = [
                names[value] if value is not None and value >= 0 else None
                for value in columns[name]
            ]
        values = zip(*columns.values(), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in values]

    return Columns(folder, len(data), rows)
