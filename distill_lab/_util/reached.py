"""What functions reach beside their arguments, and what they write by being called."""

import dis
from collections import deque
from collections.abc import Collection, Iterable
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import nn

CONTAINERS = (list, dict, set, deque)
FILLS = {
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem"),
    *("popleft", "remove", "setdefault", "update"),
}


def held_by(function: Any) -> list[tuple[str, Any]]:
    """What a function reaches beside its arguments: closure, defaults, globals that it reads.

    A function of the same module that it calls is looked into as well, and so is an object that
    is called. What one of them writes is left out, as a count of calls: it is no setting.

    Args:
        function: a function, a method, a `partial`, or an object with `__call__`.

    Returns:
        Names and values, no functions.

    >>> class Scaled:
    ...     def __init__(self, factor):
    ...         self.factor = factor
    ...     def __call__(self, a):
    ...         return self.factor * a
    >>> held_by(Scaled(2.0))
    [('factor', 2.0)]
    """
    waiting, seen = [("", function)], set[int]()
    held, codes = list[tuple[str, Any]](), set[CodeType]()
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
            codes |= codes_of(type(owner), part.__name__)
        elif isinstance(part, FunctionType):
            seen.add(id(part))
            waiting += _reached(part)
            codes.add(part.__code__)
        elif (
            part is owner and hasattr(part, "__dict__") and not isinstance(part, (nn.Module, type))
        ):
            seen.add(id(part))
            waiting += sorted(vars(part).items())
            if part is function:
                waiting.append(("", type(part).__call__))
                codes |= codes_of(type(part), "__call__")
        else:
            held.append((name, part))
    return unchanged(held, codes)


def unchanged(
    held: Iterable[tuple[str, Any]], codes: Collection[CodeType]
) -> list[tuple[str, Any]]:
    """What stays as it is while code runs: no count of calls, and nothing that is kept from one.

    Args:
        held: names and values that the code may reach.
        codes: the code.

    Returns:
        The pairs whose name no code writes, without containers that it may fill.

    >>> def called(seen, factor):
    ...     seen.append(factor)
    >>> unchanged([("seen", []), ("factor", 2.0)], {called.__code__})
    [('factor', 2.0)]
    """
    written, filled = set[str](), set[str]()
    for code in codes:
        written |= names_in(code, "STORE_GLOBAL", "STORE_ATTR", "DELETE_ATTR")
        written |= names_in(code, "STORE_DEREF") & set(code.co_freevars)
        filled |= _filled_in(code)
    return [
        (name, value)
        for name, value in held
        if name not in written and not (name in filled and isinstance(value, CONTAINERS))
    ]


def codes_of(kind: type, method: str) -> set[CodeType]:
    """The code of a method, and that of the methods of its class that it calls.

    Args:
        kind: the class.
        method: a name; one without code in Python has none.

    Returns:
        The code.
    """
    waiting, codes = [method], set[CodeType]()
    while waiting:
        code = getattr(getattr(kind, waiting.pop(), None), "__code__", None)
        if code is not None and code not in codes:
            codes.add(code)
            waiting += code.co_names
    return codes


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
    for name in sorted(names_in(function.__code__, "LOAD_GLOBAL")):
        value = function.__globals__.get(name)
        elsewhere = isinstance(value, FunctionType) and value.__module__ != function.__module__
        if name in function.__globals__ and not elsewhere:
            reached.append((name, value))
    return reached


def _filled_in(code: CodeType) -> set[str]:
    """The names of containers that some code fills, as `x.append(...)` and `x[key] = ...`."""
    steps, names = list(dis.get_instructions(code)), set[str]()
    for place, step in enumerate(steps):
        at = None
        if step.opname in ("LOAD_METHOD", "LOAD_ATTR") and step.argval in FILLS:
            at = place - 1
        elif step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            at, lacking = place - 1, 1  # back to where the key begins, behind the container
            while at >= 0 and lacking > 0:
                effect = dis.stack_effect(steps[at].opcode, steps[at].arg, jump=False)
                at, lacking = at - 1, lacking - effect
        if at is not None and at >= 0 and isinstance(steps[at].argval, str):
            names.add(steps[at].argval)
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return names.union(*map(_filled_in, inner))


def names_in(code: CodeType, *operations: str) -> set[str]:
    """The names to which some instructions apply, in a piece of code and those inside of it.

    Args:
        code: the code.
        *operations: as the interpreter names them.

    Returns:
        The names.
    """
    here = {step.argval for step in dis.get_instructions(code) if step.opname in operations}
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return here.union(*(names_in(part, *operations) for part in inner))
