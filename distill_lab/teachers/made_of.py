"""What a teacher is made of beside its weights, which say other things in other layers."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from distill_lab._util.describe import describe
from distill_lab.data import fingerprints
from distill_lab.teachers.live import Live


def made_of(teacher: object, *, student: nn.Module | None = None) -> str | None:
    """A short name for the layers and settings of a teacher's networks, and for how they are read.

    Args:
        teacher: any teacher.
        student: who learns: its weights are no part of a teacher that asks it.

    Returns:
        The name; None for a teacher without networks, whose identity says all.

    >>> made_of(Live(nn.ReLU().eval())) == made_of(Live(nn.Tanh().eval()))
    False
    """
    facts = _facts(teacher, student)
    return fingerprints.of_facts(facts) if facts else None


def _facts(teacher: Any, student: nn.Module | None) -> list[Any]:
    if isinstance(teacher, Live):
        layers = fingerprints.of_structure(teacher.model)
        read = teacher.read
        return [layers] if read is None else [layers, describe(read, weights=True, without=student)]
    each = [_facts(member, student) for member in asked_by(teacher)]
    return each if any(each) else []


def asked_by(teacher: Any) -> Sequence[Any]:
    """The teachers that one asks: those of an ensemble, or the one behind another view.

    Args:
        teacher: any teacher.

    Returns:
        Them, without those that they ask.

    >>> asked_by(Live(nn.ReLU().eval()))
    ()
    """
    members: Sequence[Any] = getattr(teacher, "members", ())
    return members or ((teacher.teacher,) if hasattr(teacher, "teacher") else ())
