"""Ask several models about the same examples, once, and keep what each of them answers."""

import copy
from collections import UserDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from distill_lab._util.tensors import (
    IGNORE,
    Batch,
    attention_of,
    map_tensors,
    next_tokens,
    warn_of_padding,
)
from distill_lab.data.batches import Source, as_data, reading
from distill_lab.data.forms import as_tensor
from distill_lab.evaluation.layout import (
    are_pixels,
    labelled,
    refuse_nonfinite,
    refuse_other_than_logits,
)
from distill_lab.evaluation.next_tokens import one_beside_many, token_figures
from distill_lab.evaluation.runnable import Read, Runnable

__all__ = [
    "Answers",
    "Contender",
    "ask",
    "measured",
    "repeats_inputs",
    "with_labels",
    "with_teacher",
]

TENSOR_BATCH, BATCH = 1024, 64  # examples a call: of one tensor, and of anything else


@dataclass(frozen=True)
class Contender:
    """A model's answers to the examples, (S, N, ...), and the network whose cost is measured.

    S = 1 for a single network. `network` is the first seed's; None where only answers were given.
    `classes` counts those of a segmentation, whose answers keep the chosen class alone.
    """

    name: str
    logits: Tensor
    network: Runnable | None
    classes: int | None = None

    @property
    def seeds(self) -> int:
        """How many networks there are."""
        return len(self.logits)

    @property
    def says_logits(self) -> bool:
        """Whether scores are logits by their name, as those of Hugging Face's models with a head.

        Else numbers that all lie between 0 and 1 are thought to be probabilities, and a student of
        few examples may well give such logits.
        """
        return says_logits(self.network)


@dataclass(frozen=True)
class Answers:
    """All that was read and answered: by model, with the labels and the texts' lengths."""

    contenders: dict[str, Contender]
    labels: Tensor | None
    source: Source
    lengths: Tensor | None  # unpadded tokens of each example (N,), where a mask tells them
    language: bool = False  # whether figures of each next token were kept, not its scores


def says_logits(network: Runnable | None) -> bool:
    """Whether scores are logits by their name."""
    read = None if network is None else network.read
    config = getattr(getattr(network, "module", None), "config", None)
    return read is None and hasattr(config, "id2label")


def with_labels(
    task: str, contenders: Mapping[str, Contender], labels: Tensor | None
) -> tuple[dict[str, Contender], Tensor | None, int]:
    """Leave out the examples without a label.

    Args:
        task: its name.
        contenders: the answers to all examples, by model.
        labels: as `task_labels` gives them.

    Returns:
        The answers to the others, their labels, and how many were left out.
    """
    kept = labelled(task, labels)
    if kept is None or labels is None:
        return dict(contenders), labels, 0
    those = {n: replace(c, logits=c.logits[:, kept]) for n, c in contenders.items()}
    by_seed = task == "classification" and labels.ndim == 2
    return those, labels[:, kept] if by_seed else labels[kept], int((~kept).sum())


def with_teacher(models: Mapping[str, Any], teacher: Any) -> tuple[dict[str, Any], str | None]:
    """The models to measure, in order, and the name of the teacher among them."""
    if not isinstance(models, Mapping):
        raise TypeError(
            f'models must be a dict, as {{"student": model}}; got {type(models).__name__}: the '
            "report calls every model by its name."
        )
    named = dict(models)
    if teacher is None or isinstance(teacher, str):
        if not named:
            raise ValueError('there is nothing to compare: pass {"name": model, ...}.')
        if teacher is not None and teacher not in named:
            raise ValueError(
                f"teacher must name one of the models, {list(named)}, or be a model itself; "
                f"got {teacher!r}."
            )
        return named, teacher
    for name, model in named.items():
        if _inner(model) is _inner(teacher):
            return named, name
    if "teacher" in named:
        raise ValueError(
            'two models would be called "teacher": rename the one in models, or pass '
            'teacher="teacher" if that is the one meant.'
        )
    return {"teacher": teacher, **named}, "teacher"


def ask(
    models: Mapping[str, Any],
    data: Any,
    *,
    collate: Any = None,
    read: Read | Mapping[str, Read] | None = None,
    keep_pixels: bool = True,
    reference: str | None = None,
    language: bool | None = None,
    lists: bool = False,
    ignore: int = IGNORE,
) -> Answers:
    """Read the data once, and ask every model about each batch of them.

    Args:
        models: name -> a model in any form, a list of them (one a seed), what `distill_seeds`
            returned, or recorded answers (N, ...) or (S, N, ...).
        data: in any form that `distill` takes.
        collate: puts rows of a Dataset together.
        read: takes the scores out of what a model returns; by name where they differ.
        keep_pixels: keep every class's score of each pixel, not the chosen class alone.
        reference: the teacher's name; a language model's figures are taken beside it.
        language: whether the labels are the tokens read, to be scored on the next; None: look.
        lists: whether labels (N, L) are those of L candidates, whatever texts they are.
        ignore: what marks a token without a label, beside -100.

    Returns:
        The answers on the CPU; of texts of several lengths padded to the longest.

    Raises:
        TypeError: for what is no model.
        ValueError: for answers that are not one row an example.
    """
    source = as_data(data, collate=collate)
    count = len(source)
    inputs = getattr(source, "inputs", None)
    size = TENSOR_BATCH if isinstance(inputs, Tensor) else BATCH
    runnables = {n: _runnables(n, m, read) for n, m in models.items() if not _is_recorded(m)}
    parts: dict[str, list[list[Tensor]]] = {n: [[] for _ in m] for n, m in runnables.items()}
    recorded = {n: _recorded(n, m, count) for n, m in models.items() if n not in runnables}
    tokens: dict[str, list[list[Tensor]]] = {}  # of a language: by model and seed
    classes: dict[str, int] = {}
    labels: list[Tensor | None] = []
    lengths: list[Tensor] = []
    with ExitStack() as modes:
        for each in runnables.values():
            for runnable in each:
                modes.enter_context(runnable.evaluating())
        batch_of = modes.enter_context(reading(source))(
            enumerate(pieces := torch.arange(count).split(size))
        )
        for piece in pieces:
            batch = batch_of(piece)
            if language is None:
                language = repeats_inputs(batch, ignore)
            lengths += _lengths(batch.inputs)
            if language:
                targets = _targets(batch, ignore)
                labels.append(targets)
                z = {n: _by_seed(n, m, batch) for n, m in runnables.items()}
                z |= {n: list(rows[:, piece]) for n, rows in recorded.items()}
                for name, by_seed in z.items():
                    named = says_logits(next(iter(runnables.get(name, [])), None))
                    _check_tokens(name, by_seed, targets, named)
                for name, figures in _of_tokens(z, reference, targets).items():
                    for kept, one in zip(
                        tokens.setdefault(name, [[] for _ in figures]), figures, strict=True
                    ):
                        kept.append(one)
                continue
            for name, each in runnables.items():
                for runnable, kept in zip(each, parts[name], strict=True):
                    scores = _named(name, runnable, batch)
                    if batch.labels is not None and are_pixels(scores, batch.labels):
                        classes[name] = scores.shape[1]
                        refuse_nonfinite(name, scores[None], int(piece[0]))
                        if not keep_pixels:
                            scores = scores.argmax(1).to(torch.int32)
                    # A copy: the next call may write over what this one returned.
                    kept.append(scores.to("cpu", copy=True))
            given = [own[-1] for each in parts.values() for own in each]
            given += [rows[0, piece] for rows in recorded.values()]
            labels.append(_of_text(batch, given, lists))
    contenders = {}
    for name, model in models.items():
        network = None
        if name in runnables:
            network = Runnable(model.model(0)) if _is_runs(model) else runnables[name][0]
        if name in tokens:
            answers = torch.stack([_joined(kept, 0.0) for kept in tokens[name]])
        elif name in recorded:
            answers = recorded[name]
        elif _is_runs(model):
            answers = _joined_runs(parts[name])
        else:
            answers = torch.stack([_joined(kept, 0.0) for kept in parts[name]])
        contenders[name] = Contender(name, answers, network, classes.get(name))
    known = [part for part in labels if part is not None]
    return Answers(
        contenders,
        _joined(known, nan if known[0].is_floating_point() else IGNORE).cpu() if known else None,
        source,
        torch.cat(lengths) if lengths else None,
        bool(language),
    )


class _Runs(Runnable):
    """Many seeds as one batched network: it answers (B, S, C), seeds behind the examples."""

    def __init__(self, runs: Any) -> None:
        self.runs = runs
        students = getattr(runs, "students", None)
        super().__init__(students if isinstance(students, nn.Module) else runs.logits)

    def scores(self, batch: Batch) -> Tensor:
        """The logits of every seed."""
        answers: Tensor = self.runs.logits(batch.inputs)
        return answers.transpose(0, 1)


def _joined_runs(parts: list[list[Tensor]]) -> Tensor:
    return _joined(parts[0], 0.0).transpose(0, 1).contiguous()


def _runnables(name: str, model: Any, read: Any) -> list[Runnable]:
    if _is_runs(model):
        return [_Runs(model)]
    several = list(model) if isinstance(model, list | tuple) else [model]
    if not several:
        raise ValueError(f"{name!r} is an empty list: give one network a seed.")
    own = read.get(name) if isinstance(read, Mapping) else read
    try:
        return [Runnable(one, own) for one in several]
    except TypeError as error:
        raise TypeError(
            f"{name!r}: {error} Also taken: a list of modules, one a seed, what distill_seeds "
            "returned, a function of the inputs, a torch.export program, an ONNX session, "
            "recorded answers, or an estimator of scikit-learn as teachers.sklearn(estimator)."
        ) from error


def _by_seed(name: str, each: list[Runnable], batch: Batch) -> list[Tensor]:
    """The scores of each seed's network, (B, L, C) each."""
    answers = [_named(name, runnable, batch).cpu() for runnable in each]
    return list(answers[0].unbind(1)) if isinstance(each[0], _Runs) else answers


def _targets(batch: Batch, ignore: int) -> Tensor:
    """The token that each position predicts, (B, L)."""
    if batch.labels is None or batch.labels.ndim != 2 or batch.labels.is_floating_point():
        shape = "none" if batch.labels is None else f"{tuple(batch.labels.shape)}"
        raise ValueError(
            f"a language model is measured on labels (B, L), the tokens read; got {shape}."
        )
    labels = batch.labels.masked_fill(batch.labels == ignore, IGNORE)
    warn_of_padding(labels, batch.inputs)
    return next_tokens(labels, batch.inputs)[0].cpu()


def _of_tokens(
    scores: Mapping[str, list[Tensor]], reference: str | None, labels: Tensor
) -> dict[str, list[Tensor]]:
    """Figures (B, L, 5) of every model and seed, each beside the teacher's of that seed.

    Of one network beside a teacher of many seeds (B, L, 2 + 3 S).
    """
    teachers = scores[reference] if reference is not None else [None]
    result = {}
    for name, each in scores.items():
        if len(each) == 1:  # one network, beside every seed's teacher
            figures = [token_figures(each[0], z_t, labels) for z_t in teachers]
            result[name] = [one_beside_many(figures)]
            continue
        beside = teachers if len(teachers) == len(each) else teachers[:1] * len(each)
        result[name] = [token_figures(z, z_t, labels) for z, z_t in zip(each, beside, strict=True)]
    return result


def _check_tokens(name: str, scores: Sequence[Tensor], targets: Tensor, named: bool) -> None:
    """Refuse probabilities, told by the first of the tokens that count."""
    first = (targets != IGNORE).nonzero()[:BATCH].unbind(1)
    for each in scores:
        if each.shape[:-1] == targets.shape and len(first[0]):
            refuse_other_than_logits("tokens", name, each[first], named)


def repeats_inputs(batch: Batch, ignore: int = IGNORE) -> bool:
    """Whether labels are the tokens read: a language model's, to be shifted before any scoring."""
    ids = batch.inputs.get("input_ids") if isinstance(batch.inputs, Mapping) else batch.inputs
    labels = batch.labels
    if not isinstance(ids, Tensor) or labels is None or labels.shape != ids.shape:
        return False
    counted = (labels != IGNORE) & (labels != ignore)
    return bool(counted.any()) and bool((labels == ids)[counted].all())


def _named(name: str, runnable: Runnable, batch: Batch) -> Tensor:
    try:
        # Its own inputs: a network may write into them, and the next one reads them too.
        return runnable.scores(batch._replace(inputs=_copied(batch.inputs)))
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{name!r}: {error}") from error


def _copied(inputs: Any) -> Any:
    copied = map_tensors(Tensor.clone, inputs)
    if isinstance(inputs, UserDict):  # what a tokenizer returned has names of its own
        held, copied = copied, copy.copy(inputs)
        copied.data = held
    return copied


def _joined(parts: Sequence[Tensor], filling: float) -> Tensor:
    """Batches one behind the other, those of shorter texts padded to the longest."""
    if not parts[0].ndim > 1 or len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(list(parts))
    longest = max(part.shape[1] for part in parts)
    behind = [0, 0] * (parts[0].ndim - 2)
    return torch.cat(
        [pad(part, [*behind, 0, longest - part.shape[1]], value=filling) for part in parts]
    )


def _of_text(batch: Batch, answers: Sequence[Tensor], lists: bool) -> Tensor | None:
    """The labels of a batch, -100 or NaN at padding where each token of a text is answered."""
    labels, kept = batch.labels, attention_of(batch.inputs)
    if kept is None or labels is None or labels.shape[:2] != kept.shape:
        return labels
    if labels.is_floating_point():  # numbers of each token
        each = any(z.shape[:2] == kept.shape for z in answers) and not lists
        behind = (~kept).reshape(*kept.shape, *[1] * (labels.ndim - 2))
        return labels.masked_fill(behind, nan) if each else labels
    if not any(z.ndim > 2 and (len(z), z.shape[-2]) == kept.shape for z in answers):
        return labels
    return labels.long().masked_fill(~kept, IGNORE) if labels.ndim == 2 else labels


def _lengths(inputs: Any) -> list[Tensor]:
    kept = attention_of(inputs)
    return [kept.sum(1).cpu()] if kept is not None and kept.ndim == 2 else []


def _is_recorded(model: Any) -> bool:
    return isinstance(model, Tensor | np.ndarray)


def _recorded(name: str, answers: Any, count: int) -> Tensor:
    """Recorded answers as (S, N, ...): one row an example, or that for every seed."""
    rows: Tensor = torch.as_tensor(answers).detach().cpu()
    if rows.ndim and len(rows) == count:
        return rows[None]
    if rows.ndim > 1 and rows.shape[1] == count:
        return rows
    raise ValueError(
        f"{name!r} must have one row of logits an example, ({count}, classes), or that for every "
        f"seed; got {tuple(rows.shape)}."
    )


def measured(
    models: Mapping[str, Any], data: Any, task: str | None, **options: Any
) -> tuple[Answers, bool]:
    """As `ask`, and whether the data hold a row of examples for each seed, (S, N, ...).

    Labels (A, B) are positions of A texts, unless the data are stacked `Examples`, or a model has a
    network for each of the A rows.
    """
    by_name = options.get("read")
    if isinstance(by_name, Mapping) and (unknown := by_name.keys() - models.keys()):
        raise ValueError(f"read speaks of {sorted(unknown)}, but the models are {list(models)}.")
    inputs, labels = (getattr(data, name, None) for name in ("inputs", "labels"))
    if isinstance(data, tuple | list) and len(data) == 2:
        inputs, labels = (as_tensor("data", x) if isinstance(x, np.ndarray) else x for x in data)
    rowwise = task == "classification" or hasattr(data, "at")
    if (
        task in (None, "classification")
        and isinstance(inputs, Tensor)
        and isinstance(labels, Tensor)
        and labels.ndim == 2
        and not labels.is_floating_point()
        and inputs.shape[:2] == labels.shape
        and (rowwise or any(_seeds(m) == len(labels) for m in models.values()))
    ):
        read = options.get("read")
        rows = {n: _of_rows(n, model, inputs, labels, read) for n, model in models.items()}
        return Answers(rows, labels.cpu(), as_data((inputs[0], labels[0])), None), True
    return ask(models, data, lists=task == "ranking", **options), False


def _seeds(model: Any) -> int | None:
    if _is_runs(model):
        return int(model.students.seeds) if hasattr(model, "students") else None
    return len(model) if isinstance(model, list | tuple) else None


def _of_rows(name: str, model: Any, inputs: Tensor, labels: Tensor, read: Any) -> Contender:
    """Each seed's network on the seed's own examples."""
    rows, network = len(labels), None
    if _is_recorded(model):
        logits = _recorded(name, model, labels.shape[1])
    elif _is_runs(model):
        network = Runnable(model.model(0))
        with _Runs(model).evaluating():
            logits = model.logits(inputs.clone())
        logits = logits.clone()  # outside of inference mode it may take part in anything
    else:
        each = _runnables(name, model, read)
        each = each if isinstance(model, list | tuple) else each * rows
        network, parts = each[0], []
        _check_rows(name, len(each), rows)
        for runnable, row in zip(each, inputs, strict=True):
            with runnable.evaluating():
                pieces = [
                    _named(name, runnable, Batch(row[index], None, index)).cpu()
                    for index in torch.arange(len(row)).split(TENSOR_BATCH)
                ]
            parts.append(torch.cat(pieces))
        logits = torch.stack(parts)
    _check_rows(name, len(logits), rows)
    return Contender(name, logits.detach().cpu(), network)


def _check_rows(name: str, seeds: int, rows: int) -> None:
    if seeds != rows:
        raise ValueError(
            f"the data has a row for each of {rows} seeds, but {name!r} has {seeds}: give "
            "each seed its own model, or choose a seed with data.at(i)."
        )


def _is_runs(model: Any) -> bool:
    """Many seeds trained as one: they answer by `.logits(inputs)` and give out `.model(i)`."""
    if isinstance(model, nn.Module):
        return False
    return callable(getattr(model, "logits", None)) and callable(getattr(model, "model", None))


def _inner(model: Any) -> Any:
    """What makes two entries the same model: the module inside a frozen teacher, or the object."""
    inner = getattr(model, "model", None)
    return inner if isinstance(inner, nn.Module) and not isinstance(model, nn.Module) else model
