"""A checkpoint knows its data again, whatever their form."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from distill_lab._util.describe import in_short
from distill_lab.data import Buffered
from distill_lab.data.batches import Batch, as_data
from distill_lab.models import MLP
from distill_lab.teachers import Ensemble, function
from distill_lab.training import distill
from distill_lab.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from distill_lab.training.known_again import fingerprint

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3


class Pairs(Dataset[Any]):
    def __init__(self, x: Any = X, y: Any = Y, *, noise: float = 0.0) -> None:
        self.x, self.y, self.noise = x, y, noise

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return self.x[i] + self.noise * torch.randn(4), self.y[i]


class Foreign(Pairs):
    """An augmentation whose draws no seed reaches."""

    outside = torch.Generator()

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return self.x[i] + torch.randn(4, generator=self.outside), self.y[i]


class OwnSource:
    """Inputs in a dict, made by the source itself."""

    def __init__(self, x: torch.Tensor = X, y: torch.Tensor = Y) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, index: torch.Tensor) -> Batch:
        return Batch({"x": self.x[index]}, self.y[index], index)


class OfDict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)  # type: ignore[no-any-return]


def go(data: Any, path: Path, epochs: int, student: nn.Module | None = None) -> int:
    student = MLP(4, 3) if student is None else student
    return distill(
        student, data, checkpoint=path, epochs=epochs, batch_size=10, progress=False
    ).steps


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (Pairs(), Pairs(X.flip(0))),
        (Pairs(), Pairs(y=(Y + 1) % 3)),
        (Pairs(noise=0.1), Pairs(X + 1, noise=0.1)),
        (Pairs(noise=0.1), Pairs(y=Y.flip(0), noise=0.1)),
        (Foreign(), Foreign(y=(Y + 1) % 3)),
        (Pairs(), Pairs(X[:30], Y[:30])),
    ],
)
def test_other_data_under_a_checkpoint_are_refused(first, other, tmp_path):
    go(first, tmp_path / "run", 1)
    with pytest.raises(ValueError, match=r"belongs to another run.*data: "):
        go(other, tmp_path / "run", 2)


@pytest.mark.parametrize("data", [Pairs(), Pairs(noise=0.1), Foreign()])
def test_the_same_data_go_on_augmented_or_not(data, tmp_path):
    go(data, tmp_path / "run", 1)
    assert go(data, tmp_path / "run", 2) == 8


class OwnNumPy(Pairs):
    """Its generator is NumPy's, and its own."""

    outside = np.random.default_rng(0)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return self.x[i] + torch.from_numpy(self.outside.normal(size=4)).float(), self.y[i]


@pytest.mark.parametrize(
    ("data", "warns"), [(Foreign(), 1), (OwnNumPy(), 1), (Pairs(noise=0.1), 0)]
)
def test_draws_that_no_seed_reaches_are_warned_of(data, warns, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        go(data, tmp_path / "run", 1)
    assert sum("no seed reaches" in str(each.message) for each in caught) == warns


def test_a_source_of_ones_own_is_known_by_what_it_gives(tmp_path):
    go(OwnSource(), tmp_path / "run", 1, OfDict())
    assert go(OwnSource(), tmp_path / "run", 2, OfDict()) == 8
    with pytest.raises(ValueError, match=r"belongs to another run.*data: "):
        go(OwnSource(X + 1), tmp_path / "run", 3, OfDict())


def test_reading_the_sample_moves_no_generator():
    before = torch.get_rng_state()
    assert fingerprint(as_data(Pairs(noise=1.0))) == fingerprint(as_data(Pairs(noise=1.0)))
    assert torch.equal(before, torch.get_rng_state())


class Crop:
    """A transform as it is written, of a part of each example by a generator of its own."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.calls = size, 0
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        start = int(torch.randint(5 - self.size, (), generator=self.generator))
        return x.roll(-start)


class Counted(Crop):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().__call__(x)


class Changed(Pairs):
    def __init__(self, *transforms: Any) -> None:
        super().__init__()
        self.transforms = transforms

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        x = self.x[i]
        for transform in self.transforms:
            x = transform(x)
        return x, self.y[i]


class Collates:
    def __init__(self, noise: float) -> None:
        self.noise, self.generator = noise, torch.Generator()

    def __call__(self, rows: Any) -> Any:
        x, y = zip(*rows, strict=True)
        more = self.noise * torch.randn(4, generator=self.generator)
        return torch.stack(x) + more, torch.stack(y)


def rows(at: int | None = None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each a pair; another number in one of them."""
    x = X.clone()
    if at is not None:
        x[at, 0] += 1
    return list(zip(x, Y, strict=True))


def pairs(at: int | None = None) -> TensorDataset:
    return TensorDataset(*map(torch.stack, zip(*rows(at), strict=True)))


MIDDLE = 9  # of 40 rows, none of the few that are read


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (lambda: Changed(Crop(2)), lambda: Changed(Crop(3))),
        (lambda: Changed(Crop(2), Crop(2)), lambda: Changed(Crop(2), Crop(3))),
        (lambda: Changed(Crop(2, seed=1)), lambda: Changed(Crop(2, seed=2))),
        (lambda: Changed(Crop(2)), lambda: Changed()),
        (lambda: Subset(Changed(Crop(2)), range(40)), lambda: Subset(Changed(Crop(3)), range(40))),
        (rows, lambda: rows(MIDDLE)),
        (pairs, lambda: pairs(MIDDLE)),
        (
            lambda: Subset(pairs(), range(40)),
            lambda: Subset(pairs(), [*range(MIDDLE), MIDDLE + 1, *range(MIDDLE + 1, 40)]),
        ),
        (
            lambda: ConcatDataset([pairs(), pairs()]),
            lambda: ConcatDataset([pairs(), pairs(MIDDLE)]),
        ),
        (
            lambda: Buffered(iter(rows()), examples=40),
            lambda: Buffered(iter(rows(MIDDLE)), examples=40),
        ),
    ],
)
def test_what_a_few_examples_do_not_show_is_known_as_well(first, other, tmp_path):
    go(first(), tmp_path / "run", 1)
    go(first(), tmp_path / "run", 2)
    with pytest.raises(ValueError, match=r"belongs to another run.*examples: "):
        go(other(), tmp_path / "run", 3)


def test_another_setting_of_what_collates_is_refused(tmp_path):
    def learn(epochs: int, **settings: Any) -> int:
        settings = {"checkpoint": tmp_path / "run", "batch_size": 10, "progress": False} | settings
        return distill(MLP(4, 3), pairs(), epochs=epochs, **settings).steps

    assert learn(1, collate=Collates(0.1)) == 4
    assert learn(2, collate=Collates(0.1), workers=1) == 8
    for other in ({"collate": Collates(0.2)}, {}):
        with pytest.raises(ValueError, match=r"belongs to another run.*examples: .*Collates"):
            learn(3, **other)


def test_what_counts_its_calls_goes_on(tmp_path):
    """In the same process, where the count goes on as well, and in another."""
    data = Changed(Counted(2))
    go(data, tmp_path / "run", 1)
    assert go(data, tmp_path / "run", 2) == 8
    assert go(Changed(Counted(2)), tmp_path / "run", 3) == 12


class Reads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(4, 3)

    def forward(self, text: list[str], x: torch.Tensor) -> torch.Tensor:
        return self.net(x + len(text))


def test_texts_that_no_tensor_holds_are_known(tmp_path):
    def learn(texts: list[str], epochs: int) -> int:
        data = [{"text": text, "label": i % 2} for i, text in enumerate(texts)]

        def collate(some: Any) -> Any:
            numbers = torch.zeros(len(some), 4)  # the same of any texts
            texts = [row["text"] for row in some]
            return {"text": texts, "x": numbers, "labels": numbers[:, 0].long()}

        return distill(
            Reads(), data, collate=collate, checkpoint=tmp_path / "run", epochs=epochs,
            batch_size=2, progress=False,
        ).steps  # fmt: skip

    assert learn(["a", "bb", "ccc", "d"], 1) == 2
    assert learn(["a", "bb", "ccc", "d"], 2) == 4
    with pytest.raises(ValueError, match=r"examples: .*there"):
        learn(["a", "bb", "ccc", "e"], 3)


class Judge:
    """A teacher without an identity."""

    def __init__(self, bias: float) -> None:
        self.bias = bias

    def __call__(self, batch: Batch) -> torch.Tensor:
        return batch.inputs[:, :3] + self.bias


def judge(bias: float) -> Any:
    network = nn.Linear(4, 3).requires_grad_(False).eval()
    network.weight.zero_()
    network.bias.fill_(bias)
    return lambda batch: network(batch.inputs)


@pytest.mark.parametrize(
    "teacher",
    [
        Judge,
        judge,
        lambda bias: Ensemble([Judge(0.0), Judge(bias)], T=4.0),
        lambda bias: function(Judge(bias)),
        lambda bias: Judge(bias).__call__,
    ],
)
def test_a_teacher_without_a_name_is_known_by_what_it_holds(teacher, tmp_path):
    def learn(bias: float, epochs: int) -> int:
        path = tmp_path / "run"
        settings = {"checkpoint": path, "epochs": epochs, "batch_size": 10, "progress": False}
        return distill(MLP(4, 3), (X, Y), teacher=teacher(bias), **settings).steps

    assert learn(1.0, 1) == 4
    assert learn(1.0, 2) == 8
    with pytest.raises(ValueError, match=r"belongs to another run \((teacher|members): "):
        learn(2.0, 3)


def test_a_file_of_before_goes_on(tmp_path):
    """Such files knew an object by its class, and not what made examples."""
    path = tmp_path / "run"
    held = Judge(1.0)

    def learn(epochs: int) -> int:
        return distill(
            MLP(4, 3), Changed(Crop(2)), teacher=lambda batch: held(batch), checkpoint=path,
            epochs=epochs, batch_size=10, progress=False,
        ).steps  # fmt: skip

    learn(1)
    there = load_checkpoint(path)
    settings = json.loads(in_short(json.dumps(there.facts["settings"])))
    assert " holds " in there.facts["settings"]["teacher"] and settings.pop("examples")
    save_checkpoint(path, Checkpoint(there.tensors, there.facts | {"settings": settings}))
    assert learn(2) == 8
    held.bias = 2.0
    with pytest.raises(ValueError, match=r"teacher: "):
        learn(3)
