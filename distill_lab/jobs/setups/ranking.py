"""Rankers: of a query's candidates, the right one first."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.tensors import IGNORE
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.data.labelled import cut_in
from distill_lab.jobs.held_out import far_off
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.encoded import cut_in_words, look, short_first
from distill_lab.jobs.setups.examples import Examples
from distill_lab.jobs.setups.recipes import recipe
from distill_lab.jobs.setups.road import EncoderSetup, Kind, drive
from distill_lab.jobs.setups.setup import Context, Log
from distill_lab.jobs.setups.tables import Table, read_tables
from distill_lab.jobs.setups.text_classification import teacher_classes, texts_of
from distill_lab.models import Ranker

HEAD = "ForSequenceClassification"
Tokens = dict[str, list[list[int]]]


@dataclass(frozen=True)
class Queries:
    """Queries with their candidates, the right one first, short ones first.

    Args:
        queries: the queries.
        candidates: of each, two or more texts.
    """

    queries: list[str]
    candidates: list[list[str]]

    def __len__(self) -> int:
        return len(self.queries)

    def part(self, every: int) -> "Queries":
        """Every so many of them, from the first."""
        return Queries(self.queries[::every], self.candidates[::every])


class Ranked:
    """Queries and their candidates as tokens: pairs for a cross-encoder, or texts for two encoders.

    Args:
        queries: the texts.
        tokenizer: cuts them into tokens.
        max_length: tokens, at most.
        pairs: whether each candidate is read together with its query.
        relevance: whether labels are 1 for the right candidate and 0 for the others, as measures
            read them; else the right candidate's number, which is learned.
        left: whether texts are padded on the left.

    What is longer is cut: `cut` counts them, of all that are `counted`, each one of its `unit`.
    """

    filled_up = False  # whether each batch has as many places as the longest of all lists

    draws = False  # nothing by chance

    def __init__(
        self,
        queries: Queries,
        tokenizer: Any,
        max_length: int,
        *,
        pairs: bool,
        relevance: bool,
        left: bool = False,
    ) -> None:
        self.pad, self.relevance = {"input_ids": int(tokenizer.pad_token_id)}, relevance
        self.side = "left" if left else "right"
        self.counts = torch.tensor([len(each) for each in queries.candidates])
        self.starts = self.counts.cumsum(0) - self.counts
        flat = [text for each in queries.candidates for text in each]
        self.max_length, self.cut = max_length, 0
        self.unit, self.counted = (
            ("pairs", len(flat)) if pairs else ("texts", len(self) + len(flat))
        )

        def tokens(*texts: list[str]) -> Tokens:
            output = tokenizer(*texts, truncation=True, max_length=max_length)
            self.cut += cut_in(output, max_length)
            return dict(output)

        self.queries: Tokens | None = None
        if pairs:
            repeated = [
                query
                for query, each in zip(queries.queries, queries.candidates, strict=True)
                for _ in each
            ]
            self.candidates: Tokens = tokens(repeated, flat)
        else:
            self.candidates, self.queries = tokens(flat), tokens(queries.queries)

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def fingerprint(self) -> str:
        """A short name for the content, by which a checkpoint knows its data again."""
        facts: list[Any] = [self.candidates, self.queries, self.counts.tolist(), self.relevance]
        facts += ["left"] if self.side == "left" else []
        return f"{len(self)}-{fingerprints.of_facts(facts)}"

    def in_full(self) -> "Ranked":
        """The same with as many places in each batch, so that its scores are put side by side."""
        full = copy.copy(self)
        full.filled_up = True
        return full

    def batch(self, index: Tensor) -> Batch:
        """These queries, with as many places as the longest list has candidates."""
        counts, starts = self.counts[index], self.starts[index]
        most = (self.counts if self.filled_up else counts).max()
        mask = torch.arange(int(most)) < counts[:, None]
        # a place without a candidate repeats the first one: the mask leaves it out
        places = torch.where(mask, starts[:, None] + torch.arange(mask.shape[1]), starts[:, None])
        flat = self._padded(self.candidates, places.flatten())
        candidates = {name: rows.unflatten(0, mask.shape) for name, rows in flat.items()}
        inputs: dict[str, Any] = {"candidates": candidates, "mask": mask}
        if self.queries is not None:
            inputs["query"] = self._padded(self.queries, index)
        labels = torch.zeros(len(index), dtype=torch.long)
        if self.relevance:
            labels = torch.zeros(mask.shape, dtype=torch.long)
            labels[:, 0] = 1
            labels = labels.masked_fill(~mask, IGNORE)
        return Batch(inputs, labels, index)

    def _padded(self, tokens: Tokens, rows: Tensor) -> dict[str, Tensor]:
        return {
            name: nn.utils.rnn.pad_sequence(
                [torch.tensor(each[i]) for i in rows.tolist()],
                batch_first=True,
                padding_value=self.pad.get(name, 0),
                padding_side=self.side,
            )
            for name, each in tokens.items()
        }


def read_examples(job: ModelJob) -> Examples[Queries]:
    """Read the queries of a job; no model is loaded.

    Args:
        job: what to do.

    Returns:
        The examples.

    Raises:
        OSError: for what is not there.
        ValueError: for rows without a query or candidates, each with its place.
    """
    if job.teacher is not None:
        known = teacher_classes(job, HEAD)
        if known is not None and len(known) != 1:
            raise ValueError(
                f"the teacher {job.teacher} gives a pair {len(known)} numbers, and a ranker gives "
                "one score: name a cross-encoder with num_labels=1."
            )
    train, held_out = read_tables(job, "query")
    learned = _queries(train, job)
    as_labels = job.method == "supervised" or job.finetune is not None
    if as_labels and len({len(each) for each in learned.candidates}) > 1:
        raise ValueError(
            f"{train.places[0]}: the queries have different numbers of candidates, and labels "
            "alone are learned from as many for each: give each as many negatives."
        )
    candidates = sum(map(len, learned.candidates))
    what = f"{candidates:,} candidates"
    note = far_off(job.held_out, len(train), len(held_out))
    return Examples(learned, _queries(held_out, job), "queries", what=what, note=note)


def read_part(
    part: Queries,
    tokenizer: Any,
    config: Any,
    job: ModelJob,
    *,
    pairs: bool,
    relevance: bool = False,
    log: Log = lambda line: None,
) -> Ranked:
    """Some queries as a model reads them.

    Args:
        part: the queries.
        tokenizer: the model's.
        config: and its configuration.
        job: says how long a text may be.
        pairs: as in `Ranked`.
        relevance: as in `Ranked`.
        log: called with how many were cut.

    Returns:
        The data.
    """
    limit = encoders.text_limit(config, tokenizer, job.max_length)
    left = encoders.reads_last(config)
    data = Ranked(part, tokenizer, limit, pairs=pairs, relevance=relevance, left=left)
    if data.cut:
        log(cut_in_words(data))
    return data


def learned(job: ModelJob, examples: Examples[Queries], log: Log) -> Ranked | None:
    """Read queries as the student will, with no weights, and tell how many it reads cut.

    Args:
        job: what to do.
        examples: the queries.
        log: as in `encoded.look`.

    Returns:
        What it will learn from; None where only some of it was read.
    """
    read = partial(read_part, pairs=job.reads == "together")
    data: Ranked | None = look(job, examples, log, read)
    return data


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
    from transformers import AutoModelForSequenceClassification

    examples = context.kept("examples", lambda: read_examples(job))
    context.log(str(examples))

    def reader(pairs: bool) -> Callable[[Any, Any, bool], Ranked]:
        def read(tokenizer: Any, model: Any, held_out: bool) -> Ranked:
            queries = examples.held_out if held_out else examples.train
            given: dict[str, Any] = {"pairs": pairs, "relevance": held_out, "log": context.log}
            return read_part(queries, tokenizer, model.config, job, **given)

        return read

    two = job.reads == "apart"
    kind = Kind(
        AutoModelForSequenceClassification,
        reader(True),
        "ranking",
        config={"num_labels": 1},
        wrap=Ranker,
        measures={"first is right": first_is_right},
        student_auto=encoders.AutoEncoder if two else None,
        student_wrap=(lambda model: Ranker(model, read="mean")) if two else None,
        student_encode=reader(False) if two else None,
    )
    method = recipe(job)
    return drive(job, context, kind, lambda *_: method, examples.count)


def first_is_right(scores: Tensor, labels: Tensor) -> float:
    """How often the right candidate has the highest score; of n that share it, an n-th of a time.

    Args:
        scores: of each candidate (N, K).
        labels: 1 for the right one, -100 where there is none (N, K).

    Returns:
        Percent.
    """
    kept = scores.masked_fill(labels == IGNORE, -torch.inf)
    first = kept == kept.amax(1, keepdim=True)
    right = (first & (labels == 1)).sum(1) / first.sum(1)
    return float(100 * right.double().mean())


def _queries(table: Table, job: ModelJob) -> Queries:
    names = {each: job.columns.get(each, each) for each in ("query", "positive", "negative")}
    queries = texts_of(table, names["query"], "query")
    right = texts_of(table, names["positive"], "positive")
    wrong = table.lists(names["negative"], "negative")
    candidates = []
    for first, others, place in zip(right, wrong, table.places, strict=True):
        listed = others if isinstance(others, list) else [others]
        if not listed or not all(isinstance(each, str) and each.strip() for each in listed):
            raise ValueError(
                f"{place}: {names['negative']!r} must be a text, or a list of texts; got "
                f"{others!r}."
            )
        if first.split() in [each.split() for each in listed]:
            raise ValueError(
                f"{place}: {first!r} is the right candidate and among the wrong ones: leave it out "
                f"of {names['negative']!r}."
            )
        candidates.append([first, *listed])
    order = short_first([" ".join(each) for each in candidates])
    return Queries([queries[i] for i in order], [candidates[i] for i in order])
