"""The rehearsal of a job of classes, vectors or scores: both trainings, and the answers between."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.rehearsal import as_time
from distill_lab.jobs.running import run_job
from distill_lab.jobs.settings import Log
from distill_lab.jobs.setups.parts import Rehearsal

WHO = ("the teacher first", "the student")
SHORT: dict[str, Any] = {"epochs": 1, "warmup": 0}


def rehearse_models(job: ModelJob, log: Log, steps: int) -> None:
    """Take a few steps of each training, and say what the whole would take; nothing is kept.

    Args:
        job: what would be done.
        log: called with examples, steps and times.
        steps: how many are measured; the first one is not counted.

    Raises:
        ValueError: for what cannot be read or learned, in words.
        OSError: for what cannot be loaded, in words.
    """
    first = None if job.finetune is None else dataclasses.replace(job.training, **job.finetune)
    trainings = [each for each in (first, job.training) if each is not None]
    rehearsal = Rehearsal(steps, max(each.batch_size for each in trainings))
    phases: list[list[float]] = []

    def watch(terms: dict[str, float], step: int, of: int) -> None:
        if step == 1:
            phases.append([])
        phases[-1].append(time.perf_counter())
        if len(phases) == len(trainings) and step == min(of, steps):
            raise KeyboardInterrupt  # as somebody does who has seen enough

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        small = dataclasses.replace(
            job,
            out=str(Path(folder) / "out"),
            finetune=None if job.finetune is None else {**job.finetune, **SHORT},
            training=dataclasses.replace(job.training, **SHORT),
            seeds=None,
            trackers=(),
        )
        run_job(small, progress=watch, rehearsal=rehearsal)
    loading, count = phases[0][0] - began, rehearsal.examples
    log(f"{count:,} examples; loading and reading took {as_time(loading)}")
    total = loading
    for who, training, marks in zip(WHO[-len(trainings) :], trainings, phases, strict=True):
        per_epoch, all_steps = training.length(count)
        if len(marks) < 2:
            log(f"{who}: {all_steps:,} steps, and too few of them to measure")
        else:
            pace = (marks[-1] - marks[0]) / (len(marks) - 1)
            total += all_steps * pace
            log(
                f"{who}: {per_epoch:,} steps an epoch, {all_steps:,} in all, of {pace:.3g} s: "
                f"about {as_time(all_steps * pace)}"
            )
    if rehearsal.answering:
        total += count * rehearsal.answering
        log(f"the teacher's answers, once: about {as_time(count * rehearsal.answering)}")
    log(f"about {as_time(total)} in all, before the student is measured and written")
