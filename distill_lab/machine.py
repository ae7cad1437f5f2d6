"""The machine in general words, as a result that was measured on it names it."""

from __future__ import annotations

import platform
from pathlib import Path


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
