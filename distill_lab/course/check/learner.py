"""Calling a function that somebody is still writing: any parameter names, any mistake, in words."""

from __future__ import annotations

import dis
import inspect
import linecache
import traceback
from collections.abc import Callable
from typing import Any

from torch import Tensor

from distill_lab.course.check.exercise import Exercise

__all__ = ["Learner", "NotAsked", "NotAttempted", "Refused"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}


class NotAttempted(Exception):
    """The function is still blank; the message says how we know."""


class Refused(Exception):
    """The function cannot be judged further; the message is a finding."""


class NotAsked(Exception):
    """This call needs an argument that the learner's function does not take."""


class Learner:
    """The learner's function, called with the exercise's arguments in their order."""

    def __init__(self, exercise: Exercise, fn: Any) -> None:
        if fn is None or fn is ...:
            raise NotAttempted("there is no function yet")
        if not callable(fn):
            raise Refused(
                f"Expected a function, got {type(fn).__name__}. Hand over the function itself, "
                f"without calling it: check.{exercise.name}(my_function)."
            )
        self.exercise = exercise
        self.fn = fn
        self.names = tuple(exercise.cases[0])
        self.altered = False
        self._by_position, self._by_name = self._signature()

    def takes(self, args: tuple[Any, ...]) -> bool:
        """Whether the function can be tried on these arguments with what it takes."""
        taken = {*self.names[: self._by_position], *self._by_name}
        left_out = [(n, a) for n, a in zip(self.names, args, strict=True) if n not in taken]
        return all(self.exercise.defaults[name] == value for name, value in left_out)

    def __call__(self, *args: Any) -> Any:
        """Call the function; put back what it changed in place, and remember that it did."""
        if not self.takes(args):
            raise NotAsked
        before = [a.detach().clone() if isinstance(a, Tensor) else a for a in args]
        by_name = {name: args[self.names.index(name)] for name in self._by_name}
        result = self.fn(*args[: self._by_position], **by_name)
        for now, then in zip(args, before, strict=True):
            if isinstance(now, Tensor) and not now.detach().equal(then):
                self.altered = True
                if isinstance(result, Tensor):  # it may be the very tensor put back below
                    result = result.detach().clone()
                now.data.copy_(then)
        return result

    def attempt(self, *args: Any) -> Any:
        """Call it, and turn a blank or an exception into NotAttempted or Refused."""
        try:
            result = self(*args)
        except NotAsked:
            raise
        except NotImplementedError as error:
            raise NotAttempted("it raises NotImplementedError") from error
        except Exception as error:  # a learner may raise anything; all of it is shown
            if "ellipsis" in str(error).lower():
                raise NotAttempted("there is still a `...` in it") from error
            raise Refused(_stopped(error, self.fn)) from error
        if result is ... or (result is None and _blank(self.fn)):
            raise NotAttempted("its body is still blank")
        if result is None:
            raise Refused("Your function gives back None. Is its last line missing a `return`?")
        return result

    def _signature(self) -> tuple[int, tuple[str, ...]]:
        """How many arguments go by position, and which go by name."""
        try:
            parameters = list(inspect.signature(self.fn).parameters.values())
        except (TypeError, ValueError):  # some built-ins do not tell
            return len(self.names), ()
        if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
            return len(self.names), ()
        positional = [p for p in parameters if p.kind in _POSITIONAL]
        count = min(len(positional), len(self.names))
        keyword_only = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
        by_name = tuple(name for name in self.names[count:] if name in keyword_only)
        missing = [
            name
            for name in self.names[count:]
            if name not in by_name and name not in self.exercise.defaults
        ]
        unfilled = [
            p.name
            for p in parameters
            if p.default is inspect.Parameter.empty
            and (p in positional[count:] or (p.name in keyword_only and p.name not in by_name))
        ]
        if missing or unfilled:
            theirs = ", ".join(p.name for p in parameters)
            raise Refused(
                f"Expected a function of ({', '.join(self.names)}), in this order; "
                f"yours takes ({theirs})."
            )
        return count, by_name


def _blank(fn: Callable[..., Any]) -> bool:
    """Whether the body does nothing at all: `...`, `pass`, or a docstring."""
    code = getattr(fn, "__code__", None)
    return code is not None and all(i.opname in _NOTHING for i in dis.get_instructions(code))


def _stopped(error: Exception, fn: Callable[..., Any]) -> str:
    """The learner's own exception: its type, its message, and the line it came from."""
    message = f"Your function stopped with {type(error).__name__}: {error}"
    file = getattr(getattr(fn, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if not frames:
        return message
    line = frames[-1].lineno or 0
    source = (frames[-1].line or linecache.getline(file or "", line)).strip()
    return f"{message}  (line {line} of the cell" + (f": `{source}`)" if source else ")")
