"""Where batches are made of examples that have to be fetched, by workers or without."""

import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from distill_lab._util.checks import non_negative_int
from distill_lab._util.runtime import own_randomness
from distill_lab._util.tensors import Batch, SoftBatch, like_soft_labels, mix
from distill_lab.data.forms import Collate, Rows, by_function, in_batch
from distill_lab.data.slots import PREFETCH, Received, Sent, Slots, none_busy

Read = Callable[[Tensor], Batch]
Coming = Iterable[tuple[int, Tensor]]  # the number of a batch, and the examples of a piece of it


class Source(Protocol):
    """Examples that can be fetched by number.

    What `batch` draws, to augment, follows from the run's seed and the number of the batch. One
    that draws nothing may say so, as `draws = False`, and is read a little faster.
    """

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch:
        """Draw the examples with these numbers."""


def batch_of(source: Source, index: Tensor) -> Batch:
    """What a source gives for some examples.

    Args:
        source: the examples, perhaps of the caller's own making.
        index: their numbers (B,).

    Returns:
        The batch.

    Raises:
        TypeError: where the source returns another thing.
    """
    batch = source.batch(index)
    if not hasattr(batch, "ids"):
        raise TypeError(
            f"the source {type(source).__name__} must return a Batch from batch(index), and it "
            f"returned {type(batch).__name__}: expected Batch(inputs, labels, index), from "
            "distill_lab.data."
        )
    return batch


class DatasetSource:
    """Examples of a map-style Dataset, collated as a DataLoader would.

    An example is a pair (input, label), a triple (input, label, weight), or a mapping with the
    label under `labels` or `label`, such as a row of a Hugging Face `Dataset`. Without a label it
    is unlabelled.

    Where `[i]` takes long (it decodes images, say), workers read ahead in processes of their own:
    `distill(student, dataset, workers=2)`. The examples, their order and their bits are the same
    for any number of workers, none included. So is what the student draws, such as its dropout: a
    dataset or a collate function that draws, to augment, does so from (seed, number of the batch,
    first example). A resumed run goes on with what it would have drawn.

    Args:
        dataset: Anything with `len()` and `[i]`.
        collate: a function from a list of examples to a batch in one of the same three forms, such
            as `DataCollatorWithPadding(tokenizer)`; None stacks them.
        num_workers: Processes that read ahead; 0 reads in the process that trains. Where processes
            are not forked (Windows, macOS) the dataset is sent to them, and has to allow that.

    Raises:
        ValueError: A negative number of workers; or, when read, an example of another form, or
            examples that do not make a batch.
        TypeError: for a collate that is no function.

    >>> from torch.utils.data import TensorDataset
    >>> source = DatasetSource(TensorDataset(torch.rand(9, 4), torch.arange(9)))
    >>> source.batch(torch.tensor([7, 2])).labels
    tensor([7, 2])
    """

    def __init__(self, dataset: Any, collate: Collate | None = None, num_workers: int = 0) -> None:
        if collate is not None and not callable(collate):
            raise TypeError(
                "collate must be a function from a list of examples to a batch, not "
                f"{type(collate).__name__}."
            )
        self.dataset, self.collate = dataset, collate
        # whose rows only are collated: what their labels are is known of all of them
        soft = isinstance(dataset, Rows) and like_soft_labels(dataset.parts.labels)
        self.kind = SoftBatch if soft else Batch
        self.num_workers = non_negative_int("num_workers", num_workers)

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, index: Tensor) -> Batch:
        """Draw the examples with these numbers."""
        numbers = index.tolist()
        at_once = getattr(self.dataset, "__getitems__", None)  # faster where there is one
        try:
            rows = [self.dataset[i] for i in numbers] if at_once is None else list(at_once(numbers))
        except IndexError as error:
            error.add_note(
                f"The data say by len() that they hold {len(self)} examples, and one of those with "
                f"the numbers {numbers[:8]} is not there: look at len(), and at the numbers of a "
                "Subset."
            )
            raise
        if self.collate is None:
            parts = in_batch(rows)
        else:
            given = self.dataset.weights(numbers) if isinstance(self.dataset, Rows) else None
            parts = by_function(self.collate, rows, given)
        return self.kind(parts.inputs, parts.labels, index, parts.weights)

    def reader(self, coming: Coming) -> AbstractContextManager[Read]:
        """A function that gives the batches to come, in their order, read ahead by the workers."""
        return _seeded(self, coming, self.num_workers)


class ReadAhead:
    """A source of one's own, or `Texts`, whose batches are made ahead by workers.

    Args:
        dataset: the source.
        num_workers: as in `DatasetSource`.

    >>> from distill_lab.data import Generated
    >>> source = Generated(torch.nn.Linear(2, 3).eval(), latent_dim=2, examples=5)
    >>> index = torch.tensor([4, 2])
    >>> with ReadAhead(source, num_workers=1).reader([(0, index)]) as read:
    ...     read(index).inputs.shape
    torch.Size([2, 3])
    """

    def __init__(self, dataset: Source, num_workers: int) -> None:
        self.dataset, self.num_workers = dataset, num_workers

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, index: Tensor) -> Batch:
        """Draw the examples with these numbers."""
        return batch_of(self.dataset, index)

    def reader(self, coming: Coming) -> AbstractContextManager[Read]:
        """As in `DatasetSource`."""
        return _seeded(self, coming, self.num_workers)


@contextmanager
def _seeded(source: Source, coming: Coming, num_workers: int) -> Iterator[Read]:
    """Read batches, each with generators seeded by what it is; with workers, ahead of time."""
    busy = none_busy(num_workers)
    pieces = _Pieces(source, torch.initial_seed(), busy)
    numbered = ((number, part.tolist()) for number, part in coming)
    ahead: Iterator[Batch | Sent] = map(pieces.__getitem__, numbered)
    received = Received(busy)
    if num_workers:
        loader: DataLoader[Sent] = DataLoader(
            pieces,  # type: ignore[arg-type]
            batch_size=None,
            sampler=numbered,
            num_workers=num_workers,
            prefetch_factor=PREFETCH,
            collate_fn=_as_it_is,
            worker_init_fn=_leave_ctrl_c_to_the_loop,
            generator=torch.Generator(),  # its own: the run's would draw one number less later
        )
        ahead = _started(loader)

    def read(index: Tensor) -> Batch:
        try:
            sent = next(ahead)
        except RuntimeError as error:
            if "exited unexpectedly" not in str(error):
                raise
            raise RuntimeError(
                f"a process that reads the data ended ({error}). What it wrote stands above; where "
                "it could not find a function of a notebook, put that into a module of its own; "
                "where it was killed, memory was short: take fewer workers."
            ) from error
        batch = received(sent) if isinstance(sent, Sent) else sent
        if not torch.equal(batch.ids, index):
            raise RuntimeError("batches were asked for in another order than was announced.")
        return batch

    try:
        yield read
    finally:  # at once, whoever still holds the iterator: an error's traceback would
        if num_workers:
            ahead._shutdown_workers()  # type: ignore[attr-defined]


def _started(loader: DataLoader[Sent]) -> Iterator[Sent]:
    """Start the workers; where they are sent the data, those have to allow it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Got pickle error")
            return iter(loader)
    except Exception as error:  # of several kinds, which the word for it unites
        if "pickle" not in str(error):
            raise
        raise TypeError(
            f"workers={loader.num_workers} are processes that the data are sent to on this system, "
            f"and these cannot be sent ({error}): define their functions in a module, not as a "
            "lambda or inside another function; or read without workers."
        ) from error


class _Pieces:
    """What a worker reads: whole pieces, each with generators seeded by what it is."""

    def __init__(self, source: Source, seed: int, busy: Tensor) -> None:
        signed = seed - 2**64 if seed >= 2**63 else seed  # of a negative one torch says 2^64 more
        self.source, self.seed, self.busy = source, torch.tensor(signed), busy
        self.slots: Slots | None = None  # a worker's own

    def __getitem__(self, piece: tuple[int, list[int]]) -> Batch | Sent:
        number, examples = piece
        seed = self.seed
        for what in (number, examples[0]):
            seed = mix(seed + what)
        worker, numbers = get_worker_info(), torch.tensor(examples)
        with own_randomness(int(seed)):
            if worker is None:
                return self.source.batch(numbers)
            if self.slots is None:
                self.slots = Slots(self.busy, worker.id)
            with self.slots.writing():
                batch = self.source.batch(numbers)
        return self.slots.send(batch)


def _as_it_is(sent: Any) -> Any:
    return sent


def _leave_ctrl_c_to_the_loop(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which ends after the step at hand
