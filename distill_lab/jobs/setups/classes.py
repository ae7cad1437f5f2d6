"""Rare classes as much as frequent ones: drawn as often, or with labels that weigh more."""

from typing import Any

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups.examples import Examples


def class_weights(job: ModelJob, labels: Tensor | list[Tensor] | None, classes: int) -> Any:
    """What the labels of each class weigh where a job balances them by weights.

    Formula: N / (C n_c) for a class with n_c of the N labels of C classes; 1 for one that does not
    occur.

    Args:
        job: says whether.
        labels: classes (N,), or of each text (L,); -100 where there is none.
        classes: how many there are, C.

    Returns:
        Numbers (C,); None where the job does not ask for it.

    >>> job = ModelJob.of(kind="", student="", train="", out="", method="", balance="weights")
    >>> class_weights(job, torch.tensor([0, 0, 0, 1, -100]), 2)
    [0.6666666666666666, 2.0]
    """
    if job.balance != "weights" or labels is None:
        return None
    flat = torch.cat(labels) if isinstance(labels, list) else labels
    counts = flat[flat != IGNORE].bincount(minlength=classes).double()
    return torch.where(counts > 0, counts.sum() / (classes * counts), 1.0).tolist()


def check_balance(job: ModelJob, examples: Examples[Any]) -> None:
    """Refuse to balance what has no classes, one for each example.

    Args:
        job: says how.
        examples: what it learns from.

    Raises:
        ValueError: for several labels, numbers, or examples without a label.
    """
    if job.balance is None:
        return
    if examples.several or examples.names is None or not examples.names.names:
        raise ValueError(
            "balance is for one class an example, and these have several labels, or a number: "
            "leave it out."
        )
    if job.balance == "sampler" and examples.unlabelled:
        raise ValueError(
            f"{examples.unlabelled:,} {examples.unit} have no label, and so no class to be drawn "
            "by: leave them out, or say balance: weights."
        )
