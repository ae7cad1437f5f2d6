"""What a teacher is made of beside its weights, which say other things in other layers."""

from collections.abc import Iterable
from inspect import getattr_static
from typing import Any

from torch import Tensor, nn

from distill_lab._util.describe import describe
from distill_lab._util.reached import held_by
from distill_lab.data import fingerprints
from distill_lab.teachers.estimators import content_of
from distill_lab.teachers.live import Live, identity_of


def made_of(
    teacher: object, *, functions: bool = True, student: nn.Module | None = None
) -> str | None:
    """A short name for a teacher's layers and settings, and for what a function of it holds.

    Args:
        teacher: any teacher.
        functions: whether bare functions are looked into; where somebody gave them a name, that
            tells them apart.
        student: who learns: its weights are no part of a teacher that asks it.

    Returns:
        The name; None where the teacher's identity says all.

    >>> made_of(Live(nn.ReLU().eval())) == made_of(Live(nn.Tanh().eval()))
    False
    """
    learns = set() if student is None else {id(parameter) for parameter in student.parameters()}
    facts = _Known(learns, functions).facts(teacher)
    return fingerprints.of_facts(facts) if facts else None


class _Known:
    """What is known of teachers, and of what their functions hold.

    Args:
        learns: the weights that move, by their `id`.
        functions: whether bare functions are looked into.
    """

    def __init__(self, learns: set[int], functions: bool) -> None:
        self.learns, self.functions = learns, functions

    def facts(self, teacher: Any) -> list[Any]:
        """Plain values for a teacher; none where its identity says all."""
        if isinstance(teacher, Live):
            read = () if teacher.read is None else held_by(teacher.read)
            return [fingerprints.of_structure(teacher.model), *self.held(read)]
        members = getattr(teacher, "members", ())
        if not members and hasattr(teacher, "teacher"):  # asked for something else
            members = (teacher.teacher,)
        if members:
            each = [self.facts(member) for member in members]
            return each if any(each) else []
        named = teacher is None or getattr_static(teacher, "identity", None) is not None
        if named or not self.functions:
            return []
        return [describe(teacher), *self.held(held_by(teacher))]

    def held(self, pairs: Iterable[tuple[str, Any]]) -> list[list[str]]:
        """Name and content of what functions hold, where it has content that can be told."""
        each = [(name, self.content(value)) for name, value in pairs]
        return sorted([name, content] for name, content in each if content)

    def content(self, value: Any) -> str:
        """What one value is, in a short word; nothing where that may change as it is used."""
        if isinstance(value, nn.Module):
            if self.learns & {id(parameter) for parameter in value.parameters()}:
                return "the student"
            return f"{fingerprints.of_model(value)} {fingerprints.of_structure(value)}"
        if isinstance(value, Tensor):
            return describe(value)
        if isinstance(value, (list, tuple)):  # of what is in a dict, some may be kept for later
            return " ".join(self.content(item) for item in value if isinstance(item, nn.Module))
        if isinstance(value, type):
            return ""
        if hasattr(value, "fit") and hasattr(value, "get_params"):
            return content_of(value)
        if hasattr(value, "identity"):
            return f"{identity_of(value)} {self.facts(value)}"
        return repr(value) if isinstance(value, (bool, int, float, str)) else ""
