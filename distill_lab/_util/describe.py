"""Names for modules, functions and objects: the same in every process where they do the same."""

import json
import math
import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Set
from copyreg import dispatch_table
from enum import Enum
from functools import cached_property, partial
from inspect import getattr_static
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill_lab._util.io import short_hash
from distill_lab._util.reached import codes_of, held_by, names_in, unchanged

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # another in every process
_HOLDS = re.compile(r" holds [0-9a-f]{8}")
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_SAY_ALL = (Enum, np.generic, np.dtype, torch.dtype, torch.device)  # in their repr, as those of:
_PLAIN_ROOTS = {"builtins", "datetime", "decimal", "fractions", "pathlib", "uuid", "zoneinfo"}
_NAMED = (FunctionType, BuiltinFunctionType, ModuleType, type)
_PARTS = 200_000  # of one thing, at most, that are looked at: about two seconds
_LONG = 100_000  # letters: what is longer goes by a fingerprint
_MANY = 1000  # items, from which on plain ones are written in one go
_WHOLE = 2**30  # bytes of an array that are read
_DEEP = 60  # levels; what lies deeper goes by its class
_OF_MODULES = {*vars(nn.Module())}
_OF_TOKENIZERS = ("padding_side", "truncation_side", "model_max_length", "chat_template")


def describe(part: Any, *, weights: bool = False, without: nn.Module | None = None) -> str:
    """A name that two parts of a recipe share only where they do the same, in any process.

    A module says its layers and their sizes, not its weights: those are in the checkpoint. A
    function of a module goes by its name; one made on the spot, a lambda or an inner function,
    also by what it does, holds and reads, since its name is no one's own. Any other object goes by
    its class and by what a copy of it would hold: behind the name stands " holds " and a
    fingerprint. A random generator is known by its seed, a lock or an open file by its class.

    Of more than 200,000 parts, or of an array of more than a gigabyte, evenly spaced ones count.

    Args:
        part: a module, a function, an object, or plain values.
        weights: whether values count as well: those of modules, and those that a function finds
            in the module where it stands.
        without: a module whose values do not count, nor those of one with the same parameters.

    Returns:
        The name.

    >>> describe(nn.Linear(2, 3)), describe(len)
    ('Linear(in_features=2, out_features=3, bias=True)', 'len')
    >>> describe(lambda a: a + 1) == describe(lambda a: a + 1)
    True
    >>> describe(lambda a: a + 1) == describe(lambda a: a + 2)
    False
    """
    moving = set() if without is None else {id(p) for p in without.parameters()}
    return _Walk(weights, moving).name(part)


def in_short(name: str) -> str:
    """A name without what objects hold, as it was before they were known by that.

    >>> in_short("Crop() holds 0123abcd")
    'Crop()'
    """
    return _HOLDS.sub("", name)


def as_it_was(before: Any, now: Any) -> bool:
    """Whether a written setting is what it was; files of before knew objects by their class alone.

    Args:
        before: as it stands in a file.
        now: the same in plain values.

    Returns:
        Whether both are equal, but for what the objects in it hold where the file does not say it.

    >>> as_it_was("Crop()", "Crop() holds 0123abcd"), as_it_was("Crop() holds 0123abcd", "Crop()")
    (True, False)
    """
    return bool(before == now or before == json.loads(in_short(json.dumps(now))))


def code_of(function: Any) -> str:
    """A short name for what a function does, where it stands in Python: its code alone.

    Args:
        function: any; what it holds and where its lines stand does not count.

    Returns:
        The name; that of `describe` for what has no code of its own.

    >>> code_of(lambda a: a + 1) == code_of(lambda b: b + 2)
    False
    """
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None:
        return describe(function)
    return _hash(_Walk(False, set()).instructions(code))


class _Walk:
    """One way through a part and all that it holds."""

    def __init__(self, weights: bool, moving: set[int]) -> None:
        self.weights, self.moving = weights, moving
        self.left = _PARTS
        self.sets: list[tuple[str, str]] = []  # how they are written, and in an order
        self.codes: dict[int, set[CodeType]] = {}  # that runs when an object is called
        self.within: list[int] = []  # what is being named, so that circles come to an end
        self.names: dict[int, tuple[Any, str]] = {}  # held with the part, whose number stays its

    def name(self, part: Any) -> str:
        self.left -= 1
        if type(part) in _PLAIN:
            return _plainly(part)
        if id(part) in self.names:
            return self.names[id(part)][1]
        if id(part) in self.within:  # counted from here: the same in every copy
            above = len(self.within) - self.within.index(id(part))
            return _called(part) + ("" if isinstance(part, _NAMED) else f" {above} above")
        if len(self.within) > _DEEP or self.left < 0:
            return _called(part)
        self.within.append(id(part))
        name = self._name(part)
        self.within.pop()
        if len(name) > _LONG:
            name = f"{_called(part)} of {len(name)} {short_hash(name.encode())}"
        self.names[id(part)] = (part, name)
        return name

    def _name(self, part: Any) -> str:
        if isinstance(part, nn.Module):
            return self._of_module(part)
        if isinstance(part, partial):
            given = [self.name(value) for value in part.args]
            given += [f"{name}={self.name(value)}" for name, value in part.keywords.items()]
            return f"{self.name(part.func)}({', '.join(given)})"
        if isinstance(part, list | tuple | deque):
            return f"[{', '.join(self._items(part))}]"
        if isinstance(part, Mapping):
            return self._of_mapping(part)
        if isinstance(part, Set):  # another order in every process
            text = f"{{{', '.join(sorted(self.name(item) for item in part))}}}"
            self.sets += [(repr(part), text)] if len(part) > 1 else []
            return text
        if _is_numbers(part):  # their repr leaves digits and entries out
            return f"{type(part).__name__}({part.dtype}, {tuple(part.shape)}, {_of_numbers(part)})"
        if isinstance(part, FunctionType):
            part = vars(part).get("_torchdynamo_orig_callable", part)  # compiled
        name = getattr(part, "__qualname__", None)
        return self._of_named(part, name) if isinstance(name, str) else self._of_object(part)

    def _of_named(self, part: Any, name: str) -> str:
        """The name of a function, a method or a class."""
        owner = getattr(part, "__self__", None)
        if hasattr(part, "__func__") and owner is not None and not isinstance(owner, type):
            self.codes[id(owner)] = codes_of(type(owner), part.__name__)
            return f"{self.name(owner)}.{part.__name__}{self._reached(part.__func__)}"
        if isinstance(part, type):
            return name + (_holds(self._of_class(part)) if "<" in name else "")
        if "<" in name and hasattr(part, "__code__"):
            own, read = self._of_function(part), self._read(part)
            before = [in_short(each) for each in own]
            short = f"{name.split('.')[-1]}-{_hash(before)}"
            return short + (_holds(own + read) if read or own != before else "")
        wrapped = getattr(part, "__wrapped__", None)
        if wrapped is not None and getattr(part, "__closure__", None):
            return name + _holds(self._of_function(part))  # it bears the name of what it wraps
        if wrapped is not None and "<" in name:
            return name + _holds([self.name(wrapped)])
        if owner is not None and not isinstance(owner, type | ModuleType):
            return name + _holds([self.name(owner)])  # a pattern's, a text's, a table's
        return name + self._reached(part)

    def _reached(self, function: Any) -> str:
        """Where values count, those that a function finds in its module, and its helpers there."""
        if not self.weights or not isinstance(function, FunctionType):
            return ""
        held = [f"{name}={self.name(value)}" for name, value in held_by(function)]
        return _holds(held) if held else ""

    def _items(self, items: Any) -> Iterator[str]:
        if len(items) > _MANY and (text := _written(items)) is not None:
            return iter([f"{len(items)} {text}"])
        every = max(1, math.ceil(len(items) / max(self.left, 16)))
        names = [self.name(item) for item in list(items)[::every]]
        return iter(names if len(items) <= _MANY else [f"{len(items)} {_hash(names)}"])

    def _of_mapping(self, part: Mapping[Any, Any]) -> str:
        if len(part) > _MANY and (text := _written(part)) is not None:
            return f"{{{len(part)} {text}}}"
        items = [f"{self.name(key)}: {self.name(part[key])}" for key in part if self.left >= 0]
        other = getattr(part, "default_factory", None)
        items = items if isinstance(part, OrderedDict) else sorted(items)  # as == takes them
        return f"{{{', '.join(items)}}}" + ("" if other is None else _holds([self.name(other)]))

    def _of_module(self, module: nn.Module) -> str:
        """Its layers as they say themselves, and the settings of those that are not torch's."""
        parts = [
            f"{place}.{name}={self.name(value)}"
            for place, layer in module.named_modules()
            if _root(layer) != "torch"
            for name, value in unchanged(
                sorted(vars(layer).items()), codes_of(type(layer), "forward")
            )
            if _is_setting(layer, name, value)
        ]
        if self.weights and self.moving.isdisjoint(map(id, module.parameters())):
            values = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            parts += [f"{place}: {self.name(values[place])}" for place in sorted(values)]
        return " ".join(repr(module).split()) + (_holds(parts) if parts else "")

    def _of_class(self, kind: type) -> list[str]:
        """What a class holds that a function makes, perhaps otherwise at each call."""
        own = vars(kind)
        return [
            f"{name}={self.name(own[name])}"
            for name in sorted(own)
            if isinstance(own[name], FunctionType) or not name.startswith("__")
        ]

    def _of_function(self, function: Any) -> list[str]:
        """What a function made on the spot does: its code, closure and defaults."""
        code, cells = function.__code__, map(_in_cell, function.__closure__ or ())
        held = unchanged(zip(code.co_freevars, cells, strict=False), {code})
        values = [value for _, value in held]
        values += [function.__defaults__ or (), *sorted((function.__kwdefaults__ or {}).items())]
        return [*self.instructions(function.__code__), *(self.name(value) for value in values)]

    def _read(self, function: Any) -> list[str]:
        """The values around a function that it reads by name, but for what goes by that name."""
        around, code = function.__globals__, function.__code__
        names = sorted(names_in(code, "LOAD_GLOBAL") & around.keys())
        read = dict(unchanged([(name, around[name]) for name in names], {code}))
        named = {name: (value, self.name(value)) for name, value in sorted(read.items())}
        return [
            f"{name}={text}"
            for name, (value, text) in named.items()
            if not isinstance(value, _NAMED) or text != getattr(value, "__qualname__", text)
        ]

    def instructions(self, code: CodeType) -> list[str]:
        """The instructions and their constants, without the lines on which they stand."""
        parts = [code.co_code.hex(), *code.co_names]
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                parts += self.instructions(constant)
            else:
                parts.append(self.name(constant) if isinstance(constant, Set) else repr(constant))
        return parts

    def _of_object(self, part: Any) -> str:
        """What an object says of itself, and a fingerprint of what it is made of."""
        sets = len(self.sets)
        try:
            shown = repr(part)
        except Exception:  # of any kind: of somebody else's code
            shown = f"<{_called(part)} object>"
        silent = " at 0x" in shown
        if isinstance(part, _SAY_ALL) or (_root(part) in _PLAIN_ROOTS and not silent):
            return shown
        parts = self._parts(part)
        if "<" in type(part).__qualname__:
            parts.append(self.name(type(part)))
        for written, name in self.sets[sets:]:  # in another order in every process
            shown = shown.replace(written, name)
        text = _ADDRESS.sub("", shown)
        return text + (_holds(parts) if parts else "")

    def _parts(self, part: Any) -> list[str]:
        """What a copy of an object would be made of; nothing of one that cannot be copied."""
        if (own := _own_word(part)) is not None:
            return [own]
        reduce = dispatch_table.get(type(part))
        try:
            made = part.__reduce_ex__(4) if reduce is None else reduce(part)
        except Exception:  # of any kind, as of locks and files
            made = (object.__new__, (object,), getattr(part, "__dict__", None))
        if isinstance(made, str):
            return [made]
        function, given, state, *more = (*made, None, None, None)[:5]
        new = getattr(function, "__name__", "") in ("__newobj__", "__newobj_ex__")
        parts = [
            self.name(each) for each in (given[1:] if new or not function else (function, *given))
        ]
        codes = self.codes.get(id(part)) or codes_of(type(part), "__call__")
        for held in state if isinstance(state, tuple) else (state,):
            if isinstance(held, dict):
                kept = {
                    name: value
                    for name, value in unchanged(sorted(held.items(), key=_first), codes)
                    if not isinstance(getattr_static(type(part), str(name), 0), cached_property)
                }
                parts += [self.name(kept)] if kept else []
            elif held is not None:
                parts.append(self.name(held))
        parts += [self.name(list(items)) for items in more if items is not None]
        if reached := self._reached(getattr_static(type(part), "__call__", None)):
            parts.append(reached)
        return parts


def _own_word(part: Any) -> str | None:
    """What some objects are known by, rather than by a copy."""
    if isinstance(part, torch.Generator):
        return f"{part.device} {part.initial_seed()}"
    if isinstance(part, np.random.Generator | np.random.RandomState):
        entropy = getattr(getattr(part, "bit_generator", None), "seed_seq", None)
        seed = getattr(entropy, "entropy", None)
        # without a seed of the caller's it is another in every process
        return f"{seed}" if seed is not None and np.max(seed) < 2**64 else ""
    if type(part).__module__ == "random":
        return ""
    for name in ("fingerprint", "_fingerprint"):
        own = getattr(part, name, None)
        if isinstance(own, str):
            return own
    fast = getattr(part, "backend_tokenizer", None)
    if fast is not None and hasattr(fast, "to_str"):
        settings = {name: getattr(part, name, None) for name in _OF_TOKENIZERS}
        return f"{words_of(fast)} {settings}"
    return None


def words_of(fast: Any) -> str:
    """All that a tokenizer of `tokenizers` is, but for how it was last told to cut and to pad."""
    if any(getattr(fast, way, None) is not None for way in ("truncation", "padding")):
        fast = type(fast).from_str(fast.to_str())  # a call with padding=True leaves that behind
        fast.no_truncation()
        fast.no_padding()
    text: str = fast.to_str()
    return text


def _plainly(part: Any) -> str:
    if not isinstance(part, str | bytes) or len(part) <= _LONG:
        return repr(part)
    raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
    return f"{len(part)} {type(part).__name__} {short_hash(raw)}"


def _called(part: Any) -> str:
    name = getattr(part, "__qualname__", None)
    return name if isinstance(name, str) else type(part).__qualname__


def _root(part: Any) -> str:
    return str(type(part).__module__).split(".")[0]


def _is_setting(layer: nn.Module, name: str, value: Any) -> bool:
    """Whether an attribute of a module says what it does: no layer, no values, no place."""
    if name in _OF_MODULES or "name_or_path" in name or isinstance(value, nn.Module):
        return False
    if name.startswith("_") and _root(layer) == "transformers":
        return False
    kinds = (*_PLAIN, list, tuple, Enum, torch.dtype, np.ndarray, np.generic, Tensor)
    return isinstance(value, kinds) or callable(value)


def _settled(part: Any, method: str) -> list[tuple[str, Any]]:
    """The attributes of an object that do not change as a method is called."""
    return unchanged(sorted(vars(part).items()), codes_of(type(part), method))


def _first(pair: tuple[Any, Any]) -> str:
    return str(pair[0])


def _in_cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # of a name that is not given yet
        return None


def _written(items: Any) -> str | None:
    """A short name for many plain values; None where they are none."""
    plain = items if isinstance(items, Mapping) else list(items)
    try:
        text = json.dumps(plain, sort_keys=not isinstance(items, OrderedDict))
    except (TypeError, ValueError, RecursionError):
        return None
    return short_hash(text.encode())


def _is_numbers(part: Any) -> bool:
    if isinstance(part, Tensor):
        return part.layout == torch.strided and not (
            part.is_quantized or part.is_meta or part.is_nested
        )
    return isinstance(part, np.ndarray) and not part.dtype.hasobject


def _of_numbers(numbers: Tensor | np.ndarray[Any, Any]) -> str:
    if isinstance(numbers, Tensor):
        flat = numbers.detach().resolve_conj().resolve_neg().cpu().reshape(-1)
        numbers = flat.view(torch.uint8).numpy()
    while numbers.nbytes > _WHOLE:  # every second one of the longest axis, from the last one on
        axis = int(np.argmax(numbers.shape))
        numbers = numbers[(slice(None),) * axis + (slice(None, None, -2),)]
    if not numbers.nbytes:
        return short_hash(b"", size=4)
    raw: Any = np.ascontiguousarray(numbers).reshape(-1).view(np.uint8).data
    return short_hash(raw, size=4)


def _hash(parts: Iterable[str]) -> str:
    return short_hash("\n".join(parts).encode(), size=4)


def _holds(parts: Iterable[str]) -> str:
    return f" holds {_hash(parts)}"
