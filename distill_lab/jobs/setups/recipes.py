"""The recipe that a job names, with those of its settings that the recipe takes."""

from typing import Any

from distill_lab import methods
from distill_lab.jobs.kinds.model_settings import TAKES
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups.examples import Examples
from distill_lab.methods import Method


def recipe(
    job: ModelJob, *, several: bool = False, regressor: Any = None, class_weights: Any = None
) -> Method:
    """Make the recipe that a job names.

    Args:
        job: names it, with its T, alpha, beta and gamma; what it does not give is as the recipe
            has it.
        several: whether an example may have any number of labels.
        class_weights: what the labels of each class weigh; None for all the same.
        regressor: of an embedder whose student is not as wide as its teacher.

    Returns:
        The method.

    Raises:
        ValueError: for a method of one label where there are several.
    """
    if several and job.method not in ("supervised", "binary-kd"):
        raise ValueError(
            f"method {job.method} compares one softmax over the classes, and these examples have "
            "several labels each: use binary-kd."
        )
    if job.method == "regression" and job.teacher is None:
        return methods.supervised(loss="mse")
    if job.kind == "embedding":
        return methods.embeddings(job.method, regressor=regressor)
    make = getattr(methods, job.method.replace("-", "_"))
    # a text has them all: as many tokens as labels in a batch do not make them one a token
    own: dict[str, Any] = {"axis": -1} if several else {}
    if several and job.method == "supervised":
        own["loss"] = "bce"
    if class_weights is not None:
        own["class_weights"] = class_weights
    method: Method = make(**job.given(*TAKES.get(job.method, ())), **own)
    return method


def check_labels(examples: Examples[Any], method: Method) -> None:
    """Refuse a recipe that learns from labels as well where no example has any.

    Args:
        examples: what is learned from.
        method: the recipe.

    Raises:
        ValueError: in words.
    """
    labels = [name for name in ("ce", "bce") if name in method.weights]
    if labels and examples.unlabelled and examples.unlabelled == len(examples.train):
        mend = "say alpha: 1, which learns from the teacher alone"
        if "kd" not in method.weights:
            mend = "choose kd with alpha: 1"
        raise ValueError(
            f"none of the {examples.count} has a label, and {method.name.partition('(')[0]} learns "
            f"from labels too: name their column by columns, or {mend}."
        )
