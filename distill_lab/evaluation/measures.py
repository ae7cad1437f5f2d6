"""What a report knows of one model, and how each measure of it is named, scaled and shown."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from distill_lab.evaluation.cost import TrainingFlops
from distill_lab.evaluation.latency import Latency, SpeedUp
from distill_lab.evaluation.memory import PeakMemory
from distill_lab.evaluation.rendering import Cell
from distill_lab.evaluation.shares import within_scale
from distill_lab.evaluation.statistics import mean_interval
from distill_lab.evaluation.tasks import TASKS

__all__ = [
    "COLUMNS",
    "COSTS",
    "DEFAULT_COLUMNS",
    "POINTS",
    "SPENT",
    "Column",
    "ModelResult",
    "default_columns",
    "extra_column",
    "line_of",
]

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class ModelResult:
    """One model, measured.

    With several seeds each figure of quality is their mean; the cost is that of the first seed's
    network. None stands for what was not measured.

    Args:
        name: what the model is called.
        seeds: how many networks it stands for.
        accuracy: in percent.
        nll: negative log-likelihood of the labels, in nats.
        ece: expected calibration error, in points.
        worst_class: number of the class whose accuracy is lowest on average.
        worst_class_name: its name.
        worst_class_accuracy: its accuracy, in percent.
        agreement: with the teacher, in percent.
        kl_to_teacher: KL(teacher || model), in nats.
        retained: percent of the teacher's accuracy.
        points: accuracy less the teacher's.
        parameters: how many numbers training can set.
        size_bytes: bytes of its file.
        flops: operations of one example's forward call.
        training_flops: operations of its training.
        peak_memory: bytes of one call.
        latency: milliseconds of one call, the model having the caches to itself.
        latency_in_turn: the same where every call follows one of another model.
        speed_up: how many times faster than the teacher.
        scores: figures of the task, such as "macro_f1".
        extra: figures of the measures that the caller brought.
        by_seed: measure -> the seeds' own figures.
        unmeasured: column -> why there is no figure.

    `result["macro_f1"]` reads any measure by the name of its column.
    """

    name: str
    seeds: int
    accuracy: float | None = None
    nll: float | None = None
    ece: float | None = None
    worst_class: int | None = None
    worst_class_name: str = ""
    worst_class_accuracy: float | None = None
    agreement: float | None = None
    kl_to_teacher: float | None = None
    retained: float | None = None  # percent of the teacher's accuracy
    points: float | None = None  # accuracy less the teacher's
    parameters: int | None = None
    size_bytes: int | None = None
    flops: int | None = None  # one example, forward
    training_flops: TrainingFlops | None = None
    peak_memory: PeakMemory | None = None
    latency: Latency | None = None
    latency_in_turn: Latency | None = None
    speed_up: SpeedUp | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, float | None] = field(default_factory=dict)
    by_seed: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, measure: str) -> float | None:
        if measure in self.extra:
            return self.extra[measure]
        if measure not in COLUMNS:
            raise KeyError(f"{measure!r} is no measure; these are: {[*COLUMNS, *self.extra]}.")
        return COLUMNS[measure].read(self)


def _of(*path: str) -> Callable[[ModelResult], float | None]:
    """Reads row.a.b; None where a part on the way was not measured."""

    def read(row: ModelResult) -> float | None:
        part: Any = row
        for name in path:
            part = part and getattr(part, name)
        value: float | None = part
        return value

    return read


def _score(key: str) -> Callable[[ModelResult], float | None]:
    return lambda row: row.scores.get(key)


def _nothing(row: ModelResult) -> str:
    return ""


def _points(row: ModelResult) -> str:
    return "" if row.points is None else f"({row.points:+z.2f})"


def _range(row: ModelResult) -> str:
    ratio = row.speed_up
    if ratio is None or ratio.low == ratio.high:  # the reference itself
        return ""
    return f"({ratio.low:.2f}-{ratio.high:.2f})"


@dataclass(frozen=True)
class Column:
    """One measure: its title, its unit, the digits behind the point, and where to read it.

    Args:
        title: what heads it.
        unit: what the figure is in.
        digits: how many stand behind the point; None gives the largest figure four in all.
        read: takes the figure out of a result.
        thousands: picks B, kB, MB … by the smallest figure shown, so that all keep their digits.
        share: whether it has the ends 0 and 100, which its interval then keeps to.
        before: what stands before the figure, such as the name of a class.
        after: what stands after it.
    """

    title: str
    unit: str
    digits: int | None
    read: Callable[[ModelResult], float | None]
    thousands: bool = False
    share: bool = False
    before: Callable[[ModelResult], str] = _nothing
    after: Callable[[ModelResult], str] = _nothing


COLUMNS: Mapping[str, Column] = {
    "accuracy": Column("accuracy", "%", 2, _of("accuracy"), share=True),
    "token_accuracy": Column("token accuracy", "%", 2, _score("token_accuracy"), share=True),
    "pixel_accuracy": Column("pixel accuracy", "%", 2, _score("pixel_accuracy"), share=True),
    "span_f1": Column("span F1", "%", 2, _score("span_f1"), share=True),
    "mean_iou": Column("mean IoU", "%", 2, _score("mean_iou"), share=True),
    "micro_f1": Column("micro F1", "%", 2, _score("micro_f1"), share=True),
    "macro_f1": Column("macro F1", "%", 2, _score("macro_f1"), share=True),
    "mean_average_precision": Column("mAP", "%", 2, _score("mean_average_precision"), share=True),
    "recall_at_1": Column("recall at 1", "%", 2, _score("recall_at_1"), share=True),
    "recall_at_10": Column("recall at 10", "%", 2, _score("recall_at_10"), share=True),
    "ndcg": Column("nDCG", "%", 2, _score("ndcg"), share=True),
    "reciprocal_rank": Column("mean reciprocal rank", "", 4, _score("reciprocal_rank")),
    "rank_correlation": Column("rank correlation", "", 4, _score("rank_correlation")),
    "rmse": Column("RMSE", "", None, _score("rmse")),
    "mae": Column("MAE", "", None, _score("mae")),
    "r2": Column("R2", "", 4, _score("r2")),
    "retained": Column(
        "retained accuracy", "% of the teacher's (points)", 1, _of("retained"), after=_points
    ),
    "nll": Column("NLL", "nats", 4, _of("nll")),
    "ece": Column("ECE", "points", 2, _of("ece"), share=True),
    "worst_class": Column(
        "worst class",
        "its accuracy, %",
        1,
        _of("worst_class_accuracy"),
        share=True,
        before=lambda r: f"{r.worst_class_name}: ",
    ),
    "agreement": Column("agreement with teacher", "%", 2, _of("agreement"), share=True),
    "kl_to_teacher": Column("KL(teacher || model)", "nats", 4, _of("kl_to_teacher")),
    "acceptance": Column("acceptance", "%", 2, _score("acceptance"), share=True),
    "tokens_per_pass": Column("tokens a pass of the teacher", "", 3, _score("tokens_per_pass")),
    "cosine_to_teacher": Column("cosine to teacher", "", 4, _score("cosine_to_teacher")),
    "similarity_correlation": Column(
        "rank correlation of similarities with teacher's", "", 4, _score("similarity_correlation")
    ),
    "neighbours_kept": Column(
        "teacher's nearest kept", "%", 2, _score("neighbours_kept"), share=True
    ),
    "rank_correlation_to_teacher": Column(
        "rank correlation with teacher", "", 4, _score("rank_correlation_to_teacher")
    ),
    "rmse_to_teacher": Column("RMSE to teacher", "", None, _score("rmse_to_teacher")),
    "correlation_to_teacher": Column(
        "correlation with teacher", "", 4, _score("correlation_to_teacher")
    ),
    "parameters": Column("parameters", "", 0, _of("parameters")),
    "size": Column("size on disk", "B", 2, _of("size_bytes"), thousands=True),
    "flops": Column("arithmetic of one answer", "FLOPs", 2, _of("flops"), thousands=True),
    "training_flops": Column(
        "arithmetic of its training", "FLOPs", 2, _of("training_flops", "total"), thousands=True
    ),
    "student_flops": Column(
        "of it the student's own", "FLOPs", 2, _of("training_flops", "student"), thousands=True
    ),
    "teacher_flops": Column(
        "of it asking the teacher", "FLOPs", 2, _of("training_flops", "teacher"), thousands=True
    ),
    "peak_memory": Column("peak memory", "B", 2, _of("peak_memory", "total"), thousands=True),
    "latency_p50": Column("latency p50", "ms", 3, _of("latency", "p50_ms")),
    "latency_p95": Column("latency p95", "ms", 3, _of("latency", "p95_ms")),
    "latency_in_turn": Column("latency in turn", "ms", 3, _of("latency_in_turn", "p50_ms")),
    "throughput": Column("throughput", "examples/s", 0, _of("latency", "throughput")),
    "speed_up": Column(
        "speed-up", "times (lowest-highest)", 2, _of("speed_up", "median"), after=_range
    ),
}
"""Every measure a report can show, in the order of reading."""

SPENT = ("training_flops", "student_flops", "teacher_flops")
"""What `compare` shows where it is told what a training took."""

COSTS = ("parameters", "size", "latency_p50", "latency_p95", "latency_in_turn", "speed_up")
"""What a model costs, as far as `compare` shows it unless told otherwise."""

DEFAULT_COLUMNS = (
    "accuracy",
    "macro_f1",
    "retained",
    "nll",
    "ece",
    "worst_class",
    "agreement",
    "kl_to_teacher",
    *COSTS,
)
"""What `compare` shows of a classification unless told otherwise."""


def default_columns(task: str) -> tuple[str, ...]:
    """What `compare` shows of a task unless told otherwise, in the order of `COLUMNS`."""
    if task == "classification":
        return DEFAULT_COLUMNS
    names = {*TASKS[task].figures, *TASKS[task].fidelity, *ADDED.get(task, ())}
    return (*(key for key in COLUMNS if key in names), *COSTS)


ADDED = {
    "tagging": ("span_f1",),
    "segmentation": ("mean_iou",),
    "ranking": ("ndcg", "reciprocal_rank"),
}
"""Figures that depend on the labels, beside those of `TASKS`."""

POINTS = {key for key, column in COLUMNS.items() if column.share} | {"retained"}
"""Measures in percent: their differences are points."""


def extra_column(name: str) -> Column:
    """The column of a measure the caller brought."""
    return Column(name, "", None, lambda row: row.extra.get(name))


def line_of(key: str, column: Column, rows: Sequence[ModelResult]) -> tuple[str, list[Cell]]:
    """A measure's header with its unit, and one cell a model.

    >>> quality = ("a", 1, 91.5, 0.3, 1.0, 7, "7", 80.0)
    >>> rows = [ModelResult(*quality, size_bytes=n) for n in (2_600, 950_000)]
    >>> line_of("size", COLUMNS["size"], rows)[0]
    'size on disk, kB'
    """
    values = [column.read(row) for row in rows]
    prefix, scale = _thousands(values) if column.thousands else ("", 1.0)
    digits = _digits(values) if column.digits is None else column.digits
    digits = 0 if column.thousands and not prefix else digits
    unit = prefix + column.unit
    cells = [
        _cell(column, row, key, value, scale, digits)
        for row, value in zip(rows, values, strict=True)
    ]
    return f"{column.title}, {unit}" if unit else column.title, cells


def _cell(
    column: Column, row: ModelResult, key: str, value: float | None, scale: float, digits: int
) -> Cell:
    by_seed = row.by_seed.get(key, ())
    if value is None:
        why = row.unmeasured.get(key)
        return Cell(f"none ({why})" if why else NOT_MEASURED)
    if not math.isfinite(value):
        return Cell({math.inf: "infinite", -math.inf: "-infinite"}.get(value, "not a number"))
    cell = Cell(f"{column.before(row)}{value / scale:,.{digits}f}", column.after(row))
    if len(by_seed) < 2 or not all(map(math.isfinite, by_seed)):
        return cell
    interval = mean_interval(list(by_seed))
    if column.share:
        interval = within_scale(interval, 0, 100)
    if interval.low == interval.high:
        return replace(cell, interval=f"(the same in all {interval.n})")
    return replace(cell, interval=f"[{interval.low:z.{digits}f}, {interval.high:z.{digits}f}]")


def _digits(values: Sequence[float | None]) -> int:
    """Digits behind the point that give the largest figure four in all."""
    largest = max((abs(v) for v in values if v and math.isfinite(v)), default=0)
    return min(6, max(0, 3 - math.floor(math.log10(largest)))) if largest else 0


def _thousands(values: Sequence[Any]) -> tuple[str, float]:
    """The largest prefix under which the smallest positive figure is still 1 or more."""
    smallest = min((v for v in values if v), default=0)
    large = smallest >= 1 and math.isfinite(smallest)
    power = min(4, int(math.log10(smallest) // 3)) if large else 0
    return ["", "k", "M", "G", "T"][power], 1000.0**power
