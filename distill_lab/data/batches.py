"""Examples in, batches out: every batch knows which examples it holds."""

import math
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from distill_lab._util.checks import non_negative_int
from distill_lab._util.runtime import own_randomness
from distill_lab._util.tensors import Batch as Batch  # part of what this module offers
from distill_lab._util.tensors import mix, moved

Read = Callable[[Tensor], Batch]
Coming = Iterable[tuple[int, Tensor]]  # the number of a batch, and the examples of a piece of it
Data = Any  # (inputs, labels or None), an Examples, or a map-style torch Dataset of (x, y)


class Source(Protocol):
    """Examples that can be fetched by number."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch:
        """Draw the examples with these numbers."""


class Sampler(Protocol):
    """An order of one's own in which a run sees its examples.

    It is a function of its three arguments and nothing else, so that a run that was stopped goes on
    with the same examples. It returns as many numbers for every epoch; one may come twice.
    """

    def order(self, examples: int, seed: int, epoch: int) -> Tensor:
        """The numbers of an epoch's examples, each from 0 to examples - 1, in their order."""


class TensorSource:
    """Examples held in two tensors: the fast path, one gather a batch.

    Args:
        inputs: (N, ...).
        labels: (N, ...), or None.

    Raises:
        ValueError: for lengths that differ.
    """

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
        """Draw the examples with these numbers."""
        here = index if self.inputs.is_cpu else moved(index, self.inputs.device)
        labels = None if self.labels is None else self.labels.index_select(0, here)
        # index_select copies whole rows; inputs[index] goes number by number
        return Batch(self.inputs.index_select(0, here), labels, index)


class DatasetSource:
    """Examples of a map-style torch Dataset, collated as a DataLoader would.

    Give `distill` the dataset itself, or, where its `[i]` takes long (it decodes images, say), a
    source that reads ahead in processes of its own: `distill(student, DatasetSource(dataset,
    num_workers=2), ...)`. The examples, their order and their bits are the same; so is what the
    student draws, such as its dropout. A dataset that draws, to augment, does so from the run's
    generators without workers; with workers from (seed, number of the batch, first example), so
    that one worker or eight give the same, and a resumed run goes on with what it would have drawn.

    Args:
        dataset: Anything with `len()` and `[i]`, which gives a pair (input, label).
        num_workers: Processes that read ahead; 0 reads in the process that trains. Where processes
            are not forked (Windows, macOS) the dataset is sent to them, and has to allow that.

    Raises:
        ValueError: A negative number of workers; or, when read, an example that is no pair.

    >>> from torch.utils.data import TensorDataset
    >>> source = DatasetSource(TensorDataset(torch.rand(9, 4), torch.arange(9)))
    >>> source.batch(torch.tensor([7, 2])).labels
    tensor([7, 2])
    """

    def __init__(self, dataset: Any, num_workers: int = 0) -> None:
        self.dataset = dataset
        self.num_workers = non_negative_int("num_workers", num_workers)

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, index: Tensor) -> Batch:
        """Draw the examples with these numbers."""
        rows = [self.dataset[i] for i in index.tolist()]
        if not isinstance(rows[0], (tuple, list)) or len(rows[0]) != 2:
            raise ValueError(
                "a Dataset must yield pairs (input, label); this one yielded "
                f"{type(rows[0]).__name__}. Wrap it so that dataset[i] returns such a pair."
            )
        inputs, labels = default_collate(rows)
        return Batch(inputs, labels, index)

    @contextmanager
    def reader(self, coming: Coming) -> Iterator[Read]:
        """A function that gives the batches to come, in their order, read ahead by the workers."""
        if self.num_workers == 0:
            yield self.batch
            return
        loader: DataLoader[Batch] = DataLoader(
            _Pieces(self, torch.initial_seed()),  # type: ignore[arg-type]
            batch_size=None,
            sampler=((number, part.tolist()) for number, part in coming),
            num_workers=self.num_workers,
            collate_fn=_as_it_is,
            worker_init_fn=_leave_ctrl_c_to_the_loop,
            generator=torch.Generator(),  # its own: the run's would draw one number less later
        )
        ahead = iter(loader)

        def read(index: Tensor) -> Batch:
            batch: Batch = next(ahead)
            if not torch.equal(batch.ids, index):
                raise RuntimeError("batches were asked for in another order than was announced.")
            return batch

        try:
            yield read
        finally:  # at once, whoever still holds the iterator: an error's traceback would
            ahead._shutdown_workers()  # type: ignore[attr-defined]


class _Pieces:
    """What a worker reads: whole pieces, each with generators seeded by what it is."""

    def __init__(self, source: DatasetSource, seed: int) -> None:
        self.source, self.seed = source, seed

    def __getitem__(self, piece: tuple[int, list[int]]) -> Batch:
        number, examples = piece
        seed = torch.tensor(self.seed)
        for what in (number, examples[0]):
            seed = mix(seed + what)
        with own_randomness(int(seed)):
            return self.source.batch(torch.tensor(examples))


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_ctrl_c_to_the_loop(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which ends after the step at hand


@contextmanager
def reading(source: Source) -> Iterator[Callable[[Coming], Read]]:
    """How a loop reads: ahead of time where the source can, else batch by batch as it asks.

    Yields a function to call once, with which pieces will be read, in their order, each as (number
    of the batch, examples (B,)); it returns the function that reads the next of them. Whoever reads
    ahead stops with the block.
    """
    with ExitStack() as workers:

        def start(coming: Coming) -> Read:
            own = getattr(source, "reader", None)
            return source.batch if own is None else workers.enter_context(own(coming))

        yield start


def as_data(data: Data) -> Source:
    """Read data in any of the accepted forms; refuse what is empty or unknown.

    Args:
        data: a pair (inputs, labels), `Examples`, `Texts`, a map-style Dataset of pairs, or a
            source.

    Returns:
        A source: examples that can be fetched by number.

    Raises:
        TypeError: for an unknown form.
        ValueError: for no examples, or lengths that differ.

    >>> len(as_data((torch.zeros(5, 4), torch.zeros(5, dtype=torch.long))))
    5
    """
    pair = _as_pair(data)
    source: Source
    if callable(getattr(data, "batch", None)) and hasattr(data, "__len__"):
        source = data  # it makes its batches itself, as `Texts` does
    elif pair is not None:
        source = TensorSource(*pair)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        source = DatasetSource(data)
    else:
        raise TypeError(
            "data must be a pair of tensors (inputs, labels), Examples, Texts, or a map-style "
            f"Dataset with len() and [i]; got {type(data).__name__}. A DataLoader hides which "
            "example is which: pass its .dataset, or to read with workers "
            "DatasetSource(loader.dataset, num_workers=2), from distill_lab.data."
        )
    if len(source) == 0:
        raise ValueError("data holds no examples: expected at least one.")
    return source


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
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        return torch.randperm(examples, generator=generator)
    order = torch.as_tensor(sampler.order(examples, seed, epoch))
    whole = order.dim() == 1 and len(order) and not order.is_floating_point()
    if not whole or order.min() < 0 or order.max() >= examples:
        raise ValueError(
            f"the sampler must give an epoch's examples as whole numbers from 0 to {examples - 1} "
            f"(N,); it gave {order.dtype} of shape {tuple(order.shape)}."
        )
    return order.long()


def _as_pair(data: Data) -> tuple[Tensor, Tensor | None] | None:
    if isinstance(data, Dataset):
        return None  # whatever it holds, what it yields may be another thing: augmented, say
    if hasattr(data, "inputs") and hasattr(data, "labels"):
        return data.inputs, data.labels
    if isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], Tensor):
        return data[0], data[1]
    return None
