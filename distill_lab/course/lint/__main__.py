"""Print what a lesson, or the whole project, still lacks.

    python -m distill_lab.course.lint 11     # lesson 11
    python -m distill_lab.course.lint        # every lesson, and README, help and messages

One sentence a fault; the exit code is 1 if there is any.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from distill_lab.course import quick_start  # noqa: F401  # isort: skip
import nbformat

from distill_lab.course.lessons import all_lessons, find_root
from distill_lab.course.lint.language import file_faults
from distill_lab.course.lint.shape import faults

FOLDER = ("claims.toml", "recall.toml", "exercises.py", "experiments.py", "figures.py")
TEXTS = ("README.md", "CONTRIBUTING.md", "TROUBLESHOOTING.md")


def lesson_faults(path: Path) -> Iterator[str]:
    """Find every fault of a lesson: of its notebook, and of the texts in its folder."""
    from distill_lab.course.lessons import read_lesson

    lesson = read_lesson(path)
    nb = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    for fault in faults(nb, lesson.name, lesson.claims):
        yield f"{path.name}: {fault}"
    for name in FOLDER:
        if (file := lesson.folder / name).is_file():
            yield from (f"{lesson.folder.name}/{fault}" for fault in file_faults(file))


def project_faults(root: Path) -> Iterator[str]:
    """Find what is not plain English in the project's pages, the commands and the kit."""
    package = root / "distill_lab"
    kit = [*sorted((package / "course").rglob("*.py")), package / "cli.py"]
    for file in (*(root / name for name in TEXTS), *kit):
        if not {"lint", "worlds", "tutor"} & set(file.parts):
            yield from file_faults(file)


def main(arguments: list[str]) -> int:
    """Print the faults; 1 if there are any."""
    root = find_root()
    paths = [x.path for x in all_lessons(root) if not arguments or x.number in arguments]
    if not paths:
        named = ", ".join(arguments)
        sys.stderr.write(f"There is no lesson {named}: name it by number, as in 11.\n")
        return 2
    broken = [fault for path in paths for fault in lesson_faults(path)]
    if not arguments:
        broken += project_faults(root)
    sys.stdout.write("".join(f"{fault}\n" for fault in broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
