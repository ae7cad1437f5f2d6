"""Has anything changed since a lesson passed: notebook, package, data, lock, profile or seed."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path

from distill_lab.course.runner.lessons import PACKAGE


def surroundings(root: Path, *, package: Path = PACKAGE) -> str:
    """Hash, as hex, of what all lessons share: package, `data/`, the lock, Python's version."""
    digest = hashlib.sha256(platform.python_version().encode())
    sources = (path for path in package.rglob("*") if path.suffix in (".py", ".css"))
    _add(digest, package, sources)
    _add(digest, root, (root / "data").rglob("*"))
    _add(digest, root, [root / "requirements.lock"])
    return digest.hexdigest()


def fingerprint(notebook: Path, shared: str, *, profile: str, seed: int) -> str:
    """Hash of one lesson's run, as hex; equal hashes mean that a run would repeat the last one."""
    digest = hashlib.sha256(f"{shared}\0{profile}\0{seed}\0".encode())
    digest.update(notebook.read_bytes())
    return digest.hexdigest()


def _add(digest: hashlib._Hash, base: Path, paths: Iterable[Path]) -> None:
    for path in sorted(paths):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).digest()
            digest.update(path.relative_to(base).as_posix().encode() + b"\0" + content)
