"""A run told to TensorBoard, Weights & Biases or MLflow, through Accelerate's trackers."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill_lab._util.io import write_whole
from distill_lab.jobs.run_options import TRACKERS
from distill_lab.jobs.settings import Log
from distill_lab.training import TrainStep

EVERY = 10  # steps between two tellings of the terms; measurements are all sent
PROJECT = "distill-lab"
RUNS = "trackers.json"  # by what a tracker knows the run again, and the last step it was told
# Weights & Biases would send paths, the command, its output, packages and the machine with a run.
SILENT = {
    "console": "off",
    "disable_git": True,
    "disable_job_creation": True,
    "save_code": False,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
# A server that is gone is told so within seconds, where MLflow would try it for minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
TAGS = {"mlflow.source.name": PROJECT, "mlflow.user": PROJECT}  # else a path and a person's name
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

    A tracker that fails is left out from there on, and the run goes on.

    Args:
        names: of the trackers.
        folder: where those that write files put them.
        facts: the job's settings, of which numbers and chosen words are sent.
        log: called with a sentence where a tracker fails.
    """

    def __init__(
        self, names: Sequence[str], folder: Path, facts: Mapping[str, Any], log: Log
    ) -> None:
        check_trackers(names)
        self.names, self.folder, self.facts, self.log = tuple(names), folder, facts, log
        self._open: dict[str, Any] | None = None
        self._runs: dict[str, Any] = {}

    def __call__(self, step: TrainStep) -> None:
        """Tell one step, if it is one of those wanted."""
        if self._open is None:
            self._open = {}
            file = self.folder / RUNS
            if step.step > 1 and file.exists():
                self._runs = json.loads(file.read_bytes())
            for name in self.names:
                self._try(name, partial(self._start, name, step.step))
        values: dict[str, float] = {}
        if step.step % EVERY == 0 or step.step in (1, step.steps):
            values = {f"term/{name}": value for name, value in step.terms.items()}
            values["lr"] = step.lr
        values |= {f"share of the gradient/{name}": share for name, share in step.shares.items()}
        if step.measured is not None:
            values["validation"] = step.measured
        again = step.step <= self._runs.get("step", 0)  # told before the run was killed
        for name, tracker in list(self._open.items()) if values else ():
            if not again or name == "tensorboard":
                self._try(name, partial(tracker.log, values, step=step.step))
        if values and not again:
            self._remember(step=step.step)

    def close(self) -> None:
        """Write out what is left."""
        for name, tracker in list((self._open or {}).items()):
            self._try(name, tracker.finish)

    def _try(self, name: str, call: Callable[[], object]) -> None:
        """Call a tracker; one that fails is told nothing more."""
        try:
            call()
        except Exception as error:  # of any kind: a network, a full disk, another version
            self._open = {key: each for key, each in (self._open or {}).items() if key != name}
            words = " ".join(str(error).split())[:200]
            self.log(
                f"the tracker {name} failed ({type(error).__name__}: {words}): it is told nothing "
                "more, and the run goes on."
            )

    def _start(self, name: str, step: int) -> None:
        """Open a tracker, for the run that it knows already where that goes on."""
        tracker = self._opened(name, step, self._runs.get(name))
        assert self._open is not None
        self._open[name] = tracker
        if step == 1:
            tracker.store_init_configuration(self._told())
        run = getattr(tracker, "tracker", None)
        holder, key = (getattr(run, "info", None), "run_id") if name == "mlflow" else (run, "id")
        number = getattr(holder, key, None)
        if isinstance(number, str):
            self._remember(**{name: number})

    def _remember(self, **facts: Any) -> None:
        """Write down what a run that goes on has to know."""
        self._runs |= facts
        if any(name in self._runs for name in self.names):
            write_whole(self.folder / RUNS, json.dumps(self._runs).encode())

    def _opened(self, name: str, step: int, known: str | None) -> Any:
        run = self.folder.name
        options: dict[str, dict[str, Any]] = {
            # what a killed run told of steps that are taken again is left out
            "tensorboard": {"logging_dir": self.folder, "run_name": name, "purge_step": step},
            "wandb": {
                "run_name": PROJECT,
                "name": run,
                "dir": str(self.folder),
                "settings": dict(SILENT),
            },
            "mlflow": {"experiment_name": PROJECT, "run_name": run, "tags": dict(TAGS)},
        }
        if known is not None:
            options["wandb"] |= {"id": known, "resume": "allow"}
            options["mlflow"]["run_id"] = known
        for variable, value in PATIENCE.items() if name == "mlflow" else ():
            os.environ.setdefault(variable, value)
        import_module("accelerate").PartialState()  # its trackers write a log, which asks for one
        made = import_module("accelerate.tracking").LOGGER_TYPE_TO_CLASS[name](**options[name])
        if hasattr(made, "start"):  # Accelerate before 1.8 opened it at once
            made.start()
        return made

    def _told(self) -> dict[str, Any]:
        facts = self.facts.items()
        numbers = {k: v for k, v in facts if isinstance(v, int | float)}
        return numbers | {k: v for k, v in facts if k in TOLD and isinstance(v, str)}


@contextmanager
def tracked(
    names: Sequence[str], folder: Path, facts: Mapping[str, Any], log: Log
) -> Iterator[dict[str, Any]]:
    """The setting by which `distill` tells trackers of a run, closed at its end.

    Args:
        names: of the trackers; none for none.
        folder: the job's.
        facts: its settings.
        log: called with a sentence where a tracker fails.

    Yields:
        The setting, or none.
    """
    if not names:
        yield {}
        return
    callback = Tracked(names, folder, facts, log)
    try:
        yield {"callbacks": [callback]}
    finally:
        callback.close()
