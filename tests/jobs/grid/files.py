"""Rows in the files that people have: the same values in each form."""

import csv
import gzip
import json

import datasets
import pyarrow
import pyarrow.parquet

FORMS = ("jsonl", "json", "csv", "tsv", "parquet", "folder", "jsonl.gz", "two files")


def write(place, name, rows, form):
    """Write rows in a form; what a job names as its data comes back."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    path = place / f"{name}.{form}"
    if form == "folder":
        path = place / name
        columns = {key: [row.get(key) for row in rows] for key in keys}
        datasets.Dataset.from_dict(columns).save_to_disk(str(path))
        return name
    if form == "two files":
        half = len(rows) // 2
        for part, some in (("a", rows[:half]), ("b", rows[half:])):
            (place / f"{name}-{part}.jsonl").write_text(_lines(some), encoding="utf-8", newline="")
        return [f"{name}-a.jsonl", f"{name}-b.jsonl"]
    if form == "parquet":
        columns = {key: [row.get(key) for row in rows] for key in keys}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    elif form in ("csv", "tsv"):
        with open(path, "w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, keys, delimiter="," if form == "csv" else "\t")
            writer.writeheader()
            writer.writerows({key: _cell(row.get(key)) for key in keys} for row in rows)
    elif form == "jsonl.gz":
        path.write_bytes(gzip.compress(_lines(rows).encode()))
    else:
        text = _lines(rows) if form == "jsonl" else json.dumps(rows)
        path.write_text(text, encoding="utf-8", newline="")
    return path.name


def _lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _cell(value):
    return json.dumps(value) if isinstance(value, list) else value
