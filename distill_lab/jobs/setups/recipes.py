"""The recipe that a job names, with those of its settings that the recipe takes."""

from collections.abc import Callable
from typing import Any

from distill_lab import methods
from distill_lab.jobs.model_job import ModelJob
from distill_lab.methods import Method

# What each recipe takes of a job; a setting that the job does not give has the recipe's default.
RECIPES: dict[str, tuple[Callable[..., Method], tuple[str, ...]]] = {
    "supervised": (methods.supervised, ()),
    "kd": (methods.kd, ("T", "alpha")),
    "logit-matching": (methods.logit_matching, ("alpha",)),
    "dkd": (methods.dkd, ("T", "alpha", "beta")),
    "dist": (methods.dist, ("T", "beta", "gamma")),
}


def recipe(job: ModelJob, **more: Any) -> Method:
    """Make the recipe that a job names.

    Args:
        job: names it, with its T, alpha, beta and gamma.
        **more: arguments that follow from the job's kind.

    Returns:
        The method.
    """
    make, settings = RECIPES[job.method]
    return make(**job.given(*settings), **more)
