"""What each seed reads and hears: examples, and a teacher's answers, with a leading seed axis S."""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.batches import Batch, Data
from distill_lab.signals import Signal
from distill_lab.teachers import Live, Teacher

_ASK = 512  # examples a teacher is asked about at once


class Rows:
    """Batches out of a stacked tensor (S, N, ...), whole rows at a time; shared rows stay one."""

    def __init__(self, tensor: Tensor) -> None:
        seeds, examples = tensor.shape[:2]
        shared = seeds > 1 and is_shared(tensor)
        self.rows = tensor[0] if shared else tensor.contiguous().flatten(0, 1)
        self.first = torch.arange(seeds).unsqueeze(1) * (0 if shared else examples)

    def at(self, index: Tensor) -> Tensor:
        """The examples numbered (S, B), each seed's own: (S, B, ...)."""
        return self.rows.index_select(0, (index + self.first).flatten()).unflatten(0, index.shape)


class Heard:
    """What the teachers said about all examples, in whatever form: logits, or a signal.

    torch.vmap takes tensors: a batch is handed over as the signal's fields, and put together
    inside.
    """

    def __init__(self, said: Tensor | Signal) -> None:
        self.form = said
        self.fields = {name: Rows(tensor) for name, tensor in _tensors(said).items()}

    def at(self, index: Tensor) -> dict[str, Tensor]:
        """The fields for the examples numbered (S, B)."""
        return {name: rows.at(index) for name, rows in self.fields.items()}

    def whole(self, fields: dict[str, Tensor]) -> Any:
        """One seed's fields as the logits or the signal they are."""
        return _as(self.form, fields)


def stacked_data(data: Data, seeds: int) -> tuple[Tensor, Tensor | None, int]:
    """Inputs and labels with a seed axis, and the number of axes one example has.

    Labels are one an example, (N,) or (S, N), or one a token, of the shape of the inputs. Raises
    ValueError for labels of another shape, or data of another number of seeds.
    """
    inputs, labels = data
    if labels is not None and labels.shape != inputs.shape[: labels.dim()]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and inputs {tuple(inputs.shape)}: expected "
            "one label an input, (N,) shared by all seeds or (seeds, N); or one a token."
        )
    a_token = labels is not None and labels.shape == inputs.shape
    own = labels is None or labels.dim() == (3 if a_token else 2)
    if own and inputs.shape[0] != seeds:
        raise ValueError(
            f"data holds {inputs.shape[0]} seeds but {seeds} were asked for: split it with the "
            "same seeds, or pass one labelled set (N, ...) for all."
        )
    if not own:
        inputs = inputs.expand(seeds, *inputs.shape)
        labels = labels.expand(seeds, *labels.shape)
    return inputs, labels, inputs.dim() - 2


def is_shared(tensor: Tensor) -> bool:
    """Whether a stacked tensor holds the same for all seeds, as `stacked_data` expands it."""
    return tensor.stride(0) == 0


def asked(teacher: nn.Module | Teacher, inputs: Tensor, labels: Tensor | None) -> Any:
    """What one teacher says about each seed's examples, each asked about once: (S, N, ...).

    A tensor of logits, or a signal.

    Raises ValueError for a teacher that is no network where seeds have examples of their own.
    """
    ask: Teacher = Live(teacher) if isinstance(teacher, nn.Module) else teacher
    shared, (seeds, examples) = is_shared(inputs), inputs.shape[:2]
    if not shared and not isinstance(ask, Live):
        raise ValueError(
            f"a {type(teacher).__name__} answers by an example's number, and here each seed has "
            "examples of its own: pass a network, or logits (seeds, examples, ...)."
        )
    x = inputs[0] if shared else inputs.flatten(0, 1)
    y = None if labels is None else labels[0] if shared else labels.flatten(0, 1)
    parts = []
    with torch.no_grad():
        for ids in torch.arange(len(x)).split(_ASK):
            parts.append(ask(Batch(x[ids], None if y is None else y[ids], ids)))
    fields = {}
    for name in _tensors(parts[0]):
        whole = torch.cat([_tensors(part)[name] for part in parts])
        fields[name] = (
            whole.expand(seeds, *whole.shape) if shared else whole.unflatten(0, (seeds, examples))
        )
    return _as(parts[0], fields)


def _as(form: Any, fields: dict[str, Tensor]) -> Any:
    """These tensors in the form of that answer."""
    return fields["logits"] if isinstance(form, Tensor) else dataclasses.replace(form, **fields)


def _tensors(said: Any) -> dict[str, Tensor]:
    """The tensors of an answer by name: a signal's fields, or the logits."""
    if isinstance(said, Tensor):
        return {"logits": said}
    named = {field.name: getattr(said, field.name) for field in dataclasses.fields(said)}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}
