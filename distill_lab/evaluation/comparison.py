"""Measure models on the same examples, each in the same way, and put them side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.evaluation.cost import TrainingFlops, count_flops, count_parameters, size_on_disk
from distill_lab.evaluation.headroom import headroom_of
from distill_lab.evaluation.latency import (
    REFILL,
    as_latency,
    speed_up,
    time_in_blocks,
    time_in_turn,
)
from distill_lab.evaluation.measures import COLUMNS, DEFAULT_COLUMNS, SPENT, ModelResult
from distill_lab.evaluation.memory import measure_peak_memory
from distill_lab.evaluation.predictions import Contender, ask, with_teacher
from distill_lab.evaluation.quality import Extra, differences, quality
from distill_lab.evaluation.report import Report, check_columns

__all__ = ["compare"]

TIMED = {"latency_p50", "latency_p95", "throughput", "speed_up"}
ROUNDS = 50  # at most, of calls in turn: they are there to be seen beside the others


def compare(
    models: Mapping[str, Any],
    data: Any,
    teacher: Any = None,
    *,
    baseline: str | None = None,
    columns: Sequence[str] | str | None = None,
    splits: tuple[int, int] | None = None,
    extra: Mapping[str, Extra] | None = None,
    spent: Mapping[str, TrainingFlops] | None = None,
    class_names: Sequence[str] | None = None,
    batch: int = 1,
    runs: int = 200,
    warmup: int = 20,
) -> Report:
    """Measure models on the same examples, in quality and in cost, and test their differences.

    Latency is that of a model alone: blocks of its calls alternate with those of the others, and
    the first calls of a block are not counted. Called in turn, small models pay for the caches that
    a large one has emptied, which is shown beside it.

    Differences in accuracy are tested against the `baseline` and the teacher. Several seeds are
    paired: Student-t interval and exact sign test, or the interval of Nadeau and Bengio where
    `splits` are given. Two single networks: McNemar's exact test. Every network is left in the mode
    it came in; a measure that is not named in `columns` is not timed or counted.

    Args:
        models: name -> a module, a list of modules (one a seed), what `distill_seeds` returned, or
            logits (N, C) or (S, N, C).
        data: unpacks as inputs (N, ...) and labels (N,), or as both with a row for each seed,
            (S, N, ...) and (S, N).
        teacher: the name of one of the models, or a model of its own, which then comes first under
            the name "teacher"; against it stand agreement, KL, retained accuracy and speed-up.
        baseline: the name of the model that the others are tested against.
        columns: the measures to take and show, or "all"; without them all but FLOPs, peak memory
            and throughput.
        splits: (n_train, n_test) where every seed drew its own split of one data set.
        extra: name -> a function (logits (N, C), labels (N,)) -> number, or figures by model.
        spent: model -> `training_flops(...)`, shown as a whole and as the student's and the
            teacher's part.
        class_names: the C names of the classes, for the worst one.
        batch: examples in each call that is timed or whose memory is measured.
        runs: how many calls of each model are timed.
        warmup: how many calls of each come before them and are not timed.

    Returns:
        A report: accuracies in percent, NLL and KL in nats, latency in milliseconds.

    Raises:
        ValueError: for an unknown teacher, baseline or column, no model, seeds that do not pair, or
            data that do not fit.
        TypeError: for what is no model and no logits.

    >>> data = torch.rand(20, 4), torch.arange(20) % 3
    >>> models = {"wide": nn.Linear(4, 3), "narrow": nn.Linear(4, 3)}
    >>> report = compare(models, data, teacher="wide", columns=["accuracy", "agreement", "flops"])
    >>> report["wide"].agreement, report["wide"].flops
    (100.0, 24)
    """
    extra, spent = dict(extra or {}), dict(spent or {})
    inputs, labels = _unpack(data)
    named, reference = with_teacher(models, teacher)
    shown = _columns(columns, list(extra), bool(spent))
    _check_names(list(named), baseline, extra, spent)
    if not 1 <= batch <= labels.shape[-1]:
        raise ValueError(
            f"batch must lie between 1 and {labels.shape[-1]}, the examples there are; got {batch}."
        )
    those = {name: ask(name, model, inputs, labels) for name, model in named.items()}
    _check_seeds(those, splits)
    if class_names is not None and len(class_names) != (classes := _classes(those)):
        raise ValueError(f"class_names must name the {classes} classes; got {len(class_names)}.")
    x = (inputs if labels.ndim == 1 else inputs[0])[:batch]
    networks = {name: c.network for name, c in those.items() if c.network is not None}
    timed = bool(TIMED & set(shown)) and bool(networks)
    times = time_in_blocks(networks, x, runs=runs, warmup=warmup) if timed else {}
    turned = "latency_in_turn" in shown and len(networks) > 1
    rounds = min(runs, ROUNDS)
    in_turn = time_in_turn(networks, x, runs=rounds, warmup=min(warmup, 5)) if turned else {}
    fast = next((name for name in (reference, baseline) if name in times), None)
    rows = []
    for name, contender in those.items():
        figures = quality(contender, those.get(reference or ""), labels, class_names, extra)
        figures |= _cost(contender.network, x, shown)
        if name in times:
            figures["latency"] = as_latency(times[name], batch)
            figures["speed_up"] = fast and speed_up(times[fast], times[name])
        if name in in_turn:
            figures["latency_in_turn"] = as_latency(in_turn[name], batch)
        rows.append(ModelResult(name, contender.seeds, training_flops=spent.get(name), **figures))
    named_against = [name for name in dict.fromkeys((baseline, reference)) if name]
    notes = [
        *_about_headroom(those, labels, reference, baseline),
        *_about_seeds(those, splits),
        *_about_time(networks, x, runs, warmup, fast if "speed_up" in shown else None, timed),
        *(note for key, note in NOTES.items() if key in shown),
    ]
    return Report(
        rows=tuple(rows),
        caption=_caption(labels, reference, baseline),
        notes=tuple(notes),
        columns=shown,
        differences=tuple(differences(those, labels, named_against, splits)),
        teacher=reference,
        baseline=baseline,
        splits=splits,
    )


def _unpack(data: Any) -> tuple[Tensor, Tensor]:
    try:
        inputs, labels = data
    except (TypeError, ValueError) as error:
        raise TypeError(
            "data must unpack as inputs, labels, as a pair of tensors or Examples do; got "
            f"{type(data).__name__}."
        ) from error
    if not (isinstance(labels, Tensor) and isinstance(inputs, Tensor)):
        kinds = f"{type(inputs).__name__} and {type(labels).__name__}"
        raise TypeError(f"inputs and labels must be tensors; got {kinds}.")
    if labels.ndim not in (1, 2) or inputs.shape[: labels.ndim] != labels.shape or not len(inputs):
        raise ValueError(
            "expected inputs (N, ...) with labels (N,), or stacked (S, N, ...) with (S, N); got "
            f"{tuple(inputs.shape)} with {tuple(labels.shape)}."
        )
    return inputs, labels


def _columns(
    columns: Sequence[str] | str | None, extras: list[str], spent: bool
) -> tuple[str, ...]:
    taken = sorted(set(extras) & COLUMNS.keys())
    if taken:
        raise ValueError(f"extra may not be called {taken}: the report has measures of that name.")
    if columns == "all":
        return (*(key for key in COLUMNS if spent or key not in SPENT), *extras)
    if columns is None:
        with_spent = (*DEFAULT_COLUMNS, *SPENT)
        kept = [key for key in COLUMNS if key in with_spent] if spent else DEFAULT_COLUMNS
        return (*kept, *extras)
    return check_columns(columns, extras)


def _check_names(
    names: list[str], baseline: str | None, extra: Mapping[str, Extra], spent: Mapping[str, Any]
) -> None:
    if baseline is not None and baseline not in names:
        raise ValueError(f"baseline must name one of the models, {names}; got {baseline!r}.")
    by_model = {f"extra[{k!r}]": v for k, v in extra.items() if not callable(v)}
    for what, figures in {**by_model, "spent": spent}.items():
        unknown = [name for name in figures if name not in names]
        if unknown:
            raise ValueError(f"{what} speaks of {unknown}, but the models are {names}.")


def _check_seeds(those: Mapping[str, Contender], splits: tuple[int, int] | None) -> None:
    counts = {name: contender.seeds for name, contender in those.items()}
    if len({1, *counts.values()}) > 2:
        raise ValueError(
            f"the models have different numbers of seeds, {counts}: they are compared seed by "
            "seed. Give each the same seeds in the same order, or one network."
        )
    if splits is not None and set(counts.values()) == {1}:
        raise ValueError(
            "splits says that every seed re-drew its split, but each model is one network: leave "
            "splits out, or give the networks of several seeds."
        )


def _classes(those: Mapping[str, Contender]) -> int:
    return next(iter(those.values())).logits.shape[-1]


def _cost(network: nn.Module | None, x: Tensor, shown: Sequence[str]) -> dict[str, Any]:
    if network is None:
        return {}
    return {
        "parameters": count_parameters(network) if "parameters" in shown else None,
        "size_bytes": size_on_disk(network) if "size" in shown else None,
        "flops": count_flops(network, x) if "flops" in shown else None,
        "peak_memory": measure_peak_memory(network, x) if "peak_memory" in shown else None,
    }


def _caption(labels: Tensor, teacher: str | None, baseline: str | None) -> str:
    roles = [
        f"Teacher: {teacher}." if teacher else "",
        f"Baseline: {baseline}." if baseline else "",
    ]
    each = f", new ones for each of {len(labels)} seeds" if labels.ndim == 2 else ""
    text = f"Measured on {labels.shape[-1]:,} examples{each}, at T = 1."
    return " ".join([text, *filter(None, roles)])


def _about_headroom(
    those: Mapping[str, Contender], labels: Tensor, teacher: str | None, baseline: str | None
) -> list[str]:
    if teacher is None or baseline is None or teacher == baseline or labels.shape[-1] < 2:
        return []
    room = headroom_of(those[teacher], those[baseline], labels)
    return [f"{teacher} as teacher, {baseline} as student without it. {room}"]


def _about_seeds(those: Mapping[str, Contender], splits: tuple[int, int] | None) -> list[str]:
    counts = {contender.seeds for contender in those.values()}
    if counts == {1}:
        return []
    text = f"Means of {max(counts)} seeds; in brackets the 95 % Student-t interval of the mean"
    text += ", which does not know that the splits overlap." if splits else "."
    if 1 in counts:
        text += " One network beside them is the same for every seed."
    return [text + " Cost: that of the first seed's network."]


def _about_time(
    networks: Mapping[str, nn.Module],
    x: Tensor,
    runs: int,
    warmup: int,
    fast: str | None,
    timed: bool,
) -> list[str]:
    if not timed:
        return []
    devices = {p.device.type for network in networks.values() for p in network.parameters()}
    each = "one example" if len(x) == 1 else f"{len(x):,} examples"
    text = (
        f"Latency: {each} a call, {runs} calls of each model in blocks that alternate, the "
        f"first {REFILL} of a block and {warmup} to warm up not counted; in turn: every call after "
        "one of another model; on "
        f"{' and '.join(sorted(devices)) or x.device.type} with torch {torch.__version__} and "
        f"{torch.get_num_threads()} thread(s)."
    )
    if fast is None:
        return [text]
    return [
        text,
        f"Speed-up over {fast}: median, lowest and highest ratio of stretches of the run.",
    ]


NOTES = {
    "flops": "FLOPs: matrix products, convolutions and attention; a multiply-add counts two.",
    "training_flops": "Training: 3 forward passes a student's step, and the teacher as often as "
    "it was asked.",
    "peak_memory": "Peak memory: the weights, and the most that one call held at once beside them.",
}
