"""A checkpoint knows its data again, whatever their form."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from distill_lab.data.batches import Batch, as_data
from distill_lab.models import MLP
from distill_lab.training import distill
from distill_lab.training.run_state import fingerprint

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
