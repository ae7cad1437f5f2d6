"""Taggers: a class for each word of a text."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab import methods
from distill_lab._util.tensors import IGNORE
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.classes import class_weights
from distill_lab.jobs.setups.encoded import Encoded, short_first
from distill_lab.jobs.setups.examples import Examples
from distill_lab.jobs.setups.labels import Labels, find_names
from distill_lab.jobs.setups.recipes import recipe
from distill_lab.jobs.setups.road import EncoderSetup, Kind, drive
from distill_lab.jobs.setups.setup import Context, Log
from distill_lab.jobs.setups.tables import Table, read_tables
from distill_lab.jobs.setups.text_classification import teacher_classes

HEAD = "ForTokenClassification"


@dataclass(frozen=True)
class Tagged:
    """Texts as words, each word with its class.

    Args:
        words: of each text.
        tags: a class for each word; None for no labels.
    """

    words: list[list[str]]
    tags: list[Tensor] | None

    def __len__(self) -> int:
        return len(self.words)


def read_examples(job: ModelJob) -> Examples[Tagged]:
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
    values = _listed(train, tag, "tags") if known else []
    flat = [one for row in values for one in row]
    names = Labels(find_names(flat, given=job.labels, of_teacher=of_teacher))

    def read(table: Table, tagged: bool) -> Tagged:
        words = _listed(table, column, "tokens")
        if not tagged:
            return Tagged(words, None)
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
        return Tagged(words, list(flat.split([len(row) for row in rows])))

    split, bare = read(train, known), 0 if known else len(train)
    return Examples(split, read(held_out, True), "texts", names, f"{len(names)} tags", bare)


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

    def read(tokenizer: Any, model: Any, held_out: bool) -> Encoded:
        split = examples.held_out if held_out else examples.train
        limit = encoders.text_limit(model.config, tokenizer, job.max_length)
        return encode_words(tokenizer, split, limit, context.log)

    assert examples.names is not None
    names = examples.names
    weights = class_weights(job, examples.train.tags, len(names))
    kind = Kind(
        Tagger,
        read,
        "tagging",
        names.names,
        config=names.config,
        first=methods.supervised(class_weights=weights),
    )
    method = recipe(job, class_weights=weights)
    return drive(job, context, kind, lambda *_: method, examples.count)


def encode_words(tokenizer: Any, split: Tagged, max_length: int, log: Log) -> Encoded:
    """Tokenise words; a word's class stands at its first token, and nowhere else.

    Args:
        tokenizer: a fast one, which knows the words of its tokens.
        split: the words.
        max_length: tokens, at most; what is longer is cut.
        log: told how many were cut.

    Returns:
        The data, labels -100 at every other token.

    Raises:
        ValueError: for a tokenizer that does not know which word a token is of.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"{type(tokenizer).__name__} does not say which word a token is of, so that tags could "
            "not be laid on tokens: save the fast tokenizer (tokenizer.json) beside the model."
        )
    order = short_first(split.words)
    split = Tagged(
        [split.words[i] for i in order],
        None if split.tags is None else [split.tags[i] for i in order],
    )
    tokens = tokenizer(
        split.words, is_split_into_words=True, truncation=True, max_length=max_length
    )
    labels = None
    if split.tags is not None:
        labels = []
        for number, tags in enumerate(split.tags):
            words = tokens.word_ids(number)
            row = torch.full((len(words),), IGNORE)
            for place, word in enumerate(words):
                if word is not None and (place == 0 or words[place - 1] != word):
                    row[place] = tags[word]
            labels.append(row)
    data = Encoded(dict(tokens), labels, {"input_ids": tokenizer.pad_token_id})
    if cut := int((data.lengths >= max_length).sum()):
        log(f"{cut:,} of {len(data):,} texts have max_length = {max_length} tokens or more: cut")
    return data


def _listed(table: Table, column: str, setting: str) -> list[list[Any]]:
    """A list for each row, also of a text with blanks between."""
    rows = [
        value.split() if isinstance(value, str) else value
        for value in table.column(column, setting)
    ]
    for value, place in zip(rows, table.places, strict=True):
        if not isinstance(value, list) or not value:
            raise ValueError(
                f"{place}: {column!r} must be a list, or a text with blanks between its words; got "
                f"{value!r}."
            )
    return rows
