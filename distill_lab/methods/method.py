"""What every recipe is: named loss terms, and how much each weighs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from distill_lab.batches import Batch

Terms = dict[str, Tensor]
Student = Callable[[Any], Tensor]
Ask = Callable[[Batch], Tensor]  # what a method may ask of a teacher


@dataclass(frozen=True)
class Method:
    """Named loss terms and how much each weighs.

    ``terms(batch, student, teacher)`` returns unweighted scalars; ``weights`` has one entry for
    each. The name says every setting, so that a checkpoint can tell two methods apart.
    Raises ValueError for weights that are empty, negative or not finite.
    """

    name: str
    terms: Callable[[Batch, Student, Ask], Terms]
    weights: Mapping[str, float]
    needs_teacher: bool = True

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError(f"method {self.name} has no weights: name at least one term.")
        for term, weight in self.weights.items():
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(
                    f"the weight of {term!r} must be a finite number of at least 0, got {weight!r}."
                )

    def total(self, terms: Terms) -> Tensor:
        """The weighted sum that is minimised; refuses terms without a weight, and the reverse."""
        if terms.keys() != self.weights.keys():
            raise ValueError(
                f"method {self.name} returned the terms {sorted(terms)} but has weights for "
                f"{sorted(self.weights)}: give each term one weight."
            )
        weighted = [self.weights[name] * term for name, term in terms.items()]
        return sum(weighted[1:], start=weighted[0])  # from 0 would add a node to every graph
