"""Large tensors from a worker to the loop, through memory that both keep: no page is made anew.

A queue gives each batch fresh shared memory. Its pages are filled with zeros, written, mapped by
the loop and given back: for pictures nearly as much work again as decoding them. Here a worker
stacks its examples in a few pieces of shared memory, its slots, and the loop is lent what lies
there. A slot is written again when nothing of the loop looks into it: no tensor, no view of one,
no graph. Who keeps many batches gets copies.
"""

import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, UntypedStorage

from distill_lab._util.tensors import Batch, map_tensors

PREFETCH = 2  # batches of each worker that are on their way
LENT = 2  # slots of each worker that the loop may hold: a batch, and one it is about to let go
SLOTS = PREFETCH + LENT + 1  # and one to write
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


def none_busy(num_workers: int) -> Tensor:
    """Which slots are busy, seen by all processes: 1 from the worker's writing to the loop's end.

    Args:
        num_workers: how many there are.

    Returns:
        Bytes (num_workers, SLOTS), all 0, in shared memory.
    """
    busy: Tensor = torch.zeros(num_workers, SLOTS, dtype=torch.uint8).share_memory_()
    return busy


class Slots:
    """A worker's side: writes into a slot that is not busy.

    Args:
        busy: of `none_busy`.
        worker: its number.
    """

    def __init__(self, busy: Tensor, worker: int) -> None:
        self.busy, self.worker = busy[worker], worker
        self.slots: list[UntypedStorage | None] = [None] * SLOTS
        self.turn: int | None = None
        self.wanted = self.used = 0
        self.fresh: UntypedStorage | None = None
        self.placed: dict[int, Place] = {}  # by address

    @contextmanager
    def writing(self) -> Iterator[None]:
        """In the block, what is stacked goes into a slot."""
        global _writing
        free = [turn for turn, busy in enumerate(self.busy.tolist()) if not busy]
        self.turn = free[0] if free else None
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
        if size < LARGE or self.turn is None:
            return None
        turn, first = self.turn, self.used
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

    def send(self, batch: Batch) -> Sent:
        """The batch without what lies in the slot.

        Args:
            batch: as a worker made it.

        Returns:
            The rest, and where the other side finds what was left out.
        """
        places: list[Place | None] = []
        slot = None if self.turn is None else self.slots[self.turn]

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

        rest: Batch = map_tensors(left, batch)
        if self.turn is not None and any(places):
            self.busy[self.turn] = 1
        return Sent(rest, places, (self.worker, self.turn or 0), self.fresh)


class Received:
    """The loop's side: knows every worker's slots, and which of them it holds.

    Args:
        busy: of `none_busy`.
    """

    def __init__(self, busy: Tensor) -> None:
        self.busy = busy.numpy()  # written when a tensor dies, amid whatever torch is doing then
        self.known: dict[tuple[int, int], UntypedStorage] = {}
        self.lent: set[tuple[int, int]] = set()

    def __call__(self, sent: Sent) -> Batch:
        """The batch as it was; its slot is free when the last tensor of it is gone."""
        if sent.storage is not None:
            self.known[sent.slot] = sent.storage
        if not any(sent.places):
            return sent.batch
        worker, places = sent.slot[0], iter(sent.places)
        slot = torch.empty(0, dtype=torch.uint8).set_(self.known[sent.slot])
        # an array as the tensors' owner, since of an array one can know when it is gone
        owner = slot.numpy()[: max(_last(place) for place in sent.places if place is not None)]
        ending = weakref.finalize(owner, _end, os.getpid(), sent.slot, self.lent, self.busy)
        ending.atexit = False
        kept = sum(held[0] == worker for held in self.lent) < LENT
        self.lent.add(sent.slot)
        lent = torch.from_numpy(owner)

        def filled(tensor: Tensor) -> Tensor:
            place = next(places)
            if place is None:
                return tensor
            own = lent[place[0] : _last(place)].view(place[1]).view(place[2])
            return own if kept else own.clone()

        batch: Batch = map_tensors(filled, sent.batch)
        return batch


def _end(process: int, slot: tuple[int, int], lent: set[tuple[int, int]], busy: Any) -> None:
    if os.getpid() == process:  # a child that was forked drops its own copy, and not the loop's
        lent.discard(slot)
        busy[slot] = 0


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


def _last(place: Place) -> int:
    first, dtype, shape = place
    return first + dtype.itemsize * shape.numel()


def _view(storage: UntypedStorage, place: Place) -> Tensor:
    bytes_of = torch.empty(0, dtype=torch.uint8).set_(storage)
    return bytes_of[place[0] : _last(place)].view(place[1]).view(place[2])
