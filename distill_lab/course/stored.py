"""Results too long for a lesson, kept in `data/` with their making, and read back with care."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors

__all__ = ["DATA", "checksums", "load"]

DATA = Path(__file__).resolve().parents[2] / "data"
_REMAKE = {"data": "python -m lesson_12.make", "data/students": "python -m lesson_43.make"}


def load(name: str, *, folder: Path | None = None) -> dict[str, Any]:
    """Read the stored result `name`, such as "temperature_sweep.json", checked byte for byte.

    A `.json` gives what its maker wrote: plain lists and numbers, "settings" to run it again,
    "made" to say when and on what. A `.safetensors` gives tensors by name. Raises FileNotFoundError
    where the file or its checksum is missing, ValueError where the two disagree; both say how to
    mend it.

    >>> sweep = load("temperature_sweep.json")
    >>> len(sweep["hard"]) == len(sweep["widths"])
    True
    """
    folder = DATA if folder is None else folder
    file = folder / name
    place = "data/students" if folder.name == "students" else "data"
    where, remake = f"{place}/{name}", _REMAKE[place]
    known = checksums(folder)
    if not file.is_file() or name not in known:
        what = f"its checksum in {place}/SHA256SUMS" if file.is_file() else where
        raise FileNotFoundError(
            f"expected the stored result {name!r}, but {what} is missing. It comes with the "
            f"repository: run from a clone of it, or make it again with `{remake}`."
        )
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != known[name]:
        raise ValueError(
            f"{where} is not the file that was stored: sha256 {found[:12]}… instead of "
            f"{known[name][:12]}…. Restore it with `git checkout data`, or make it again with "
            f"`{remake}`."
        )
    return load_tensors(content) if file.suffix == ".safetensors" else json.loads(content)


def checksums(folder: Path) -> dict[str, str]:
    """The lines of `SHA256SUMS`, file name to hexadecimal sum; empty if there is no such file."""
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        return {}
    pairs = (line.split(maxsplit=1) for line in sums.read_text().splitlines() if line.strip())
    return {name.lstrip("*"): digest for digest, name in pairs}
