"""What is not finite, by its place: the term and the step, the weight, the example in the data."""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import Batch, leaves
from distill_lab.models.networks import logits_of
from distill_lab.signals import Dense
from distill_lab.teachers.live import ask

NAMED = 5  # examples named in a sentence, of however many there are
SPARED = (
    "while every term is finite: the student still has the weights from before this step. Lower "
    "the learning rate, or look for a loss with an infinite slope, as a root has at 0."
)


def first_nonfinite(
    student: nn.Module, projections: nn.Module | None = None, *, gradients: bool = False
) -> str | None:
    """The first parameter that is not finite, or the first whose gradient is not, by name."""
    modules = {"the student's": student, "the projections'": projections}
    for whose, module in modules.items():
        for name, parameter in () if module is None else module.named_parameters():
            tensor = parameter.grad if gradients else parameter
            if tensor is not None and not tensor.isfinite().all():
                return f"{whose} {name}"
    return None


def refuse_nonfinite(
    step: int,
    values: Mapping[str, float],
    norm: Tensor | None,
    student: nn.Module,
    projections: nn.Module | None = None,
    *,
    gradients_at_hand: bool = True,
    checkpoint: object = None,
    where: str = "",
) -> NoReturn:
    """Stop at a step in which something was not finite, naming it and what is left to go back to.

    Args:
        step: its number, from 1.
        values: the terms and their `total`.
        norm: that of the gradient, where it was clipped.
        student: the network, as it was before the step.
        projections: the method's own modules.
        gradients_at_hand: whether the gradients there are now are those of this step.
        checkpoint: where the last good state is.
        where: a sentence on the examples in which it is, as `nonfinite_examples` gives it.

    Raises:
        FloatingPointError: always.
    """
    if math.isfinite(values["total"]):
        what = "a gradient is not finite"
        if norm is not None:
            what = f"the gradient's norm became {norm.item()}"
        elif gradients_at_hand:
            name = first_nonfinite(student, projections, gradients=True)
            what = f"the gradient of {name} is not finite"
        raise FloatingPointError(f"{what} at step {step} {SPARED} {where}".rstrip())
    broken = next(name for name, value in values.items() if not math.isfinite(value))
    kept = f" The last good state is in {checkpoint}." if checkpoint else ""
    weight = first_nonfinite(student)
    spoilt = f", and {weight} is not finite in them" if weight else ""
    advice = "Look for NaN or inf in the inputs or the teacher's logits, or lower the learning rate"
    raise FloatingPointError(
        f"the term {broken!r} became {values[broken]} at step {step}; the student still has the "
        f"weights from before it{spoilt}. {where or f'{advice}.'}{kept}"
    )


def nonfinite_examples(
    batch: Batch, student: nn.Module, teacher: Any = None, *, ruled_out: bool = False
) -> str:
    """Look for the examples of a batch in which something is not finite.

    First in the inputs, then in what the teacher answers, then in what the student does. A logit of
    -inf rules its class out and is no fault by itself; an answer of nothing else is.

    Args:
        batch: of the step that was not finite, or part of it.
        student: the network, as methods ask it.
        teacher: who teaches; None for nobody.
        ruled_out: whether a class that is ruled out counts as well.

    Returns:
        A sentence that names them by their numbers in the data; "" where all are finite.

    >>> inputs = torch.tensor([[0.0], [math.nan]])
    >>> nonfinite_examples(Batch(inputs, None, torch.tensor([7, 4])), nn.Linear(1, 2))
    'The inputs hold nan in example 4 of the data: look at how they were made.'
    """
    for name, part in leaves("inputs", batch.inputs):
        rows = [] if name.endswith("mask") else _wrong_rows(part, batch)  # one may be added: -inf
        if rows:
            return f"The {name} hold {_named(rows, batch)}: look at how they were made."
    for who, answer in _answers(batch, student, teacher):
        if rows := _wrong_rows(answer, batch, spared=not ruled_out):
            return f"The {who} answers {_named(rows, batch)}, where its inputs are finite."
    return ""


def _answers(batch: Batch, student: nn.Module, teacher: Any) -> Iterable[tuple[str, Any]]:
    """Who answers, and what; an answer that cannot be had is none."""
    with torch.no_grad():
        with suppress(Exception):  # a method may have asked otherwise; the first error is told
            answer = None if teacher is None else ask(teacher, batch)
            yield "teacher", answer.logits if isinstance(answer, Dense) else answer
        with suppress(Exception), modes_kept(student):
            yield "student", logits_of(student.eval(), batch.inputs)


def _wrong_rows(value: Any, batch: Batch, *, spared: bool = False) -> list[tuple[int, float]]:
    """Rows of a batch that are not finite, each with its first such number.

    Spared are classes that are ruled out, by -inf beside other numbers.
    """
    fits = isinstance(value, Tensor) and value.dim() > 0 and len(value) == len(batch.ids)
    if not fits or not value.is_floating_point():
        return []
    numbers = value.detach().flatten(1) if value.dim() > 1 else value.detach()[:, None]
    wrong = ~numbers.isfinite()
    if spared and value.dim() > 1:
        allowed = (value == -torch.inf) & (value != -torch.inf).any(-1, keepdim=True)
        wrong &= ~allowed.flatten(1)
    rows = wrong.any(1).nonzero()[:, 0].tolist()
    return [(row, numbers[row][wrong[row]][0].item()) for row in rows]


def _named(rows: list[tuple[int, float]], batch: Batch) -> str:
    numbers = sorted(int(batch.ids[row]) for row, _ in rows)
    listed = ", ".join(map(str, numbers[:NAMED])) + (", ..." if len(numbers) > NAMED else "")
    which = f"example {listed}"
    if len(numbers) > 1:
        which = f"examples {listed} ({len(numbers)} of this batch)"
    return f"{rows[0][1]} in {which} of the data"
