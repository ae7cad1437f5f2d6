"""A run told to TensorBoard, Weights & Biases or MLflow, through Accelerate's trackers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill_lab.jobs.run_options import TRACKERS
from distill_lab.training import TrainStep

EVERY = 10  # steps between two tellings of the terms; measurements are all sent
PROJECT = "distill-lab"
# What is told of a job: words and numbers that a job file can only choose, so that no text of
# anybody's, and no key, is among them.
TOLD = ("kind", "method", "optimizer", "schedule", "precision", "keep", "learn", "reasoning")


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers whose package is not installed.

    Args:
        names: of `TRACKERS`.

    Raises:
        ModuleNotFoundError: naming the package, and the line that installs it.
    """
    for name in names:
        if find_spec(TRACKERS[name]) is None:
            raise ModuleNotFoundError(
                f"trackers: {name} needs the package {TRACKERS[name]}: pip install "
                f"{TRACKERS[name]}. Or take {name} out of trackers.",
                name=TRACKERS[name],
            )


class Tracked:
    """A callback that tells every tracker of the run; they are opened at the first step seen.

    Args:
        names: of the trackers.
        folder: where those that write files put them.
        facts: the job's settings, of which numbers and chosen words are sent.
    """

    def __init__(self, names: Sequence[str], folder: Path, facts: Mapping[str, Any]) -> None:
        check_trackers(names)
        self.names, self.folder, self.facts = tuple(names), folder, facts
        self._open: list[Any] = []

    def __call__(self, step: TrainStep) -> None:
        """Tell one step, if it is one of those wanted."""
        if not self._open:
            self._open = [self._opened(name, step.step) for name in self.names]
        values: dict[str, float] = {}
        if step.step % EVERY == 0 or step.step in (1, step.steps):
            values = {f"term/{name}": value for name, value in step.terms.items()}
            values["lr"] = step.lr
        values |= {f"share of the gradient/{name}": share for name, share in step.shares.items()}
        if step.measured is not None:
            values["validation"] = step.measured
        for tracker in self._open if values else ():
            tracker.log(values, step=step.step)

    def close(self) -> None:
        """Write out what is left."""
        for tracker in self._open:
            tracker.finish()

    def _opened(self, name: str, step: int) -> Any:
        run = self.folder.name
        options: dict[str, dict[str, Any]] = {
            # what a killed run told of steps that are taken again is left out
            "tensorboard": {"logging_dir": self.folder, "run_name": name, "purge_step": step},
            "wandb": {"run_name": PROJECT, "name": run, "dir": str(self.folder)},
            "mlflow": {"experiment_name": PROJECT, "run_name": run},
        }
        made = import_module("accelerate.tracking").LOGGER_TYPE_TO_CLASS[name](**options[name])
        if hasattr(made, "start"):  # Accelerate before 1.8 opened it at once
            made.start()
        if step == 1:
            made.store_init_configuration(self._told())
        return made

    def _told(self) -> dict[str, Any]:
        facts = self.facts.items()
        numbers = {k: v for k, v in facts if isinstance(v, int | float)}
        return numbers | {k: v for k, v in facts if k in TOLD and isinstance(v, str)}


@contextmanager
def tracked(
    names: Sequence[str], folder: Path, facts: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The setting by which `distill` tells trackers of a run, closed at its end.

    Args:
        names: of the trackers; none for none.
        folder: the job's.
        facts: its settings.

    Yields:
        The setting, or none.
    """
    if not names:
        yield {}
        return
    callback = Tracked(names, folder, facts)
    try:
        yield {"callbacks": [callback]}
    finally:
        callback.close()
