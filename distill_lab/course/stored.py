"""Results too long for a lesson, kept in `data/` with how they were made, and read back with care.

A lesson that keeps something has a `make.py`, which makes it again: `python -m lesson_12.make`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors

from distill_lab._util.io import write_whole
from distill_lab.course.machine import processor

__all__ = ["DATA", "checksums", "commit", "keep", "load", "made", "progress"]

DATA = Path(__file__).resolve().parents[2] / "data"


def load(name: str, *, folder: Path | None = None, remake: str = "") -> dict[str, Any]:
    """Read a stored result, checked byte for byte.

    Args:
        name: Its file name, such as "temperature_sweep.json".
        folder: Where it lies; None for `data/`.
        remake: The command that makes it again, for the errors.

    Returns:
        Of a `.json` what its maker wrote: plain lists and numbers, "settings" to run it again,
        "made" to say when and on what. Of a `.safetensors` tensors by name.

    Raises:
        FileNotFoundError: If the file or its checksum is missing.
        ValueError: If the two disagree.

    >>> sweep = load("temperature_sweep.json")
    >>> len(sweep["hard"]) == len(sweep["widths"])
    True
    """
    folder = DATA if folder is None else folder
    file = folder / name
    place = f"data/{folder.name}" if folder.parent == DATA else "data"
    again = f"`{remake}`" if remake else "the `make` of the lesson that keeps it"
    sums = checksums(folder)
    if not file.is_file() or name not in sums:
        what = f"its checksum in {place}/SHA256SUMS" if file.is_file() else f"{place}/{name}"
        raise FileNotFoundError(
            f"expected the stored result {name!r}, but {what} is missing. It comes with the "
            f"repository: run from a clone of it, or make it again with {again}."
        )
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sums[name]:
        raise ValueError(
            f"{place}/{name} is not the file that was stored: sha256 {digest[:12]}… instead of "
            f"{sums[name][:12]}…. Restore it with `git checkout data`, or make it again with "
            f"{again}."
        )
    return load_tensors(content) if file.suffix == ".safetensors" else json.loads(content)


def keep(file: Path, content: bytes | None = None) -> None:
    """Write a result, whole or not at all, and its checksum into the `SHA256SUMS` beside it.

    Args:
        file: The file to write.
        content: What to write; None where the file is there already.
    """
    if content is not None:
        write_whole(file, content)
    sums = checksums(file.parent)
    sums[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    write_whole(file.parent / "SHA256SUMS", "".join(lines).encode())


def checksums(folder: Path) -> dict[str, str]:
    """Read `SHA256SUMS`, file name to hexadecimal sum; empty if there is no such file."""
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        return {}
    pairs = (line.split(maxsplit=1) for line in sums.read_text().splitlines() if line.strip())
    return {name.lstrip("*"): digest for digest, name in pairs}


def made(command: str, seconds: float, at: str | None = None) -> dict[str, Any]:
    """Say when and on what a result was made: the machine in general words, no names, no paths.

    Args:
        command: The command that makes it again.
        seconds: How long it took.
        at: The commit; None for that of the checkout.

    Returns:
        The facts, for the result's "made".
    """
    import torch

    system, threads = f"{platform.system()} {platform.machine()}", torch.get_num_threads()
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": at or commit(),
        "machine": f"{processor()}, {threads} thread, {system}, torch {torch.__version__}",
        "seconds": round(seconds),
    }


def commit() -> str:
    """Name the checkout's commit, marked if the package differs from it; a text if none is."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=DATA.parent, capture_output=True, text=True)
        return done.stdout.strip()

    head = git("rev-parse", "--short=10", "HEAD")
    changed = git("status", "--porcelain", "--", "distill_lab")
    return (head + (", with changes" if changed else "")) or "not in a repository"


def progress() -> Callable[[str], None]:
    """Make the function that shows how far a long making is, on one line of stderr."""
    began = time.perf_counter()

    def show(text: str) -> None:
        print(f"\r\033[K{text}, {time.perf_counter() - began:.0f} s", end="", file=sys.stderr)

    return show
