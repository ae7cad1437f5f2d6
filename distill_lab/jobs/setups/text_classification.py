"""Texts in classes: one class a text, or any number of them."""

from functools import partial

from torch import Tensor

from distill_lab import methods
from distill_lab._util.tensors import IGNORE
from distill_lab.jobs.held_out import far_off
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.classes import class_weights
from distill_lab.jobs.setups.encoded import reader
from distill_lab.jobs.setups.examples import Examples, Split
from distill_lab.jobs.setups.labels import Labels, Quantity, each_label, find_names, labels_of
from distill_lab.jobs.setups.recipes import check_labels, recipe
from distill_lab.jobs.setups.road import EncoderSetup, Kind, drive
from distill_lab.jobs.setups.setup import Context
from distill_lab.jobs.setups.tables import Table, list_of, read_tables

HEAD = "ForSequenceClassification"
MEANT = {  # what a model's configuration says of its numbers
    "multi_label_classification": "a sigmoid for each class, of which several may hold at once",
    "single_label_classification": "one softmax over the classes",
    "regression": "quantities",
}
LOSSES = {"classification": "cross_entropy", "multilabel": "bce", "regression": "mse"}


def read_examples(job: ModelJob) -> Examples[Split]:
    """Read the files of a job and number its classes; no model is loaded.

    Args:
        job: what to do.

    Returns:
        The examples.

    Raises:
        OSError: for what is not there.
        ValueError: for what cannot be read, each with its place.
    """
    train, held_out = read_tables(job, "text")
    of_teacher = teacher_classes(job, HEAD)
    label = job.columns.get("label", "label")
    # a class may be in the held-out rows of a file alone: it is one of that file's all the same
    tables = (train,) if job.held_out is None else (train, held_out)
    several = any(is_multi_label(job, table) for table in tables)
    read = partial(labels_of, label=label, separator=job.separator)
    known = job.needs_labels or isinstance(label, list) or any(label in row for row in train.rows)
    values = [value for table in tables for value in read(table)] if known else []
    each = [one for value in values for one in each_label(value)] if several else values
    given = tuple(label) if isinstance(label, list) and job.labels is None else job.labels
    names: Labels | Quantity = Quantity()
    if job.method != "regression":
        class_names = find_names(each, given=given, of_teacher=of_teacher, several=several)
        names = Labels(class_names, several=several)
    elif of_teacher is not None and len(of_teacher) != 1:
        raise ValueError(
            f"the teacher {job.teacher} gives {len(of_teacher)} numbers, and a regression has one: "
            "name a teacher with num_labels=1, or let it learn the task with finetune."
        )
    check_meaning(job, names)
    text = job.columns.get("text", "text")
    answers = names.numbers(read(held_out), held_out.places)
    measured = (~_without(answers)).nonzero()[:, 0].tolist()
    if not measured:
        raise ValueError(f"{held_out.places[0]}: no row has a label, so nothing can be measured.")
    held_out_texts = texts_of(held_out, text)
    labels = names.numbers(values[: len(train)], train.places) if known else None
    bare = len(train) if labels is None else int(_without(labels).sum())
    return Examples(
        Split(texts_of(train, text), labels),
        Split([held_out_texts[i] for i in measured], answers[list(measured)]),
        "texts",
        names,
        f"{len(names)} classes" if names.names else "a number each",
        bare,
        far_off(job.held_out, len(train), len(held_out)),
    )


def _without(labels: Tensor) -> Tensor:
    """Which texts (N,) have no label."""
    return labels.isnan().all(1) if labels.dim() > 1 else labels == IGNORE


def is_multi_label(job: ModelJob, train: Table) -> bool:
    """Whether an example may have several labels: a column for each, a separator, or lists.

    Args:
        job: names columns and separator.
        train: the training data.

    Returns:
        Whether it may.
    """
    label = job.columns.get("label", "label")
    if isinstance(label, list) or job.separator is not None or job.method == "binary-kd":
        return True
    rows = zip(train.rows, train.places, strict=True)
    return any(isinstance(list_of(row.get(label), place), list) for row, place in rows)


def setup(job: ModelJob, context: Context) -> EncoderSetup:
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

    examples = context.kept("examples", lambda: read_examples(job))
    context.log(str(examples))

    names = examples.names
    assert names is not None
    task = "multilabel" if names.several else "classification" if names.names else "regression"
    weights = class_weights(job, examples.train.labels, len(names))
    kind = Kind(
        Classifier,
        reader(job, examples, context),
        task,
        names.names or None,
        config=names.config,
        first=methods.supervised(
            loss=LOSSES[task], class_weights=weights, axis=-1 if names.several else None
        ),
    )
    method = recipe(job, several=names.several, class_weights=weights)
    check_labels(examples, method)
    return drive(job, context, kind, lambda *_: method, examples.count)


def teacher_classes(job: ModelJob, head: str) -> tuple[str, ...] | None:
    """The classes that a job's teacher knows, in its order; None where it has to learn them.

    Args:
        job: names the teacher.
        head: the end of the name of a model that can do the task.

    Returns:
        The names.

    Raises:
        ValueError: for a bare encoder that nothing trains.
    """
    if job.teacher is None:
        return None
    config = encoders.read_config(job.teacher, "teacher")
    if job.finetune is not None:
        return None
    if not encoders.head_of(config, head):
        raise ValueError(
            f"the teacher {job.teacher} is a bare encoder and has no classes: let it learn the "
            "task first, as teacher: {model: " + job.teacher + ", finetune: {epochs: 3}}, or "
            "name a model that can do it."
        )
    return encoders.saved_labels(config)


def check_meaning(job: ModelJob, names: Labels | Quantity) -> None:
    """Refuse a teacher whose numbers mean something else than the job reads in them.

    Args:
        job: names the teacher.
        names: of the classes, or of none.

    Raises:
        ValueError: with both meanings.
    """
    if job.teacher is None or job.finetune is not None or job.method == "supervised":
        return
    says = getattr(encoders.read_config(job.teacher, "teacher"), "problem_type", None)
    wanted = "regression" if not names.names else "single_label_classification"
    wanted = "multi_label_classification" if names.several else wanted
    if says in MEANT and says != wanted:
        raise ValueError(
            f"the teacher {job.teacher} answers with {MEANT[says]} (problem_type in its "
            f"config.json), and {job.method} on these data reads {MEANT[wanted]}: choose the "
            "method and the labels that fit it, or let it learn this task first, by finetune."
        )


def texts_of(table: Table, column: str, setting: str = "text") -> list[str]:
    """The texts of a column.

    Args:
        table: the rows.
        column: its name in the data.
        setting: our name for it.

    Returns:
        A text for each row.

    Raises:
        ValueError: for a row that has none, with its place.
    """
    values = table.column(column, setting)
    for value, place in zip(values, table.places, strict=True):
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{place}: {column!r} must be a text, got {value!r}.")
    return values
