"""Tokenised texts of a job, short ones first, and what models say of them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.tensors import IGNORE
from distill_lab.data import Labelled
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.examples import Examples
from distill_lab.jobs.setups.setup import Log, counting, tokens_folder
from distill_lab.models.networks import logits_of

SAMPLE = 20_000  # texts of which those that are cut are counted beforehand


def encode(
    tokenizer: Any,
    texts: Sequence[Any],
    labels: Tensor | Sequence[Tensor] | None,
    *,
    max_length: int,
    log: Log,
    out: str | Path | None = None,
) -> Labelled:
    """Tokenise texts once, kept in a job's folder; what is longer than `max_length` is cut.

    Args:
        tokenizer: a fast one works on all cores.
        texts: N texts, or lists of words.
        labels: a row for each text: classes (N,), 0 or 1 for each class (N, C), or a class for each
            word; None for none.
        max_length: tokens, at most.
        log: called with how far a long tokenisation is, and how many were cut.
        out: the job's folder; None keeps nothing.

    Returns:
        The data, short texts first.

    Raises:
        ValueError: for words and a tokenizer that does not know which word a token is of.
    """
    order = short_first(texts)
    if isinstance(labels, Tensor):
        labels = labels[order]
    elif labels is not None:
        labels = [labels[i] for i in order]
    data = Labelled(
        [texts[i] for i in order],
        labels,
        tokenizer,
        max_length=max_length,
        folder=None if out is None else tokens_folder(out),
        progress=counting(log, "texts"),
    )
    if data.cut:
        log(cut_in_words(data))
    return data


def cut_in_words(data: Labelled) -> str:
    """Say how many texts were cut, and how many words with a tag no model sees for that.

    Args:
        data: some of whose texts were cut.

    Returns:
        A line.
    """
    line = f"{data.cut:,} of {len(data):,} texts have more than {data.max_length} tokens: cut"
    if data.tags is None or not data.lost:
        return line
    tagged = data.lost + int((data.tags != IGNORE).sum())
    return f"{line}, and {data.lost:,} of {tagged:,} words with a tag stand behind the cut"


def say_cut(job: ModelJob, examples: Examples[Any], log: Log) -> None:
    """Tell how many texts the student will read cut; no weights are loaded.

    Args:
        job: names whose tokenizer it is, and the length.
        examples: what it learns from, and what is measured on; of many, every so many are cut.
        log: called with a line for each part that has such.

    Raises:
        OSError: for a tokenizer that is not there.
        ValueError: for one that cannot cut these texts, or a length that leaves nothing of them.
    """
    name = str(job.student if isinstance(job.student, str) else job.teacher)
    both = job.validation is not None or job.held_out is not None
    tokenizer = limit = None
    for where, part in [("train", examples.train), ("held out", examples.held_out)][: 1 + both]:
        texts = getattr(part, "words", None) or getattr(part, "texts", None)
        if not texts:
            return
        if tokenizer is None:
            tokenizer = encoders.load_tokenizer(name)
            config = encoders.config_of(job.student, job.teacher)
            limit = encoders.text_limit(config, tokenizer, job.max_length)
        every = math.ceil(len(texts) / SAMPLE)
        tags = part.tags[::every] if getattr(part, "tags", None) else None
        data = Labelled(texts[::every], tags, tokenizer, max_length=limit)
        if data.cut:
            log(f"{where}: {cut_in_words(data)}")


def alike(one: Any, two: Any) -> bool:
    """Say whether two models read the same of each example, whatever their tokenizers are called.

    Args:
        one: the data as one of them reads them.
        two: the same as the other does.

    Returns:
        Whether they do.
    """
    if isinstance(one, Labelled) and isinstance(two, Labelled):
        return one.pad == two.pad and one.tokens.equals(two.tokens)
    return bool(one.fingerprint == two.fingerprint)


def short_first(texts: Sequence[Any]) -> list[int]:
    """The numbers of some texts by their length: who is asked in this order pads little.

    It follows from the texts alone, so that two tokenizers number the same examples alike.

    >>> short_first(["three", "one", "two"])
    [1, 2, 0]
    """
    return sorted(range(len(texts)), key=lambda number: len(texts[number]))


def answers(model: nn.Module, data: Any, size: int = 128) -> list[Tensor]:
    """What a model says of each example, in their order.

    Args:
        model: asked in eval mode, which it is left in.
        data: the examples.
        size: examples a call.

    Returns:
        An answer for each example.
    """
    device = next(model.parameters()).device
    result: list[Tensor] = []
    model.eval()
    with torch.inference_mode():
        for index in torch.arange(len(data)).split(size):  # texts come short ones first
            batch = data.batch(index).to(device)
            rows = logits_of(model, batch.inputs).cpu()
            result += rows.unbind()
    return [row.clone() for row in result]
