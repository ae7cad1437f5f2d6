"""The figures of one task: of each model, beside the teacher, and between two models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from distill_lab._util.tensors import IGNORE
from distill_lab.evaluation.contenders import Contender
from distill_lab.evaluation.differences import Difference, between_examples, between_seeds
from distill_lab.evaluation.layout import check_classes, laid_out
from distill_lab.evaluation.next_tokens import beside_each
from distill_lab.evaluation.tasks import BY_QUERY, TASKS, Figure, Task, areas, spans

__all__ = ["Scored", "scored"]


@dataclass(frozen=True)
class Scored:
    """A task's answers as its figures read them, and the figures that fit these labels.

    Args:
        task: the kind of task.
        answers: model -> (S, N, ...).
        labels: of the examples; None where only a teacher is there to be held against.
        figures: against the labels, by name.
        main: the one in which differences are tested; None without labels.
        unmeasured: why a figure of the task is not there.
    """

    task: Task
    answers: Mapping[str, Tensor]
    labels: Tensor | None
    figures: Mapping[str, Figure]
    main: str | None
    unmeasured: Mapping[str, str]

    def of(self, name: str, teacher: str | None) -> dict[str, Any]:
        """The fields of a model's row: means over its seeds, and each seed's own figures."""
        answers, fidelity = self.answers[name], dict(self.task.fidelity)
        unmeasured = dict(self.unmeasured)
        by_seed: dict[str, tuple[float, ...]] = {}
        if self.labels is not None:
            labels = self.labels
            for key, figure in self.figures.items():
                by_seed[key] = tuple(figure.of(seed, labels) for seed in answers)
        if teacher is not None:
            if self.task.name == "language" and len(answers) == 1:
                answers = beside_each(answers[0])
            pairs = _side_by_side(answers, self.answers[teacher])
            if self.task.name == "embedding" and pairs[0][0].shape != pairs[0][1].shape:
                fidelity = {key: fidelity[key] for key in fidelity if key != "cosine_to_teacher"}
                unmeasured["cosine_to_teacher"] = "another width"
            for key, measure in fidelity.items():
                by_seed[key] = tuple(measure(a, t, self.labels) for a, t in pairs)
        means = {key: sum(values) / len(values) for key, values in by_seed.items()}
        fields = {k: v for k, v in means.items() if k in ("nll", "agreement", "kl_to_teacher")}
        scores = {k: v for k, v in means.items() if k not in fields}
        return {**fields, "scores": scores, "by_seed": by_seed, "unmeasured": unmeasured}

    def differences(
        self, against: Sequence[str], *, title: str, unit: str, splits: tuple[int, int] | None
    ) -> Iterator[Difference]:
        """Every model's main figure less that of the models in `against`, each pair once."""
        if self.main is None or self.labels is None or len(self.labels) < 2:
            return
        figure, done = self.figures[self.main], set()
        for other in against:
            for name in self.answers:
                if name == other or (other, name) in done:
                    continue
                done.add((name, other))
                pair = self.answers[name], self.answers[other]
                names: Any = {"names": (name, other), "measure": title, "unit": unit}
                if len(pair[0]) == len(pair[1]) == 1:
                    yield between_examples(figure, pair[0][0], pair[1][0], self.labels, **names)
                else:
                    a, b = ([figure.of(seed, self.labels) for seed in x] for x in pair)
                    yield between_seeds(a, b, **names, splits=splits)


def scored(
    task: str,
    contenders: Mapping[str, Contender],
    labels: Tensor | None,
    *,
    class_names: Sequence[str] | None,
    unread: Tensor | None = None,
) -> Scored:
    """Lay out answers and labels for a task, and choose the figures that fit them."""
    kind = TASKS[task]
    answers = {n: laid_out(task, n, c.logits, labels, c.says_logits) for n, c in contenders.items()}
    figures, unmeasured = dict(kind.figures), {}
    main: str | None = kind.main
    if task == "segmentation":
        named = len(class_names or ())
        classes = max(c.classes or int(answers[n].max()) + 1 for n, c in contenders.items())
        classes = max(classes, named)
        if labels is not None:
            named_alone = all(c.classes is None for c in contenders.values())
            hint = " Or name all classes by class_names." if named_alone else ""
            check_classes(labels, classes, hint)
        figures["mean_iou"] = areas(classes)
    elif task == "tagging":
        if class_names is None:
            unmeasured["span_f1"] = "name the tags by class_names"
        else:
            figures["span_f1"], main = spans(class_names, unread), "span_f1"
    elif task == "ranking" and labels is not None and labels.ndim == 2:
        figures = dict(BY_QUERY)
        if bool((labels[labels != IGNORE] < 0).any()):
            figures = {"rank_correlation": BY_QUERY["rank_correlation"]}
            unmeasured |= dict.fromkeys(("ndcg", "reciprocal_rank"), "relevance below 0")
        else:
            main = "ndcg"
    elif task == "embedding":
        if labels is None:
            figures, main = {}, None
            unmeasured |= dict.fromkeys(kind.figures, "no labels")
        elif labels.ndim != 1:
            raise ValueError(
                "embedding wants labels (N,), classes to be found again; got "
                f"{tuple(labels.shape)}."
            )
    return Scored(kind, answers, labels, figures, main, unmeasured)


def _side_by_side(answers: Tensor, teacher: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Seed beside seed; a single network beside many stands beside each of them."""
    seeds = max(len(answers), len(teacher))
    return [
        (answers[min(i, len(answers) - 1)], teacher[min(i, len(teacher) - 1)]) for i in range(seeds)
    ]
