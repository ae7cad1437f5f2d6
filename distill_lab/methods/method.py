"""What every recipe is: named loss terms, how much each weighs, and a name that tells it apart."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any

from torch import Tensor, nn

from distill_lab._util.io import short_hash
from distill_lab._util.tensors import Batch

Terms = dict[str, Tensor]
Student = Callable[[Any], Tensor]
TeacherFn = Callable[[Batch], Any]  # what a method needs of a teacher: logits, or a signal

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # another in every process


def examples_in(batch: Batch) -> int:
    """How many examples a batch holds: what most terms are a mean over."""
    return len(batch.ids)


def by_term(count: int | dict[str, int], weights: Mapping[str, float]) -> dict[str, int]:
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
            a term, so that a batch cut in pieces gives the step of the undivided one. A term that
            counts nothing in a batch is 0 there.
        prepare: a function (batch, student) -> the batch that is counted and scored: on-policy,
            the student's own answers.
        taps: the modules of the teacher that the method looks into, so that recorded answers are
            not enough.
        at_least: how many examples a piece of a batch has to hold, where they are compared.
        each_teacher: the terms that score each example by itself, from one pass of the student and
            one answer of the teacher: with a routed teacher they are shown for each teacher.

    Raises:
        ValueError: for weights that are empty, negative or not finite.
    """

    name: str
    terms: Callable[[Batch, Student, TeacherFn], Terms]
    weights: Mapping[str, float]
    needs_teacher: bool = True
    projections: nn.Module | None = None
    count: Callable[[Batch], int | dict[str, int]] = examples_in
    prepare: Callable[[Batch, Any], Batch] | None = None
    taps: tuple[str, ...] = ()
    at_least: int = 1
    each_teacher: tuple[str, ...] = ()

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

    def counts(self, batch: Batch) -> dict[str, int]:
        """Over how many examples or tokens of a batch each term is a mean."""
        return by_term(self.count(batch), self.weights)

    def total(self, terms: Terms) -> Tensor:
        """The weighted sum that is minimised."""
        self.check(terms)
        weighted = [self.weights[name] * term for name, term in terms.items()]
        return sum(weighted[1:], start=weighted[0])  # from 0 would add a node to every graph


def describe(part: Any, within: tuple[int, ...] = ()) -> str:
    """A name that two parts of a recipe share only where they do the same, in any process.

    A module says its layers and their sizes, not its weights: those are in the checkpoint. A
    function of a module goes by its name; one made on the spot, a lambda or an inner function,
    also by what it does and holds, since its name is no one's own.

    Args:
        part: a module, a function, or anything that has a repr.
        within: the functions that are being named, so that those which hold each other come to an
            end.

    Returns:
        The name.

    >>> describe(nn.Linear(2, 3)), describe(len)
    ('Linear(in_features=2, out_features=3, bias=True)', 'len')
    >>> describe(lambda a: a + 1) == describe(lambda a: a + 1)
    True
    >>> describe(lambda a: a + 1) == describe(lambda a: a + 2)
    False
    """
    if isinstance(part, nn.Module):
        return " ".join(repr(part).split())
    if isinstance(part, partial):
        given = [describe(value, within) for value in part.args]
        given += [f"{name}={describe(value, within)}" for name, value in part.keywords.items()]
        return f"{describe(part.func, within)}({', '.join(given)})"
    if isinstance(part, (list, tuple)):
        return f"[{', '.join(describe(item, within) for item in part)}]"
    name: str | None = getattr(part, "__qualname__", None)
    if name is None:
        return _ADDRESS.sub("", repr(part))
    if hasattr(part, "__func__") and not isinstance(part.__self__, type):
        return f"{describe(part.__self__, within)}.{part.__name__}"
    if "<" in name and hasattr(part, "__code__") and id(part) not in within:
        return f"{name.split('.')[-1]}-{_hash_function(part, (*within, id(part)))}"
    return name


def _hash_function(function: Any, within: tuple[int, ...]) -> str:
    """A short name for what a function made on the spot does: its code, closure and defaults."""
    values = [cell.cell_contents for cell in function.__closure__ or ()]
    values += [function.__defaults__ or (), *sorted((function.__kwdefaults__ or {}).items())]
    parts = [*_instructions(function.__code__), *(describe(value, within) for value in values)]
    return short_hash("\n".join(parts).encode(), size=4)


def _instructions(code: CodeType) -> list[str]:
    """The instructions and their constants, without the lines on which they stand."""
    parts = [code.co_code.hex(), *code.co_names]
    for constant in code.co_consts:
        parts += _instructions(constant) if isinstance(constant, CodeType) else [repr(constant)]
    return parts
