"""What a kind of job makes ready: who learns what from whom, how it is measured and kept."""

import importlib.util
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from distill_lab._util.runtime import Progress
from distill_lab.evaluation import Headroom
from distill_lab.jobs.setups.parts import Rehearsal
from distill_lab.methods import Method
from distill_lab.synthesis.cards import Card
from distill_lab.training import History, TrainingConfig
from distill_lab.training.distributed import DistributedContext

Log = Callable[[str], None]
T = TypeVar("T")
SAY_EVERY = 10.0  # seconds between two lines about a long tokenisation


class Stopped(Exception):
    """Somebody stopped the job before the student's first step: the history of the teacher."""

    def __init__(self, history: History) -> None:
        super().__init__("stopped while the teacher learned")
        self.history = history


def tokens_folder(out: str | Path) -> Path | None:
    """Where a job keeps its tokens; None without pyarrow, which writes and maps them."""
    return Path(out) / "tokens" if importlib.util.find_spec("pyarrow") else None


def say_steps(training: TrainingConfig, examples: int, log: Log, whose: str = "") -> None:
    """Say how many steps a training takes, and refuse one that never leaves its warmup.

    Args:
        training: its settings.
        examples: how many an epoch has.
        log: called with a line.
        whose: of a training beside the student's.

    Raises:
        ValueError: for a warmup as long as the run.
    """
    per_epoch, steps = training.length(examples)
    if training.warmup >= steps:
        raise ValueError(
            f"{whose}warmup = {training.warmup} steps, and the run has {steps}: lr would never "
            "reach its height. Lower warmup, or raise epochs."
        )
    log(f"{whose}steps: {per_epoch:,} an epoch, {steps:,} in all")


def counting(log: Log, what: str) -> Progress:
    """A line now and then about a long tokenisation.

    Args:
        log: called with each line.
        what: the rows' name, such as "train".

    Returns:
        What counts them.
    """
    due = time.monotonic() + SAY_EVERY

    def count(values: dict[str, float], done: int, total: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + SAY_EVERY
            log(f"{what}: tokenised {done:,} of {total:,} rows")

    return count


@dataclass(frozen=True)
class Context:
    """Where a job runs.

    Args:
        log: called with one line a stage.
        progress: as in `distill`.
        dist: the processes that it runs in, and the device of this one.
        rehearsal: what is taken of the data in place of all; None outside of a rehearsal.
        shared: what the seeds of a job have in common, by name; None where there is one seed.
    """

    log: Log
    progress: Progress
    dist: DistributedContext
    rehearsal: Rehearsal | None = None
    shared: dict[str, Any] | None = None

    @property
    def main(self) -> bool:
        """Whether this process is the one that measures and writes."""
        return self.dist.main

    @property
    def device(self) -> torch.device:
        """Where the models are in this process."""
        return self.dist.device

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """What every seed of the job needs alike: made once.

        Args:
            name: under which it is kept.
            make: makes it.

        Returns:
            It.
        """
        if self.shared is None:
            return make()
        if name not in self.shared:
            self.shared[name] = make()
        kept: T = self.shared[name]
        return kept


@dataclass(frozen=True)
class Result:
    """What was measured of a job's models.

    Args:
        figures: of each model by name, as a kind measures them.
        text: the figures as Markdown.
        facts: the same as plain values, for JSON.
        about: what else the report says, by its name.
    """

    figures: Mapping[str, Any]
    text: str
    facts: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Validation:
    """What is measured of a student on held-out rows while it learns.

    Args:
        figure: its name, with its unit.
        measure: a function from the student to the figure.
        better: whether a "higher" or a "lower" figure is better.
    """

    figure: str
    measure: Callable[[Any], float]
    better: str = "lower"


@dataclass
class Setup(ABC):
    """A job made ready to run; each kind has its own, and `run_job` asks nothing else of it.

    Args:
        student: the network that learns.
        data: what `distill` takes as data.
        method: what is minimised.
        teacher: whom the method asks; None for nobody.
        about: the line that is logged before the first step.
        settings: what `distill` is told besides the job's own settings.
        headroom: what there was to gain before the first step, where that was measured.
        base: the model that the student starts from, for its card.
        teachers: the names of the teachers that the student learns from, for its card.
        sets: the cards of generated data that it learns from.
    """

    student: Any
    data: Any
    method: Method
    teacher: Any = None
    about: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    headroom: Headroom | None = None
    base: str | None = None
    teachers: Sequence[str] = ()
    sets: Sequence[Path | Card] = ()

    def trained(self, student: Any) -> Any:
        """Make the student a plain model again, where it learned as another."""
        return student

    @abstractmethod
    def validation(self) -> Validation:
        """What is measured while the student learns."""

    def examples(self) -> tuple[list[Any], list[Any]]:
        """The inputs of some batches, held-out ones and those that are learned."""
        return [], []

    def compare(self, forms: Mapping[str, Any]) -> Result | None:
        """Measure the student beside its other forms, by name; None where that is not known."""
        return None

    @abstractmethod
    def measure(self, student: Any) -> Result:
        """Measure the student beside its teacher, on held-out data."""

    @abstractmethod
    def save(self, student: Any, folder: Path) -> None:
        """Write the student with all that it needs to be used.

        Args:
            student: the network, a plain one.
            folder: where it goes.
        """
