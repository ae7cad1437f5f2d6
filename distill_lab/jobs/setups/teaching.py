"""A job's teacher: trained first where it has to be, frozen, its answers kept on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill_lab import methods
from distill_lab.data.batches import Batch, Source
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups.setup import Context, Stopped
from distill_lab.methods import Method
from distill_lab.teachers import Teacher, cache, freeze
from distill_lab.training import distill


class Reader:
    """A teacher that reads each example as its own data have it, such as with other tokens.

    Args:
        teacher: asked.
        source: the same examples, under the same numbers, as the teacher reads them.
    """

    def __init__(self, teacher: Teacher, source: Source) -> None:
        self.teacher, self.source = teacher, source

    @property
    def identity(self) -> str:
        """The teacher's own."""
        return str(getattr(self.teacher, "identity", type(self.teacher).__name__))

    def __call__(self, batch: Batch) -> Any:
        """Answer for the examples of a batch, in its order."""
        own = self.source.batch(batch.ids)
        device = batch.labels.device if batch.labels is not None else None
        return self.teacher(own if device is None else own.to(device))


def finetuned(
    model: Any, data: Source, job: ModelJob, context: Context, method: Method | None = None
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
    path = Path(job.out) / "teacher.safetensors"
    again = ", or takes up what is in its file" if path.exists() else ""
    context.log(
        f"the teacher learns the task first: {len(data):,} examples, {settings['epochs']} epochs"
        f"{again}"
    )
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


def frozen_teacher(
    model: Any, data: Source, job: ModelJob, context: Context, facts: Mapping[str, Any]
) -> Teacher:
    """Freeze a teacher, and ask it once about every example where the job keeps its answers.

    Args:
        model: the teacher.
        data: the training data as it reads them.
        job: says whether its answers are kept.
        context: where.
        facts: of the cache, such as what it keeps.

    Returns:
        The teacher, or what it said.
    """
    teacher = freeze(model)
    if not job.cache:
        return teacher
    folder = Path(job.out) / "teacher_answers"
    context.log(f"the teacher's answers: kept in {folder}")
    return cache(teacher, data, folder, progress=context.progress, **facts)
