"""Tokenised texts of a job, short ones first, and what models say of them."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.tensors import IGNORE
from distill_lab.data import Labelled
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.examples import Examples, Split
from distill_lab.jobs.setups.setup import Context, Log, counting, tokens_folder
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
    left: bool = False,
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
        left: whether texts are padded on the left.

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
        left=left,
    )
    if data.cut:
        log(cut_in_words(data))
    return data


def cut_in_words(data: Any) -> str:
    """Say how many texts were cut, and how many words with a tag no model sees for that.

    Args:
        data: some of whose texts were cut; a ranker's, which are pairs, or texts of both sides.

    Returns:
        A line.
    """
    total, unit = getattr(data, "counted", len(data)), getattr(data, "unit", "texts")
    line = f"{data.cut:,} of {total:,} {unit} have more than {data.max_length} tokens: cut"
    if not isinstance(data, Labelled) or data.tags is None or not data.lost:
        return line
    tagged = data.lost + int((data.tags != IGNORE).sum())
    return f"{line}, and {data.lost:,} of {tagged:,} words with a tag stand behind the cut"


def read_part(part: Split, tokenizer: Any, config: Any, job: ModelJob, **given: Any) -> Labelled:
    """Some examples as a model reads them.

    Args:
        part: the examples.
        tokenizer: the model's.
        config: and its configuration.
        job: says how long a text may be.
        **given: as in `encode`.

    Returns:
        The data.
    """
    limit = encoders.text_limit(config, tokenizer, job.max_length)
    given["left"] = encoders.reads_last(config)
    return encode(tokenizer, part.texts, part.labels, max_length=limit, **given)


def reader(
    job: ModelJob, examples: Examples[Split], context: Context
) -> Callable[[Any, Any, bool], Labelled]:
    """How the models of a job read its texts.

    Args:
        job: what to do.
        examples: the texts.
        context: where; its log is told what is cut.

    Returns:
        (tokenizer, model, held out or not) -> the data.
    """

    def read(tokenizer: Any, model: Any, held_out: bool) -> Labelled:
        part = examples.held_out if held_out else examples.train
        return read_part(part, tokenizer, model.config, job, log=context.log, out=job.out)

    return read


def look(
    job: ModelJob, examples: Examples[Any], log: Log, read: Callable[..., Any] = read_part
) -> Any:
    """Read texts as the student will, with no weights, and tell how many it reads cut.

    Args:
        job: names whose tokenizer it is, and the length.
        examples: what it learns from, and what is measured on; of many, every so many are read.
        log: called with a line for each part that has such.
        read: makes data of a part, as `read_part` does.

    Returns:
        What the student will learn from; None where only some of it was read.

    Raises:
        OSError: for a tokenizer that is not there.
        ValueError: for one that cannot cut these texts, or a length that leaves nothing of them.
    """
    tokenizer = encoders.load_tokenizer(
        str(job.student if isinstance(job.student, str) else job.teacher)
    )
    config = encoders.config_of(job.student, job.teacher)
    both = job.validation is not None or job.held_out is not None
    parts = {"train": examples.train, "held out": examples.held_out}
    learned = None
    for where, part in list(parts.items())[: 1 + both]:
        every = math.ceil(len(part) / SAMPLE)
        data = read(part.part(every), tokenizer, config, job, log=lambda line: None)
        if data.cut:
            log(f"{where}: {cut_in_words(data)}")
        if where == "train" and every == 1:
            learned = data
    return learned


def alike(one: Any, two: Any) -> bool:
    """Say whether two models read the same of each example, whatever their tokenizers are called.

    Args:
        one: the data as one of them reads them.
        two: the same as the other does.

    Returns:
        Whether they do.
    """
    if isinstance(one, Labelled) and isinstance(two, Labelled):
        padded = (one.pad, one.left) == (two.pad, two.left)
        return padded and one.tokens.equals(two.tokens)
    return bool(one.fingerprint == two.fingerprint)


def check_alike(job: ModelJob, *, same: bool) -> None:
    """Refuse to match layers, or answers to pictures made anew, of two models that read otherwise.

    Args:
        job: says what is matched, and which pictures are made anew.
        same: whether teacher and student read the same of each example.

    Raises:
        ValueError: in words.
    """
    if (job.match or job.augment) and not same:
        what = "match: layers" if job.match else "augment: pictures"
        raise ValueError(
            f"{what} are those of one input, and teacher and student read the examples otherwise, "
            "by another tokenizer or size: give the student the teacher's."
        )


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
