"""Examples in, batches out: every batch knows which examples it holds."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

Data = Any  # (inputs, labels or None), an Examples, or a map-style torch Dataset of (x, y)


class Batch(NamedTuple):
    """What a method sees: inputs, labels (None where there are none), and which examples."""

    inputs: Any
    labels: Tensor | None
    ids: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device; the ids stay where they are."""
        if device.type == "cpu" and isinstance(self.inputs, Tensor) and self.inputs.is_cpu:
            return self
        return Batch(_move(self.inputs, device), _move(self.labels, device), self.ids)


class Source(Protocol):
    """Examples that can be fetched by number."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch: ...


class TensorSource:
    """Examples held in two tensors: the fast path, one gather a batch."""

    def __init__(self, inputs: Tensor, labels: Tensor | None) -> None:
        if labels is not None and len(labels) != len(inputs):
            raise ValueError(
                f"data has {len(inputs)} inputs but {len(labels)} labels: expected one label an "
                "input. Unlabelled data is written (inputs, None)."
            )
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, index: Tensor) -> Batch:
        here = index if self.inputs.is_cpu else index.to(self.inputs.device)
        labels = None if self.labels is None else self.labels.index_select(0, here)
        # index_select copies whole rows; inputs[index] goes number by number
        return Batch(self.inputs.index_select(0, here), labels, index)


class DatasetSource:
    """Examples of a map-style torch Dataset, collated as a DataLoader would."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, index: Tensor) -> Batch:
        rows = [self.dataset[i] for i in index.tolist()]
        if not isinstance(rows[0], (tuple, list)) or len(rows[0]) != 2:
            raise ValueError(
                "a Dataset must yield pairs (input, label); this one yielded "
                f"{type(rows[0]).__name__}. Wrap it so that dataset[i] returns such a pair."
            )
        inputs, labels = default_collate(rows)
        return Batch(inputs, labels, index)


def as_data(data: Data) -> Source:
    """Read data in any of the accepted forms; refuse what is empty or unknown.

    Raises TypeError for an unknown form, ValueError for no examples or lengths that differ.

    >>> len(as_data((torch.zeros(5, 4), torch.zeros(5, dtype=torch.long))))
    5
    """
    if callable(getattr(data, "batch", None)) and hasattr(data, "__len__"):
        return data  # it makes its batches itself, as `Texts` does
    pair = _as_pair(data)
    source: Source
    if pair is not None:
        source = TensorSource(*pair)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        source = DatasetSource(data)
    else:
        raise TypeError(
            "data must be a pair of tensors (inputs, labels), Examples, Texts, or a map-style "
            f"Dataset with len() and [i]; got {type(data).__name__}. A DataLoader hides which "
            "example is which: pass its .dataset."
        )
    if len(source) == 0:
        raise ValueError("data holds no examples: expected at least one.")
    return source


def own_fingerprint(source: Source) -> str | None:
    """What data say of their own content, as `Texts` do; None where they say nothing.

    A data set of your own may: an attribute ``fingerprint``, a short string that changes with what
    is in it. Caches and checkpoints then know the data again without reading them.
    """
    for holder in (source, getattr(source, "dataset", None)):
        told = getattr(holder, "fingerprint", None)
        if isinstance(told, str):
            return told
    return None


def batches(
    source: Source, batch_size: int, seed: int, *, first: int, last: int
) -> Iterator[tuple[int, Batch]]:
    """Batches number ``first`` to ``last - 1`` of a run, numbered across epochs, as ``drawn``."""
    for number, index in drawn(len(source), batch_size, seed, first=first, last=last):
        yield number, source.batch(index)


def drawn(
    examples: int, batch_size: int, seed: int, *, first: int, last: int
) -> Iterator[tuple[int, Tensor]]:
    """Which examples the batches number ``first`` to ``last - 1`` of a run hold.

    That follows from (seed, number) and nothing else, so a run that stopped after ``first``
    batches goes on exactly where it was.
    """
    per_epoch = math.ceil(examples / batch_size)
    for epoch in range(first // per_epoch, math.ceil(last / per_epoch)):
        order = epoch_order(examples, seed, epoch).split(batch_size)
        for number, index in enumerate(order, start=epoch * per_epoch):
            if first <= number < last:
                yield number, index


def epoch_order(examples: int, seed: int, epoch: int) -> Tensor:
    """A permutation of the examples that any resumed run can draw again."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(examples, generator=generator)


def _as_pair(data: Data) -> tuple[Tensor, Tensor | None] | None:
    if isinstance(data, Dataset):
        return None  # whatever it holds, what it yields may be another thing: augmented, say
    if hasattr(data, "inputs") and hasattr(data, "labels"):
        return data.inputs, data.labels
    if isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], Tensor):
        return data[0], data[1]
    return None


def _move(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _move(item, device) for key, item in value.items()}
    return value
