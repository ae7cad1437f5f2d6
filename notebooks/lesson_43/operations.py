"""Lesson 43's closing table: models side by side as an operations team would want them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.course.tutor.lessons import chat
from distill_lab.course.worlds import Task
from distill_lab.evaluation import (
    Latency,
    ModelResult,
    PeakMemory,
    Report,
    count_parameters,
    measure_peak_memory,
    size_on_disk,
)
from distill_lab.evaluation.latency import as_latency
from lesson_43.experiments import MAX_TOKENS, Answers, bleu, flat, rouge_l


class Answering(nn.Module):
    """A language model as a module that answers one prompt, token ids (1, L), from end to end."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        """The ids of prompt and answer."""
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            ids_out: Tensor = self.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=MAX_TOKENS, do_sample=False
            )
        return ids_out


def timed(models: Mapping[str, Any], tokenizer: Any, tasks: Sequence[Task]) -> dict[str, Latency]:
    """Time one answer of each model, asked one at a time, the models in turn.

    Args:
        models: name to model.
        tokenizer: the tutor's.
        tasks: each is asked once; a first answer of each model, untimed, warms the caches.

    Returns:
        Name to latency, in milliseconds an answer.
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


def tokens_per_answer(
    models: Mapping[str, Any], tokenizer: Any, tasks: Sequence[Task]
) -> dict[str, float]:
    """Count the tokens of each model's answers to these tasks: the median, as p50 is of times."""
    counts = {}
    for name, model in models.items():
        answering = Answering(model)
        prompts = [_ids(task, tokenizer) for task in tasks]
        lengths = [answering(ids).shape[1] - ids.shape[1] for ids in prompts]
        counts[name] = statistics.median(lengths)
    return counts


def memory(model: Any, tokenizer: Any, tasks: Iterable[Task]) -> PeakMemory:
    """Measure the most memory any of these answers takes, weights included."""
    answering = Answering(model)
    peaks = [measure_peak_memory(answering, _ids(task, tokenizer)) for task in tasks]
    return max(peaks, key=lambda peak: peak.total)


def _ids(task: Task, tokenizer: Any) -> Tensor:
    ids: Tensor = tokenizer([chat(task)], return_tensors="pt")["input_ids"]
    return ids


def row(
    name: str,
    models: Sequence[Any],
    answers: Answers,
    tokenizer: Any,
    wait: Latency,
    teacher: Answers,
) -> ModelResult:
    """Make a model's line in the closing table; the cost is that of the first seed's."""
    share = {f"{world}, % right": answers.right(world) for world in answers.tasks}
    share |= {"BLEU": answers.scores(bleu), "ROUGE-L": answers.scores(rouge_l)}
    worst = min(answers.tasks, key=lambda world: answers.right(world).mean().item())
    longest = max(flat(answers.tasks), key=lambda task: len(task.target))
    mean = answers.mean.mean().item()
    return ModelResult(
        name,
        len(models),
        mean,
        math.nan,
        math.nan,
        worst_class=list(answers.tasks).index(worst),
        worst_class_name=worst,
        worst_class_accuracy=answers.right(worst).mean().item(),
        retained=100 * mean / teacher.mean.mean().item(),
        points=mean - teacher.mean.mean().item(),
        parameters=count_parameters(models[0]),
        size_bytes=size_on_disk(models[0]),
        peak_memory=memory(models[0], tokenizer, [longest]),
        latency=wait,
        extra={key: values.mean().item() for key, values in share.items()},
        by_seed={
            key: tuple(values.tolist())
            for key, values in {"accuracy": answers.mean, **share}.items()
        },
    )


def table(
    contenders: Mapping[str, tuple[Sequence[Any], Answers]],
    waits: Mapping[str, Latency],
    tokenizer: Any,
    *,
    teacher: str,
    baseline: str,
) -> Report:
    """Set models side by side: right answers, likeness, time, memory, size.

    Args:
        contenders: name to (models, one a seed; their answers).
        waits: name to latency.
        tokenizer: the tutor's.
        teacher: the name that the others are compared with.
        baseline: the name of the model before training.

    Returns:
        The report.
    """
    reference = contenders[teacher][1]
    rows = tuple(
        row(name, models, answers, tokenizer, waits[name], reference)
        for name, (models, answers) in contenders.items()
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
        *(f"{name}, % right" for name in reference.tasks),
        "worst_class",
        "BLEU",
        "ROUGE-L",
        "latency_p50",
        "latency_p95",
        "peak_memory",
        "size",
        "parameters",
    )
    caption = (
        f"Right answers to {len(flat(reference.tasks))} test questions, as verifiers judge them"
    )
    return Report(rows, caption, (note,), columns, teacher=teacher, baseline=baseline)
