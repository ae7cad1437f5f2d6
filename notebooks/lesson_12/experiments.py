"""The training runs of lesson 12: of its stored sweep, and of one *Train* on its workbench."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from distill_lab import methods
from distill_lab.data import datasets
from distill_lab.data.datasets import Examples
from distill_lab.evaluation import accuracy, ece, nll
from distill_lab.models import MLP
from distill_lab.seeds import SeedRuns, distill_seeds
from lesson_12.figures import Run, Settings

__all__ = [
    "BLOCK",
    "EPOCHS",
    "MEASURES",
    "STEPS_AN_EPOCH",
    "SweepSettings",
    "data",
    "measure",
    "seeds",
    "teachers",
    "train_cell",
    "trainer",
]

BLOCK = 5  # seeds trained at once; a teacher's dropout masks depend on it
MEASURES = {"accuracy": accuracy, "nll": nll, "ece": ece}
# a run on the workbench: as many steps for any number of labels, so that runs compare
EPOCHS, STEPS_AN_EPOCH = 60, 10
BENCH_SEEDS = 10  # trained at once by a press on the workbench

Terms = Mapping[str, float]
Train = Callable[[Settings, Callable[[Terms, int, int], None]], Run]


@dataclass(frozen=True)
class SweepSettings:
    """Everything that decides the sweep's numbers; the defaults are those of the stored one."""

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
    """Return the seeds of one block: 0 to 4, 5 to 9, ..."""
    return range(BLOCK * block, BLOCK * (block + 1))


def data(settings: SweepSettings, block: int) -> tuple[Examples, Examples]:
    """Load training and test digits of one block of seeds, each seed with its own split."""
    return datasets.load("digits").split(train=settings.train, seeds=seeds(block))


def teachers(settings: SweepSettings, block: int, *, smoothing: float = 0.0) -> SeedRuns:
    """Train the block's teachers from labels alone, with dropout.

    Args:
        settings: The sweep's.
        block: Number of the block of seeds.
        smoothing: How much the labels are smoothed, in [0, 1).

    Returns:
        The trained teachers, one a seed.
    """
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
    settings: SweepSettings,
    block: int,
    teacher: SeedRuns | Tensor,
    *,
    width: int,
    T: float | None = None,
    alpha: float = 1.0,
) -> SeedRuns:
    """Train the block's students of one width, from the teachers or from labels alone.

    Args:
        settings: The sweep's.
        block: Number of the block of seeds.
        teacher: The block's teachers, or their logits for the training images, (S, N, C).
        width: Units in each of the student's two hidden layers.
        T: Temperature; None for labels alone.
        alpha: The teacher's share of the loss.

    Returns:
        The trained students, one a seed.
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
    """Measure test accuracy in percent, NLL in nats and ECE in points, all at T = 1.

    Args:
        runs: The trained networks, one a seed.
        test: The test images of each seed.

    Returns:
        Name of the measure to its values, one number a seed.
    """
    logits = runs.logits(test.inputs)
    return {
        name: [round(value, 6) for value in score(logits, test.labels).tolist()]  # type: ignore[union-attr]
        for name, score in MEASURES.items()
    }


def trainer(
    teachers: Mapping[str, Tensor], train: Examples, test: Examples, seeds: Sequence[int]
) -> Train:
    """Make a function `train_once(settings, progress) -> Run`, as `workbench` wants it.

    It trains one student a seed, all at once, and their twins from labels alone. Both take 600
    steps, whatever the number of labels. Twins that were trained before are not trained again.

    Args:
        teachers: Name of a teacher to its logits for the training images, (S, N, C).
        train: The training images, one split a seed, (S, N, ...).
        test: The test images of each seed.
        seeds: Of first weights and order, S of them; the first ten are used.

    Returns:
        The function that trains students and twins; its `seeds` are those used.

    Raises:
        ValueError: For teachers that were asked about other images.
    """
    expected = train.labels.shape
    wrong = [name for name, logits in teachers.items() if logits.shape[:-1] != expected]
    if train.seeds is None or not teachers or wrong:
        raise ValueError(
            f"expected at least one teacher, with logits {(*expected, 'classes')}, one row for "
            f"each training image of each seed; got {', '.join(wrong) or 'none'} of another shape."
        )
    used = tuple(seeds)[:BENCH_SEEDS]
    exam = Examples(*(part[: len(used)] for part in test))
    twins: dict[tuple[int, int], list[float]] = {}

    def train_once(settings: Settings, progress: Callable[[Terms, int, int], None]) -> Run:
        if settings.teacher not in teachers:
            raise ValueError(f"no teacher {settings.teacher!r}; there are {', '.join(teachers)}.")
        width, labels, key = settings.width, settings.labels, (settings.width, settings.labels)
        few = Examples(*(part[: len(used)] for part in train.take(labels)))
        again = key in twins
        rounds = 1 if again or settings.alpha == 0 else 2  # of 600 steps

        def scores(method: methods.Method, teacher: Tensor | None, done: int) -> list[float]:
            """Test accuracy of each seed; `done` rounds were shown on the progress bar before."""
            runs = distill_seeds(
                lambda seed: MLP(64, width, width, 10, seed=seed),
                few,
                seeds=used,
                teacher=teacher,
                method=method,
                epochs=EPOCHS,
                batch_size=max(1, -(-labels // STEPS_AN_EPOCH)),
                progress=lambda terms, step, steps: progress(
                    terms, done * steps + step, rounds * steps
                ),
            )
            return [float(value) for value in runs.accuracy(exam)]

        if not again:
            twins[key] = scores(methods.supervised(), None, 0)
        if settings.alpha == 0:  # no teacher: the student is its twin
            return Run(twins[key], twins[key])
        logits = teachers[settings.teacher][: len(used), :labels]
        taught = scores(methods.kd(settings.T, settings.alpha), logits, rounds - 1)
        return Run(taught, twins[key])

    train_once.seeds = used  # type: ignore[attr-defined]
    return train_once
