"""What each seed's teacher says, asked once about every example and given again batch by batch."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.data.batches import Batch, as_data
from distill_lab.methods import Method
from distill_lab.seeds.runs import SeedRuns
from distill_lab.seeds.stacked import StackedRows, extract_features, is_shared
from distill_lab.teachers import Live, Teacher
from distill_lab.teachers.live import callable_teacher, check_data

_CHUNK = 512  # examples a teacher is asked about at once
_INSIDE = "inside "  # before a path: what a tapped module returned, among the fields of the answer


class CachedTargets:
    """A teacher's answers of one form, logits or a signal, and what its tapped modules returned.

    torch.vmap takes tensors: a batch of it is a dict of them, put together again inside.

    Args:
        form: an answer of the kind that is to be given.
        scored_at: the one temperature at which the answers hold; None where they do at all.
        fields: its tensors by name, each (S, N, ...), those of tapped modules among them.
    """

    def __init__(
        self, form: Any, fields: dict[str, Tensor], scored_at: float | None = None
    ) -> None:
        self.form, self.scored_at = form, scored_at
        self.rows = {name: StackedRows(tensor) for name, tensor in fields.items()}
        paths = [name.removeprefix(_INSIDE) for name in fields if name.startswith(_INSIDE)]
        self.stand_in = _StandIn(paths).eval()

    def at(self, index: Tensor) -> dict[str, Tensor]:
        """The fields for the examples numbered (S, B)."""
        return {name: rows.at(index) for name, rows in self.rows.items()}

    def teacher(self, fields: dict[str, Tensor]) -> "_CachedTeacher":
        """A teacher that gives one seed's fields, and can be tapped where the real one was."""
        self.stand_in.set(fields, _in_form(self.form, fields))
        return _CachedTeacher(self.stand_in, self.scored_at)


@dataclass(frozen=True)
class _CachedTeacher:
    """A teacher, as a method asks it."""

    model: "_StandIn"
    scored_at: float | None

    def __call__(self, batch: Batch) -> Any:
        return self.model(batch.inputs)


class _StandIn(nn.Module):
    """Has modules of the same paths as a teacher, and each returns what the teacher's returned."""

    _fields: dict[str, Tensor]  # underscored, because a teacher's module may have any other name
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
            self.get_submodule(path)(self._fields[_INSIDE + path])
        return self._answer

    def set(self, fields: dict[str, Tensor], answer: Any) -> None:
        """Give this from now on."""
        self._fields, self._answer = fields, answer


def precompute_targets(
    teacher: SeedRuns | nn.Module | Teacher | Tensor,
    inputs: Tensor,
    labels: Tensor | None,
    method: Method,
) -> CachedTargets:
    """Ask about each seed's examples, each once.

    Args:
        teacher: as in `distill_seeds`.
        inputs: (S, N, ...).
        labels: (S, N) or (S, N, L).
        method: its `taps` are the modules whose outputs are kept as well.

    Returns:
        Targets whose fields are (S, N, ...).

    Raises:
        ValueError: for a method that looks inside a teacher that is no network, for a teacher that
            follows its student, for one that goes by numbers where seeds have examples of their
            own, for one who spoke of other examples, and for another number of teachers than seeds.
    """
    if hasattr(teacher, "follow"):
        raise ValueError(
            f"{teacher!r} changes with its student, and many seeds at once ask a teacher once, "
            "before the first step: use distill, a seed at a time."
        )
    if not isinstance(teacher, Tensor | SeedRuns):
        teacher = callable_teacher(teacher)
    if method.taps and not isinstance(teacher, (SeedRuns, Live)):
        raise ValueError(
            f"{method.name} looks inside its teacher, and {type(teacher).__name__} only holds "
            "what one said: pass the network, or the result of distill_seeds."
        )
    if isinstance(teacher, Tensor):
        targets = CachedTargets(teacher, _tensors(teacher.detach()))
    elif isinstance(teacher, SeedRuns):
        targets = _of_each_seed(teacher, inputs, method.taps)
    else:
        targets = _of_one(teacher, inputs, labels, method.taps)
    shapes = {rows.shape for rows in targets.rows.values()}
    if shapes != {inputs.shape[:2]}:
        raise ValueError(
            f"the teacher spoke about {tuple(shapes.pop())} (seeds, examples), the data holds "
            f"{tuple(inputs.shape[:2])}: ask it about the same examples."
        )
    return targets


def _of_each_seed(teachers: SeedRuns, inputs: Tensor, paths: tuple[str, ...]) -> CachedTargets:
    if teachers.students.seeds != inputs.shape[0]:
        raise ValueError(
            f"there are {teachers.students.seeds} teachers for {inputs.shape[0]} seeds: give each "
            "its own, or one frozen network for all."
        )
    logits, features = teachers.tapped(inputs, paths)
    return CachedTargets(logits, _tensors(logits) | _inside(features))


def _of_one(
    teacher: Teacher, inputs: Tensor, labels: Tensor | None, paths: tuple[str, ...]
) -> CachedTargets:
    shared, (seeds, examples) = is_shared(inputs), inputs.shape[:2]
    if not shared and not isinstance(teacher, Live):
        raise ValueError(
            f"a {type(teacher).__name__} answers by an example's number, and here each seed has "
            "examples of its own: pass a network, or logits (seeds, examples, ...)."
        )
    x = inputs[0] if shared else inputs.flatten(0, 1)
    y = None if labels is None else labels[0] if shared else labels.flatten(0, 1)
    if shared:
        check_data(teacher, as_data((x, y)))
    model = teacher.model if isinstance(teacher, Live) else None
    parts = []
    for ids in torch.arange(len(x)).split(_CHUNK):
        batch = Batch(x[ids], None if y is None else y[ids], ids)
        with torch.no_grad():
            answer, features = extract_features(model, paths, partial(teacher, batch))
        parts.append(_tensors(answer) | _inside(features))
    fields = {}
    for name in parts[0]:
        rows = torch.cat([part[name] for part in parts])
        fields[name] = (
            rows.expand(seeds, *rows.shape) if shared else rows.unflatten(0, (seeds, examples))
        )
    return CachedTargets(answer, fields, getattr(teacher, "scored_at", None))


def _inside(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """What tapped modules returned, as fields beside those of the answer."""
    return {_INSIDE + path: tensor for path, tensor in features.items()}


def _tensors(answer: Any) -> dict[str, Tensor]:
    """The tensors of an answer by name: a signal's fields, or the logits."""
    if isinstance(answer, Tensor):
        return {"logits": answer}
    named = {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


def _in_form(form: Any, fields: dict[str, Tensor]) -> Any:
    """These tensors in the form of that answer."""
    if isinstance(form, Tensor):
        return fields["logits"]
    return dataclasses.replace(form, **{name: fields[name] for name in _tensors(form)})
