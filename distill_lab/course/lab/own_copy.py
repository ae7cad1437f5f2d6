"""The reader's own copy of the lessons, `my/`: made once, never overwritten.

Saving a notebook there changes nothing that git knows. New lessons are added; a lesson that has
changed since it was copied is named, and kept as it is until its reader starts it again.
"""

import hashlib
import json
import shutil
from datetime import date
from pathlib import Path

from distill_lab._util.io import write_whole
from distill_lab.course.journal import COPY, NAME, append
from distill_lab.course.lessons import LessonFile, all_lessons, select

__all__ = ["FOLDER", "prepare", "start_again"]

FOLDER = "my"
EARLIER = "earlier"


def prepare(root: Path) -> list[str]:
    """Make the own copy, or add to it the lessons that it lacks.

    Args:
        root: The checkout.

    Returns:
        What a reader should know, in sentences: the lessons that changed since they were copied.

    Raises:
        OSError: If the disk refuses.

    >>> prepare(Path("/none"))
    []
    """
    lessons = all_lessons(root)
    if not lessons:
        return []
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    copied = _copied(folder)
    for lesson in lessons:
        if not (folder / lesson.path.name).exists():
            copied[lesson.name] = _copy(lesson, folder)
    _write(folder, copied)
    changed = [lesson for lesson in lessons if copied.get(lesson.name) != _state(lesson)]
    return [
        f"Lesson {lesson.number} has changed since your copy was made; yours is kept. "
        f"`distill-lab lab --start-again {lesson.number}` takes the new one, and keeps yours in "
        f"{FOLDER}/{EARLIER}."
        for lesson in changed
    ]


def start_again(root: Path, name: str, today: date | None = None) -> str:
    """Take a fresh copy of one lesson; the reader's one goes to `my/earlier/DATE`.

    Args:
        root: The checkout.
        name: Number or name of the lesson.
        today: The date; None for today's.

    Returns:
        Where the earlier copy lies now, in a sentence.

    Raises:
        RunnerError: For a name that fits no lesson.
        OSError: If the disk refuses.
    """
    (lesson,) = select([name], all_lessons(root))
    prepare(root)
    folder = root / FOLDER
    earlier = _free(folder / EARLIER / (today or date.today()).isoformat(), lesson.path.name)
    earlier.mkdir(parents=True, exist_ok=True)
    for part in (lesson.path.name, lesson.folder.name):
        if (folder / part).exists():
            shutil.move(folder / part, earlier / part)
    copied = _copied(folder)
    copied[lesson.name] = _copy(lesson, folder)
    _write(folder, copied)
    append(folder / NAME, {"event": "start-again", "lesson": lesson.number})
    return f"Lesson {lesson.number} is fresh again; your earlier copy lies in {earlier}."


def _free(folder: Path, name: str) -> Path:
    """The folder, or the first of its numbered sisters, that holds no such file yet."""
    at, number = folder, 1
    while (at / name).exists():
        number += 1
        at = folder.with_name(f"{folder.name}-{number}")
    return at


def _copy(lesson: LessonFile, folder: Path) -> str:
    """Copy a notebook and its folder, which belong together; return the state they are in."""
    if lesson.folder.is_dir():
        shutil.copytree(
            lesson.folder,
            folder / lesson.folder.name,
            ignore=shutil.ignore_patterns("test_*.py", "__pycache__"),
            dirs_exist_ok=True,
        )
    write_whole(folder / lesson.path.name, lesson.path.read_bytes())
    return _state(lesson)


def _state(lesson: LessonFile) -> str:
    """A fingerprint of a notebook and of what its folder holds."""
    files = sorted(path for path in lesson.folder.rglob("*") if path.is_file())
    kept = [p for p in files if "__pycache__" not in p.parts and not p.name.startswith("test_")]
    total = hashlib.sha256()
    for path in (lesson.path, *kept):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def _copied(folder: Path) -> dict[str, str]:
    """The state each lesson was copied in, by name."""
    path = folder / COPY
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _write(folder: Path, copied: dict[str, str]) -> None:
    write_whole(folder / COPY, (json.dumps(copied, indent=1) + "\n").encode())
