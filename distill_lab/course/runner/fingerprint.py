"""Has anything changed since a lesson passed: its notebook, its folder, its data, the package."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path

from distill_lab.course.lessons import PACKAGE, LessonFile


def surroundings(root: Path, *, package: Path = PACKAGE) -> str:
    """Hash what all lessons share: the package (engine and kit), the lock, Python's version.

    Args:
        root: The checkout.
        package: The folder of the package.

    Returns:
        A hexadecimal digest.
    """
    digest = hashlib.sha256(platform.python_version().encode())
    sources = (path for path in package.rglob("*") if path.suffix in (".py", ".css", ".js"))
    _add(digest, package, sources)
    _add(digest, root, [root / "requirements.lock", root / "uv.lock"])
    return digest.hexdigest()


def fingerprint(lesson: LessonFile, shared: str, root: Path, *, profile: str, seed: int) -> str:
    """Hash one lesson's run: equal digests mean that a run would repeat the last one.

    Args:
        lesson: The lesson; its notebook, its folder (but for the tests) and the data that its
            metadata names are read.
        shared: What `surroundings` gave.
        root: The checkout, which the data lie in.
        profile: The run's profile.
        seed: The run's seed.

    Returns:
        A hexadecimal digest.
    """
    digest = hashlib.sha256(f"{shared}\0{profile}\0{seed}\0".encode())
    digest.update(lesson.path.read_bytes())
    own = (path for path in lesson.folder.rglob("*") if not path.name.startswith("test_"))
    _add(digest, lesson.folder, own)
    for name in lesson.data:
        place = root / name
        _add(digest, root, place.rglob("*") if place.is_dir() else [place])
    return digest.hexdigest()


def _add(digest: hashlib._Hash, base: Path, paths: Iterable[Path]) -> None:
    for path in sorted(paths):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).digest()
            digest.update(path.relative_to(base).as_posix().encode() + b"\0" + content)
