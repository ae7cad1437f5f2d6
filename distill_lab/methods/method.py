"""What every recipe is: named loss terms, how much each weighs, and a name that tells it apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import non_negative_finite
from distill_lab._util.tensors import IGNORE, Batch, leaves, values_at_hand

Terms = dict[str, Tensor]
Student = Callable[[Any], Tensor]
TeacherFn = Callable[[Batch], Any]  # what a method needs of a teacher: logits, or a signal
Look = Callable[[Batch, Student, TeacherFn], None]


def examples_in(batch: Batch) -> int:
    """How many examples a batch holds: what most terms are a mean over."""
    return len(batch.ids)


def by_term(count: float | dict[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """What a method counts, for each of its terms."""
    return count if isinstance(count, dict) else dict.fromkeys(weights, count)


@dataclass(frozen=True)
class Method:
    """Named loss terms and how much each weighs.

    Args:
        name: says every setting, so that a checkpoint can tell two methods apart.
        terms: a function (batch, student, teacher) -> unweighted scalars by name.
        weights: one for each term.
        needs_teacher: whether it asks a teacher.
        projections: modules of the method's own: they are trained, clipped and checkpointed beside
            the student and are no part of it.
        count: over how many examples or tokens of a batch the terms are means, one number or one
            a term; where they weigh, the sum of weights. So a batch cut in pieces gives the step
            of the undivided one. A term that counts nothing in a batch is 0 there.
        prepare: a function (batch, student) -> the batch that is counted and scored: on-policy,
            the student's own answers.
        taps: the modules of the teacher that the method looks into, so that recorded answers are
            not enough.
        at_least: how many examples a piece of a batch has to hold, where they are compared.
        look: looks at one batch that is cut into pieces, before any is counted: for what `count`
            cannot know from a batch alone, such as what a layer gives a feature of.
        each_teacher: the terms that score each example by itself, from one pass of the student and
            one answer of the teacher: with a routed teacher they are shown for each teacher.
        title: what a line of progress calls it; else its name.
        ignore: a label that says that a position has none, beside -100; for example 255.

    Raises:
        ValueError: for weights that are empty, negative or not finite.
    """

    name: str
    terms: Callable[[Batch, Student, TeacherFn], Terms]
    weights: Mapping[str, float]
    needs_teacher: bool = True
    projections: nn.Module | None = None
    count: Callable[[Batch], Any] = examples_in  # a number, or one for each term
    prepare: Callable[[Batch, Any], Batch] | None = None
    taps: tuple[str, ...] = ()
    at_least: int = 1
    each_teacher: tuple[str, ...] = ()
    look: Look | None = None
    title: str = ""
    ignore: int = IGNORE

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError(f"method {self.name} has no weights: name at least one term.")
        weights = {
            term: non_negative_finite(f"the weight of {term!r}", weight)
            for term, weight in self.weights.items()
        }
        object.__setattr__(self, "weights", weights)

    def check(self, terms: Terms) -> None:
        """Refuse terms without a weight, and the reverse."""
        if terms.keys() != self.weights.keys():
            raise ValueError(
                f"method {self.name} returned the terms {sorted(terms)} but has weights for "
                f"{sorted(self.weights)}: give each term one weight."
            )

    def check_teacher(self, teacher: object | None) -> None:
        """Refuse a teacher that is missing, and one that would never be asked."""
        if self.needs_teacher and teacher is None:
            raise ValueError(
                f"method {self.name} listens to a teacher and none was given: pass "
                "teacher=freeze(model), or use methods.supervised()."
            )
        if teacher is not None and not self.needs_teacher:
            raise ValueError(
                f"method {self.name} never listens to the teacher that was given: leave the "
                "teacher out, or use a method that asks it, for example methods.kd()."
            )

    def counts(self, batch: Batch) -> dict[str, float]:
        """Over how many examples or tokens of a batch, or what weight of them, a term is a mean."""
        return by_term(self.count(batch), self.weights)

    def counted_terms(self, batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        """The terms as another method has them beside its own: 0 where none of them counts.

        Args:
            batch: of examples.
            student: scores them.
            teacher: is asked where a term counts.

        Returns:
            What `terms` gives; zeros without a gradient for a batch that counts nothing.
        """
        here = batch.at_hand
        given = [part for _, part in leaves("", [here.inputs, here.labels, here.weights])]
        seen = all(values_at_hand(part) for part in given if isinstance(part, Tensor))
        if seen and not any(self.counts(here).values()):  # inside torch.vmap nothing is seen
            return {term: torch.zeros(()) for term in self.weights}
        return self.terms(batch, student, teacher)

    def total(self, terms: Terms) -> Tensor:
        """The weighted sum that is minimised."""
        self.check(terms)
        weighted = [self.weights[name] * term for name, term in terms.items()]
        return sum(weighted[1:], start=weighted[0])  # from 0 would add a node to every graph
