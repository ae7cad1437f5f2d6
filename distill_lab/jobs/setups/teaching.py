"""A job's teacher: trained first where it has to be, frozen, its answers kept on disk."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from distill_lab import methods
from distill_lab.data.batches import Batch, Source
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.out_folder import TEACHER, check_start
from distill_lab.jobs.setups.setup import Context, Stopped
from distill_lab.methods import Method
from distill_lab.signals import Dense
from distill_lab.teachers import Teacher, cache, freeze
from distill_lab.training import distill


class Reader:
    """A teacher that answers with tensors, and reads each example as its own data have it.

    Args:
        teacher: asked; of what it kept of texts of several lengths, the logits are taken.
        source: the same examples, under the same numbers, as the teacher reads them, such as with
            other tokens; None where it reads what the student reads.
    """

    def __init__(self, teacher: Teacher, source: Source | None = None) -> None:
        self.teacher, self.source = teacher, source

    @property
    def identity(self) -> str:
        """The teacher's own."""
        return str(getattr(self.teacher, "identity", type(self.teacher).__name__))

    @property
    def model(self) -> Any:
        """The network, where the teacher is one, whose layers can be looked at."""
        return getattr(self.teacher, "model", None)

    def __call__(self, batch: Batch) -> Any:
        """Answer for the examples of a batch, in its order."""
        if self.source is not None:
            batch = self.source.batch(batch.ids).to(_device_of(batch.inputs))
        answer: Any = self.teacher(batch)
        answer = answer.logits if isinstance(answer, Dense) else answer
        places = batch.inputs.get("mask") if isinstance(batch.inputs, Mapping) else None
        # lists of candidates were filled up further when it was asked
        return answer if places is None else answer[:, : places.shape[1]]


def finetuned(
    model: Any, data: Any, job: ModelJob, context: Context, method: Method | None = None
) -> Any:
    """Train a teacher on the labels first, kept in the job's folder and taken up where it stopped.

    Args:
        model: the teacher, with a head for the task.
        data: the training data.
        job: says how in `finetune`; what is not there is as for the student.
        context: where.
        method: what is minimised; the labels' cross-entropy by default.

    Returns:
        The teacher, trained.

    Raises:
        Stopped: where somebody did.
    """
    assert job.finetune is not None
    settings = job.training_settings() | dict(job.finetune)
    settings["sampler"] = job.sampler(data)
    path = Path(job.out) / TEACHER
    again = ", or takes up what is in its file" if path.exists() else ""
    context.log(
        f"the teacher learns the task first: {len(data):,} examples, {settings['epochs']} epochs"
        f"{again}"
    )
    context.dist.once(lambda: check_start(path, model))
    history = distill(
        model,
        data,
        method=method or methods.supervised(),
        progress=context.progress,
        checkpoint=path,
        **settings,
    )
    if history.interrupted:
        raise Stopped(history)
    return model


def frozen_teacher(model: Any, data: Source, job: ModelJob, context: Context) -> Teacher:
    """Freeze a teacher, and ask it once about every example where the job keeps its answers.

    Args:
        model: the teacher.
        data: the training data as it reads them.
        job: says whether its answers are kept.
        context: where.

    Returns:
        The teacher, or what it said.
    """
    teacher = freeze(model)
    if job.asks_live:
        return teacher
    folder = Path(job.out) / "teacher_answers"
    context.log(f"the teacher's answers: kept in {folder}")
    # who looks on by a function counts the steps of a training, and these are none
    line = context.progress if not callable(context.progress) else False
    filled = in_full(data)
    with context.rehearsal.answers(len(data)) if context.rehearsal else nullcontext():
        return context.dist.main_first(lambda: cache(teacher, filled, folder, progress=line))


def in_full(data: Any) -> Any:
    """Examples whose answers are put side by side: lists of candidates filled up to the longest.

    Args:
        data: the examples.

    Returns:
        The same ones.
    """
    return data.in_full() if hasattr(data, "in_full") else data


def _device_of(inputs: Any) -> torch.device:
    while isinstance(inputs, Mapping):
        inputs = next(iter(inputs.values()))
    device: torch.device = inputs.device
    return device
