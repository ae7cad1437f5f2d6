"""Lesson 43's closing table: models side by side as an operations team would want them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.course.tutor.lessons import chat
from distill_lab.course.worlds import Task
from distill_lab.evaluation import (
    Latency,
    PeakMemory,
    Report,
    Row,
    count_parameters,
    measure_peak_memory,
    size_on_disk,
)
from distill_lab.evaluation.cost import as_latency
from lesson_43.synthetic import MOST, Answered, bleu, flat, rouge_l


class Answering(nn.Module):
    """A language model as a module that answers one prompt, token ids (1, L), from end to end."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        """The ids of prompt and answer."""
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            found: Tensor = self.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=MOST, do_sample=False
            )
        return found


def timed(models: Mapping[str, Any], tokenizer: Any, tasks: Sequence[Task]) -> dict[str, Latency]:
    """How long each model takes for one answer, asked one at a time, the models in turn.

    Every task is asked once; a first answer of each, untimed, warms the caches.
    """
    ready = {name: Answering(model) for name, model in models.items()}
    prompts = [_ids(task, tokenizer) for task in tasks]
    times: dict[str, list[float]] = {name: [] for name in models}
    for model in ready.values():
        model(prompts[0])
    for ids in prompts:
        for name, model in ready.items():
            start = time.perf_counter()
            model(ids)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: as_latency(torch.tensor(t, dtype=torch.float64), 1) for name, t in times.items()}


def memory(model: Any, tokenizer: Any, tasks: Iterable[Task]) -> PeakMemory:
    """The most memory any of these answers takes, weights included."""
    whole = Answering(model)
    found = [measure_peak_memory(whole, _ids(task, tokenizer)) for task in tasks]
    return max(found, key=lambda one: one.total)


def _ids(task: Task, tokenizer: Any) -> Tensor:
    ids: Tensor = tokenizer([chat(task)], return_tensors="pt")["input_ids"]
    return ids


def row(
    name: str,
    models: Sequence[Any],
    found: Answered,
    tokenizer: Any,
    wait: Latency,
    teacher: Answered,
) -> Row:
    """A model's line in the closing table; the cost is that of the first seed's."""
    share = {f"{world}, % right": found.right(world) for world in found.tasks}
    share |= {"BLEU": found.scores(bleu), "ROUGE-L": found.scores(rouge_l)}
    worst = min(found.tasks, key=lambda world: found.right(world).mean().item())
    longest = max(flat(found.tasks), key=lambda task: len(task.target))
    whole = found.mean.mean().item()
    return Row(
        name,
        len(models),
        whole,
        math.nan,
        math.nan,
        worst_class=list(found.tasks).index(worst),
        worst_class_name=worst,
        worst_class_accuracy=found.right(worst).mean().item(),
        retained=100 * whole / teacher.mean.mean().item(),
        points=whole - teacher.mean.mean().item(),
        parameters=count_parameters(models[0]),
        size_bytes=size_on_disk(models[0]),
        peak_memory=memory(models[0], tokenizer, [longest]),
        latency=wait,
        extra={key: values.mean().item() for key, values in share.items()},
        by_seed={
            key: tuple(values.tolist()) for key, values in {"accuracy": found.mean, **share}.items()
        },
    )


def table(
    contenders: Mapping[str, tuple[Sequence[Any], Answered]],
    waits: Mapping[str, Latency],
    tokenizer: Any,
    *,
    teacher: str,
    baseline: str,
) -> Report:
    """Models side by side, each (models, what they answered): right, alike, time, memory, size."""
    known = contenders[teacher][1]
    rows = tuple(
        row(name, models, found, tokenizer, waits[name], known)
        for name, (models, found) in contenders.items()
    )
    note = (
        "Intervals are over the students' seeds. BLEU and ROUGE-L: support replies and summaries, "
        "against all accepted wordings. Time: a whole answer, one at a time, the models in turn, "
        f"{waits[teacher].runs} answers. Memory: a whole answer and what it remembers of the "
        "prompt. Size: in float32."
    )
    columns = (
        "accuracy",
        "retained",
        *(f"{name}, % right" for name in known.tasks),
        "worst_class",
        "BLEU",
        "ROUGE-L",
        "latency_p50",
        "latency_p95",
        "peak_memory",
        "size",
        "parameters",
    )
    caption = f"Right answers to {len(flat(known.tasks))} exam questions, as verifiers judge them"
    return Report(rows, caption, (note,), columns, teacher=teacher, baseline=baseline)
