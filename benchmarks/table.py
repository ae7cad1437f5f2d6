"""What every benchmark reports: a row for each piece of work and peer, ours beside theirs."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import torch

from distill_lab.course.machine import cores, processor


@dataclass(frozen=True)
class Row:
    """One comparison. ``ratio`` is ours / theirs round by round; ``target`` the ratio asked for.

    Where the asked figure is one of ours alone (bytes kept, a KL), ``ours`` is held to ``target``
    and there is no ratio. ``met`` is None where nothing was asked.
    """

    work: str
    peer: str
    ours: float | None
    theirs: float | None
    unit: str
    ratio_min: float | None = None
    ratio_median: float | None = None
    ratio_max: float | None = None
    target: float | str | None = None  # a ratio, or in words such as "<= 0.3"
    at_least: bool = False  # whether the target is a floor and not a ceiling
    met: bool | None = None
    note: str = ""

    @classmethod
    def of_times(
        cls,
        work: str,
        peer: str,
        ours: Sequence[float],
        theirs: Sequence[float],
        *,
        unit: str,
        target: float | None = None,
        note: str = "",
    ) -> "Row":
        """A row from one time a round, ours and theirs taken in turn."""
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        middle = statistics.median(ratios)
        return cls(
            work,
            peer,
            statistics.median(ours),
            statistics.median(theirs),
            unit,
            min(ratios),
            middle,
            max(ratios),
            target,
            met=None if target is None else middle <= target,
            note=note,
        )


TOOK_PART = (
    "torch",
    "transformers",
    "accelerate",
    "trl",
    "liger_kernel",
    "sentence-transformers",
    "torchdistill",
    "jupyterlab",
    "ipywidgets",
    "matplotlib",
)
HEAD = ("work", "peer", "ours", "theirs", "ours / theirs", "asked", "met")


def cells(row: Row) -> tuple[str, ...]:
    """A row as words: what a person reads in the terminal and in RESULTS.md."""
    ratio = "–"
    if row.ratio_median is not None:
        ratio = f"{row.ratio_median:.2f}"
        if row.ratio_min is not None and row.ratio_max is not None:
            ratio += f" [{row.ratio_min:.2f}, {row.ratio_max:.2f}]"
    sign = "≥" if row.at_least else "≤"
    if isinstance(row.target, str):
        wanted = row.target.replace("<=", "≤").replace(">=", "≥")
    else:
        wanted = "–" if row.target is None else f"{sign} {row.target:g}"
    met = {None: "–", True: "yes", False: "**no**"}[row.met]
    return (
        row.work,
        row.peer,
        _figure(row.ours, row.unit),
        _figure(row.theirs, row.unit),
        ratio,
        wanted,
        met,
    )


def show(rows: Iterable[Row], about: str = "") -> None:
    """Print the rows as a table."""
    lines = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    if about:
        print(about)
    for line in lines:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def finish(rows: Iterable[Row], path: str | None) -> None:
    """Leave the rows as JSON where they were asked for."""
    if path:
        Path(path).write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def machine() -> str:
    """The machine in words: processor, cores, memory, GPU, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{processor()}, {cores()} cores, {memory:.0f} GiB, {gpu}, {system}"


def versions() -> str:
    """The packages that took part, as far as they are installed."""
    found = []
    for name in TOOK_PART:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    if unit == "bytes":
        value, unit = value / 1e6, "MB"
    figure = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{figure} {unit}".rstrip()
