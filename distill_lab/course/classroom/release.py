"""`distill-lab release DIR`: the lessons without their solutions; hints and help stay."""

import json
import re
import shutil
import sys
from pathlib import Path

from distill_lab._util.io import write_whole
from distill_lab.course.journal import COPY
from distill_lab.course.lessons import LessonFile, RunnerError, all_lessons, find_root

__all__ = ["release", "without_solutions"]

SOLUTION = re.compile(
    r"\n*<details>\s*<summary>\s*Solution\s*</summary>.*?</details>", re.DOTALL | re.IGNORECASE
)
README = """Distill Lab: lessons for a class

Each notebook is one lesson. Open it in JupyterLab with Distill Lab installed. What you do is kept
in `journal.jsonl` in this folder. Hand in the whole folder.
"""


def without_solutions(text: str) -> str:
    """Take the solutions out of a notebook; all else stays, ids included.

    Args:
        text: The notebook as JSON.

    Returns:
        The notebook as JSON.

    >>> source = "Hint: look. <details><summary>Solution</summary>x</details>"
    >>> "Solution" in without_solutions(
    ...     json.dumps({"cells": [{"cell_type": "markdown", "source": source}]})
    ... )
    False
    """
    nb = json.loads(text)
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            source = "".join(cell["source"])
            cell["source"] = SOLUTION.sub("", source).splitlines(keepends=True)
    return json.dumps(nb, indent=1, ensure_ascii=False) + "\n"


def release(folder: str | Path) -> int:
    """Write the lessons without solutions, and what they need, into a new folder.

    The answers that `check` compares with lie in each `lesson_NN/exercises.py`, where a curious
    student finds them: this is for practice, not for an examination.

    Args:
        folder: It must not exist, or be empty.

    Returns:
        0, or 1 where the folder is in use, there is no course, or the disk refuses; this is said.
    """
    folder = Path(folder)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise RunnerError(
                f"Expected a new or empty folder, but {folder} holds files: name another one."
            )
        lessons = all_lessons(find_root())
        folder.mkdir(parents=True, exist_ok=True)
        for lesson in lessons:
            _release_one(lesson, folder)
        write_whole(folder / "README.txt", README.encode())
        write_whole(folder / COPY, b"{}\n")
    except (RunnerError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(lessons)} lessons without solutions, in {folder}.")
    return 0


def _release_one(lesson: LessonFile, folder: Path) -> None:
    text = without_solutions(lesson.path.read_text(encoding="utf-8"))
    write_whole(folder / lesson.path.name, text.encode())
    if lesson.folder.is_dir():
        ignored = shutil.ignore_patterns("test_*.py", "make.py", "*_solutions.py", "__pycache__")
        shutil.copytree(lesson.folder, folder / lesson.folder.name, ignore=ignored)
