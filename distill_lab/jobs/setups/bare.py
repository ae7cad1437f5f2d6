"""Models of a job without their weights: the names of their layers, before any of them learns."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from distill_lab.jobs.exportable import PIXELS
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.layers import check_layouts, path_in
from distill_lab.jobs.setups.networks import TIMM, Network, network_facts
from distill_lab.jobs.setups.students import CLASSES, network_recipe, smallest_piece, view_of
from distill_lab.models.networks import output_of

HEADS = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "image-classification": "AutoModelForImageClassification",
    "ranking": "AutoModelForSequenceClassification",
}


def check_layers(job: ModelJob) -> None:
    """Refuse layers to match that student or teacher lack, or that do not fit; no weights are read.

    Args:
        job: names both models, and in `match` their layers.

    Raises:
        OSError: where a model is not there.
        ValueError: for a layer that is not, with those of like name, and for two of which one
            gives maps, say, and the other tokens.
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
    inputs = _inputs(job)
    student, teacher = networks.values()
    if student is not None and teacher is not None and inputs is not None:
        check_layouts(job.match, student, teacher, inputs)


def check_alone(job: ModelJob, count: int) -> None:
    """Refuse batches that leave one picture alone to a network with batch statistics.

    Args:
        job: names student and teacher, and says how large batches are.
        count: how many pictures it learns from.

    Raises:
        ValueError: naming what to change.
    """
    if job.kind != "image-classification":
        return
    trainings = {"student": (job, job.training)}
    if job.finetune is not None and job.teacher is not None:
        first = replace(job, student=job.teacher)
        trainings["teacher"] = first, replace(job.training, **job.finetune)
    for who, (own, training) in trainings.items():
        if smallest_piece(training, count) > 1:
            continue
        side = view_of(own).size
        network = _bare(own, network_recipe(own.student) or own.student)
        if network is None or not any(isinstance(each, _BatchNorm) for each in network.modules()):
            continue
        try:
            with suppress(NotImplementedError, RuntimeError), torch.no_grad():
                output_of(network.train(), {PIXELS: torch.ones(1, 3, side, side, device="meta")})
        except ValueError as error:
            raise ValueError(
                f"{count:,} pictures in batches of {training.batch_size}, each in "
                f"{training.accumulate} pieces, leave one picture alone, and the {who} has batch "
                f"statistics, which need more ({error}): choose another batch_size."
            ) from error


def _inputs(job: ModelJob) -> dict[str, Tensor] | None:
    """Two examples without values; None where models see pictures of two sizes."""
    if job.kind != "image-classification":
        # without a mask, whose values would be looked at
        return {"input_ids": torch.ones(2, 4, dtype=torch.long, device="meta")}
    side = view_of(job).size
    if side != view_of(replace(job, student=str(job.teacher))).size:
        return None  # of two sizes nothing is matched, in words of its own
    return {PIXELS: torch.ones(2, 3, side, side, device="meta")}


class _Wrapped(nn.Module):
    """A model inside of another, as an embedder's is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> Any:
        """What the model says."""
        return self.model(**inputs)


def _bare(job: ModelJob, named: str | Mapping[str, Any]) -> nn.Module | None:
    """The network that a job names; None for a family that reads values while it is made."""
    import transformers

    facts = network_facts(named) if isinstance(named, str) else None
    if isinstance(named, str) and named.startswith(TIMM):
        size = view_of(replace(job, student=named)).size
        return Network({"name": named}, CLASSES, size).to("meta")
    if facts is not None:
        return Network(facts["network"], CLASSES, int(facts["image_size"])).to("meta")
    if isinstance(named, Mapping) and "name" in named:
        return Network(named, CLASSES, view_of(job).size).to("meta")
    config = encoders.config_of(named, job.teacher)
    with suppress(NotImplementedError, RuntimeError), torch.device("meta"), encoders.quiet():
        auto = encoders.AutoEncoder
        auto = auto if job.kind == "embedding" else getattr(transformers, HEADS[job.kind])
        network: nn.Module = auto.from_config(config)
        # where a job wraps the model, its layers may be named with the wrapper or without
        wrapped = job.kind in ("embedding", "ranking")
        return _Wrapped(network) if wrapped else network
    return None
