"""MiniLM-L6 on the questions of a bank: six layers fine-tuned, then students of 4, 3, 2 and 1."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab import methods
from distill_lab._util.runtime import torch_threads
from distill_lab.course.encoders import (
    LengthBuckets,
    TextClassifier,
    layers_of,
    load_encoder,
    outputs,
)
from distill_lab.course.stored import load
from distill_lab.data import datasets
from distill_lab.data.batches import Batch
from distill_lab.data.datasets import TextSet
from distill_lab.evaluation.cost import count_parameters, size_on_disk
from distill_lab.evaluation.latency import time_in_turn
from distill_lab.evaluation.statistics import Interval
from distill_lab.losses import cross_entropy, kd_loss
from distill_lab.models import from_teacher
from distill_lab.training import distill

FILE = "lesson_26_minilm.json"
COMMAND = "python -m lesson_26.make minilm"
Show = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """Fixed before the test questions were looked at."""

    students: tuple[int, ...] = (4, 3, 2, 1)
    labels_only: tuple[int, ...] = (1,)  # twins without a teacher
    teacher_epochs: int = 2
    student_epochs: int = 2
    teacher_lr: float = 3e-4
    student_lr: float = 4e-4
    T: float = 2.0
    alpha: float = 0.9
    size: int = 32
    questions: int | None = None  # fewer, to see that it works
    threads: int = 1
    calls: int = 60  # timed calls of each model


def spread(teacher_layers: int, student_layers: int) -> tuple[int, ...]:
    """Choose evenly spaced layers, the last one among them, numbered from 0.

    >>> spread(6, 3), spread(6, 4)
    ((1, 3, 5), (0, 2, 3, 5))
    """
    return tuple((m + 1) * teacher_layers // student_layers - 1 for m in range(student_layers))


def smaller(teacher: TextClassifier, layers: Sequence[int]) -> TextClassifier:
    """Make a classifier of fewer layers that starts with these of its teacher."""
    config = copy.deepcopy(teacher.body.config)
    config.num_hidden_layers = len(layers)  # type: ignore[union-attr]
    body = type(teacher.body)(config, add_pooling_layer=False)
    student = TextClassifier(body, teacher.head.out_features, dropout=0.0)
    from_teacher(student, teacher, layers=layers)
    body.get_submodule("embeddings").requires_grad_(False)
    return student.train()


def run(body: nn.Module, tokenizer: Any, data: TextSet, settings: Settings, show: Show) -> dict:
    """Fine-tune the encoder, distil students of fewer layers, and examine all of them.

    Args:
        body: The encoder.
        tokenizer: Its tokenizer.
        data: Questions with their intents.
        settings: Everything that decides the numbers.
        show: Gets a line at each stage.

    Returns:
        For each model its layers, answers (one digit a question: 1 for right), parameters, bytes
        and milliseconds; the questions' classes; the settings.
    """
    began, few = time.perf_counter(), settings.questions
    train = data.train if few is None else data.train.pick(torch.arange(few))
    asked = data.test if few is None else data.test.split(few, seed=0)[0]
    learn, test = (LengthBuckets.of(q, tokenizer, size=settings.size) for q in (train, asked))
    body.pooler = None
    body.get_submodule("embeddings").requires_grad_(False)  # half of all weights; they stay
    teacher = TextClassifier(body, len(data.classes), seed=0)
    models: dict[str, TextClassifier] = {}

    def note(line: str) -> None:
        show(f"{time.perf_counter() - began:5.0f} s  {line}")

    with torch_threads(settings.threads):
        _fit(teacher, learn, methods.supervised(), settings.teacher_epochs, settings.teacher_lr)
        models["6 layers, teacher"] = teacher.eval()
        note("the teacher is fine-tuned")
        soft = from_logits(outputs(teacher, learn)[0], T=settings.T, alpha=settings.alpha)
        plan = [(n, soft, "distilled") for n in settings.students]
        plan += [(n, methods.supervised(), "labels only") for n in settings.labels_only]
        for count, method, name in plan:
            layers = spread(len(layers_of(teacher.body)), count)
            student = smaller(teacher, layers)
            _fit(student, learn, method, settings.student_epochs, settings.student_lr)
            models[f"{count} layer{'s' * (count > 1)}, {name}"] = student.eval()
            note(f"{count} layers, {name}: layers {layers}")
        times = _times(models, test, settings.calls)
        results = {name: _examined(m, test) | {"ms": times[name]} for name, m in models.items()}
    return {
        "about": "MiniLM-L6 fine-tuned on BANKING77, and students of fewer of its layers. `right` "
        "has a digit a test question, 1 where it is right; `classes` has its intent.",
        "settings": asdict(settings),
        "classes": test.labels.tolist(),
        "models": results,
        "seconds": round(time.perf_counter() - began),
    }


def from_logits(logits: Tensor, *, T: float, alpha: float) -> methods.Method:
    """Distil from a teacher's logits (N, C), computed once: alpha KD + (1 - alpha) CE."""

    def terms(batch: Batch, student: Any, teacher: Any) -> dict[str, Tensor]:
        z = student(**batch.inputs)
        assert batch.labels is not None  # LengthBuckets give them
        return {
            "kd": kd_loss(z, logits[batch.ids], T=T, alpha=1.0),
            "ce": cross_entropy(z, batch.labels),
        }

    return methods.Method(
        f"from_logits(T={T})", terms, {"kd": alpha, "ce": 1 - alpha}, needs_teacher=False
    )


def results(profile: str, show: Show = print) -> dict[str, Any]:
    """Give the stored results in quick; measure anew in full, and in hub with downloads.

    Where model or questions are missing on this machine, the reason is shown and the stored results
    are given.
    """
    if profile != "quick":
        try:
            body, tokenizer = load_encoder(download=profile == "hub")
            data = datasets.load("banking77", download=profile == "hub")
            return run(body, tokenizer, data, Settings(), show)
        except (FileNotFoundError, ImportError) as why:
            show(f"Stored results are shown instead: {why}")
    return load(FILE, remake=COMMAND)


def right(results: dict[str, Any], name: str) -> Tensor:
    """Say for each test question whether a model is right, as 0 and 1, (N,)."""
    return torch.tensor([float(mark) for mark in results["models"][name]["right"]])


def kept(student: Tensor, teacher: Tensor, *, draws: int = 2000, seed: int = 0) -> Interval:
    """Give the accuracy kept, in percent of the teacher's, with a 95 % bootstrap interval.

    Args:
        student: 0 or 1 for each question, (N,).
        teacher: The same of the teacher.
        draws: Of the N questions, with replacement.
        seed: Of the draws.

    Returns:
        The interval; it covers other questions of this kind, not other seeds.
    """
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randint(len(teacher), (draws, len(teacher)), generator=generator)
    shares = 100 * student.double()[picks].mean(-1) / teacher.double()[picks].mean(-1)
    low, high = shares.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    mean = 100 * (student.double().mean() / teacher.double().mean()).item()
    return Interval(
        mean,
        low,
        high,
        n=len(teacher),
        sd=shares.std().item(),
        wins=int(student.sum()),
        kind="bootstrap over questions, 95 %",
    )


def _examined(model: TextClassifier, test: LengthBuckets) -> dict[str, Any]:
    hits = outputs(model, test)[0].argmax(-1) == test.labels
    return {
        "layers": len(layers_of(model.body)),
        "accuracy": 100 * hits.float().mean().item(),
        "right": "".join(str(int(hit)) for hit in hits),
        "parameters": count_parameters(model),
        "bytes": size_on_disk(model),
    }


class _IdsOnly(nn.Module):
    """A classifier asked about one question without padding: for the clock."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(ids, torch.ones_like(ids))


def _times(models: dict[str, TextClassifier], test: LengthBuckets, calls: int) -> dict[str, float]:
    """Give each model's median milliseconds for one question of median length, timed in turn."""
    lengths = torch.tensor([len(row) for row in test.tokens])
    middle = int(lengths.median())
    row = next(row for row in test.tokens if len(row) == middle)[None]
    times = time_in_turn({n: _IdsOnly(m) for n, m in models.items()}, row, runs=calls, warmup=10)
    return {name: value.median().item() for name, value in times.items()}


def _fit(
    model: TextClassifier, learn: LengthBuckets, method: methods.Method, epochs: int, lr: float
) -> None:
    distill(
        model,
        learn,
        method=method,
        epochs=epochs,
        batch_size=1,
        lr=lr,
        weight_decay=0.01,
        schedule="linear",
        warmup=min(60, epochs * len(learn) // 10),
        clip=1.0,
        seed=0,
        progress=False,
        shares_every=0,
    )
