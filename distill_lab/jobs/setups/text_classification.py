"""Texts in classes: one class a text, or any number of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.evaluation import compare, count_parameters, size_on_disk
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders, teaching
from distill_lab.jobs.setups.encoded import Encoded, answers, encode
from distill_lab.jobs.setups.labels import Labels, find_names
from distill_lab.jobs.setups.recipes import recipe
from distill_lab.jobs.setups.setup import Context, Log, Result, Setup
from distill_lab.jobs.setups.tables import Table, read_table

HEAD = "ForSequenceClassification"


@dataclass(frozen=True)
class Examples:
    """What the files of a job hold.

    Args:
        texts: of the training data.
        labels: of the training data; None where they have none.
        held_out: texts that are measured on.
        answers: their labels.
        names: the classes.
    """

    texts: list[str]
    labels: Tensor | None
    held_out: list[str]
    answers: Tensor
    names: Labels


@dataclass(kw_only=True)
class TextClassification(Setup):
    """A student that puts texts in classes.

    Args:
        tokenizer: the student's.
        models: teacher and student, each with the held-out texts as it reads them.
        names: the classes.
        log: told what is measured.
    """

    tokenizer: Any
    models: dict[str, tuple[Any, Encoded]]
    names: Labels
    log: Log

    def measure(self, student: Any) -> Result:
        """Measure teacher and student on the held-out texts."""
        logits, costs = {}, {}
        for name, (model, held_out) in self.models.items():
            self.log(f"measuring the {name}")
            logits[name] = torch.stack(answers(model, held_out, lambda output: output.logits))
            costs[name] = {
                "parameters": count_parameters(model),
                "megabytes": size_on_disk(model) / 1e6,
            }
        labels = next(iter(self.models.values()))[1].labels
        assert isinstance(labels, Tensor)
        report = compare(
            logits,
            (labels[:, None].float(), labels),
            teacher="teacher" if "teacher" in logits else None,
            columns=[*MEASURES, "macro F1"] if "teacher" in logits else [*MEASURES[:1], "macro F1"],
            extra={"macro F1": macro_f1},
        )
        figures = {
            name: {"accuracy": report[name].accuracy, **report[name].extra, **costs[name]}
            for name in logits
        }
        return Result(figures, f"```\n{report}\n```", figures)

    def save(self, student: Any, folder: Path) -> None:
        """Write the student as AutoModelForSequenceClassification.from_pretrained takes it."""
        encoders.save(student, self.tokenizer, folder)


MEASURES = ("accuracy", "retained", "agreement", "kl_to_teacher")


def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """The mean over classes of F1; a class that is nowhere counts for nothing.

    Args:
        logits: scores (N, C).
        labels: classes (N,).

    Returns:
        Percent.
    """
    predicted, classes = logits.argmax(-1), logits.shape[-1]
    hits = torch.bincount(labels[predicted == labels], minlength=classes).double()
    total = torch.bincount(labels, minlength=classes) + torch.bincount(predicted, minlength=classes)
    return float(100 * (2 * hits / total.clamp_min(1))[total > 0].mean())


def read_examples(job: ModelJob) -> Examples:
    """Read the files of a job and number its classes; no model is loaded.

    Raises:
        OSError: for what is not there.
        ValueError: for what cannot be read, each with its place.
    """
    train = read_table(str(job.train), job.encoding)
    held_out = train if job.validation is None else read_table(str(job.validation), job.encoding)
    text, label = job.columns.get("text", "text"), job.columns.get("label", "label")
    of_teacher = None
    if job.teacher is not None:
        config = encoders.read_config(job.teacher, "teacher")
        if job.finetune is None and not encoders.head_of(config, HEAD):
            raise ValueError(
                f"the teacher {job.teacher} is a bare encoder and has no classes: let it learn the "
                "task first, as teacher: {model: " + job.teacher + ", finetune: {epochs: 3}}, or "
                "name a classifier."
            )
        if job.finetune is None:
            of_teacher = encoders.saved_labels(config)
    learns = _needs_labels(job)
    known = learns or any(label in row for row in train.rows)
    values = train.column(label, "label") if known else []
    names = Labels(find_names(values, given=job.labels, of_teacher=of_teacher))
    return Examples(
        _texts(train, text),
        names.numbers(values, train.places) if known else None,
        _texts(held_out, text),
        names.numbers(held_out.column(label, "label"), held_out.places),
        names,
    )


def check(job: ModelJob, log: Log) -> None:
    """Read the job's files and configurations, and say what they hold.

    Args:
        job: what to do.
        log: told of it.

    Raises:
        OSError: for what is not there.
        ValueError: for what cannot be read, each with its place.
    """
    examples = read_examples(job)
    encoders.check_student(job.student, job.teacher)
    log(_summary(examples))


def setup(job: ModelJob, context: Context) -> TextClassification:
    """Make a job ready: read, load, let the teacher learn and answer where it has to.

    Args:
        job: what to do.
        context: where.

    Returns:
        Student, data, teacher and method.

    Raises:
        OSError: for what cannot be loaded.
        ValueError: for what cannot be read or learned, in words.
    """
    from transformers import AutoModelForSequenceClassification as Classifier

    log, seed = context.log, job.training.seed
    examples = read_examples(job)
    log(_summary(examples))
    named = isinstance(job.student, str)
    config = examples.names.config
    teacher = teacher_tokenizer = None
    if job.teacher is not None:
        log(f"loading {job.teacher}")
        teacher = encoders.load(Classifier, job.teacher, seed, **config)
        teacher_tokenizer = encoders.load_tokenizer(job.teacher)
    tokenizer = encoders.load_tokenizer(str(job.student)) if named else teacher_tokenizer

    def read(tokenizer: Any, config: Any, texts: Sequence[str], labels: Tensor | None) -> Encoded:
        limit = encoders.text_limit(config, tokenizer, job.max_length)
        return encode(tokenizer, texts, labels, max_length=limit, log=log)

    models: dict[str, tuple[Any, Encoded]] = {}
    answering = None
    if teacher is not None:
        own = read(teacher_tokenizer, teacher.config, examples.texts, examples.labels)
        if job.finetune is not None:
            teacher = teaching.finetuned(teacher, own, job, context)
        held_out = read(teacher_tokenizer, teacher.config, examples.held_out, examples.answers)
        models["teacher"] = (teacher, held_out)
    if named:
        student = encoders.load(Classifier, str(job.student), seed, **config)
    else:
        assert isinstance(job.student, dict)
        student = encoders.new_student(Classifier, job.student, teacher, seed, **config)
    data = read(tokenizer, student.config, examples.texts, examples.labels)
    held_out = read(tokenizer, student.config, examples.held_out, examples.answers)
    models["student"] = (student, held_out)
    if teacher is not None and job.method != "supervised":
        answering = teaching.frozen_teacher(teacher, own, job, context, {})
        if own.fingerprint != data.fingerprint:
            answering = teaching.Reader(answering, own)
    return TextClassification(
        student,
        data,
        recipe(job),
        answering,
        f"{job.method}: {len(data):,} texts, {job.training.epochs} epochs",
        base=str(job.student) if named else None,
        teachers=[job.teacher] if answering is not None and job.teacher is not None else [],
        tokenizer=tokenizer,
        models=models,
        names=examples.names,
        log=log,
    )


def _texts(table: Table, column: str) -> list[str]:
    values = table.column(column, "text")
    for value, place in zip(values, table.places, strict=True):
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{place}: {column!r} must be a text, got {value!r}.")
    return values


def _needs_labels(job: ModelJob) -> bool:
    return job.finetune is not None or job.method in ("supervised", "dkd", "dist")


def _summary(examples: Examples) -> str:
    count = f"{len(examples.texts):,} texts, {len(examples.names)} classes"
    if examples.labels is not None and (bare := int((examples.labels == IGNORE).sum())):
        count += f", {bare:,} texts without a label"
    return f"{count}; measured on {len(examples.held_out):,}"
