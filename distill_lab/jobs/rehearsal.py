"""A few steps of a job in a folder of its own: what the whole would take in time and memory."""

import dataclasses
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from distill_lab._util.jsonl import line_of
from distill_lab.jobs.job import Job
from distill_lab.jobs.learning import learning_of
from distill_lab.jobs.running import run_job
from distill_lab.jobs.settings import Log

STEPS = 6  # that are measured; the first one is not counted


def rehearse(job: Any, log: Log) -> None:
    """Load all, take a few steps, and say what the whole would take; nothing of it is kept.

    A language model's job takes only the rows that these steps need, so that a teacher that writes
    answers writes few; other kinds read all their data, and learn from a few of them.

    Args:
        job: what would be done.
        log: called with the figures.

    Raises:
        ValueError: for what cannot be read or learned, in words.
        OSError: for what cannot be loaded, in words.
    """
    if isinstance(job, Job):
        _rehearse_texts(job, log)
    else:
        from distill_lab.jobs.rehearsing import rehearse_models

        rehearse_models(job, log, STEPS)
    log(f"memory at its height: {_peak() / 1e9:.2f} GB")


def _rehearse_texts(job: Job, log: Log) -> None:
    """The rehearsal of a job of language models."""
    marks: list[float] = []

    def watch(terms: dict[str, float], step: int, steps: int) -> None:
        marks.append(time.perf_counter())
        if step >= min(STEPS, steps):
            raise KeyboardInterrupt  # as somebody does who has seen enough

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        small = dataclasses.replace(job, out=str(Path(folder) / "out"), seeds=None, trackers=())
        small, rows, taken = _shortened(small, Path(folder))
        history = run_job(small, progress=watch).history
    if len(marks) < 2:
        log("the run has a single step: too few to measure")
        return
    pace = (marks[-1] - marks[0]) / (len(marks) - 1)
    ready = marks[0] - began - pace
    if job.method == "seq-kd":  # how many answers can be learned the few that were asked do not say
        steps = job.training.length(rows * job.samples)[1]
    else:  # a row may give several texts, or none: as many as it did here
        of_a_row = history.steps_per_epoch / small.training.length(taken)[0]
        steps = max(1, round(job.training.length(rows)[1] * of_a_row))
    log(
        f"{steps:,} steps of {pace:.3g} s: about {as_time(steps * pace)} of training; loading and "
        f"measuring a few rows took {as_time(ready)}"
    )
    if job.seeds:
        log(f"so often for each of {job.seeds} seeds, but for what they share")


def _shortened(job: Job, folder: Path) -> tuple[Job, int, int]:
    """The job with the rows of a few steps; how many rows there are, and how many were taken."""
    few = STEPS * job.training.batch_size
    learning = learning_of(job)
    rows = {"train": learning.rows()}
    if job.validation is not None or job.held_out is not None or learning.prompts_only:
        rows["validation"] = learning.held_out()
    parts: dict[str, Any] = {"columns": None, "encoding": None, "exam": None, "held_out": None}
    for name, some in rows.items():
        path = folder / f"{name}.jsonl"
        path.write_bytes(b"".join(line_of(row) for row in itertools.islice(some, few)))
        parts[name] = str(path)
    training = dataclasses.replace(job.training, epochs=STEPS, warmup=0)
    rows_in_all = len(rows["train"])
    small = dataclasses.replace(job, training=training, **parts)
    return small, rows_in_all, min(few, rows_in_all)


def _peak() -> float:
    """Bytes of memory that were in use at once, on the device that has the model."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return float(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def as_time(seconds: float) -> str:
    """Seconds as somebody says them.

    Args:
        seconds: how many.

    Returns:
        The words.

    >>> as_time(42), as_time(600), as_time(9000)
    ('42 s', '10 minutes', '2.5 hours')
    """
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
