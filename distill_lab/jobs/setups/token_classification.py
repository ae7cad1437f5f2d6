"""Taggers: a class for each word of a text."""

from typing import Any

from distill_lab import methods
from distill_lab.jobs.held_out import far_off
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups.classes import class_weights
from distill_lab.jobs.setups.encoded import reader
from distill_lab.jobs.setups.examples import Examples, Split
from distill_lab.jobs.setups.labels import Labels, find_names
from distill_lab.jobs.setups.recipes import check_labels, recipe
from distill_lab.jobs.setups.road import EncoderSetup, Kind, drive
from distill_lab.jobs.setups.setup import Context
from distill_lab.jobs.setups.tables import Table, read_tables
from distill_lab.jobs.setups.text_classification import teacher_classes

HEAD = "ForTokenClassification"


def read_examples(job: ModelJob) -> Examples[Split]:
    """Read the files of a job and number its tags; no model is loaded.

    Args:
        job: what to do.

    Returns:
        The examples.

    Raises:
        OSError: for what is not there.
        ValueError: for what cannot be read, each with its place.
    """
    train, held_out = read_tables(job, "tokens")
    column, tag = job.columns.get("tokens", "tokens"), job.columns.get("tags", "tags")
    of_teacher = teacher_classes(job, HEAD)
    known = job.needs_labels or any(tag in row for row in train.rows)
    # a class may be in the held-out rows of a file alone: it is one of that file's all the same
    tables = (train,) if job.held_out is None else (train, held_out)
    values = [row for table in tables for row in _listed(table, tag, "tags")] if known else []
    flat = [one for row in values for one in row]
    names = Labels(find_names(flat, given=job.labels, of_teacher=of_teacher))

    def read(table: Table, tagged: bool) -> Split:
        words = _listed(table, column, "tokens")
        for row, place in zip(words, table.places, strict=True):
            if wrong := [word for word in row if not isinstance(word, str) or not word.strip()]:
                raise ValueError(f"{place}: each token must be a text, got {wrong[0]!r}.")
        if not tagged:
            return Split(words, None)
        rows = _listed(table, tag, "tags")
        for own, tags, place in zip(words, rows, table.places, strict=True):
            if len(own) != len(tags):
                raise ValueError(
                    f"{place}: {len(own)} tokens and {len(tags)} tags: expected one tag a token."
                )
        places = zip(rows, table.places, strict=True)
        flat = names.numbers(
            [one for row in rows for one in row], [place for row, place in places for _ in row]
        )
        return Split(words, list(flat.split([len(row) for row in rows])))

    split, bare = read(train, known), 0 if known else len(train)
    note = far_off(job.held_out, len(train), len(held_out))
    measured = read(held_out, True)
    return Examples(split, measured, "texts", names, f"{len(names)} tags", bare, note)


def setup(job: ModelJob, context: Context) -> EncoderSetup:
    """Make a job ready: read, load, let the teacher learn and answer where it has to.

    Args:
        job: what to do.
        context: where.

    Returns:
        Student, data, teacher and method.

    Raises:
        OSError: for what cannot be loaded.
        ValueError: for what cannot be read or learned, in words.
    """
    from transformers import AutoModelForTokenClassification as Tagger

    examples = context.kept("examples", lambda: read_examples(job))
    context.log(str(examples))

    assert examples.names is not None
    names = examples.names
    weights = class_weights(job, examples.train.labels, len(names))
    kind = Kind(
        Tagger,
        reader(job, examples, context),
        "tagging",
        names.names,
        config=names.config,
        first=methods.supervised(class_weights=weights),
    )
    method = recipe(job, class_weights=weights)
    check_labels(examples, method)
    return drive(job, context, kind, lambda *_: method, examples.count)


def _listed(table: Table, column: str, setting: str) -> list[list[Any]]:
    """A list for each row, also of a text with blanks between."""
    cells = table.lists(column, setting)
    rows = [value.split() if isinstance(value, str) else value for value in cells]
    for value, place in zip(rows, table.places, strict=True):
        if not isinstance(value, list) or not value:
            raise ValueError(
                f"{place}: {column!r} must be a list, or a text with blanks between its words; got "
                f"{value!r}."
            )
    return rows
