"""The figures of quality of one model, seed by seed, and the differences between models."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor

from distill_lab.evaluation import metrics
from distill_lab.evaluation.contenders import Contender
from distill_lab.evaluation.counts import class_counts, f1, macro
from distill_lab.evaluation.differences import Difference, between_fixed, between_seeds

__all__ = ["Extra", "differences", "extra_figures", "quality"]

Extra = Callable[[Tensor, Any], float] | Mapping[str, Any]
Figures = tuple[float, ...]


def quality(
    model: Contender,
    teacher: Contender | None,
    labels: Tensor,
    class_names: Sequence[str] | None,
    extra: Mapping[str, Extra],
) -> dict[str, Any]:
    """The fields of a row that say how good a model is: means over the seeds, and `by_seed`."""
    logits = model.logits
    try:
        metrics.check(logits, labels)
    except ValueError as error:
        raise ValueError(f"{model.name!r}: {error}") from error
    rows = list(labels) if labels.ndim == 2 else [labels] * model.seeds
    which, worst = _worst_class(logits, labels)
    by_seed: dict[str, Figures] = {
        "accuracy": _row(metrics.accuracy(logits, labels)),
        "nll": _row(metrics.nll(logits, labels)),
        "ece": _row(metrics.ece(logits, labels)),
        "macro_f1": _macro_f1(logits, labels),
        "worst_class": worst,
        **{name: extra_figures(name, one, model, rows) for name, one in extra.items()},
    }
    fields: dict[str, Any] = {}
    if teacher is model:  # true by definition, so there is nothing to average over the seeds
        fields = {"agreement": 100.0, "kl_to_teacher": 0.0, "retained": 100.0, "points": 0.0}
    elif teacher is not None:
        pair = _side_by_side(logits, teacher.logits)
        by_seed["agreement"] = _row(metrics.agreement(*pair))
        by_seed["kl_to_teacher"] = _row(metrics.kl_to_teacher(*pair))
        best = _row(metrics.accuracy(teacher.logits, labels))
        by_seed["retained"] = _retained(by_seed["accuracy"], best)
        fields = {name: mean(by_seed[name]) for name in ("agreement", "kl_to_teacher", "retained")}
        fields["points"] = mean(by_seed["accuracy"]) - mean(best)
    return {
        **fields,
        **{name: mean(by_seed[name]) for name in ("accuracy", "nll", "ece")},
        "scores": {"macro_f1": mean(by_seed["macro_f1"])},
        "worst_class": which,
        "worst_class_name": class_names[which] if class_names else str(which),
        "worst_class_accuracy": mean(worst),
        "extra": {name: mean(by_seed[name]) if by_seed[name] else None for name in extra},
        "by_seed": by_seed,
    }


def differences(
    models: Mapping[str, Contender],
    labels: Tensor,
    against: Sequence[str],
    splits: tuple[int, int] | None,
) -> Iterator[Difference]:
    """Every model's accuracy less that of the models in `against`, each pair once."""
    done = set()
    for other in against:
        for name in models:
            if name == other or (other, name) in done:
                continue
            done.add((name, other))
            a, b = models[name].logits, models[other].logits
            names = (name, other)
            if len(a) == len(b) == 1:
                yield between_fixed(*(_right(x, labels)[0] for x in (a, b)), names=names)
            else:
                values = [_row(metrics.accuracy(x, labels)) for x in (a, b)]
                yield between_seeds(
                    *values, names=names, measure="accuracy", unit="points", splits=splits
                )


def mean(values: Figures) -> float:
    """The plain mean; of one value, that value."""
    return sum(values) / len(values)


def _row(values: float | Tensor) -> Figures:
    return tuple(torch.as_tensor(values, dtype=torch.float64).reshape(-1).tolist())


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    """Which examples each seed gets right, (S, N)."""
    logits, labels = metrics.check(logits, labels)
    return logits.argmax(-1) == labels


def _macro_f1(logits: Tensor, labels: Tensor) -> Figures:
    """Mean F1 over the classes that occur in the labels or in the answers, seed by seed."""
    logits, labels = metrics.check(logits, labels)
    rows = zip(logits.argmax(-1), labels, strict=True)
    classes = logits.shape[-1]
    return tuple(macro(f1(class_counts(chosen, y, classes))).item() for chosen, y in rows)


def _worst_class(logits: Tensor, labels: Tensor) -> tuple[int, Figures]:
    """The class with the lowest mean accuracy over the seeds, and each seed's accuracy in it."""
    per_class = metrics.per_class_accuracy(logits, labels)  # (S, C), NaN where there is no example
    which = int(per_class.nanmean(0).nan_to_num(nan=math.inf).argmin())
    values = per_class[:, which]
    return which, tuple(values[~values.isnan()].tolist())


def _side_by_side(model: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """A single network beside many seeds stands beside each of them."""
    if len(model) == len(teacher):
        return model, teacher
    return (model[0], teacher) if len(model) == 1 else (model, teacher[0])


def _retained(accuracy: Figures, best: Figures) -> Figures:
    """Percent of the teacher's accuracy, seed by seed; not a number where it has none."""
    seeds = max(len(accuracy), len(best))
    pairs = zip(islice(cycle(accuracy), seeds), islice(cycle(best), seeds), strict=True)
    return tuple(100 * a / b if b else math.nan for a, b in pairs)


def extra_figures(
    name: str, measure: Extra, model: Contender, labels: Sequence[Tensor | None]
) -> Figures:
    """The caller's measure of every seed; nothing where a mapping does not name the model.

    Args:
        name: of the measure.
        measure: a function of answers and labels, or figures by model.
        model: whose answers they are.
        labels: of each seed.

    Returns:
        A figure a seed.

    Raises:
        TypeError: for a function that gives no number.
    """
    if not callable(measure):
        given = measure.get(model.name)
        return () if given is None else _row(given)
    values = []
    for answers, row in zip(model.logits, labels, strict=True):
        value = measure(answers, row)
        try:
            values.append(float(value))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"measures[{name!r}] must return one number for answers (N, ...) and labels; got "
                f"{type(value).__name__}."
            ) from error
    return tuple(values)
