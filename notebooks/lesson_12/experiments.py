"""The training runs of lesson 12, as its stored sweep, its tests and its workbench share them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from distill_lab import methods
from distill_lab.data import datasets
from distill_lab.data.datasets import Examples
from distill_lab.evaluation import accuracy, ece, nll
from distill_lab.models import MLP
from distill_lab.seeds import SeedRuns, distill_seeds

__all__ = ["BLOCK", "MEASURES", "Settings", "data", "measure", "seeds", "teachers", "train_cell"]

BLOCK = 5  # seeds trained at once; a teacher's dropout masks depend on it
MEASURES = {"accuracy": accuracy, "nll": nll, "ece": ece}


@dataclass(frozen=True)
class Settings:
    """Everything that decides the numbers; the defaults are those of the stored sweep."""

    widths: tuple[int, ...] = (8, 32, 64)
    temperatures: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 20.0)
    alphas: tuple[float, ...] = (0.5, 0.9, 1.0)
    seeds: int = 10
    train: int = 1000
    teacher_width: int = 256
    teacher_dropout: float = 0.3
    teacher_epochs: int = 30
    epochs: int = 60
    batch_size: int = 50
    lr: float = 1e-3

    def __post_init__(self) -> None:
        if self.seeds < BLOCK or self.seeds % BLOCK:
            raise ValueError(
                f"the seeds go in blocks of {BLOCK}; got {self.seeds}. Take {BLOCK}, 10, 15, ..."
            )


def seeds(block: int) -> range:
    """The seeds of one block: 0 to 4, 5 to 9, ..."""
    return range(BLOCK * block, BLOCK * (block + 1))


def data(settings: Settings, block: int) -> tuple[Examples, Examples]:
    """Training and test digits of one block of seeds, each seed with its own split."""
    return datasets.load("digits").split(train=settings.train, seeds=seeds(block))


def teachers(settings: Settings, block: int, *, smoothing: float = 0.0) -> SeedRuns:
    """The block's teachers, from labels alone (smoothed, if wanted), with dropout."""
    wide, rate = settings.teacher_width, settings.teacher_dropout
    return distill_seeds(
        lambda seed: MLP(64, wide, wide, 10, dropout=rate, seed=1000 + seed),
        data(settings, block)[0],
        seeds=seeds(block),
        method=methods.supervised(label_smoothing=smoothing),
        epochs=settings.teacher_epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
    )


def train_cell(
    settings: Settings,
    block: int,
    teacher: SeedRuns | Tensor,
    *,
    width: int,
    T: float | None = None,
    alpha: float = 1.0,
) -> SeedRuns:
    """The block's students at one width: distilled at T and alpha, or from labels if T is None.

    ``teacher``: the block's teachers, or what they said about the training images (S, N, C).
    """
    return distill_seeds(
        lambda seed: MLP(64, width, width, 10, seed=seed),
        data(settings, block)[0],
        seeds=seeds(block),
        teacher=None if T is None else teacher,
        method=methods.supervised() if T is None else methods.kd(T, alpha),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
    )


def measure(runs: SeedRuns, test: Examples) -> dict[str, list[float]]:
    """Test accuracy in percent, NLL in nats and ECE in points, one number a seed, all at T = 1."""
    logits = runs.logits(test.inputs)
    return {
        name: [round(value, 6) for value in score(logits, test.labels).tolist()]  # type: ignore[union-attr]
        for name, score in MEASURES.items()
    }
