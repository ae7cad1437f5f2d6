"""What a job's kind makes ready, so that one runner can do the rest."""

from dataclasses import replace
from importlib import import_module
from typing import Any

from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups.setup import Context, Log, Setup


def setup(job: Any, context: Context) -> Setup:
    """Make a job ready as its kind does it.

    Args:
        job: what to do.
        context: where it runs.

    Returns:
        Student, data, teacher and method.

    Raises:
        ValueError: for what cannot be read or learned, in words.
        OSError: for what cannot be loaded or written, in words.
    """
    from distill_lab.jobs.setups.bare import check_layers

    if isinstance(job, ModelJob):
        check_layers(job)  # before a teacher learns for hours
    result: Setup = _module(job).setup(job, context)
    return result


def check(job: Any, log: Log) -> None:
    """Open everything that a job of classes, vectors or scores names, and load no weights.

    Args:
        job: what to do.
        log: called with what was there.

    Raises:
        ValueError: for what cannot be read or learned, in words.
        OSError: for what is not there, in words.
    """
    from distill_lab.jobs.out_folder import check_run
    from distill_lab.jobs.setups.bare import check_alone, check_layers
    from distill_lab.jobs.setups.classes import check_balance, class_weights
    from distill_lab.jobs.setups.encoded import alike, check_alike, look
    from distill_lab.jobs.setups.image_classification import labels_of
    from distill_lab.jobs.setups.recipes import check_labels, recipe
    from distill_lab.jobs.setups.setup import say_steps
    from distill_lab.jobs.setups.students import check_last_batch, check_student

    examples = _module(job).read_examples(job)
    check_balance(job, examples)
    check_student(job, examples)
    check_layers(job)
    cut: list[str] = []
    read = getattr(_module(job), "learned", look)
    learned = read(job, examples, cut.append)
    answers = job.teacher is not None and (job.method != "supervised" or job.match is not None)
    if learned is not None and answers and (job.match or job.augment):
        taught = read(replace(job, student=job.teacher), examples, lambda line: None)
        check_alike(job, same=taught is None or alike(taught, learned))
    labels = getattr(examples.train, "labels", None)
    if job.kind == "image-classification":
        labels = labels_of(examples.train, examples.names)
    weights = class_weights(job, labels, len(examples.names or ()))
    method = recipe(job, several=examples.several, class_weights=weights)
    check_labels(examples, method)
    check_last_batch(job, examples, method)
    check_alone(job, len(examples.train))
    check_run(job, method, learned)
    log(str(examples))
    if job.finetune is not None:
        first = replace(job.training, **job.finetune)
        say_steps(first, len(examples.train), log, "the teacher's ")
    say_steps(job.training, len(examples.train), log)
    for line in cut:
        log(line)


def _module(job: Any) -> Any:
    return import_module(f"distill_lab.jobs.setups.{job.kind.replace('-', '_')}")
