"""Students as a job names them, looked at before anything is loaded."""

from pathlib import Path
from typing import Any

from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.examples import Examples
from distill_lab.jobs.setups.networks import NETWORKS, TIMM, Network, check_timm, network_facts
from distill_lab.methods import Method

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
    if teacher.startswith(TIMM):
        check_timm(teacher)
    recipe = network_recipe(job.student) if job.kind == "image-classification" else None
    if recipe is not None:
        facts = network_facts(teacher) if teacher else None
        size = job.size or int((facts or {}).get("image_size", SIZE))
        Network(recipe, examples.names.names if examples.names else (), size)
    elif recipe is None and network_facts(str(job.student)) is None:
        encoders.check_student(job.student, job.teacher)
        if isinstance(job.student, str):
            _check_reads(job, job.student, "student")
    if teacher and not teacher.startswith(TIMM) and network_facts(teacher) is None:
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
    last = len(examples.train) % size or size
    if max(1, last // pieces) < method.at_least:
        raise ValueError(
            f"{examples.count} in batches of {size}, each in {pieces} pieces, leave one example "
            f"alone, and {job.method} compares examples with each other: choose another batch_size."
        )


def _check_reads(job: ModelJob, name: str, who: str) -> None:
    """Refuse a model of texts where pictures are read, and the other way round."""
    config = encoders.read_config(name, who)
    pictures = job.kind == "image-classification"
    if getattr(config, "image_size" if pictures else "vocab_size", None) is None:
        other = "texts" if pictures else "pictures"
        raise ValueError(
            f"the {who} {name} is a {config.model_type}, a model of {other}: name one that reads "
            f"{'pictures' if pictures else 'texts'}."
        )
