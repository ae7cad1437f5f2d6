"""What others import is documented in one form: its arguments, what comes back, an example.

Ruff's D417 holds each `Args:` section against the signature; that there is one is held here.
"""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

ROOMS = (
    *("_util", "data", "evaluation", "jobs", "losses", "methods", "models", "seeds", "signals"),
    *("synthesis", "teachers", "training"),
)
# Of these the modules themselves are imported, beside what their package lists in `__all__`.
WHOLE = ("_util", "data", "jobs", "models", "signals", "evaluation.statistics")
# The interpreter calls it, with arguments of its own choice.
NOT_CALLED = {"distill_lab._util.interrupts.Stop.interrupt"}


def modules() -> Iterator[ModuleType]:
    for room in ROOMS:
        module = importlib.import_module(f"distill_lab.{room}")
        yield module
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{module.__name__}."):
            yield importlib.import_module(found.name)


def names_of(module: ModuleType) -> list[str]:
    """What a package lists in `__all__`; of some modules all that is public and made in them."""
    listed = list(getattr(module, "__all__", ())) if hasattr(module, "__path__") else []
    if not module.__name__.startswith(tuple(f"distill_lab.{name}" for name in WHOLE)):
        return listed
    made_here = [
        n for n, o in vars(module).items() if getattr(o, "__module__", "") == module.__name__
    ]
    return [*listed, *(name for name in made_here if not name.startswith("_"))]


def functions_of(thing: Any, full_name: str) -> dict[str, Any]:
    """A function itself; a class with its public methods, but those that a base class documents."""
    if not inspect.isclass(thing):
        return {full_name: thing} if inspect.isfunction(thing) else {}
    own = {
        n: f
        for n, f in vars(thing).items()
        if inspect.isfunction(f) and n == f.__name__ and n[0] != "_"
    }
    bases = thing.__mro__[1:]
    own = {name: f for name, f in own.items() if not any(hasattr(b, name) for b in bases)}
    return {full_name: thing} | {f"{full_name}.{name}": f for name, f in own.items()}


def offered() -> dict[str, Any]:
    everything: dict[str, Any] = {}
    for module in modules():
        for name in names_of(module):
            thing = getattr(module, name)
            made = inspect.isclass(thing) or inspect.isfunction(thing)
            if made and thing.__module__.startswith("distill_lab"):
                everything |= functions_of(thing, f"{thing.__module__}.{thing.__qualname__}")
    return {name: thing for name, thing in everything.items() if name not in NOT_CALLED}


def arguments(thing: Any) -> list[str]:
    made = getattr(getattr(thing, "__init__", None), "__module__", "")
    generated = dataclasses.is_dataclass(thing) or (
        inspect.isclass(thing) and issubclass(thing, tuple)
    )
    if inspect.isclass(thing) and not generated and not made.startswith("distill_lab"):
        return []  # a base class's own arguments, such as torch's
    names = inspect.signature(thing).parameters
    return [name for name in names if name not in ("self", "cls", "args", "kwargs")]


OFFERED = offered()


def test_everything_is_looked_at() -> None:
    assert len(OFFERED) > 250
    assert "distill_lab.training.loop.distill" in OFFERED
    assert "distill_lab.evaluation.comparison.compare" in OFFERED
    assert "distill_lab.data.datasets.examples.Examples.split" in OFFERED


@pytest.mark.parametrize("name", OFFERED)
def test_arguments_and_results_are_documented(name: str) -> None:
    thing = OFFERED[name]
    text = inspect.getdoc(thing) or ""
    assert text, f"{name} has no docstring"
    if len(arguments(thing)) < 2:
        return
    assert "\nArgs:\n" in text, f"{name} takes {arguments(thing)}: each needs a line in `Args:`"
    hint = "None" if inspect.isclass(thing) else str(thing.__annotations__.get("return", "None"))
    if hint not in ("None", "NoReturn"):
        sections = ("\nReturns:\n", "\nYields:\n")
        assert any(part in text for part in sections), f"{name} returns {hint}: say what it is"
