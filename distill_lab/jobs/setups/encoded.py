"""Tokenised texts as data: batches as wide as their longest text, of texts of like length."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.tensors import IGNORE
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.jobs.setups.setup import Log
from distill_lab.models.networks import logits_of

PIECE = 10_000  # texts tokenised at once


class Encoded:
    """Tokenised texts with their labels, padded batch by batch.

    Args:
        columns: the tokenizer's columns, such as "input_ids", a list of numbers a text.
        labels: a row for each text: classes (N,), 0 or 1 for each class (N, C), or a tensor (L,)
            for each text, one class a token; None for none.
        padding: what fills each column up; 0 where it is not named.
    """

    def __init__(
        self,
        columns: dict[str, list[list[int]]],
        labels: Tensor | list[Tensor] | None,
        padding: dict[str, int],
    ) -> None:
        self.columns = {name: [torch.tensor(row) for row in rows] for name, rows in columns.items()}
        self.labels, self.padding = labels, padding
        self.lengths = torch.tensor([len(row) for row in columns["input_ids"]])

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def fingerprint(self) -> str:
        """A short name for the content, by which a checkpoint knows its data again."""
        named = [("lengths", self.lengths)]
        named += [(name, torch.cat(rows)) for name, rows in self.columns.items()]
        if self.labels is not None:
            rows = torch.cat(self.labels) if isinstance(self.labels, list) else self.labels
            named.append(("labels", rows))
        return f"{len(self)}-{fingerprints.of_tensors(named)}"

    def batch(self, index: Tensor) -> Batch:
        """The texts of these numbers, padded to the longest of them."""
        chosen = index.tolist()
        inputs = {
            name: _padded([rows[i] for i in chosen], self.padding.get(name, 0))
            for name, rows in self.columns.items()
        }
        if isinstance(self.labels, list):
            return Batch(inputs, _padded([self.labels[i] for i in chosen], IGNORE), index)
        return Batch(inputs, None if self.labels is None else self.labels[index], index)


def encode(
    tokenizer: Any,
    texts: Sequence[Any],
    labels: Tensor | None,
    *,
    max_length: int,
    log: Log,
    pairs: Sequence[str] | None = None,
) -> Encoded:
    """Tokenise texts, or pairs of them, once; what is longer than `max_length` is cut.

    Args:
        tokenizer: a fast one works on all cores.
        texts: N texts.
        labels: as in `Encoded`, in the order of the texts.
        max_length: tokens, at most.
        log: told how many were cut.
        pairs: the second text of each.

    Returns:
        The data, short texts first.
    """
    order = short_first(texts)
    texts = [texts[i] for i in order]
    pairs = None if pairs is None else [pairs[i] for i in order]
    labels = None if labels is None else labels[order]
    columns: dict[str, list[list[int]]] = {}
    for start in range(0, len(texts), PIECE):
        part = slice(start, start + PIECE)
        second = {} if pairs is None else {"text_pair": list(pairs[part])}
        tokens = tokenizer(list(texts[part]), truncation=True, max_length=max_length, **second)
        for name, rows in tokens.items():
            columns.setdefault(name, []).extend(rows)
        if len(texts) > PIECE:
            log(f"tokenised {min(start + PIECE, len(texts)):,} of {len(texts):,} texts")
    data = Encoded(columns, labels, {"input_ids": tokenizer.pad_token_id})
    if cut := int((data.lengths >= max_length).sum()):
        log(f"{cut:,} of {len(data):,} texts have max_length = {max_length} tokens or more: cut")
    return data


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


def _padded(rows: list[Tensor], value: int) -> Tensor:
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
