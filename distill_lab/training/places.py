"""Networks whose answers go by the places of the examples, as a graph's do, met before a step."""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept, own_randomness
from distill_lab._util.tensors import Batch, device_of, leaves, rows_of
from distill_lab._util.wrappers import eager, unwrapped
from distill_lab.data.batches import Source, batch_of
from distill_lab.models.networks import logits_of
from distill_lab.teachers.live import Live

BY_PLACE = (
    "the {} answers an example otherwise at another place of the batch, as a graph network does, "
    "whose edges go by the numbers of its nodes, and a run shuffles its examples: keep their "
    "order, as batch_size=len(data), sampler=InOrder(), from distill_lab.data."
)


def check_places(source: Source, student: nn.Module, teacher: Any) -> None:
    """Refuse to shuffle the examples of a network that knows them by their places.

    For runs whose batch is all of the data: in smaller ones edges do not fit, which torch says.
    Only a network that holds, beside its weights, a tensor of as many rows or of pairs is asked.

    Args:
        source: the examples.
        student: who learns.
        teacher: who is asked, or None.

    Raises:
        ValueError: where answers do not move along with the examples.
    """
    live = teacher if isinstance(teacher, Live) else None
    for who, network in (("student", student), ("teacher", live.model if live else None)):
        ask, by_place = (live if who == "teacher" else None), False
        # what fails here fails in the run, which says so better
        with suppress(Exception), own_randomness(0):
            if network is not None and any(
                _by_example(value, len(source)) for value in _held(network)
            ):
                by_place = _by_place(batch_of(source, torch.arange(len(source))), network, ask)
        if by_place:
            raise ValueError(BY_PLACE.format(who))


def _held(network: nn.Module) -> Iterator[Any]:
    """What a network holds, and what its own forward passes refer to around them."""
    parts = list(unwrapped(network).modules())
    values: list[Any] = [vars(part) for part in parts]
    for kind in {type(part) for part in parts}:
        if kind.__module__.partition(".")[0] != "torch":
            around = inspect.getclosurevars(kind.forward)
            values += [around.nonlocals, around.globals]
    return (leaf for each in values for _, leaf in leaves("", each))


def _by_example(value: Any, examples: int) -> bool:
    """Whether something may hold a row for each example, or pairs of them."""
    if not isinstance(value, Tensor) or isinstance(value, nn.Parameter):
        return False  # weights are often as many by chance
    pairs = value.dim() == 2 and 2 in value.shape and not value.is_floating_point()
    return pairs or examples in value.shape


def _by_place(batch: Batch, network: nn.Module, teacher: Live | None) -> bool:
    """Whether the examples turned round are not answered by the answers turned round."""
    one = deepcopy(network) if teacher is None else network  # a call may change what it holds
    device = device_of(list(one.parameters()) or batch.inputs)

    def answer(some: Batch, seed: int) -> Any:
        with own_randomness(seed, device):
            return teacher(some) if teacher is not None else logits_of(one, some.inputs)

    batch = batch.to(device)
    turned = rows_of(batch, torch.arange(len(batch.ids) - 1, -1, -1))
    with torch.no_grad(), modes_kept(one), eager(one):
        one.eval()
        answers = [answer(batch, 0), answer(batch, 1), answer(turned, 0).flip(0)]
    first, again, other = (part.float() for part in answers)
    near = 1e-3 * float(first.abs().max())
    return torch.allclose(first, again, 0, near) and not torch.allclose(first, other, 0, near)
