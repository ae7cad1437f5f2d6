"""A dataset read ahead by workers: the same examples, order and bits, and clean ends."""

import multiprocessing
import os
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from distill_lab._util.tensors import Batch, leaves
from distill_lab.data import DatasetSource, slots
from distill_lab.data.batches import drawn, reading
from distill_lab.data.sources import ReadAhead
from distill_lab.methods import supervised
from distill_lab.training import distill


class Slow(Dataset):
    """Forty examples; it may draw, to augment, and it may break at one of them."""

    def __init__(self, augment=False, broken=None):
        self.augment, self.broken = augment, broken
        self.inputs = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))

    def __len__(self):
        return 40

    def __getitem__(self, i):
        if i == self.broken:
            raise OSError(f"cannot decode image {i}")
        noise = torch.rand(6) + random.random() if self.augment else 0.0
        return self.inputs[i] + noise, i % 3


def student():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.3), nn.Linear(16, 3))


def trained(data, **options):
    net = student()
    settings = {"epochs": 3, "batch_size": 7, "seed": 5, "progress": False}
    history = distill(net, data, method=supervised(), **{**settings, **options})
    return torch.cat([p.detach().flatten() for p in net.parameters()]), history


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_student_is_the_same_to_the_bit(accumulate):
    """Its dropout too: reading ahead must draw nothing from the run's generator."""
    plain, _ = trained(Slow(), accumulate=accumulate)
    for workers in (1, 2):
        ahead, _ = trained(DatasetSource(Slow(), num_workers=workers), accumulate=accumulate)
        assert torch.equal(ahead, plain)


def test_batches_come_in_the_order_asked_for_with_their_ids():
    pieces = [(n, torch.randperm(40)[:5]) for n in range(6)]
    with reading(DatasetSource(Slow(), num_workers=2)) as start:
        read = start(pieces)
        for _, index in pieces:
            batch = read(index)
            assert torch.equal(batch.ids, index) and torch.equal(batch.labels, index % 3)
            assert torch.equal(batch.inputs, Slow().inputs[index])
    one = reading(DatasetSource(Slow(), num_workers=1))
    with one as start, pytest.raises(RuntimeError, match="another order"):
        start(pieces)(pieces[1][1])


def test_augmentation_is_the_same_for_any_number_of_workers_and_new_each_epoch():
    one, two = (DatasetSource(Slow(augment=True), num_workers=n) for n in (1, 2))
    assert torch.equal(trained(one)[0], trained(two)[0])
    pieces = [(n, torch.arange(40)) for n in range(2)]
    with reading(two) as start:
        read = start(pieces)
        first, second = (read(index).inputs for _, index in pieces)
    assert not torch.equal(first, second)


class Drawing:
    """A source of one's own that draws, to augment."""

    fingerprint = "drawing"

    def __len__(self):
        return 40

    def batch(self, index):
        noise = torch.rand(len(index), 6) + random.random()
        return Batch(Slow().inputs[index] + noise, index % 3, index)


def test_a_source_that_draws_draws_the_same_with_workers_or_without(tmp_path):
    plain, _ = trained(Drawing())
    for workers in (1, 2):
        assert torch.equal(trained(Drawing(), workers=workers)[0], plain)
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 4}
    trained(Drawing(), **options, callbacks=[lambda step: step.step == 8])
    assert torch.equal(trained(Drawing(), workers=1, **options)[0], plain)


SENT = """
import multiprocessing, sys
import torch
from tests.data.test_workers import Drawing, Slow, trained

class Local(Slow):
    by = 1

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    for data in (Slow(), Slow(augment=True), Drawing()):
        with_none, with_two = (trained(data, workers=n, epochs=1)[0] for n in (0, 2))
        assert torch.equal(with_none, with_two)
    local = Local()
    local.by = lambda x: x
    try:
        trained(local, workers=2)
    except TypeError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_where_processes_are_not_forked_the_data_are_sent(tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} on this system")
    (tmp_path / "sent.py").write_text(SENT)
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": root}
    call = [sys.executable, tmp_path / "sent.py", method]
    ran = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "workers=2 are processes that the data are sent to" in ran.stdout, ran.stderr
    assert "lambda" in ran.stdout


def test_a_resumed_run_draws_what_it_would_have_drawn(tmp_path):
    source = DatasetSource(Slow(augment=True), num_workers=2)
    straight, _ = trained(source)
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 4}

    def stop(step):
        return step.step == 8

    trained(source, **options, callbacks=[stop])
    resumed, _ = trained(source, **options)
    assert torch.equal(resumed, straight)


def test_an_error_in_a_worker_names_itself_and_leaves_nobody_behind():
    with pytest.raises(OSError, match="cannot decode image 31"):
        trained(DatasetSource(Slow(broken=31), num_workers=2))
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert multiprocessing.active_children() == []


def test_wrong_numbers_and_a_loader_are_refused_in_words():
    for wrong in (-1, 1.5, True):
        with pytest.raises(ValueError, match="num_workers must be a whole number of at least 0"):
            DatasetSource(Slow(), num_workers=wrong)
    with pytest.raises(ValueError, match="holds no examples"):
        trained(DatasetSource([], num_workers=2))
    with pytest.raises(TypeError, match=r"DatasetSource\(loader.dataset, num_workers=2\)"):
        trained(DataLoader(Slow(), num_workers=2))


def test_reading_data_seeds_no_gpu(monkeypatch):
    """What data draw is drawn on the CPU; a GPU's generator is the student's, for its dropout."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    with reading(DatasetSource(Slow(augment=True))) as start:
        start([(0, torch.arange(3))])(torch.arange(3))
    assert seeded == []


class Large(Dataset):
    """Rows of 100 kB in a dict, so that batches lie in a worker's slots; the last is short."""

    def __len__(self):
        return 21

    def __getitem__(self, i):
        row = torch.full((160, 160), float(i)) + torch.arange(160)
        return {"a": row, "b": [row[:80], -row], "small": float(i), "label": i % 3}


class Halves:
    """A source of one's own that gives a part of what was stacked."""

    def __init__(self):
        self.inner = DatasetSource(Large())

    def __len__(self):
        return len(self.inner)

    def batch(self, index):
        batch = self.inner.batch(index)
        return batch._replace(inputs=batch.inputs | {"a": batch.inputs["a"][:, :80]})


@pytest.mark.parametrize("source", [DatasetSource(Large(), None, 2), ReadAhead(Halves(), 2)])
def test_large_batches_keep_their_numbers_while_later_ones_are_made(source):
    """A worker uses its memory again: what the loop holds must not change under it."""
    pieces = list(drawn(21, 4, 1, first=0, last=18))
    plain = source.dataset if isinstance(source, ReadAhead) else DatasetSource(Large())
    with source.reader(pieces) as read:
        batches = [read(part) for _, part in pieces]
    if source.dataset is not plain:  # by slots, and not by the queue, once their size is known
        large = [part for _, part in leaves("", batches[-2][0]) if part.nbytes >= slots.LARGE]
        assert len(large) == 2 and not any(part.is_shared() for part in large)
    for batch, (_, part) in zip(batches, pieces, strict=True):
        given, expected = (leaves("", b[:2]) for b in (batch, plain.batch(part)))
        for (name, tensor), (_, other) in zip(given, expected, strict=True):
            assert tensor.dtype == other.dtype and torch.equal(tensor, other), name


def sent_and_received(tensors):
    """Which slots are busy, and a function that passes a batch from a worker to the loop."""
    busy = slots.none_busy(1)
    mine, theirs = slots.Slots(busy, worker=0), slots.Received(busy)

    def passed():
        with mine.writing():
            inputs = {name: slots.stacked(list(rows)) for name, rows in tensors.items()}
        return theirs(mine.send(Batch(inputs, None, torch.arange(1))))

    passed()  # the first of several tensors goes alone, until the size of all is known
    return busy, passed


ROWS = {"a": torch.rand(3, 300, 300), "b": torch.arange(200_000).reshape(2, -1)}
HOLDS = {
    "a batch": lambda batch: batch,
    "one of its tensors": lambda batch: batch.inputs["b"],
    "a row of one": lambda batch: batch.inputs["a"][2, :5],
    "an array of one": lambda batch: batch.inputs["a"].numpy(),
    "other bytes of one": lambda batch: batch.inputs["b"].view(torch.int32),
    "a detached copy that shares": lambda batch: batch.inputs["a"].detach(),
    "a graph": lambda batch: torch.ones(300, requires_grad=True) * batch.inputs["a"],
    "its storage": lambda batch: batch.inputs["a"].untyped_storage(),
}


@pytest.mark.parametrize("hold", HOLDS.values(), ids=HOLDS)
def test_a_slot_is_free_when_nothing_looks_into_it_any_more(hold):
    busy, passed = sent_and_received(ROWS)
    assert busy.sum() == 0
    held = hold(passed())
    assert busy.sum() == 1
    before = [passed() for _ in range(6)]  # as many as write over every slot there is
    del before
    assert busy.sum() == 1
    del held
    assert busy.sum() == 0


def test_a_batch_is_lent_and_who_keeps_many_gets_copies():
    """Nothing is copied for a loop that goes on, and shared memory does not grow without end."""
    busy, passed = sent_and_received(ROWS)
    hoard = [passed() for _ in range(9)]
    assert busy.sum() == slots.LENT
    for batch in hoard:
        assert all(torch.equal(batch.inputs[name], rows) for name, rows in ROWS.items())
    starts = [batch.inputs["a"].untyped_storage().data_ptr() for batch in hoard]
    assert len(set(starts)) == 9
    del hoard, batch
    assert busy.sum() == 0
    seen = {passed().inputs["a"].data_ptr() for _ in range(9)}
    assert len(seen) == 1  # always the same slot


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_that_drops_a_batch_frees_no_slot():
    busy, passed = sent_and_received(ROWS)
    held = passed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if child == 0:
        held = None
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert busy.sum() == 1 and held is not None


def test_a_worker_whose_slots_are_all_busy_sends_by_the_queue():
    busy, passed = sent_and_received(ROWS)
    busy.fill_(1)
    batch = passed()
    assert all(torch.equal(batch.inputs[name], rows) for name, rows in ROWS.items())
    assert busy.sum() == busy.numel()
