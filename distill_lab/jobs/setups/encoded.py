"""Tokenised texts of a job, short ones first, and what models say of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.data import Labelled
from distill_lab.jobs.setups.setup import Log, counting, tokens_folder
from distill_lab.models.networks import logits_of


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
        log(f"{data.cut:,} of {len(data):,} texts have more than {max_length} tokens: cut")
    return data


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
