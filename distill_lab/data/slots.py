"""Large tensors from a worker to the loop, through memory that both keep: no page is made anew.

A queue gives each batch fresh shared memory. Its pages are filled with zeros, written, mapped by
the loop and given back: for pictures nearly as much work again as decoding them. Here a worker
stacks its examples in turn in a few pieces of shared memory, and the loop copies what it finds.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, UntypedStorage

from distill_lab._util.tensors import Batch, map_tensors

PREFETCH = 2  # batches of each worker that are on their way
SLOTS = PREFETCH + 1  # and the one that the loop is copying
LARGE = 2**18  # bytes; smaller tensors go by the queue
LINE = 64  # bytes; where a tensor may begin

Place = tuple[int, torch.dtype, torch.Size]  # first byte, type and shape


@dataclass(frozen=True)
class Sent:
    """A batch on its way: its large tensors are left out and lie in a slot.

    Args:
        batch: with empty tensors where large ones were.
        places: of each tensor of the batch in the slot; None for what came along.
        slot: which worker's, and which of its slots.
        storage: the slot itself, where the loop has not seen it yet.
    """

    batch: Batch
    places: list[Place | None]
    slot: tuple[int, int]
    storage: UntypedStorage | None


class Slots:
    """A worker's side: one slot after the other, so that none is written while it is copied."""

    def __init__(self) -> None:
        self.slots: list[UntypedStorage | None] = [None] * SLOTS
        self.batches = self.wanted = self.used = 0
        self.fresh: UntypedStorage | None = None
        self.placed: dict[int, Place] = {}  # by address

    @contextmanager
    def writing(self) -> Iterator[None]:
        """In the block, what is stacked goes into the next slot."""
        global _writing
        self.used, self.fresh, self.placed = 0, None, {}
        _writing = self
        try:
            yield
        finally:
            _writing = None

    def room(self, dtype: torch.dtype, shape: torch.Size) -> Tensor | None:
        """Room for a tensor in the slot at hand.

        Args:
            dtype: of the tensor.
            shape: of the tensor.

        Returns:
            A tensor over that room; None where it is small, or there is none left.
        """
        size = shape.numel() * dtype.itemsize
        if size < LARGE:
            return None
        turn, first = self.batches % SLOTS, self.used
        self.used += -(-size // LINE) * LINE
        self.wanted = max(self.wanted, self.used)  # of a batch of several tensors, seen at the next
        slot = self.slots[turn]
        if first == 0 and (slot is None or slot.nbytes() < self.wanted):
            slot = self.fresh = self.slots[turn] = UntypedStorage._new_shared(self.wanted)
        if slot is None or slot.nbytes() < first + size:
            return None
        place = first, dtype, shape
        tensor = _view(slot, place)
        self.placed[tensor.data_ptr()] = place
        return tensor

    def send(self, batch: Batch, worker: int) -> Sent:
        """The batch without what lies in the slot.

        Args:
            batch: as a worker made it.
            worker: its number.

        Returns:
            The rest, and where the other side finds what was left out.
        """
        places: list[Place | None] = []

        def left(tensor: Tensor) -> Tensor:
            place = self.placed.get(tensor.data_ptr()) if tensor.layout == torch.strided else None
            same = place is not None and place[1:] == (tensor.dtype, tensor.shape)
            places.append(place if same and tensor.is_contiguous() else None)
            if places[-1] is not None:
                return torch.empty(0, dtype=tensor.dtype)
            if slot is None or tensor.layout != torch.strided:
                return tensor
            part = tensor.untyped_storage().data_ptr() == slot.data_ptr()
            return tensor.clone() if part else tensor  # the slot is written over later

        turn = self.batches % SLOTS
        slot = self.slots[turn]
        rest: Batch = map_tensors(left, batch)
        self.batches += 1
        return Sent(rest, places, (worker, turn), self.fresh)


class Received:
    """The loop's side: knows every worker's slots."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], UntypedStorage] = {}

    def __call__(self, sent: Sent) -> Batch:
        """The batch as it was, in memory of its own."""
        if sent.storage is not None:
            self.known[sent.slot] = sent.storage
        places = iter(sent.places)

        def filled(tensor: Tensor) -> Tensor:
            place = next(places)
            return tensor if place is None else _view(self.known[sent.slot], place).clone()

        batch: Batch = map_tensors(filled, sent.batch)
        return batch


_writing: Slots | None = None  # in a worker, while it makes a batch


def stacked(rows: Sequence[Tensor]) -> Tensor:
    """Tensors of one shape, stacked; in a worker, in the slot at hand.

    Args:
        rows: B tensors.

    Returns:
        (B, ...).
    """
    alike = _writing is not None and all(
        row.dtype == rows[0].dtype and row.is_cpu and not row.requires_grad for row in rows
    )
    if not alike or _writing is None:
        return torch.stack(list(rows))
    room = _writing.room(rows[0].dtype, torch.Size([len(rows), *rows[0].shape]))
    return torch.stack(list(rows)) if room is None else torch.stack(list(rows), out=room)


def _view(storage: UntypedStorage, place: Place) -> Tensor:
    first, dtype, shape = place
    start = first // dtype.itemsize
    return torch.empty(0, dtype=dtype).set_(storage)[start : start + shape.numel()].view(shape)
