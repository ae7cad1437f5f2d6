"""Texts that are padded on the left: their tokens have the places that they have without padding.

Some models count places from the first token of the text, some from the first of the padding, and
some cannot be told. One text is asked about to see which it is, and no list is kept.
"""

from collections.abc import Mapping
from contextlib import suppress
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from distill_lab._util.tensors import map_tensors, values_at_hand
from distill_lab._util.wrappers import unwrapped
from distill_lab.models.hooks import undisturbed

BY_ITSELF, BY_MASK, NEITHER = "by itself", "by mask", "neither"
OTHER = {torch.float32: 0.01}  # a difference that rounding does not make, as a share of the answers
OTHER_IN_HALF = 0.1

_ways: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()


def places_of(mask: Tensor) -> Tensor:
    """The places of tokens in their text, from 0; padding in front of it has 0 as well.

    >>> places_of(torch.tensor([[0, 1, 1], [1, 1, 0]]))
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return (mask.long().cumsum(-1) - 1).clamp_min(0)


def in_place(model: object, inputs: Any) -> Any:
    """Inputs with the places of their tokens, where texts are padded on the left and it is needed.

    Args:
        model: a network; only those of Hugging Face are looked at.
        inputs: what it is asked.

    Returns:
        The inputs, with `position_ids` where the model counts places and does not see padding.

    Raises:
        ValueError: for a model that reads such texts otherwise than without their padding.
    """
    mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
    if not isinstance(model, nn.Module) or not _to_count(inputs, mask):
        return inputs
    network = unwrapped(model)
    if not hasattr(network, "config"):
        return inputs
    assert isinstance(mask, Tensor)
    if network not in _ways:
        way = None
        with suppress(Exception):  # of any kind, which the asking itself will raise
            way = _way(network, inputs, mask)
        if way is not None:
            _ways[network] = way
    way = _ways.get(network, BY_ITSELF)
    if way == NEITHER:
        raise ValueError(
            f"the texts are padded on the left, and a {type(network).__name__} reads them so "
            "otherwise than without padding: pad them on the right, as tokenizer.padding_side = "
            "'right'."
        )
    return {**inputs, "position_ids": places_of(mask)} if way == BY_MASK else inputs


def _to_count(inputs: Mapping[str, Any], mask: Any) -> bool:
    """Whether some texts begin with padding, and nobody has counted their places."""
    ids = inputs.get("input_ids") if isinstance(inputs, Mapping) else None
    if not isinstance(ids, Tensor) or not isinstance(mask, Tensor) or mask.shape != ids.shape:
        return False
    if ids.dim() != 2 or "position_ids" in inputs or any("decoder_" in name for name in inputs):
        return False
    return values_at_hand(mask) and not mask.is_meta and bool((mask[:, :1] == 0).any())


def _way(network: nn.Module, inputs: Mapping[str, Any], mask: Tensor) -> str | None:
    """Find out on one text how a model counts; None where none has both padding and tokens."""
    lengths = mask.bool().sum(1)
    rows = ((mask[:, 0] == 0) & (lengths > 0)).nonzero()[:, 0].tolist()
    if not rows:
        return None
    row, kept = rows[0], mask[rows[0]].bool()
    one, alone = _apart(inputs, mask, row)
    places = {**one, "position_ids": places_of(mask[row : row + 1])}
    with undisturbed(network, mask.device):
        expected = _answer(network, alone)
        limit = OTHER.get(expected.dtype, OTHER_IN_HALF)
        as_it_is = counted = _off(_answer(network, one), expected, kept)
        if as_it_is > limit / 10 and "position_ids" in _reads(network):
            with suppress(IndexError, RuntimeError):  # a table that has no such place
                counted = _off(_answer(network, places), expected, kept)
    if counted <= limit and counted < as_it_is / 2:
        return BY_MASK
    return BY_ITSELF if as_it_is <= limit else NEITHER


def reads_padding(network: nn.Module, inputs: Any) -> bool:
    """Whether padding reaches what a model says of a text, as ConvBERT's convolutions let it.

    Args:
        network: one of Hugging Face.
        inputs: of some texts, by name, one of them padded.

    Returns:
        Whether a text alone is answered otherwise than beside a longer one.
    """
    mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
    if not isinstance(mask, Tensor) or mask.dim() != 2 or mask.bool().all():
        return False
    row = int(mask.sum(1).argmin())
    one, alone = _apart(inputs, mask, row)
    with undisturbed(network, mask.device):
        expected = _answer(network, alone)
        limit = OTHER.get(expected.dtype, OTHER_IN_HALF)
        return _off(_answer(network, one), expected, mask[row].bool()) > limit


def _apart(inputs: Mapping[str, Any], mask: Tensor, row: int) -> tuple[dict[str, Any], ...]:
    """One text as it is among others, and without its padding."""
    size, kept = len(mask), mask[row].bool()
    one = map_tensors(lambda x: x[row : row + 1] if len(x) == size else x, dict(inputs))
    cut = {name: x[:, kept] if x.shape[:2] == (1, len(kept)) else x for name, x in one.items()}
    return one, cut


def _reads(network: Any) -> Mapping[str, Any]:
    """The arguments of a network; with adapters around it those of what is inside."""
    inner = network.get_base_model() if hasattr(network, "get_base_model") else network
    return signature(inner.forward).parameters


def _answer(network: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    output = network(**inputs)
    answer: Tensor = output if isinstance(output, Tensor) else output[0]
    return answer


def _off(answer: Tensor, expected: Tensor, kept: Tensor) -> float:
    """How far an answer is from that without padding, as a share of its size."""
    if answer.shape != expected.shape:  # of each token one
        answer = answer[:, kept]
    answer, expected = answer.double(), expected.double()
    size = expected.square().mean().sqrt().clamp_min(1e-12)
    return float((answer - expected).square().mean().sqrt() / size)
