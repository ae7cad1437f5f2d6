"""A routed teacher's terms, shown for each of its teachers."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from distill_lab._util.tensors import Batch, rows_of
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.models.networks import logits_of
from distill_lab.signals import Signal


@runtime_checkable
class Chooses(Protocol):
    """A teacher that says which of several answers each example."""

    names: tuple[str, ...]

    def choose(self, batch: Batch) -> Tensor:
        """Numbers (B,), in the order of `names`."""


def shown_by_teacher(method: Method, teacher: object) -> Method:
    """The same method; where its teacher is routed, its terms are shown for each teacher as well.

    What is shown weighs nothing and has no gradient, so the student takes the same steps. Term
    "kd/a" is "kd" over the examples that teacher a answers: n kd is the sum of n_a kd/a.

    Args:
        method: with the names of the terms that can be shown, in `each_teacher`.
        teacher: any; only one that chooses changes something.

    Returns:
        The method, with more terms or as it was.
    """
    if not method.each_teacher or not isinstance(teacher, Chooses):
        return method
    routed: Chooses = teacher
    names = {
        f"{term}/{name}": (term, number)
        for term in method.each_teacher
        for number, name in enumerate(routed.names)
    }

    def parts(batch: Batch) -> dict[int, tuple[Tensor, Batch]]:
        chosen = routed.choose(batch)
        rows = {number: (chosen == number).nonzero()[:, 0] for number in range(len(routed.names))}
        return {number: (some, rows_of(batch, some)) for number, some in rows.items() if len(some)}

    replay = _Replay(teacher)  # one for all steps: what is looked at once is known by it

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        learner = _Replay(student)
        result = method.terms(batch, learner, replay)
        shown = {}
        with torch.no_grad():
            for number, (rows, some) in parts(batch).items():
                learner.rows = replay.rows = rows
                shown[number] = method.counted_terms(some, learner, replay)
        replay.rows = replay.output = None
        zero = torch.zeros((), device=next(iter(result.values())).device)
        return result | {
            name: shown[number][term] if number in shown else zero
            for name, (term, number) in names.items()
        }

    def count(batch: Batch) -> dict[str, float]:
        counts = {number: method.counts(some) for number, (_, some) in parts(batch).items()}
        return method.counts(batch) | {
            name: counts[number][term] if number in counts else 0
            for name, (term, number) in names.items()
        }

    weights = {**method.weights, **dict.fromkeys(names, 0.0)}
    return dataclasses.replace(method, terms=terms, weights=weights, count=count, each_teacher=())


class _Replay:
    """A student or teacher that is run once, and then gives some rows of that output again."""

    def __init__(self, part: Any) -> None:
        self.part, self.output = part, None
        self.rows: Tensor | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.rows is None:
            self.output = self.part(*args, **kwargs)
            return self.output
        output: Any = self.output
        if not isinstance(output, (Tensor, Signal)):
            output = logits_of(lambda _: self.output, None)  # such as a dict with "logits"
        return output[self.rows.to(output.device) if isinstance(output, Tensor) else self.rows]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)  # such as the T at which a teacher's answer holds
