"""Short names for content: of plain facts, of a model's weights, of what is in each example.

Two things with one fingerprint are the same thing. They guard against mix-ups, not against somebody
who wants to cheat.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill_lab._util.describe import describe, words_of
from distill_lab._util.io import short_hash
from distill_lab._util.reached import codes_of, unchanged
from distill_lab._util.tensors import dense_parts, mix
from distill_lab._util.wrappers import modules_of, plain_state, unwrapped

_FEW = 16
_ADAPTERS = ("_active_adapter", "_disable_adapters", "scaling")  # of PEFT's layers
_SMALL = 64  # numbers in a buffer that is no cache: those grow as they are used
_PLACE = re.compile("path|file|_class$|version")  # where a tokenizer lies, and what wrote it


def of_facts(facts: Any) -> str:
    """A short name for plain values: the same for equal values, whatever the order of the keys.

    >>> of_facts({"T": 2.0, "k": 8}) == of_facts({"k": 8, "T": 2.0})
    True
    """
    return short_hash(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())


def of_tensors(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """A short name for named tensors: every bit, shape, type and name counts.

    >>> of_tensors([("a", torch.zeros(2))]) == of_tensors([("a", torch.zeros(1, 2))])
    False
    """
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in (part for pair in tensors for part in dense_parts(*pair).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(_bytes(tensor.detach().cpu().reshape(1, -1)).numpy().data)
    return digest.hexdigest()


def of_model(model: nn.Module) -> str:
    """A short name for a model: its class, and every parameter and buffer as they are now.

    It reads all the weights, about a second for each gigabyte on one core, so ask once and keep the
    answer. Nothing is remembered here: weights can be written past every counter there is.
    """
    state = plain_state(model)
    tensors = [(name, value) for name, value in state.items() if isinstance(value, Tensor)]
    return f"{type(unwrapped(model)).__name__}-{of_tensors(tensors)}"


def of_structure(model: nn.Module, *, learns: bool = False) -> str:
    """A short name for what a model does with its weights: its layers, each with its settings.

    `of_model` knows weights alone, and the same weights say something else behind another
    activation, with another epsilon, or under another adapter.

    Args:
        model: the network, wrapped or not.
        learns: whether it is a student. Else what is not in its weights' name counts as well:
            settings that its own modules keep, small buffers that are not saved, quantised
            weights, and which adapters it wears.

    Returns:
        The name.

    >>> relu, tanh = (nn.Sequential(nn.Linear(2, 2), act) for act in (nn.ReLU(), nn.Tanh()))
    >>> of_structure(relu) == of_structure(tanh)
    False
    """
    parts: list[Any] = []
    for path, module in modules_of(model).items():
        kind = type(module)
        torchs = kind.__module__.startswith("torch.") and ".ao." not in kind.__module__
        part = [path, kind.__name__]
        if torchs or not learns:  # others may show what they have learned
            part.append(" ".join(module.extra_repr().split()))
        if torchs or not (learns or hasattr(module, "config")):
            held = sorted(vars(module).items())
            held = held if torchs else unchanged(held, codes_of(kind, "forward"))
            settings = [(k, _setting(v, torchs)) for k, v in held]
            part += [f"{k}={v}" for k, v in settings if v and k[0] != "_" and k != "training"]
        if not learns:
            part += [f"{k}={vars(module)[k]}" for k in _ADAPTERS if k in vars(module)]
            unsaved = {k: module._buffers[k] for k in sorted(module._non_persistent_buffers_set)}
            small = [(k, v) for k, v in unsaved.items() if v is not None and v.numel() <= _SMALL]
            part.append(of_tensors(small))
        parts.append(part)
    if not learns:
        parts += [[k, _packed(v)] for k, v in plain_state(model).items() if not _is_plain(v)]
    return of_facts(parts)


def _setting(value: Any, numbered: bool) -> str:
    """How a module's attribute stands in its name: nothing where it may change as it is used."""
    if isinstance(value, (bool, float)) or (numbered and isinstance(value, int)):
        return repr(value)
    if isinstance(value, str):
        return "" if {"/", "\\"} & set(value) else value  # a place on a disk is no setting
    return describe(value) if isinstance(value, (FunctionType, BuiltinFunctionType)) else ""


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and not value.is_quantized


def _packed(value: Any) -> Any:
    """What a quantised layer keeps in place of weights, as plain values."""
    if isinstance(value, Tensor):
        held = value.dequantize() if value.is_quantized else value
        return [str(value.dtype), of_tensors([("", held)])]
    if isinstance(value, (tuple, list)):
        return [_packed(part) for part in value]
    return describe(value)


def of_tokenizer(tokenizer: object) -> str | None:
    """A short name for a tokenizer: a string names itself, a Hugging Face one goes by its content.

    Raises TypeError for anything that has neither a name nor a vocabulary.

    Args:
        tokenizer: a name, an object with a vocabulary, or None for none.

    Returns:
        The name; None for None.
    """
    if tokenizer is None or isinstance(tokenizer, str):
        return tokenizer
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is not None:
        return f"{type(tokenizer).__name__}-{short_hash(words_of(fast).encode())}"
    if hasattr(tokenizer, "get_vocab"):
        name = f"{type(tokenizer).__name__}-{of_facts(tokenizer.get_vocab())}"
        given = getattr(tokenizer, "init_kwargs", None)
        held = given if isinstance(given, Mapping) else getattr(tokenizer, "__dict__", {})
        plain = {
            each: value
            for each, value in held.items()
            if isinstance(value, bool | int | float | str) and not _PLACE.search(each)
        }  # whether letters are made small, say: the words alone do not tell
        return f"{name}-{of_facts(plain)}" if plain else name
    raise TypeError(
        "tokenizer must be a string that names it or an object with get_vocab(), not "
        f"{type(tokenizer).__name__}."
    )


def few_of(examples: int) -> Tensor:
    """The few examples by which data are known again where reading them all would take long.

    Args:
        examples: how many there are.

    Returns:
        Numbers (at most 16) from the first to the last, evenly apart.

    >>> few_of(31).tolist()
    [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30]
    """
    few: Tensor = torch.linspace(0, examples - 1, min(examples, _FEW)).round().long().unique()
    return few


def of_examples(inputs: Any) -> Tensor:
    """A key of 128 bits for the content of each example.

    Where a dict has an `attention_mask` (B, L), entries it leaves out do not count, nor how many
    they are or on which side: the key is that of the text and not of its padding. One of (B, n, L)
    is that of n texts an example. A dict inside has its own, and of "candidates" (B, n, L) the
    "mask" (B, n) beside them leaves out those that fill the list up.

    Formula: two lanes of h = m_0 + sum_i m_i s_i mod 2^64 over the 32-bit words s_i of the example,
    m_i fixed and as good as random, m_0 from the names, types and shapes. Two examples that differ
    share a key with a chance of about 2^-64.

    Args:
        inputs: a tensor (B, ...), or a mapping or tuple of them, at any depth.

    Returns:
        Keys (B, 2) int64.

    Raises:
        TypeError: where there is no tensor.

    Source: Lemire & Kaser 2014, arXiv:1202.4961 (multilinear hashing).

    >>> a, b, c = of_examples(torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])).tolist()
    >>> a == c, a == b
    (True, False)
    """
    named = _parts("", (inputs,) if isinstance(inputs, Tensor) else inputs)
    if not named or not all(isinstance(part, Tensor) for _, part, _ in named):
        raise TypeError(
            "inputs must be a tensor, or a dict or tuple of tensors, to be known again; got "
            f"{type(inputs).__name__}."
        )
    return torch.stack([_key(*each) for each in named]).sum(0)


def _parts(name: str, inputs: Any, there: Tensor | None = None) -> list[tuple[str, Any, Any]]:
    """Everything that inputs are made of: its place in them, what is there, and what counts of it.

    Args:
        name: of all of them.
        inputs: as in `of_examples`; a dict in it may have a mask of its own.
        there: which texts of an example there are (B, n), of a list that is filled up; None: all.
    """
    if isinstance(inputs, tuple | list):
        inputs = {str(i): item for i, item in enumerate(inputs)}
    if not isinstance(inputs, Mapping):
        return [(name, inputs, None)]
    mask, places = inputs.get("attention_mask"), None
    if mask is not None and there is not None and mask.shape[:2] == there.shape:
        mask = mask.bool() & there[..., None]
    if "candidates" in inputs and isinstance(inputs.get("mask"), Tensor):
        places = inputs["mask"].bool()
    left_out = ["attention_mask"] * (mask is not None) + ["mask"] * (places is not None)
    return [
        (*part[:2], mask if part[2] is None else part[2])
        for key, item in sorted(inputs.items(), key=lambda pair: str(pair[0]))
        if key not in left_out
        for part in _parts(
            f"{name}.{key}" if name else str(key), item, places if key == "candidates" else None
        )
    ]


def _key(name: str, part: Tensor, mask: Tensor | None) -> Tensor:
    """The two lanes of one tensor: (B, ...) -> (B, 2)."""
    part = part if part.layout == torch.strided else part.to_dense()
    axes = 1
    if mask is not None and part.dim() > 1 and part.shape[: mask.dim()] == mask.shape:
        axes = mask.dim()
    padded = axes > 1
    places, shape = math.prod(part.shape[1:axes]), part.shape[axes:]
    words = _words(part.detach().reshape(len(part), places, math.prod(shape)))
    number, device = math.prod(words.shape[1:]), str(part.device)
    start = _start(f"{name} {part.dtype} {tuple(shape)}", device)
    if padded:
        assert mask is not None
        kept, counts = mask.bool().flatten(1), mask.bool().sum(-1).view(len(part), -1)
        rank = (kept.cumsum(1) - 1).clamp_min(0)  # the n-th token is the n-th, wherever it stands
        words = words.long() * kept[..., None]
        for count in counts.unbind(1):  # of each text: where one ends and the next begins
            start = torch.where(count[:, None] > 0, mix(start + count[:, None]), start)
        lanes = [
            (words * _factors(number, i, device).view(places, -1)[rank]).sum((1, 2)) for i in (0, 1)
        ]
    elif words.is_cpu:  # einsum widens the words on the way, with no copy of them all
        flat = words.flatten(1).numpy()
        factors = [_factors(number, i, device).numpy() for i in (0, 1)]
        lanes = [torch.from_numpy(np.einsum("ij,j->i", flat, f)) for f in factors]
    else:
        lanes = [(words.flatten(1).long() * _factors(number, i, device)).sum(1) for i in (0, 1)]
    return mix(torch.stack(lanes, -1) + start)  # mixed, or two tensors could trade contents


def _words(rows: Tensor) -> Tensor:
    """The bytes of (B, P, n) as 32-bit words (B, P, w), each place filled up to whole words."""
    raw = _bytes(rows)
    short = -raw.shape[-1] % 4
    return (torch.nn.functional.pad(raw, (0, short)) if short else raw).view(torch.int32)


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.uint8)


@lru_cache(maxsize=64)
def _start(about: str, device: str) -> Tensor:
    """m_0 of both lanes: (2,)."""
    number = int(short_hash(about.encode())[:15], 16)
    return mix(number + torch.arange(2, device=device))


@lru_cache(maxsize=16)
def _factors(number: int, lane: int, device: str) -> Tensor:
    """Multipliers m_1 .. m_number of a lane."""
    counters = torch.arange(1, number + 1, device=device)
    return mix(counters + mix(torch.tensor(1 + lane, device=device)))
