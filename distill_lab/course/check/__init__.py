"""Exercises that answer back: `check.kd_loss(my_kd_loss)`, or `check("kd_loss", my_kd_loss)`.

A check tells, in this order: was it attempted, is the shape right, are the values right, which
invariance breaks, and which of the usual mistakes it looks like. It never raises because of what
the learner wrote, and nothing later in a lesson depends on the learner's function.

To add an exercise, write one `Exercise` (see `exercise.py`) in the module it belongs to, such as
`divergences.py`, and put it into that module's `EXERCISES`.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Any

__all__ = ["Check", "check"]


class Check:
    """All exercises, by name: call it with a name, or take the name as an attribute."""

    def __call__(self, name: str, fn: Any) -> None:
        """Check the learner's function `fn` against the exercise `name` and show what was found.

        Raises ValueError if there is no such exercise.
        """
        from distill_lab.course.check.display import show
        from distill_lab.course.check.examine import examine

        exercises = _exercises()
        if name not in exercises:
            raise ValueError(_no_such(name, list(exercises)))
        show(examine(exercises[name], fn))

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        if name.startswith("_"):  # what Python and IPython ask of any object
            raise AttributeError(name)
        exercises = _exercises()
        if name not in exercises:
            raise AttributeError(_no_such(name, list(exercises)))
        return partial(self, name)

    def __dir__(self) -> list[str]:
        return sorted(_exercises())

    def __repr__(self) -> str:
        return f"check: {', '.join(sorted(_exercises()))}"


def _exercises() -> dict[str, Any]:
    # Imported late: they pull torch in, and the command line should start without it.
    from distill_lab.course.check import (
        attention,
        distributions,
        divergences,
        features,
        hinton,
        scores,
        synthetic,
        tokens,
    )

    found: dict[str, Any] = {}
    modules = (attention, distributions, scores, divergences, hinton, features, tokens, synthetic)
    for module in modules:
        found |= module.EXERCISES
    return found


def _no_such(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no exercise {name!r}.{hint} There are: {', '.join(sorted(names))}."


check = Check()
