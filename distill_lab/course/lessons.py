"""Which lessons there are, and which of them were asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_lab.course.registered import read_claims

PACKAGE = Path(__file__).resolve().parents[1]
DEFAULT_OUT = "build/course"


class RunnerError(ValueError):
    """The request itself cannot be met; the message is a sentence for the person who asked."""


@dataclass(frozen=True)
class LessonFile:
    """One notebook of the course and what its metadata says about itself."""

    name: str
    path: Path
    about: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def number(self) -> str:
        """The leading digits of the file name: part, then lesson."""
        head = self.name.split("_")[0]
        return head if head.isdigit() else ""

    @property
    def title(self) -> str:
        """The title; without one the words of the file name."""
        return str(self.about.get("title") or self.name.lstrip("0123456789_").replace("_", " "))

    @property
    def short_title(self) -> str:
        """What stands before the colon of its title."""
        return self.title.split(":")[0]

    @property
    def part(self) -> int:
        """The part of the course that it belongs to; without one the first digit of its number."""
        given = self.about.get("part")
        return given if isinstance(given, int) else int(self.number[:1] or 0)

    @property
    def needs(self) -> list[str]:
        """The numbers of the lessons to do before it."""
        return [str(number) for number in self.about.get("needs", [])]

    @property
    def minutes(self) -> Any:
        """The minutes it takes, as the metadata says."""
        return self.about.get("minutes")

    @property
    def can_do(self) -> list[str]:
        """What a learner can do afterwards."""
        return [str(line) for line in self.about.get("can_do", [])]

    @property
    def data(self) -> list[str]:
        """The files and folders of the checkout that the lesson reads, such as "data/students"."""
        return [str(line) for line in self.about.get("data", [])]

    @property
    def lang(self) -> str:
        """The language of its prose."""
        return str(self.about.get("lang") or "en")

    @property
    def folder(self) -> Path:
        """Where all that is this lesson's alone lies, beside the notebook."""
        return self.path.parent / f"lesson_{self.number or self.name}"

    @property
    def claims(self) -> list[str]:
        """The ids of its registered claims, in their order; ValueError if they cannot be read."""
        return list(read_claims(self.folder))

    @property
    def main_claim(self) -> str | None:
        """The id of the claim that speaks for it: the one marked `main`, else its first."""
        registered = read_claims(self.folder)
        marked = [id for id, claim in registered.items() if claim.main]
        return next(iter(marked or registered), None)


def read_lesson(path: Path) -> LessonFile:
    """Read a lesson's metadata; an unreadable notebook has a name at least, and fails later."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))["metadata"]["distill_lab"]
    except (OSError, ValueError, KeyError, TypeError):
        about = {}
    return LessonFile(path.stem, path, about if isinstance(about, dict) else {})


def find_root(start: Path | None = None) -> Path:
    """The checkout: the folder that holds `notebooks/` beside `distill_lab/`.

    Looks in `start` (the present folder) and its parents, then where the package itself lies.
    Raises `RunnerError` when neither has lessons.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "distill_lab").is_dir() and all_lessons(folder):
            return folder
    if all_lessons(PACKAGE.parent):
        return PACKAGE.parent
    raise RunnerError(
        f"Expected a checkout of Distill Lab with lessons in `notebooks/`, but neither {start} nor "
        f"its parents nor {PACKAGE.parent} has any: change into the cloned repository, or give the "
        "path of a notebook."
    )


def all_lessons(root: Path) -> list[LessonFile]:
    """Every notebook of `root/notebooks`, in the order of the course."""
    return [read_lesson(path) for path in sorted((root / "notebooks").glob("*.ipynb"))]


def lessons_here() -> list[LessonFile]:
    """Find the course that a notebook belongs to: beside it, else in the checkout."""
    for folder in (Path.cwd(), PACKAGE.parent / "notebooks"):
        course = [read_lesson(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]
        if course:
            return course
    return []


def select(names: Sequence[str], course: Sequence[LessonFile]) -> list[LessonFile]:
    """The lessons meant by `names`: a number, a name or a path each; no names means all of them.

    Raises `RunnerError` that lists the lessons when a name fits none or more than one.
    """
    if not names:
        return list(course)
    chosen: dict[Path, LessonFile] = {}
    for name in names:
        lesson = _one(str(name), course)
        chosen[lesson.path] = lesson
    stems = [lesson.name for lesson in chosen.values()]
    for stem in stems:
        if stems.count(stem) > 1:
            raise RunnerError(
                f"Expected lessons with different file names, but {stem!r} came twice from "
                "different folders: run them one after the other with a different --out each."
            )
    return list(chosen.values())


def _one(name: str, course: Sequence[LessonFile]) -> LessonFile:
    path = Path(name)
    if path.suffix == ".ipynb" and path.is_file():
        return read_lesson(path.resolve())
    matches = [
        lesson for lesson in course if name in (lesson.name, lesson.number, lesson.path.name)
    ]
    if len(matches) == 1:
        return matches[0]
    names = ", ".join(lesson.name for lesson in course) or "none in this checkout"
    trouble = (
        f"but {len(matches)} lessons are numbered {name!r}" if matches else f"but got {name!r}"
    )
    raise RunnerError(
        f"Expected the number, name or path of a lesson, {trouble}: the lessons are {names}."
    )


def resolve_out(out: str | Path, root: Path | None) -> Path:
    """Where results go: the default lies in the checkout, anything else is taken as typed."""
    if root is not None and Path(out) == Path(DEFAULT_OUT):
        return root / DEFAULT_OUT
    return Path(out).resolve()
