"""What each seed's teacher says, asked once about every example and told again, batch by batch."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.data.batches import Batch
from distill_lab.methods import Method
from distill_lab.seeds.data import Rows, is_shared
from distill_lab.seeds.runs import SeedRuns
from distill_lab.seeds.stacked import overheard
from distill_lab.teachers import Live, Teacher

_ASK = 512  # examples a teacher is asked about at once
_INSIDE = "inside "  # before a path: what a tapped module returned, among the fields of the answer


class Heard:
    """All that was said, in whatever form: logits or a signal, and what tapped modules returned.

    torch.vmap takes tensors: a batch of it is a dict of them, put together again inside.
    """

    def __init__(self, form: Any, fields: dict[str, Tensor]) -> None:
        self.form = form  # an answer of the kind that is to be given
        self.rows = {name: Rows(tensor) for name, tensor in fields.items()}
        paths = [name.removeprefix(_INSIDE) for name in fields if name.startswith(_INSIDE)]
        self.stand_in = _StandIn(paths).eval()

    def at(self, index: Tensor) -> dict[str, Tensor]:
        """What was said about the examples numbered (S, B)."""
        return {name: rows.at(index) for name, rows in self.rows.items()}

    def again(self, said: dict[str, Tensor]) -> "_Again":
        """A teacher that says this, one seed's, and can be tapped where the real one was."""
        self.stand_in.take(said, _as(self.form, said))
        return _Again(self.stand_in)


@dataclass(frozen=True)
class _Again:
    """A teacher, as a method asks it."""

    model: "_StandIn"

    def __call__(self, batch: Batch) -> Any:
        return self.model(batch.inputs)


class _StandIn(nn.Module):
    """Has modules of the same paths as a teacher, and each returns what the teacher's returned."""

    _said: dict[str, Tensor]  # underscored, because a teacher's module may have any other name
    _answer: Any

    def __init__(self, paths: list[str]) -> None:
        super().__init__()
        self._paths = paths
        for path in paths:
            node: nn.Module = self
            for name in path.split("."):
                if name not in node._modules:
                    node.add_module(name, nn.Identity())
                node = node._modules[name]  # type: ignore[assignment]

    def forward(self, _: Any) -> Any:
        for path in self._paths:
            self.get_submodule(path)(self._said[_INSIDE + path])
        return self._answer

    def take(self, said: dict[str, Tensor], answer: Any) -> None:
        """Have this to say from now on."""
        self._said, self._answer = said, answer


def hear(
    teacher: SeedRuns | nn.Module | Teacher | Tensor,
    inputs: Tensor,
    labels: Tensor | None,
    method: Method,
) -> Heard:
    """Ask about each seed's examples, inputs (S, N, ...), each once; what is kept is (S, N, ...).

    Raises ValueError for a method that looks inside a teacher that is no network, for a teacher
    that follows its student, for one that goes by numbers where seeds have examples of their own,
    for one who spoke of other examples, and for another number of teachers than seeds.
    """
    if hasattr(teacher, "follow"):
        raise ValueError(
            f"{teacher!r} changes with its student, and many seeds at once ask a teacher once, "
            "before the first step: use distill, a seed at a time."
        )
    if isinstance(teacher, nn.Module):
        teacher = Live(teacher)
    if method.taps and not isinstance(teacher, (SeedRuns, Live)):
        raise ValueError(
            f"{method.name} looks inside its teacher, and {type(teacher).__name__} only holds "
            "what one said: pass the network, or the result of distill_seeds."
        )
    if isinstance(teacher, Tensor):
        heard = Heard(teacher, _tensors(teacher.detach()))
    elif isinstance(teacher, SeedRuns):
        heard = _from_each_seeds_own(teacher, inputs, method.taps)
    else:
        heard = _from_one(teacher, inputs, labels, method.taps)
    spoken = {rows.of for rows in heard.rows.values()}
    if spoken != {inputs.shape[:2]}:
        raise ValueError(
            f"the teacher spoke about {tuple(spoken.pop())} (seeds, examples), the data holds "
            f"{tuple(inputs.shape[:2])}: ask it about the same examples."
        )
    return heard


def _from_each_seeds_own(teachers: SeedRuns, inputs: Tensor, paths: tuple[str, ...]) -> Heard:
    if teachers.students.seeds != inputs.shape[0]:
        raise ValueError(
            f"there are {teachers.students.seeds} teachers for {inputs.shape[0]} seeds: give each "
            "its own, or one frozen network for all."
        )
    said, features = teachers.tapped(inputs, paths)
    return Heard(said, _tensors(said) | _inside(features))


def _from_one(ask: Teacher, inputs: Tensor, labels: Tensor | None, paths: tuple[str, ...]) -> Heard:
    shared, (seeds, examples) = is_shared(inputs), inputs.shape[:2]
    if not shared and not isinstance(ask, Live):
        raise ValueError(
            f"a {type(ask).__name__} answers by an example's number, and here each seed has "
            "examples of its own: pass a network, or logits (seeds, examples, ...)."
        )
    x = inputs[0] if shared else inputs.flatten(0, 1)
    y = None if labels is None else labels[0] if shared else labels.flatten(0, 1)
    model = ask.model if isinstance(ask, Live) else None
    parts = []
    for ids in torch.arange(len(x)).split(_ASK):
        batch = Batch(x[ids], None if y is None else y[ids], ids)
        with torch.no_grad():
            answer, features = overheard(model, paths, partial(ask, batch))
        parts.append(_tensors(answer) | _inside(features))
    fields = {}
    for name in parts[0]:
        whole = torch.cat([part[name] for part in parts])
        fields[name] = (
            whole.expand(seeds, *whole.shape) if shared else whole.unflatten(0, (seeds, examples))
        )
    return Heard(answer, fields)


def _inside(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """What tapped modules returned, as fields beside those of the answer."""
    return {_INSIDE + path: tensor for path, tensor in features.items()}


def _tensors(said: Any) -> dict[str, Tensor]:
    """The tensors of an answer by name: a signal's fields, or the logits."""
    if isinstance(said, Tensor):
        return {"logits": said}
    named = {field.name: getattr(said, field.name) for field in dataclasses.fields(said)}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


def _as(form: Any, fields: dict[str, Tensor]) -> Any:
    """These tensors in the form of that answer."""
    if isinstance(form, Tensor):
        return fields["logits"]
    return dataclasses.replace(form, **{name: fields[name] for name in _tensors(form)})
