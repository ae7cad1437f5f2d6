"""How a result that takes long is kept: whole, with its checksum and how it was made."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from distill_lab._util.io import write_whole
from distill_lab.course.machine import processor
from distill_lab.course.stored import DATA, checksums


def made(command: str, seconds: float, at: str | None = None) -> dict[str, Any]:
    """When and on what: the machine in general words, no names and no paths."""
    system, threads = f"{platform.system()} {platform.machine()}", torch.get_num_threads()
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": at or commit(),
        "machine": f"{processor()}, {threads} thread, {system}, torch {torch.__version__}",
        "seconds": round(seconds),
    }


def commit() -> str:
    """The checkout's commit, marked if the package differs from it; in words if there is none."""

    def git(*words: str) -> str:
        found = subprocess.run(["git", *words], cwd=DATA.parent, capture_output=True, text=True)
        return found.stdout.strip()

    head = git("rev-parse", "--short=10", "HEAD")
    changed = git("status", "--porcelain", "--", "distill_lab")
    return (head + (", with changes" if changed else "")) or "not in a repository"


def write_checksum(file: Path) -> None:
    known = checksums(file.parent)
    known[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    lines = [f"{digest}  {name}\n" for name, digest in sorted(known.items())]
    write_whole(file.parent / "SHA256SUMS", "".join(lines).encode())
