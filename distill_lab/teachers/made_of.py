"""What a teacher is made of beside its weights, which say other things in other layers."""

from inspect import getattr_static
from typing import Any

from torch import Tensor, nn

from distill_lab._util.describe import describe
from distill_lab._util.reached import held_by
from distill_lab.data import fingerprints
from distill_lab.teachers.estimators import content_of
from distill_lab.teachers.live import Live, identity_of


def made_of(teacher: object, *, functions: bool = True) -> str | None:
    """A short name for a teacher's layers and settings, and for what a function of it holds.

    Args:
        teacher: any teacher.
        functions: whether bare functions are looked into; where somebody gave them a name, that
            tells them apart.

    Returns:
        The name; None where the teacher's identity says all.

    >>> made_of(Live(nn.ReLU().eval())) == made_of(Live(nn.Tanh().eval()))
    False
    """
    facts = _facts(teacher, functions)
    return fingerprints.of_facts(facts) if facts else None


def _facts(teacher: Any, functions: bool) -> list[Any]:
    if isinstance(teacher, Live):
        read = () if teacher.read is None else held_by(teacher.read)
        return [fingerprints.of_structure(teacher.model), *_known(read)]
    members = getattr(teacher, "members", ())
    if not members and hasattr(teacher, "teacher"):  # asked for something else
        members = (teacher.teacher,)
    if members:
        each = [_facts(member, functions) for member in members]
        return each if any(each) else []
    named = teacher is None or getattr_static(teacher, "identity", None) is not None
    return [] if named or not functions else [describe(teacher), *_known(held_by(teacher))]


def _known(held: Any) -> list[Any]:
    """Name and content of what functions hold, where it has content that can be told."""
    pairs = [(name, _content(value)) for name, value in held]
    return sorted([name, content] for name, content in pairs if content)


def _content(value: Any) -> str:
    if isinstance(value, nn.Module):
        return f"{fingerprints.of_model(value)} {fingerprints.of_structure(value)}"
    if isinstance(value, Tensor):
        return describe(value)
    if isinstance(value, (list, tuple)):  # of what is in a dict, some may be kept for later
        return " ".join(_content(item) for item in value if isinstance(item, nn.Module))
    if hasattr(value, "fit") and hasattr(value, "get_params") and not isinstance(value, type):
        return content_of(value)
    if isinstance(value, Live) or (not isinstance(value, type) and hasattr(value, "identity")):
        return f"{identity_of(value)} {made_of(value)}"
    return repr(value) if isinstance(value, (bool, int, float, str)) else ""
