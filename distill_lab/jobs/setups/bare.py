"""Models of a job without their weights: the names of their layers, before any of them learns."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.layers import path_in
from distill_lab.jobs.setups.networks import TIMM, Network, network_facts
from distill_lab.jobs.setups.students import SIZE, network_recipe

CLASSES = ("no", "yes")  # how many there are changes no layer's name
HEADS = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "image-classification": "AutoModelForImageClassification",
    "embedding": "AutoModel",
    "ranking": "AutoModelForSequenceClassification",
}


def check_layers(job: ModelJob) -> None:
    """Refuse layers to match that student or teacher lack; no weights are read.

    Args:
        job: names both models, and in `match` their layers.

    Raises:
        OSError: where a model is not there.
        ValueError: for a layer that is not, with those of like name.
    """
    if job.match is None or job.teacher is None:
        return
    networks = {
        "student": _bare(job, network_recipe(job.student) or job.student),
        "teacher": _bare(job, job.teacher),
    }
    for pair in job.match["layers"].items():
        for path, (who, network) in zip(pair, networks.items(), strict=True):
            if network is not None:
                path_in(network, path, who)


def _bare(job: ModelJob, named: str | Mapping[str, Any]) -> nn.Module | None:
    """The network that a job names; None for a family that reads values while it is made."""
    import transformers

    facts = network_facts(named) if isinstance(named, str) else None
    size = job.size or SIZE
    if isinstance(named, str) and named.startswith(TIMM):
        return Network({"name": named}, CLASSES, size)
    if facts is not None:
        return Network.from_pretrained(str(named))
    if isinstance(named, Mapping) and "name" in named:
        return Network(named, CLASSES, size)
    config = encoders.config_of(named, job.teacher)
    with suppress(NotImplementedError, RuntimeError), torch.device("meta"), encoders.quiet():
        network: nn.Module = getattr(transformers, HEADS[job.kind]).from_config(config)
        # where a job wraps the model, its layers may be named with the wrapper or without
        wrapped = job.kind in ("embedding", "ranking")
        return nn.ModuleDict({"model": network}) if wrapped else network
    return None
