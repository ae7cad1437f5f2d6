"""Calling a function that somebody is still writing: any parameter names, any mistake, in words."""

from __future__ import annotations

import copy
import dis
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

from distill_lab.course.check.advice import stopped
from distill_lab.course.check.exercise import Exercise, headline
from distill_lab.course.check.values import FullPrecision

__all__ = ["Learner", "NotAttempted", "Refused"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
_EMPTY = inspect.Parameter.empty


class NotAttempted(Exception):
    """The function is still blank; the message says how we know."""


class Refused(Exception):
    """The function cannot be judged further; the message is the finding, with its arguments."""

    def __init__(self, finding: str, mistake: str = "", args: tuple[Any, ...] = ()) -> None:
        super().__init__(finding)
        self.mistake = mistake or headline(finding)
        self.arguments = args


class Learner:
    """The learner's function, called with the exercise's arguments in their order."""

    def __init__(self, exercise: Exercise, fn: Any, name: str = "") -> None:
        if fn is None or fn is ...:
            raise NotAttempted("there is no function yet")
        if not callable(fn):
            raise Refused(
                f"Expected a function, got {type(fn).__name__}. Give the function itself, "
                f"without calling it: check.{name or exercise.name}(my_function).",
                "The result was given, not the function",
            )
        self.exercise = exercise
        self.fn = fn
        self.names = tuple(exercise.cases[0])
        self.altered = False
        self.precision = FullPrecision()
        self.parameters = self._signature()
        self._by_name = self._keywords()

    def __call__(self, *args: Any) -> Any:
        """Call the function; put back what it changed in place, and remember that it did."""
        return self._call(args, by_name=self._by_name)

    def in_named_order(self, *args: Any) -> Any:
        """Call it with each argument at the parameter of the same name."""
        return self._call(args, by_name=self.names)

    @property
    def reordered(self) -> bool:
        """Whether its parameters have the exercise's names, in another order."""
        own = [p.name for p in self.parameters]
        return own != list(self.names) and sorted(own) == sorted(self.names)

    def uses(self, *names: str) -> bool:
        """Whether the function's code mentions one of these names."""
        code = getattr(self.fn, "__code__", None)
        return code is not None and any(name in code.co_names for name in names)

    def attempt(self, *args: Any) -> Any:
        """Call it, and turn a blank or an exception into NotAttempted or Refused."""
        try:
            result = self(*args)
        except NotImplementedError as error:
            raise NotAttempted("it raises NotImplementedError") from error
        except Exception as error:  # a learner may raise anything; all of it is shown
            if "ellipsis" in str(error).lower():
                raise NotAttempted("there is still a `...` in it") from error
            mistake, finding = stopped(error, self.fn)
            raise Refused(finding, mistake, args) from error
        if result is ... or (result is None and _blank(self.fn)):
            raise NotAttempted("its body is still blank")
        if result is None and self.uses("print"):
            raise Refused(
                "The result is printed, not returned. `print` shows a value and gives None back: "
                "end the function with `return`."
            )
        if result is None:
            raise Refused(
                "Nothing is returned. Your function gives back None. Is its last line missing a "
                "`return`?"
            )
        return result

    def _call(self, args: tuple[Any, ...], by_name: tuple[str, ...]) -> Any:
        before = [copy.deepcopy(a.detach() if isinstance(a, Tensor) else a) for a in args]
        position = {name: i for i, name in enumerate(self.names)}
        keywords = {name: args[position[name]] for name in by_name}
        rest = [a for name, a in zip(self.names, args, strict=True) if name not in keywords]
        with self.precision:
            result = self.fn(*rest, **keywords)
        for now, then in zip(args, before, strict=True):
            same = now.detach().equal(then) if isinstance(now, Tensor) else now == then
            if same:
                continue
            self.altered = True
            if isinstance(now, Tensor):
                if isinstance(result, Tensor):  # it may be the very tensor put back below
                    result = result.detach().clone()
                now.data.copy_(then)
            elif isinstance(now, list):
                now[:] = then
        return result

    def _signature(self) -> list[inspect.Parameter]:
        """The function's parameters; none where it takes whatever comes."""
        try:
            parameters = list(inspect.signature(self.fn).parameters.values())
        except (TypeError, ValueError):  # some built-ins do not say
            return []
        if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
            return []
        return [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]

    def _keywords(self) -> tuple[str, ...]:
        """The arguments that go by name; Refused if the parameters do not fit."""
        if not self.parameters:
            return ()
        keyword_only = {p.name for p in self.parameters if p.kind not in _POSITIONAL}
        positional = [p for p in self.parameters if p.kind in _POSITIONAL]
        by_name = tuple(name for name in self.names if name in keyword_only)
        n_due = len(self.names) - len(by_name)
        superfluous = [p for p in positional[n_due:] if p.default is _EMPTY] + [
            p
            for p in self.parameters
            if p.name in keyword_only - set(self.names) and p.default is _EMPTY
        ]
        if len(positional) < n_due or superfluous:
            absent = [n for n in self.names[len(positional) :] if n not in by_name]
            one = len(absent) == 1
            raise Refused(
                f"Expected a function of ({', '.join(self.names)}), in this order; "
                f"yours takes ({', '.join(p.name for p in self.parameters)})."
                + (f" Add `{absent[0]}`: the result depends on it." if one else ""),
                f"The parameter `{absent[0]}` is missing" if one else "Other parameters",
            )
        return by_name


def _blank(fn: Callable[..., Any]) -> bool:
    """Whether the body does nothing at all: `...`, `pass`, or a docstring."""
    code = getattr(fn, "__code__", None)
    return code is not None and all(i.opname in _NOTHING for i in dis.get_instructions(code))
