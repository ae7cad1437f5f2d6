"""Measure models on the same examples, each in the same way, and put them side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.data.batches import Source, batch_of
from distill_lab.evaluation.contender_costs import costs_of, timed_inputs
from distill_lab.evaluation.contenders import Contender, measured, with_labels, with_teacher
from distill_lab.evaluation.cost import TrainingFlops
from distill_lab.evaluation.headroom import costs, headroom_of, headroom_of_positions
from distill_lab.evaluation.layout import (
    guessed_task,
    refuse_other_axes,
    refuse_other_than_logits,
    task_labels,
)
from distill_lab.evaluation.measures import COLUMNS, POINTS, SPENT, ModelResult, default_columns
from distill_lab.evaluation.quality import Extra, differences, extra_figures, mean, quality
from distill_lab.evaluation.report import Report, check_columns
from distill_lab.evaluation.runnable import Read
from distill_lab.evaluation.scoring import Scored, scored
from distill_lab.evaluation.tasks import TASKS

__all__ = ["compare"]

ALL_COSTS = ("flops", "peak_memory", "throughput")


def compare(
    models: Mapping[str, Any],
    data: Any,
    teacher: Any = None,
    *,
    task: str | None = None,
    measures: Mapping[str, Extra] | None = None,
    baseline: str | None = None,
    columns: Sequence[str] | str | None = None,
    splits: tuple[int, int] | None = None,
    spent: Mapping[str, TrainingFlops] | None = None,
    class_names: Sequence[str] | Mapping[int, str] | None = None,
    collate: Any = None,
    read: Read | Mapping[str, Read] | None = None,
    ignore: int = IGNORE,
    batch: int = 1,
    latency_inputs: Any = None,
    runs: int = 200,
    warmup: int = 20,
) -> Report:
    """Measure models on the same examples, in quality and in cost, and test their differences.

    Every model is asked about the same batches, in one reading of the data. Differences in the
    task's main measure are tested against the `baseline` and the teacher. Several seeds are paired:
    Student-t interval and exact sign test, or the interval of Nadeau and Bengio where `splits` are
    given. Two single networks: McNemar's exact test of accuracies; the paired interval over the
    examples of any other mean; else a bootstrap. Every network is left in the mode it came in; a
    measure that is not named in `columns` is not timed or counted.

    Without `task` the shapes of labels and answers decide: whole numbers (N,) are classes, (N, L)
    tags, or a language where they are the tokens read, (N, H, W) pixels; labels like the answers,
    all 0 or 1, several labels; numbers with a point a regression. What fits two is refused.
    Embeddings and rankings have to be named.

    Latency is that of a model alone: blocks of its calls alternate with those of the others, and
    the first calls of a block are not counted. Called in turn, small models pay for the caches that
    a large one has emptied, which is shown beside it. Texts are timed without padding, at their
    median length.

    Args:
        models: name -> a model, a list of them (one a seed), what `distill_seeds` returned, or
            recorded answers (N, ...) or (S, N, ...). A model is a module, compiled, quantised or
            scripted as well; a frozen teacher; a `torch.export` program; an ONNX session; or a
            function of the inputs.
        data: inputs (N, ...) and labels, or any other form that `distill` takes; or as both with a
            row for each seed, (S, N, ...) and (S, N). Weights of examples are not used, and the
            report says so.
        teacher: the name of one of the models, or a model of its own, which then comes first under
            the name "teacher"; against it stand agreement, KL, retained accuracy and speed-up.
        task: "classification", "multilabel", "segmentation", "tagging", "language", "embedding",
            "ranking" or "regression".
        measures: name -> a function (answers (N, ...), labels) -> number, or figures by model.
        baseline: the name of the model that the others are tested against.
        columns: the measures to take and show, or "all"; without them all of the task's, and of the
            costs all but FLOPs, peak memory and throughput.
        splits: (n_train, n_test) where every seed drew its own split of one data set.
        spent: model -> `training_flops(...)`, shown as a whole and as the student's and the
            teacher's part.
        class_names: the C names of the classes, or number -> name, for the worst one; of tags, for
            F1 of spans.
        collate: puts the rows of a Dataset together, as a DataLoader's `collate_fn`.
        read: takes the scores out of what a model returns, such as `lambda out: out[0]`; by model
            where they differ.
        ignore: the label of what is left out, beside -100 and, in numbers with a point, NaN.
        batch: examples in each call that is timed or whose memory is measured.
        latency_inputs: what to time instead of examples of the data.
        runs: how many calls of each model are timed.
        warmup: how many calls of each come before them and are not timed.

    Returns:
        A report: shares in percent, NLL and KL in nats, latency in milliseconds.

    Raises:
        ValueError: for an unknown teacher, baseline, task or column, no model, seeds that do not
            pair, or data that do not fit.
        TypeError: for what is no model and no answers.

    >>> import torch
    >>> from torch import nn
    >>> data = torch.rand(20, 4), torch.arange(20) % 3
    >>> models = {"wide": nn.Linear(4, 3), "narrow": nn.Linear(4, 3)}
    >>> report = compare(models, data, teacher="wide", columns=["accuracy", "agreement", "flops"])
    >>> report["wide"].agreement, report["wide"].flops
    (100.0, 24)
    """
    measures, spent = dict(measures or {}), dict(spent or {})
    if task is not None and task not in TASKS:
        raise ValueError(f"task must be one of {list(TASKS)}; got {task!r}.")
    named, reference = with_teacher(models, teacher)
    _columns(columns, list(measures), bool(spent), task or "classification")
    _check_names(list(named), baseline, measures, spent)
    keep = any(callable(measure) for measure in measures.values())
    answers, by_row = measured(
        named,
        data,
        task,
        collate=collate,
        read=read,
        keep_pixels=keep,
        reference=reference,
        language=None if task is None else task == "language",
        ignore=ignore,
    )
    those, labels = answers.contenders, answers.labels
    first = next(iter(those.values()))
    why = ""
    if task is None:
        one = first.logits[0]
        if answers.language:
            task, why = "language", "the labels are the tokens that are read"
        elif (
            first.classes is not None and not one.is_floating_point()
        ):  # the scores are gone already
            task, why = "segmentation", "a class for each pixel"
        else:
            task, why = ("classification", "") if by_row else guessed_task(one, labels, ignore)
    shown = _columns(columns, list(measures), bool(spent), task)
    count = first.logits.shape[1]
    if not 1 <= batch <= count:
        raise ValueError(
            f"batch must lie between 1 and {count}, the examples there are; got {batch}."
        )
    _check_seeds(those, splits)
    class_count = first.classes or first.logits.shape[-1]
    if task == "segmentation" and not first.logits.is_floating_point() and not first.classes:
        class_count = max(int(c.logits.max()) + 1 for c in those.values())  # or more: some may lack
    names = _class_names(
        class_names, class_count, more=task == "segmentation" and not first.classes
    )
    against = [name for name in dict.fromkeys((baseline, reference)) if name]
    for name, contender in those.items():
        refuse_other_axes(task, name, contender.logits, labels)
    labels = task_labels(task, labels, ignore, by_row)
    those, labels, bare = with_labels(task, those, labels)
    if task == "classification":
        assert labels is not None
        for name, contender in those.items():
            refuse_other_than_logits(task, name, contender.logits, contender.says_logits)
        teaching = those.get(reference or "")
        quality_of = {n: quality(c, teaching, labels, names, measures) for n, c in those.items()}
        tested = tuple(differences(those, labels, against, splits))
        main, notes = "accuracy", _about_headroom(those, labels, reference, baseline)
    else:
        unread = getattr(answers.source, "unread", None) if task == "tagging" else None
        unread = None if unread is None else task_labels(task, unread, ignore)
        figures = scored(task, those, labels, class_names=names, unread=unread)
        quality_of = {name: figures.of(name, reference) for name in those}
        for name, contender in those.items():
            each = [labels] * contender.seeds
            own = {k: extra_figures(k, m, contender, each) for k, m in measures.items()}
            quality_of[name]["by_seed"] |= own
            quality_of[name]["extra"] = {k: mean(v) if v else None for k, v in own.items()}
        main = figures.main or ""
        title, unit = (COLUMNS[main].title, _unit(main)) if main else ("", "")
        tested = tuple(figures.differences(against, title=title, unit=unit, splits=splits))
        room = _headroom_of_positions(figures, reference, baseline)
        notes = [*room, f"Task: {task}{f', as {why}' if why else ''}. {TASK_NOTES[task]}".rstrip()]
        if unread is not None:
            behind = int((unread != IGNORE).sum())
            notes.append(f"{behind:,} labelled words stand behind a cut: spans there are missed.")
    x, text = timed_inputs(answers, batch, latency_inputs)
    costs, cost_notes = costs_of(
        those, x, shown, against=(reference, baseline), runs=runs, warmup=warmup, what=text
    )
    rows = []
    for name, contender in those.items():
        fields = {**quality_of[name], **costs[name]}
        fields["unmeasured"] = {
            **quality_of[name].get("unmeasured", {}),
            **costs[name].get("unmeasured", {}),
        }
        rows.append(ModelResult(name, contender.seeds, training_flops=spent.get(name), **fields))
    return Report(
        rows=tuple(rows),
        caption=_caption(
            count - bare, len(first.logits) if by_row else 0, task, reference, baseline
        ),
        notes=(
            *notes,
            *([f"Without a label, and left out: {bare:,} examples."] if bare else []),
            *([WEIGHTS_UNUSED] if _weighed(answers.source) else []),
            *_about_seeds(those, splits),
            *cost_notes,
            *(note for key, note in NOTES.items() if key in shown),
        ),
        columns=shown,
        differences=tested,
        teacher=reference,
        baseline=baseline,
        splits=splits,
        task=task,
        main=main,
    )


def _columns(
    columns: Sequence[str] | str | None, measures: list[str], spent: bool, task: str
) -> tuple[str, ...]:
    taken = sorted(set(measures) & COLUMNS.keys())
    if taken:
        raise ValueError(
            f"measures may not be called {taken}: the report has measures of that name."
        )
    default = default_columns(task)
    if columns is None or columns == "all":
        costs = (*ALL_COSTS, *(SPENT if spent else ())) if columns else (SPENT if spent else ())
        kept = {*default, *costs}
        return (*(key for key in COLUMNS if key in kept), *measures)
    return check_columns(columns, measures)


def _class_names(names: Any, classes: int, more: bool) -> list[str] | None:
    """The names in the order of the classes; `more` where there may be more than are told."""
    if names is None:
        return None
    if isinstance(names, str):
        raise ValueError(
            f"class_names must be a list of names, one for each class; got the text {names!r}."
        )
    if isinstance(names, Mapping):  # as a model's config has them
        by_number = {int(number): name for number, name in names.items()}
        if by_number.keys() != set(range(len(by_number))):
            raise ValueError(
                f"class_names must name the classes from 0 on; got {sorted(by_number)}: give a "
                "list, or a dict from each number to its name."
            )
        names = [by_number[i] for i in range(len(by_number))]
    if len(names) < classes or (len(names) > classes and not more):
        raise ValueError(f"class_names must name the {classes} classes; got {len(names)}.")
    return list(names)


def _check_names(
    names: list[str], baseline: str | None, extra: Mapping[str, Extra], spent: Mapping[str, Any]
) -> None:
    if baseline is not None and baseline not in names:
        raise ValueError(f"baseline must name one of the models, {names}; got {baseline!r}.")
    by_model = {f"measures[{k!r}]": v for k, v in extra.items() if not callable(v)}
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
    if splits is not None and not (isinstance(splits, tuple | list) and len(splits) == 2):
        raise ValueError(f"splits must be (n_train, n_test), two numbers; got {splits!r}.")
    if splits is not None and set(counts.values()) == {1}:
        raise ValueError(
            "splits says that every seed re-drew its split, but each model is one network: leave "
            "splits out, or give the networks of several seeds."
        )


def _unit(main: str) -> str:
    return "points" if main in POINTS else COLUMNS[main].unit


def _caption(count: int, rows: int, task: str, teacher: str | None, baseline: str | None) -> str:
    roles = [
        f"Teacher: {teacher}." if teacher else "",
        f"Baseline: {baseline}." if baseline else "",
    ]
    each = f", new ones for each of {rows} seeds" if rows else ""
    soft = ", at T = 1" if task == "classification" else ""
    text = f"Measured on {count:,} examples{each}{soft}."
    return " ".join([text, *filter(None, roles)])


def _headroom_of_positions(figures: Scored, teacher: str | None, baseline: str | None) -> list[str]:
    answers, labels, task = figures.answers, figures.labels, figures.task.name
    if teacher is None or baseline is None or teacher == baseline or labels is None:
        return []
    single = len(answers[teacher]) == len(answers[baseline]) == 1 and len(labels) > 1
    if task not in ("tagging", "multilabel") or not single:
        return []  # of pixels the chosen classes alone are kept
    room = headroom_of_positions(task, answers[teacher], answers[baseline], labels)
    return [f"{teacher} as teacher, {baseline} as student without it. {room}"]


def _about_headroom(
    those: Mapping[str, Contender], labels: Tensor, teacher: str | None, baseline: str | None
) -> list[str]:
    if teacher is None or baseline is None or teacher == baseline or labels.shape[-1] < 2:
        return []
    if any(not bool(costs(those[n].logits, labels).isfinite().all()) for n in (teacher, baseline)):
        return []  # a class ruled out that was right: no interval holds what that costs
    room = headroom_of(those[teacher], those[baseline], labels)
    return [f"{teacher} as teacher, {baseline} as student without it. {room}"]


def _weighed(source: Source) -> bool:
    return len(source) > 0 and batch_of(source, torch.tensor([0])).weights is not None


def _about_seeds(those: Mapping[str, Contender], splits: tuple[int, int] | None) -> list[str]:
    counts = {contender.seeds for contender in those.values()}
    if counts == {1}:
        return []
    text = f"Means of {max(counts)} seeds; in brackets the 95 % Student-t interval of the mean"
    text += ", which does not know that the splits overlap." if splits else "."
    if 1 in counts:
        text += " One network beside them is the same for every seed."
    return [text + " Cost: that of the first seed's network."]


WEIGHTS_UNUSED = (
    "The weights of the examples are not used: each counts once. A figure that weighs is one of "
    "measures=."
)
NOTES = {
    "flops": "FLOPs: matrix products, convolutions and attention; a multiply-add counts two.",
    "training_flops": "Training: 3 forward passes a student's step, and the teacher as often as "
    "it was asked.",
    "peak_memory": "Peak memory: the weights, and the most that one call held at once beside them.",
}

TASK_NOTES = {
    "multilabel": "A label is given where its logit is above 0, that is p > 1/2. Macro F1 and mAP: "
    "means over the labels that occur. Agreement: of all yes-or-no answers.",
    "tagging": "Padding and positions labelled -100 are left out, of agreement too. Span F1: spans "
    "with their type and both ends right.",
    "language": "Each position is scored on the next token; those labelled -100 are left out. "
    "Acceptance: of a token drafted by the model and checked by the teacher, 1 - TV. Tokens a "
    "pass: with 4 drafted, were acceptances independent.",
    "segmentation": "Mean IoU: of each class over all pixels, then the mean over the classes that "
    "occur. Pixels without a label are left out.",
    "embedding": "Recall at k: is one of the k nearest others, by cosine, of the same class? "
    "Similarities: of all pairs of examples.",
    "ranking": "Where several candidates have one score, the mean over their orders. Lists without "
    "a relevant candidate are left out.",
    "regression": "Several outputs: the mean of each one's figure, where it has one.",
}
