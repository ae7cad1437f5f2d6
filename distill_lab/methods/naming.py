"""What a function or a module is called in the name of a recipe, so that two are told apart."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from types import CodeType
from typing import Any

from torch import nn

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # another in every process


def called(part: Any, within: tuple[int, ...] = ()) -> str:
    """A name that two parts share only where they do the same, in this process or another.

    A module says its layers and their sizes, not its weights: those are in the checkpoint. A
    function of a module goes by its name; one made on the spot, a lambda or an inner function,
    also by what it does and holds, since its name is no one's own. ``within`` are the functions
    that are being named, so that those which hold each other come to an end.

    >>> called(nn.Linear(2, 3)), called(len)
    ('Linear(in_features=2, out_features=3, bias=True)', 'len')
    >>> called(lambda a: a + 1) == called(lambda a: a + 1)
    True
    >>> called(lambda a: a + 1) == called(lambda a: a + 2)
    False
    """
    if isinstance(part, nn.Module):
        return " ".join(repr(part).split())
    if isinstance(part, partial):
        given = [called(value, within) for value in part.args]
        given += [f"{name}={called(value, within)}" for name, value in part.keywords.items()]
        return f"{called(part.func, within)}({', '.join(given)})"
    if isinstance(part, (list, tuple)):
        return f"[{', '.join(called(item, within) for item in part)}]"
    name = getattr(part, "__qualname__", None)
    if name is None:
        return _ADDRESS.sub("", repr(part))
    if hasattr(part, "__func__") and not isinstance(part.__self__, type):
        return f"{called(part.__self__, within)}.{part.__name__}"
    if "<" in name and hasattr(part, "__code__") and id(part) not in within:
        return f"{name.split('.')[-1]}-{_doing(part, (*within, id(part)))}"
    return name


def _doing(function: Callable[..., Any], within: tuple[int, ...]) -> str:
    """A short name for what a function made on the spot does: its code, closure and defaults."""
    held = [cell.cell_contents for cell in function.__closure__ or ()]
    held += [function.__defaults__ or (), *sorted((function.__kwdefaults__ or {}).items())]
    words = [*_code(function.__code__), *(called(value, within) for value in held)]
    return hashlib.blake2b("\n".join(words).encode(), digest_size=4).hexdigest()


def _code(code: CodeType) -> list[str]:
    """The instructions and their constants, without the lines on which they stand."""
    found = [code.co_code.hex(), *code.co_names]
    for constant in code.co_consts:
        found += _code(constant) if isinstance(constant, CodeType) else [repr(constant)]
    return found
