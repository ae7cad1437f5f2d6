"""The report: models side by side, in what they get right and in what they cost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.evaluation import metrics
from distill_lab.evaluation.cost import Latency, count_parameters, measure_latency, size_on_disk
from distill_lab.evaluation.predictions import as_module, predict_logits

__all__ = ["Report", "Row", "compare"]


@dataclass(frozen=True)
class Row:
    """One model, measured. Accuracies, ECE and agreement in percent, NLL and KL in nats."""

    name: str
    accuracy: float
    nll: float
    ece: float
    worst_class: int
    worst_class_accuracy: float
    parameters: int
    size_bytes: int
    latency: Latency
    agreement: float | None = None
    kl_to_teacher: float | None = None
    retained: float | None = None  # percent of the teacher's accuracy
    speed_up: float | None = None  # the teacher's median latency over this one's


MEASURES: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("accuracy, %", lambda r: f"{r.accuracy:.2f}"),
    ("retained of the teacher's, %", lambda r: _number(r.retained, ".1f")),
    ("NLL, nats", lambda r: f"{r.nll:.4f}"),
    ("ECE, points", lambda r: f"{r.ece:.2f}"),
    ("worst class (its accuracy, %)", lambda r: f"{r.worst_class} ({r.worst_class_accuracy:.1f})"),
    ("agreement with teacher, %", lambda r: _number(r.agreement, ".2f")),
    ("KL(teacher || model), nats", lambda r: _number(r.kl_to_teacher, ".4f")),
    ("parameters", lambda r: f"{r.parameters:,}"),
    ("size on disk, kB", lambda r: f"{r.size_bytes / 1000:,.1f}"),
    ("latency p50, ms", lambda r: f"{r.latency.p50_ms:.3f}"),
    ("latency p95, ms", lambda r: f"{r.latency.p95_ms:.3f}"),
    ("speed-up over teacher", lambda r: _number(r.speed_up, ".2f", "x")),
)


@dataclass(frozen=True, repr=False)
class Report:
    """Rows of `compare`, with a caption that says what was measured and on how many images.

    `report["student"].accuracy` reads one figure; a notebook shows the whole as a table.
    """

    rows: tuple[Row, ...]
    caption: str

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r} was not compared; these were: {[row.name for row in self.rows]}.")

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def to_text(self) -> str:
        """The table as plain text, one column a model."""
        lines = [["", *(row.name for row in self.rows)], *self._lines()]
        first, *others = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = [
            "  ".join(
                [label.ljust(first), *(c.rjust(w) for c, w in zip(cells, others, strict=True))]
            )
            for label, *cells in lines
        ]
        return "\n".join([*rows, self.caption])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(row.name)}</th>' for row in self.rows)
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(line[0])}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in line[1:])
            + "</tr>"
            for line in self._lines()
        )
        return (
            f"<table><caption>{escape(self.caption)}</caption>"
            f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def to_json(self) -> str:
        """Every figure, unrounded; null where there is none or it is not finite."""
        return json.dumps(
            {"caption": self.caption, "rows": [_finite(asdict(row)) for row in self.rows]},
            allow_nan=False,
        )

    def _lines(self) -> list[list[str]]:
        """Label and one cell a model; a measure that no model has is left out."""
        lines = [[label, *(show(row) for row in self.rows)] for label, show in MEASURES]
        return [line for line in lines if set(line[1:]) != {"-"}]


def compare(
    models: Mapping[str, nn.Module],
    data: Any,
    teacher: str | nn.Module | None = None,
    *,
    runs: int = 200,
    warmup: int = 20,
) -> Report:
    """Measure models on the same examples, in quality and in cost.

    `data` unpacks as inputs (N, ...), labels (N,). `teacher` names one of `models`, or is a model,
    which then comes first under the name "teacher"; against it stand agreement, KL, retained
    accuracy and speed-up. Latency is that of one example a call. Raises ValueError or TypeError
    for stacked data (choose a seed with `data.at(i)`), an unknown teacher, or no model.

    >>> data = torch.rand(20, 4), torch.arange(20) % 3
    >>> models = {"wide": nn.Linear(4, 3), "narrow": nn.Linear(4, 3)}
    >>> compare(models, data, teacher="wide", runs=3, warmup=0)["wide"].agreement
    100.0
    """
    inputs, labels = data
    if labels.ndim != 1:
        raise ValueError(
            f"compare needs one set of examples, labels (N,); got labels {tuple(labels.shape)}. "
            "Choose a seed with data.at(i)."
        )
    named, reference = _with_teacher(models, teacher)
    logits = {name: predict_logits(model, inputs) for name, model in named.items()}
    latencies = {
        name: measure_latency(model, inputs[:1], runs=runs, warmup=warmup)
        for name, model in named.items()
    }
    rows = []
    for name, model in named.items():
        row = _row(name, model, logits[name], labels, latencies[name])
        if reference is not None:
            best = float(metrics.accuracy(logits[reference], labels))
            row = replace(
                row,
                agreement=float(metrics.agreement(logits[name], logits[reference])),
                kl_to_teacher=float(metrics.kl_to_teacher(logits[name], logits[reference])),
                retained=100 * row.accuracy / best if best else math.nan,
                speed_up=latencies[reference].p50_ms / latencies[name].p50_ms,
            )
        rows.append(row)
    devices = {p.device.type for model in named.values() for p in model.parameters()}
    where = " and ".join(sorted(devices)) or inputs.device.type
    caption = (
        f"Measured on {len(labels):,} examples, at T = 1. Latency: one example a call, {runs} "
        f"calls after {warmup} to warm up, on {where} with torch {torch.__version__} and "
        f"{torch.get_num_threads()} thread(s)."
    )
    return Report(tuple(rows), caption + (f" Teacher: {reference}." if reference else ""))


def _row(name: str, model: nn.Module, logits: Tensor, labels: Tensor, latency: Latency) -> Row:
    worst, percent = metrics.worst_class(logits, labels)
    return Row(
        name=name,
        accuracy=float(metrics.accuracy(logits, labels)),
        nll=float(metrics.nll(logits, labels)),
        ece=float(metrics.ece(logits, labels)),
        worst_class=int(worst),
        worst_class_accuracy=float(percent),
        parameters=count_parameters(model),
        size_bytes=size_on_disk(model),
        latency=latency,
    )


def _with_teacher(
    models: Mapping[str, Any], teacher: Any
) -> tuple[dict[str, nn.Module], str | None]:
    """The models to measure, in order, and the name of the teacher among them."""
    named = {name: as_module(model) for name, model in models.items()}
    if teacher is None or isinstance(teacher, str):
        if not named:
            raise ValueError('there is nothing to compare: pass {"name": model, ...}.')
        if teacher is not None and teacher not in named:
            raise ValueError(
                f"teacher must name one of the models, {list(named)}, or be a model itself; "
                f"got {teacher!r}."
            )
        return named, teacher
    module = as_module(teacher)
    for name, model in named.items():
        if model is module:
            return named, name
    if "teacher" in named:
        raise ValueError(
            'two models would be called "teacher": rename the one in models, or pass '
            'teacher="teacher" if that is the one meant.'
        )
    return {"teacher": module, **named}, "teacher"


def _number(value: float | None, spec: str, unit: str = "") -> str:
    return "-" if value is None else format(value, spec) + unit


def _finite(value: Any) -> Any:
    """The same with None in place of every number JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
