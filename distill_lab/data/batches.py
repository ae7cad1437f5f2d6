"""Examples in, batches out: every batch knows which examples it holds."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from distill_lab._util.checks import non_negative_int
from distill_lab._util.tensors import Batch as Batch  # part of what this module offers
from distill_lab._util.tensors import (
    SoftBatch,
    leaves,
    like_soft_labels,
    map_tensors,
    moved,
    rows_at,
)
from distill_lab.data.forms import Collate, Parts, Rows, in_columns, in_tensors, refusal_of
from distill_lab.data.samplers import Sampler as Sampler
from distill_lab.data.samplers import generator_of
from distill_lab.data.sources import Coming, DatasetSource, Read, ReadAhead
from distill_lab.data.sources import Source as Source
from distill_lab.data.sources import batch_of as batch_of

Data = Any  # any of the forms that `as_data` takes


class TensorSource:
    """Examples held in tensors: the fast path, one gather a batch.

    Args:
        inputs: (N, ...), or a dict or tuple of such.
        labels: (N, ...), or None.
        weights: what each example weighs (N,), or None.

    Raises:
        ValueError: for lengths that differ.
    """

    def __init__(self, inputs: Any, labels: Tensor | None, weights: Tensor | None = None) -> None:
        self.inputs, self.labels, self.weights = in_tensors(Parts(inputs, labels, weights))
        columns = getattr(inputs, "columns", None) if hasattr(inputs, "dtypes") else None
        self.names = None if columns is None else [str(name) for name in columns]  # of a frame
        self.plain = weights is None and all(
            part is None or isinstance(part, Tensor) for part in (self.inputs, self.labels)
        )
        self.size = len(leaves("", self.inputs)[0][1])
        self.kind = SoftBatch if like_soft_labels(self.labels) else Batch

    def __len__(self) -> int:
        return self.size

    def batch(self, index: Tensor) -> Batch:
        """Draw the examples with these numbers."""
        if self.plain:
            here = index if self.inputs.is_cpu else moved(index, self.inputs.device)
            labels = None if self.labels is None else self.labels.index_select(0, here)
            return self.kind(rows_at(self.inputs, here), labels, index)

        def picked(column: Tensor) -> Tensor:
            return rows_at(column, moved(index, column.device))

        held = (self.inputs, self.labels, self.weights)
        inputs, labels, weights = map_tensors(picked, held)
        return self.kind(inputs, labels, index, weights)

    def columns(self) -> list[tuple[str, Tensor]]:
        """Every tensor by its name, inputs first: what the content is known by."""
        parts = {"inputs": self.inputs, "labels": self.labels, "weights": self.weights}
        return [c for name, part in parts.items() if part is not None for c in leaves(name, part)]


@contextmanager
def reading(source: Source) -> Iterator[Callable[[Coming], Read]]:
    """How a loop reads: ahead of time where the source can, else batch by batch as it asks.

    Yields a function to call once, with which pieces will be read, in their order, each as (number
    of the batch, examples (B,)); it returns the function that reads the next of them. Whoever reads
    ahead stops with the block.
    """
    with ExitStack() as workers:

        def start(coming: Coming) -> Read:
            if isinstance(source, TensorSource):
                return source.batch
            if not getattr(source, "draws", True):
                return partial(batch_of, source)
            # a source of one's own may draw, and draws the same with workers or without
            own = getattr(source, "reader", None) or ReadAhead(source, 0).reader
            read: Read = workers.enter_context(own(coming))
            return read

        yield start


def as_data(data: Data, collate: Collate | None = None, workers: int = 0) -> Source:
    """Read data in any of the accepted forms; refuse what is empty or unknown.

    In columns: a pair (inputs, labels) or a triple (inputs, labels, weights). Inputs are a tensor,
    a NumPy array, a list of numbers, or a mapping or tuple of these; labels are a tensor, an
    array, a list, or None. Or one mapping that has the labels under `labels` or `label`.

    In rows: a map-style Dataset of torch or Hugging Face, or a list, of pairs, triples or mappings.

    Args:
        data: one of these, `Examples`, `Texts`, `Labelled`, or a source.
        collate: a function from a list of rows to a batch, as a DataLoader takes it; columns are
            handed to it in rows. It is for rows of different lengths, above all.
        workers: processes that read ahead, with the same bits in the same order; what lies in
            memory as tensors is read without them.

    Returns:
        A source: examples that can be fetched by number.

    Raises:
        TypeError: for an unknown form, or a collate beside a source that makes its own batches.
        ValueError: for no examples, lengths that differ, or text in place of numbers.

    >>> len(as_data((torch.zeros(5, 4), torch.zeros(5, dtype=torch.long))))
    5
    >>> as_data({"x": [[1.0], [2.0]], "label": [1, 0]}).batch(torch.tensor([1]))[:2]
    ({'x': tensor([[2.]])}, tensor([0]))
    """
    workers = non_negative_int("workers", workers)
    source: Source
    if _makes_batches(data):
        if collate is not None:
            raise TypeError(
                f"collate= is for data in rows, and a {type(data).__name__} makes its batches "
                "itself: leave it out."
            )
        source = ReadAhead(data, workers) if workers else data
    elif (parts := in_columns(data)) is not None:
        rows = collate is not None
        source = DatasetSource(Rows(parts), collate, workers) if rows else TensorSource(*parts)
    elif isinstance(data, IterableDataset) or not (
        hasattr(data, "__getitem__") and hasattr(data, "__len__")
    ):  # one of torch has both by name, and answers by number with an error
        raise refusal_of(data)
    else:
        source = DatasetSource(data, collate, workers)
    if len(source) == 0:
        raise ValueError("data holds no examples: expected at least one.")
    return source


def _makes_batches(data: Data) -> bool:
    """Whether data are a source: `batch` takes numbers, not a size as that of Hugging Face does."""
    batch = getattr(data, "batch", None)
    if not callable(batch) or not hasattr(data, "__len__"):
        return False
    return next(iter(signature(batch).parameters), "") != "batch_size"


def own_fingerprint(source: Source) -> str | None:
    """What data say of their own content, as `Texts` do; None where they say nothing.

    A data set of your own may: an attribute `fingerprint`, a short string that changes with what
    is in it. Caches and checkpoints then know the data again without reading them.
    """
    for holder in (source, getattr(source, "dataset", None)):
        own = getattr(holder, "fingerprint", None)
        if isinstance(own, str):
            return own
    return None


def sampler_of(source: Source, batch_size: int) -> Sampler | None:
    """The order that data ask for themselves, as texts bundled by length do; None: any.

    Args:
        source: one with a method `sampler(batch_size)`, or another.
        batch_size: of the run.

    Returns:
        What decides the order where the caller does not.
    """
    own = getattr(source.dataset if isinstance(source, ReadAhead) else source, "sampler", None)
    sampler: Sampler | None = own(batch_size) if callable(own) else None
    return sampler


def batches(
    source: Source, batch_size: int, seed: int, *, first: int, last: int
) -> Iterator[tuple[int, Batch]]:
    """Batches number `first` to `last - 1` of a run, numbered across epochs, as `drawn`.

    Args:
        source: the examples.
        batch_size: how many a batch holds; the last of an epoch may hold fewer.
        seed: decides the order.
        first: number of the first batch.
        last: number after that of the last.

    Yields:
        (number, batch).

    >>> source = as_data((torch.arange(5.0)[:, None], None))
    >>> [len(batch.ids) for _, batch in batches(source, 2, seed=0, first=0, last=4)]
    [2, 2, 1, 2]
    """
    for number, index in drawn(len(source), batch_size, seed, first=first, last=last):
        yield number, source.batch(index)


def drawn(
    examples: int,
    batch_size: int,
    seed: int,
    *,
    first: int,
    last: int,
    drop_last: bool = False,
    sampler: Sampler | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Which examples the batches number `first` to `last - 1` of a run hold.

    That follows from (seed, number) and nothing else, so a run that stopped after `first`
    batches goes on exactly where it was.

    Args:
        examples: how many there are.
        batch_size: how many a batch holds; the last of an epoch may hold fewer.
        seed: decides the order.
        first: number of the first batch.
        last: number after that of the last.
        drop_last: whether an epoch leaves out a batch that would hold fewer.
        sampler: decides the order in place of a shuffle.

    Yields:
        (number, examples (B,)).

    >>> [number for number, _ in drawn(5, 2, seed=0, first=2, last=4)]
    [2, 3]
    """
    size = len(epoch_order(examples, seed, 0, sampler)) if sampler is not None else examples
    per_epoch = steps_in(size, batch_size, drop_last=drop_last)
    for epoch in range(first // per_epoch, math.ceil(last / per_epoch)):
        order = epoch_order(examples, seed, epoch, sampler)
        if len(order) != size:
            raise ValueError(
                f"the sampler gives {size} examples for epoch 0 and {len(order)} for epoch {epoch}:"
                " every epoch needs as many, so that a run can be taken up at any step."
            )
        parts = order.split(batch_size)[:per_epoch]
        for number, index in enumerate(parts, start=epoch * per_epoch):
            if first <= number < last:
                yield number, index


def steps_in(examples: int, batch_size: int, *, drop_last: bool = False) -> int:
    """How many batches an epoch has.

    Args:
        examples: how many an epoch has.
        batch_size: how many a batch holds.
        drop_last: whether a batch that would hold fewer is left out.

    Returns:
        The number of batches.

    >>> steps_in(5, 2), steps_in(5, 2, drop_last=True)
    (3, 2)
    """
    return examples // batch_size if drop_last else math.ceil(examples / batch_size)


def epoch_order(examples: int, seed: int, epoch: int, sampler: Sampler | None = None) -> Tensor:
    """A permutation of the examples that any resumed run can draw again, or a sampler's order.

    Args:
        examples: how many there are.
        seed: of the run.
        epoch: which of its epochs, from 0.
        sampler: decides the order; None: a shuffle.

    Returns:
        The numbers 0 to examples - 1 (N,), in the order of that epoch.

    Raises:
        ValueError: for a sampler whose order is no list of such numbers.

    >>> torch.equal(epoch_order(9, 0, 1), epoch_order(9, 0, 1))
    True
    """
    if sampler is None:
        return torch.randperm(examples, generator=generator_of(seed, epoch))
    given = sampler.order(examples, seed, epoch)
    try:
        order = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"the sampler must give an epoch's examples as whole numbers from 0 to {examples - 1} "
            f"(N,); its order() returned {type(given).__name__}."
        ) from error
    integral = order.dim() == 1 and len(order) and not order.is_floating_point()
    integral = integral and order.dtype != torch.bool  # True and False would be examples 1 and 0
    if not integral or order.min() < 0 or order.max() >= examples:
        raise ValueError(
            f"the sampler must give an epoch's examples as whole numbers from 0 to {examples - 1} "
            f"(N,); it gave {order.dtype} of shape {tuple(order.shape)}."
        )
    return order.long()


def padding_share(
    lengths: Tensor, batch_size: int, seed: int, sampler: Sampler | None = None
) -> float:
    """How much of an epoch's batches of texts is padding, which costs as much as text does.

    Formula: 1 - sum of lengths / sum over batches of (texts x longest).

    Args:
        lengths: of the texts (N,).
        batch_size: texts in a batch.
        seed: of the run, which shuffles them.
        sampler: an order of one's own, such as `ByLength`.

    Returns:
        A share from 0 to 1, that of the first epoch.

    >>> padding_share(torch.tensor([2, 8, 8, 2]), batch_size=4, seed=0)
    0.375
    """
    batches_of_lengths = lengths[epoch_order(len(lengths), seed, 0, sampler)].split(batch_size)
    places = sum(len(batch) * int(batch.max()) for batch in batches_of_lengths)
    return 1 - int(lengths.sum()) / places
