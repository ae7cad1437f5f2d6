"""What every recipe is: named loss terms, and how much each weighs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from distill_lab.data.batches import Batch

Terms = dict[str, Tensor]
Student = Callable[[Any], Tensor]
Ask = Callable[[Batch], Any]  # what a method may ask of a teacher: logits, or a signal


def examples_in(batch: Batch) -> int:
    """How many examples a batch holds: what most terms are a mean over."""
    return len(batch.ids)


@dataclass(frozen=True)
class Method:
    """Named loss terms and how much each weighs.

    ``terms(batch, student, teacher)`` returns unweighted scalars; ``weights`` has one entry for
    each. The name says every setting, so that a checkpoint can tell two methods apart.
    ``projections`` are modules of the method's own: they are trained, clipped and checkpointed
    beside the student and are no part of it. ``count(batch)`` says over how many examples or
    tokens the terms are means, so that a batch cut in pieces gives the step of the whole.
    ``prepare(batch, student)``, if there is one, makes the batch that is counted and scored out of
    the one that was drawn: on-policy, the student's own answers. ``taps`` are the modules of the
    teacher that the method looks into, so that recorded answers are not enough.
    Raises ValueError for weights that are empty, negative or not finite.
    """

    name: str
    terms: Callable[[Batch, Student, Ask], Terms]
    weights: Mapping[str, float]
    needs_teacher: bool = True
    projections: nn.Module | None = None
    count: Callable[[Batch], int] = examples_in
    prepare: Callable[[Batch, Any], Batch] | None = None
    taps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError(f"method {self.name} has no weights: name at least one term.")
        for term, weight in self.weights.items():
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(
                    f"the weight of {term!r} must be a finite number of at least 0, got {weight!r}."
                )

    def check(self, terms: Terms) -> None:
        """Refuse terms without a weight, and the reverse."""
        if terms.keys() != self.weights.keys():
            raise ValueError(
                f"method {self.name} returned the terms {sorted(terms)} but has weights for "
                f"{sorted(self.weights)}: give each term one weight."
            )

    def total(self, terms: Terms) -> Tensor:
        """The weighted sum that is minimised."""
        self.check(terms)
        weighted = [self.weights[name] * term for name, term in terms.items()]
        return sum(weighted[1:], start=weighted[0])  # from 0 would add a node to every graph
