"""Names of functions and of what they hold: equal where they do the same, in every process."""

import collections
import enum
import functools
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Subset

from distill_lab._util.describe import describe, in_short

IN_A_PROCESS = """
from distill_lab._util.describe import describe
colours = {"red", "green", "blue"}
print(describe(lambda x: x in {"one", "two", "three"}))
print(describe(lambda x: x in colours))
"""


def test_sets_have_no_order():
    names = set()
    for seed in "123":
        environment = os.environ | {"PYTHONHASHSEED": seed}
        call = [sys.executable, "-c", IN_A_PROCESS]
        names.add(subprocess.run(call, env=environment, capture_output=True, text=True).stdout)
    assert len(names) == 1 and len(names.pop().splitlines()) == 2


def holds(value):
    return lambda x: (x, value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.arange(2000), torch.arange(2000).index_fill(0, torch.tensor(900), 0)),
        (torch.tensor(1.0), torch.tensor(1.0 + 1e-6)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.zeros(2), torch.zeros(2, 1)),
        (np.arange(2000.0), np.arange(2000.0) + 1e-9),
        ({"f": lambda x: x + 1}, {"f": lambda x: x + 2}),
        ({1, 2}, {1, 3}),
    ],
)
def test_what_a_function_holds_is_known_in_full(one, other):
    assert describe(holds(one)) == describe(holds(one))
    assert describe(holds(one)) != describe(holds(other))


def test_numbers_of_every_type_have_a_name():
    kinds = [torch.bfloat16, torch.bool, torch.complex64, torch.int64]
    assert len({describe(torch.ones(3, dtype=kind)) for kind in kinds}) == 4
    assert describe(torch.ones(())) == describe(torch.ones(()))
    assert describe(torch.ones(3, 3).T) == describe(torch.ones(3, 3))


class Crop:
    """As a transform is written: no repr of its own."""

    def __init__(self, size):
        self.size = size

    def __call__(self, x):
        return x[: self.size]


class Slotted:
    __slots__ = ("given", "size")

    def __init__(self, size):
        self.size = size


class Shown(Crop):
    def __repr__(self):
        return "Shown()"


@dataclass
class Pads:
    side: str = "left"
    names: set[str] = field(default_factory=set)
    fill: int = field(default=0, repr=False)


class Flip(nn.Module):
    def __init__(self, share):
        super().__init__()
        self.share = share


class Side(enum.Enum):
    LEFT = 1
    RIGHT = 2


class Node:
    def __init__(self, value):
        self.other, self.value = self, value


class Lazy(Crop):
    """It makes what it needs when it is first called, and sends no lock to another process."""

    def __init__(self, size):
        super().__init__(size)
        self.lock = threading.Lock()

    @functools.cached_property
    def table(self):
        return list(range(self.size))

    def __getstate__(self):
        return {"size": self.size}


def padded(fill):
    def decorate(function):
        @functools.wraps(function)
        def padding(x):
            return [*function(x), fill]

        return padding

    return decorate


def collate(x):
    return x


def of_a_function(size):
    class Inner:
        def __call__(self, x):
            return x[:size]

    return Inner()


def partial_of(crop):
    return lambda x: crop(x)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def ordered(names):
    return collections.OrderedDict((name, 1) for name in names)


KINDS = {
    "object": (Crop, 1, 2),
    "one with slots": (Slotted, 1, 2),
    "one with a repr": (Shown, 1, 2),
    "one that is lazy": (Lazy, 1, 2),
    "dataclass": (Pads, "left", "right"),
    "field without repr": (lambda fill: Pads(fill=fill), 1, 2),
    "field that is a set": (lambda name: Pads(names={"a", "b", name}), "c", "d"),
    "object in a partial": (lambda size: functools.partial(Crop(size), 3), 1, 2),
    "bound method": (lambda size: Crop(size).__call__, 1, 2),
    "bound method of C": (lambda text: re.compile(text).sub, "a", "b"),
    "table's method": (lambda value: {"a": value}.get, 1, 2),
    "object in a list": (lambda size: [Crop(size)], 1, 2),
    "object in a deque": (lambda size: collections.deque([Crop(size)]), 1, 2),
    "object in an array": (lambda size: np.array([Crop(1), Crop(size)]), 1, 2),
    "object in a closure": (lambda size: partial_of(Crop(size)), 1, 2),
    "module": (Flip, 0.5, 0.6),
    "module within another": (lambda share: nn.Sequential(Flip(share), nn.ReLU()), 0.5, 0.6),
    "decorated function": (lambda fill: padded(fill)(collate), 1, 2),
    "class of a function": (of_a_function, 1, 2),
    "cached lambda": (lambda k: functools.lru_cache(lambda x: x + k), 1, 2),
    "enum": (Side, 1, 2),
    "path": (Path, "a", "b"),
    "decimal": (Decimal, "1.0", "1.00"),
    "pattern": (re.compile, "a" * 300, "a" * 301),
    "range": (range, 3, 4),
    "frozen set": (frozenset, "abc", "abd"),
    "ordered mapping": (ordered, "ab", "ba"),
    "default of a mapping": (lambda k: collections.defaultdict(lambda: k), 1, 2),
    "number of NumPy": (lambda kind: kind(1), np.float32, np.float64),
    "type of NumPy": (np.dtype, "f4", "f8"),
    "type of torch": (lambda kind: kind, torch.float32, torch.float16),
    "device": (torch.device, "cpu", "meta"),
    "generator": (seeded, 1, 2),
    "generator of NumPy": (np.random.default_rng, 1, 2),
    "sparse tensor": (lambda k: (k * torch.eye(40)).to_sparse(), 1, 2),
    "circle": (Node, 1, 2),
    "many numbers": (lambda last: [0] * 5000 + [last], 1, 2),
    "many tensors": (lambda k: [(torch.zeros(1), 0)] * 3000 + [(torch.ones(1) * k, 0)], 1, 2),
    "part of a data set": (lambda number: Subset([1, 2], [number]), 0, 1),
    "last of a large array": (lambda k: np.array([*range(10**5), k]), 1, 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_known_by_what_it_holds(kind):
    make, one, other = KINDS[kind]
    first = make(one)
    name = describe(first)
    assert name == describe(make(one)) and name != describe(make(other))
    assert "0x" not in name
    try:
        copy = pickle.loads(pickle.dumps(first))
    except (pickle.PicklingError, AttributeError):
        return
    assert describe(copy) == name


def test_use_changes_no_name():
    """What is made lazily, drawn from a generator, or locked."""
    lazy, generator = Lazy(3), seeded(1)
    before = describe([lazy, generator])
    assert lazy.table and torch.rand(2, generator=generator).numel()
    with lazy.lock:
        assert describe([lazy, generator]) == before


def test_a_mapping_has_an_order_where_equality_has_one():
    assert describe({"a": 1, "b": 2}) == describe({"b": 2, "a": 1})
    assert describe(Crop({"a": 1, "b": 2})) == describe(Crop({"b": 2, "a": 1}))
    assert describe(Crop(ordered("ab"))) != describe(Crop(ordered("ba")))


SCALE = 1


def test_a_lambda_is_known_by_the_values_around_it(monkeypatch):
    def name():
        return describe(lambda x: x * SCALE)

    before = name()
    assert before == name()
    monkeypatch.setitem(globals(), "SCALE", 2)
    assert name() != before


NAMES = """
from tests._util.test_describe import KINDS, describe
print([describe(make(one)) for make, one, _ in KINDS.values()])
"""


def test_names_are_the_same_in_every_process():
    names = {
        subprocess.run(
            [sys.executable, "-c", NAMES],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(names) == 1


@pytest.mark.parametrize(
    "large",
    [
        lambda: [Crop(number) for number in range(400_000)],
        lambda: {number: Crop(number) for number in range(400_000)},
        lambda: np.lib.stride_tricks.as_strided(np.zeros(1), (2**40, 64), (0, 0)),
        lambda: functools.reduce(lambda held, _: [held], range(5000), []),
        lambda: functools.reduce(lambda held, _: [held, held], range(100), Crop(1)),
    ],
)
def test_a_name_is_made_in_bounded_time(large):
    thing = large()
    began = time.process_time()
    name = describe(thing)
    assert time.process_time() - began < 60 and len(name) < 20_000_000


def test_the_weights_of_a_teacher_count_where_they_are_asked_for():
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert describe(lambda x: one(x)) == describe(lambda x: other(x))
    assert describe(one, weights=True) != describe(other, weights=True)
    assert describe(one, weights=True, without=one) == describe(one)


def test_a_short_name_is_what_it_was():
    assert in_short(describe(Crop(1))) == in_short(describe(Crop(2))) != describe(Crop(1))
    assert in_short(describe([Crop(1).__call__])) == f"[<{__name__}.Crop object>.__call__]"
    held = Crop(1)
    assert "-" in in_short(describe(lambda x: held(x))) and "holds" in describe(lambda x: held(x))
