"""Exercises that answer back: `check.kd_loss(my_kd_loss)`, or `check("kd_loss", my_kd_loss)`.

A check names the likely mistake first, with the smallest case that fails; then how many cases are
right, and which promises break. It never raises because of what the learner wrote, and nothing
later in a lesson depends on the learner's function.

An exercise is one `Exercise` (see `exercise.py`) in the dict `EXERCISES` of its lesson's own
`lesson_NN/exercises.py`. `Lesson(...)` opens that folder; what several lessons ask is in `shared`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable
from difflib import get_close_matches
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from distill_lab.course.journal import note

__all__ = ["Check", "check", "lesson_exercises"]


class Check:
    """The exercises of the open lesson, by name: call it with a name, or take it as an attribute.

    `folder` is the open lesson's folder; `Lesson(...)` sets it.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._tries: Counter[tuple[Path | None, str]] = Counter()

    def __call__(self, name: str, fn: Any) -> None:
        """Check the learner's function against an exercise, and show the report.

        Args:
            name: The exercise's name.
            fn: The learner's function; blank, wrong or right.

        Raises:
            ValueError: If there is no such exercise in the open lesson.
        """
        from distill_lab.course.check.display import show
        from distill_lab.course.check.examine import examine

        exercises = self._exercises()
        if name not in exercises:
            raise ValueError(self._no_such(name, list(exercises)))
        report = examine(exercises[name], fn, name)
        if report.state != "not attempted":
            self._tries[self.folder, name] += 1
            if self.folder:
                note(
                    "attempt",
                    self.folder.name[-2:],
                    exercise=name,
                    state=report.state,
                    mistake=report.mistake,
                )
        show(report, self._tries[self.folder, name])

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        if name.startswith("_"):  # what Python and IPython ask of any object
            raise AttributeError(name)
        exercises = self._exercises()
        if name not in exercises:
            raise AttributeError(self._no_such(name, list(exercises)))
        return partial(self, name)

    def __dir__(self) -> list[str]:
        return sorted(self._exercises())

    def __repr__(self) -> str:
        return f"check: {', '.join(sorted(self._exercises()))}"

    def _exercises(self) -> dict[str, Any]:
        # Imported late: it pulls torch in, and the command line should start without it.
        from distill_lab.course.check import shared

        return {**shared.EXERCISES, **lesson_exercises(self.folder)}

    def _no_such(self, name: str, names: list[str]) -> str:
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        where = f" in {self.folder.name}" if self.folder else ""
        opened = "" if self.folder else " No lesson is open yet: run the cell with Lesson(...)."
        return (
            f"There is no exercise {name!r}{where}.{hint} There are: {', '.join(sorted(names))}."
            f"{opened}"
        )


def lesson_exercises(folder: Path | None) -> dict[str, Any]:
    """Load the exercises of one lesson, by name; empty where the folder has none."""
    path = None if folder is None else folder / "exercises.py"
    if path is None or not path.is_file():
        return {}
    path = path.resolve()
    return dict(_load(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=64)
def _load(path: Path, changed: int) -> dict[str, Any]:
    """Run an `exercises.py` from its file, wherever it lies; `changed` makes an edit count."""
    name = f"{path.parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    beside = str(path.parent.parent)
    sys.path.insert(0, beside)  # for the lesson's other modules
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(beside)
    exercises: dict[str, Any] = module.EXERCISES
    return exercises


check = Check()
