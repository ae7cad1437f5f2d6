"""The machine in general words, as a result that was measured on it names it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CORES = "DISTILL_LAB_CORES"  # the environment variable that lends a process fewer than there are


def processor() -> str:
    """The processor's name; its architecture where the system does not say.

    >>> bool(processor())
    True
    """
    name, cpus = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if cpus.is_file():  # Linux, whose platform.processor() is often no more than the architecture
        lines = cpus.read_text(encoding="utf-8").splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), name)
    return name


def cores() -> int:
    """The cores that this process may use: those it is given, at most $DISTILL_LAB_CORES.

    Raises ValueError where that is no whole number of at least 1.

    >>> cores() >= 1
    True
    """
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS, not on Windows
    here = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    limit = os.environ.get(CORES)
    if limit is None:
        return here
    if not limit.isdecimal() or int(limit) < 1:
        raise ValueError(
            f"{CORES} must be a whole number of at least 1, or not be set; it is {limit!r}."
        )
    return min(here, int(limit))
