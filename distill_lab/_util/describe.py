"""Names for modules and functions: the same in every process where they do the same."""

import dis
import re
from collections.abc import Mapping, Set
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill_lab._util.io import short_hash

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # another in every process


def describe(part: Any, within: tuple[int, ...] = ()) -> str:
    """A name that two parts of a recipe share only where they do the same, in any process.

    A module says its layers and their sizes, not its weights: those are in the checkpoint. A
    function of a module goes by its name; one made on the spot, a lambda or an inner function,
    also by what it does and holds, since its name is no one's own.

    Args:
        part: a module, a function, or anything that has a repr.
        within: the functions that are being named, so that those which hold each other come to an
            end.

    Returns:
        The name.

    >>> describe(nn.Linear(2, 3)), describe(len)
    ('Linear(in_features=2, out_features=3, bias=True)', 'len')
    >>> describe(lambda a: a + 1) == describe(lambda a: a + 1)
    True
    >>> describe(lambda a: a + 1) == describe(lambda a: a + 2)
    False
    """
    if isinstance(part, nn.Module):
        return " ".join(repr(part).split())
    if isinstance(part, partial):
        given = [describe(value, within) for value in part.args]
        given += [f"{name}={describe(value, within)}" for name, value in part.keywords.items()]
        return f"{describe(part.func, within)}({', '.join(given)})"
    if isinstance(part, (list, tuple)):
        return f"[{', '.join(describe(item, within) for item in part)}]"
    if isinstance(part, Mapping):
        items = [f"{describe(key, within)}: {describe(part[key], within)}" for key in part]
        return f"{{{', '.join(items)}}}"
    if isinstance(part, Set):  # another order in every process
        return f"{{{', '.join(sorted(describe(item, within) for item in part))}}}"
    if _is_numbers(part):  # their repr leaves digits and entries out
        return f"{type(part).__name__}({part.dtype}, {tuple(part.shape)}, {_hash_numbers(part)})"
    name: str | None = getattr(part, "__qualname__", None)
    if name is None:
        return _ADDRESS.sub("", repr(part))
    if hasattr(part, "__func__") and not isinstance(part.__self__, type):
        return f"{describe(part.__self__, within)}.{part.__name__}"
    if "<" in name and hasattr(part, "__code__") and id(part) not in within:
        return f"{name.split('.')[-1]}-{_hash_function(part, (*within, id(part)))}"
    return name


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
    return short_hash("\n".join(_instructions(code)).encode(), size=4)


def held_by(function: Any) -> list[tuple[str, Any]]:
    """What a function reaches beside its arguments: closure, defaults, globals that it reads.

    A function of the same module that it calls is looked into as well, and so is an object that
    is called. What one of them writes is left out, as a count of calls: it is no setting.

    Args:
        function: a function, a method, a `partial`, or an object with `__call__`.

    Returns:
        Names and values, no functions.

    >>> factor = 2.0
    >>> dict(held_by(lambda a: a * factor))
    {'factor': 2.0}
    """
    waiting, seen = [("", function)], set[int]()
    held, written = list[tuple[str, Any]](), set[str]()
    owner = function if callable(function) else None  # the object whose attributes are looked at
    while waiting:
        name, part = waiting.pop()
        if id(part) in seen:
            continue
        if isinstance(part, partial):
            waiting += [("", part.func), *_numbered(part.args), *part.keywords.items()]
        elif isinstance(part, MethodType):
            owner = part.__self__
            waiting += [("self", owner), ("", part.__func__)]
            written |= written_by(type(owner), part.__func__)
        elif isinstance(part, FunctionType):
            seen.add(id(part))
            waiting += _reached(part)
            written |= _written(part.__code__)
        elif (
            part is owner and hasattr(part, "__dict__") and not isinstance(part, (nn.Module, type))
        ):
            seen.add(id(part))
            waiting += sorted(vars(part).items())
            if part is function:
                waiting.append(("", type(part).__call__))
                written |= written_by(type(part), type(part).__call__)
        else:
            held.append((name, part))
    return [(name, part) for name, part in held if name not in written]


def written_by(kind: type, method: Any) -> set[str]:
    """What a method writes: globals and attributes, by itself or by its class's methods.

    Args:
        kind: the class.
        method: one of its functions; another, without code in Python, writes nothing.

    Returns:
        Their names.
    """
    waiting, seen, written = [method], set[CodeType](), set[str]()
    while waiting:
        code = getattr(waiting.pop(), "__code__", None)
        if code is not None and code not in seen:
            seen.add(code)
            written |= _written(code)
            waiting += [getattr(kind, name, None) for name in code.co_names]
    return written


def _numbered(values: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """Values with their places as names."""
    return [(str(place), value) for place, value in enumerate(values)]


def _reached(function: FunctionType) -> list[tuple[str, Any]]:
    """The values by name that one function reads from outside."""
    if function.__module__.partition(".")[0] in ("distill_lab", "torch"):
        return []  # which goes by its version
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    reached = [(name, cell.cell_contents) for name, cell in cells]
    reached += _numbered(function.__defaults__ or ())
    reached += sorted((function.__kwdefaults__ or {}).items())
    for name in sorted(_names(function.__code__, "LOAD_GLOBAL")):
        value = function.__globals__.get(name)
        elsewhere = isinstance(value, FunctionType) and value.__module__ != function.__module__
        if name in function.__globals__ and not elsewhere:
            reached.append((name, value))
    return reached


def _written(code: CodeType) -> set[str]:
    """The names outside of it that a piece of code writes: globals, closure and attributes."""
    return _names(code, "STORE_GLOBAL", "STORE_ATTR") | (
        _names(code, "STORE_DEREF") & set(code.co_freevars)
    )


def _names(code: CodeType, *operations: str) -> set[str]:
    """The names to which some instructions apply, in a piece of code and those inside of it."""
    here = {step.argval for step in dis.get_instructions(code) if step.opname in operations}
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return here.union(*(_names(part, *operations) for part in inner))


def _is_numbers(part: Any) -> bool:
    if isinstance(part, Tensor):
        return part.layout == torch.strided and not (part.is_quantized or part.is_meta)
    return isinstance(part, np.ndarray) and part.dtype.kind != "O"


def _hash_numbers(numbers: Tensor | np.ndarray[Any, Any]) -> str:
    if isinstance(numbers, Tensor):
        numbers = numbers.detach().cpu().reshape(-1).view(torch.uint8).numpy()
    return short_hash(numbers.tobytes(), size=4)


def _hash_function(function: Any, within: tuple[int, ...]) -> str:
    """A short name for what a function made on the spot does: its code, closure and defaults."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    counted = _written(function.__code__)  # by itself, so another after each call
    values = [cell.cell_contents for name, cell in cells if name not in counted]
    values += [function.__defaults__ or (), *sorted((function.__kwdefaults__ or {}).items())]
    parts = [*_instructions(function.__code__), *(describe(value, within) for value in values)]
    return short_hash("\n".join(parts).encode(), size=4)


def _instructions(code: CodeType) -> list[str]:
    """The instructions and their constants, without the lines on which they stand."""
    parts = [code.co_code.hex(), *code.co_names]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            parts += _instructions(constant)
        else:
            parts.append(describe(constant) if isinstance(constant, Set) else repr(constant))
    return parts
