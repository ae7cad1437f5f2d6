"""Students as a job names them, looked at before anything is loaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from distill_lab._util.model_files import model_folder
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.examples import Examples
from distill_lab.jobs.setups.networks import (
    NETWORKS,
    TIMM,
    Network,
    View,
    check_timm,
    network_facts,
    seen_by_model,
    timm_view,
)
from distill_lab.methods import Method
from distill_lab.training import TrainingConfig

CLASSES = ("no", "yes")  # of a model that is made to be looked at alone
SIZE = 32  # pixels on a side, where neither job nor teacher says it


def network_recipe(student: Any) -> dict[str, Any] | None:
    """The network that a student names: small-cnn, or {network: small-cnn, width: 8}.

    Args:
        student: as a job of pictures has it.

    Returns:
        Its name and sizes; None for a model of transformers.
    """
    if isinstance(student, str):
        name = Path(student).name  # a job file's student is a path, or a name
        return {"name": name} if name in NETWORKS and not Path(student).exists() else None
    if "network" not in student:
        return None
    rest = {key: value for key, value in student.items() if key != "network"}
    return {"name": student["network"], **rest}


def view_of(job: ModelJob) -> View:
    """How a job's student will see pictures.

    Args:
        job: names student and teacher.

    Returns:
        The view.

    Raises:
        OSError: for a model that is not there.
        ValueError: for one that sees no squares of red, green and blue.
        ModuleNotFoundError: where timm is asked for and missing.
    """
    recipe = network_recipe(job.student)
    made = isinstance(job.student, dict) or recipe is not None
    named, who = (job.teacher, "teacher") if made else (str(job.student), "student")
    if named is None:
        return View(job.size or SIZE)
    facts = network_facts(named)
    if named.startswith(TIMM):
        view = timm_view(named, job.size)
    elif facts is not None:
        view = View.of(named, int(facts["image_size"]))
    else:
        view = seen_by_model(named, encoders.read_config(named, who), job.size)
    return view if recipe is None else replace(view, size=job.size or view.size)


def check_student(job: ModelJob, examples: Examples[Any]) -> None:
    """Refuse a student that is not there, or cannot be made; no weights are read.

    Args:
        job: names student and teacher.
        examples: what it learns from.

    Raises:
        OSError: where there is none.
        ValueError: for sizes or layers that its family does not have, or that do not fit.
        ModuleNotFoundError: where timm is asked for and missing.
    """
    teacher = job.teacher or ""
    ready = [n for n in (job.student, teacher) if isinstance(n, str) and n.startswith(TIMM)]
    for each in ready:
        check_timm(each, weights=True)
        if job.size is not None:
            Network({"name": each}, CLASSES, job.size)
    for name, who in ((job.student, "the student"), (teacher, "the teacher")):
        if isinstance(name, str) and name and network_facts(name) is not None:
            model_folder(name, who)
    recipe = network_recipe(job.student) if job.kind == "image-classification" else None
    if recipe is not None:
        Network(recipe, examples.names.names if examples.names else (), view_of(job).size)
    elif job.student not in ready and network_facts(str(job.student)) is None:
        encoders.check_student(job.student, job.teacher)
        if isinstance(job.student, str):
            _check_reads(job, job.student, "student")
    if teacher and teacher not in ready and network_facts(teacher) is None:
        _check_reads(job, teacher, "teacher")


def check_last_batch(job: ModelJob, examples: Examples[Any], method: Method) -> None:
    """Refuse batches that leave one example alone to a method that compares examples.

    Args:
        job: says how large batches are.
        examples: what it learns from.
        method: the recipe.

    Raises:
        ValueError: naming what to change.
    """
    size, pieces = job.training.batch_size, job.training.accumulate
    relates = job.match is not None and job.match.get("kind") == "relations"
    at_least = max(method.at_least, 2 if relates else 1)
    if smallest_piece(job.training, len(examples.train)) < at_least:
        raise ValueError(
            f"{examples.count} in batches of {size}, each in {pieces} pieces, leave one example "
            f"alone, and {'match: relations' if relates else job.method} compares examples with "
            "each other: choose another batch_size."
        )


def smallest_piece(training: TrainingConfig, examples: int) -> int:
    """How many examples the smallest piece of a batch has.

    Args:
        training: says how large batches are, and in how many pieces each.
        examples: how many an epoch has.

    Returns:
        Their number.
    """
    last = examples % training.batch_size or training.batch_size
    return max(1, last // training.accumulate)


def _check_reads(job: ModelJob, name: str, who: str) -> None:
    """Refuse a model of texts where pictures are read, and the other way round."""
    config = encoders.read_config(name, who)
    pictures = job.kind == "image-classification"
    if not (_sees(config) if pictures else getattr(config, "vocab_size", None)):
        other = "texts" if pictures else "pictures"
        raise ValueError(
            f"the {who} {name} is a {config.model_type}, a model of {other}: name one that reads "
            f"{'pictures' if pictures else 'texts'}."
        )
    if pictures:
        seen_by_model(name, config, job.size)


def _sees(config: Any) -> bool:
    """Whether a configuration is that of a classifier of pictures, which has no words."""
    from transformers import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING as CLASSIFIERS

    words = getattr(config, "vocab_size", None) and not getattr(config, "image_size", None)
    return type(config) in CLASSIFIERS and not words
