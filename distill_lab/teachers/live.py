"""A live model as teacher: frozen, in eval mode, asked without a graph."""

from inspect import getattr_static
from typing import Protocol

import torch
from torch import Tensor, nn

from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch
from distill_lab.models.networks import logits_of
from distill_lab.signals import Signal


class Teacher(Protocol):
    """Anything that says what it thinks of a batch: logits (B, ..., classes), or a signal.

    A teacher may have an `identity`, a short string that names what it would say: checkpoints
    and caches keep it, so that they know when another teacher stands in its place.
    """

    def __call__(self, batch: Batch) -> Tensor | Signal:
        """Answer a batch with logits, or with a signal."""


def identity_of(teacher: object) -> str:
    """A teacher's own `identity`; one without goes by its kind, as a bare function does.

    >>> identity_of(freeze(nn.Identity())).split("-")[0]
    'Identity'
    """
    return str(getattr(teacher, "identity", type(teacher).__name__))


def identity_to_keep(teacher: object, name: str | None) -> str:
    """What a cache knows a teacher by.

    Args:
        teacher: any teacher.
        name: what the caller calls it; a bare function needs that, since every function is a
            'function', and one would be served what another said.

    Returns:
        Its identity, and the name where there is one.

    Raises:
        ValueError: for a bare function, alone or within, without a name.
    """
    members = getattr(teacher, "members", [teacher])  # looked at without reading any weights
    bare = [part for part in members if getattr_static(part, "identity", None) is None]
    if not bare:
        return identity_of(teacher)
    if name is None:
        raise ValueError(
            f"a teacher that is a bare {type(bare[0]).__name__} has no identity, so its cache "
            "would be taken for that of any other: give it one, as teacher.identity = 'judge-1', a "
            "string that changes with what it would say; or pass teacher_name='judge-1'."
        )
    return f"{identity_of(teacher)} {name}"


class Live:
    """A frozen model asked on every batch; it sees exactly the tensor the student sees.

    Args:
        model: a network in eval mode whose parameters want no gradients, as `freeze` leaves it.

    Raises:
        ValueError: for another, naming what is amiss.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.check()

    def check(self) -> None:
        """Refuse a teacher that would learn, or that answers differently each time."""
        training = [
            name or "the model itself" for name, m in self.model.named_modules() if m.training
        ]
        if training:
            raise ValueError(
                f"the teacher is in training mode (first: {training[0]}): dropout and batch "
                "statistics would change its answers. Use freeze(model)."
            )
        learning = [name for name, p in self.model.named_parameters() if p.requires_grad]
        if learning:
            raise ValueError(
                f"the teacher has {len(learning)} parameters that require gradients (first: "
                f"{learning[0]}): it must be frozen. Use freeze(model)."
            )

    @property
    def identity(self) -> str:
        """The model's class and a fingerprint of its weights as they are now: it reads them all."""
        return fingerprints.of_model(self.model)

    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch with logits, or with a signal."""
        with torch.no_grad():
            return logits_of(self.model, batch.inputs)

    def __repr__(self) -> str:
        return f"Live({type(self.model).__name__})"


def freeze(model: nn.Module) -> Live:
    """Put a model into eval mode, stop its gradients, and return it as a live teacher.

    Raises TypeError for anything that is not a torch module.

    Args:
        model: the network, changed in place.

    Returns:
        A teacher that sees exactly the inputs the student sees.

    >>> teacher = freeze(nn.Linear(4, 2))
    >>> teacher.model.training, teacher.model.weight.requires_grad
    (False, False)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"freeze expects a torch module, got {type(model).__name__}.")
    return Live(model.eval().requires_grad_(False))


def as_teacher(teacher: nn.Module | Teacher, student: nn.Module) -> Teacher:
    """Check a teacher against the student it is to teach; a bare module counts as live.

    Args:
        teacher: a frozen network, or any function from a batch to logits or a signal.
        student: the network that will learn.

    Returns:
        The teacher as a function of a batch.

    Raises:
        TypeError: for what can be neither.
        ValueError: where the two are one model or share parameters, and as `Live`.

    >>> as_teacher(nn.Linear(4, 2).requires_grad_(False).eval(), nn.Linear(4, 2)).identity[:6]
    'Linear'
    """
    teacher = Live(teacher) if isinstance(teacher, nn.Module) else teacher
    if not callable(teacher):
        raise TypeError(
            "teacher must be a frozen model or a callable from a batch to logits, not "
            f"{type(teacher).__name__}. Use freeze(model) or record(...)."
        )
    for part in (teacher, *getattr(teacher, "members", ())):
        if isinstance(part, Live):
            part.check()
            _refuse_shared(part.model, student)
    return teacher


def _refuse_shared(teacher: nn.Module, student: nn.Module) -> None:
    shared = {id(p) for p in student.parameters()} & {id(p) for p in teacher.parameters()}
    if teacher is student or shared:
        raise ValueError(
            "the teacher and the student share parameters, so freezing one freezes the other: "
            "give the teacher a copy of its own (copy.deepcopy) before freeze()."
        )
