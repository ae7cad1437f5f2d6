"""Make the stored results of lesson 12 again: `python -m lesson_12.make`.

One teacher a seed learns the labels; for each width, temperature and alpha one student a seed
learns from it, from the same 1,000 labelled images. Seeds go in blocks of five. The work is kept
after every cell, so a run that was stopped goes on where it was. Ten minutes or so on one core.
Beside the sweep, the logits of plain and label-smoothed teachers for every image are kept, so that
the lesson can begin with distilling.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from distill_lab._util.io import write_whole
from distill_lab.course.stored import DATA, commit, keep, made, progress
from lesson_12 import experiments as runs
from lesson_12.experiments import BLOCK, MEASURES, SweepSettings

COMMAND = "python -m lesson_12.make"
SMOOTHING = {"plain": 0.0, "smoothed": 0.1}  # the teachers whose answers are kept

Show = Callable[[str], None]


def make_sweep(settings: SweepSettings, file: Path, *, partial: Path, show: Show) -> dict[str, Any]:
    """Run what `partial` does not hold yet, then write `file` at once, and its checksum.

    Args:
        settings: Everything that decides the numbers.
        file: Where the sweep goes.
        partial: Keeps every finished cell with its settings; where these have changed, but for the
            number of seeds, it is begun anew.
        show: Called with a line on the progress.

    Returns:
        The sweep, as the file holds it.
    """
    done = _resume(partial, settings)
    plan = list(_plan(settings))
    total = len(plan) * settings.seeds // BLOCK
    for block in range(settings.seeds // BLOCK):
        todo = [cell for cell in plan if _key(block, cell) not in done["cells"]]
        if not todo:
            continue
        began = time.perf_counter()
        teachers, (_, test) = runs.teachers(settings, block), runs.data(settings, block)
        for number, cell in enumerate(todo, start=len(plan) * (block + 1) - len(todo) + 1):
            trained = (
                teachers if cell is None else runs.train_cell(settings, block, teachers, **cell)
            )
            done["cells"][_key(block, cell)] = runs.measure(trained, test)
            now = time.perf_counter()
            done["seconds"] += now - began
            began = now
            write_whole(partial, json.dumps(done).encode())
            show(f"{number} of {total} cells: {_key(block, cell)}")
    sweep = _assemble(settings, done)
    text = json.dumps(sweep, separators=(",", ":")).replace(',"', ',\n"') + "\n"
    keep(file, text.encode())
    partial.unlink(missing_ok=True)
    return sweep


def make_teachers(settings: SweepSettings, file: Path, *, show: Show) -> None:
    """Keep the logits of plain and smoothed teachers: (seeds, training then test images, 10).

    Args:
        settings: Everything that decides the numbers.
        file: Where the logits go.
        show: Called with a line on the progress.
    """
    began = time.perf_counter()
    kept = {}
    for name, smoothing in SMOOTHING.items():
        blocks = []
        for block in range(settings.seeds // BLOCK):
            trained = runs.teachers(settings, block, smoothing=smoothing)
            logits = [trained.logits(part.inputs) for part in runs.data(settings, block)]
            blocks.append(torch.cat(logits, dim=1))
            show(f"{name} teachers, block {block + 1} of {settings.seeds // BLOCK}")
        kept[name] = torch.cat(blocks)
    metadata = {"settings": asdict(settings), "made": made(COMMAND, time.perf_counter() - began)}
    keep(file, save(kept, metadata={k: json.dumps(value) for k, value in metadata.items()}))


def _plan(settings: SweepSettings) -> Iterator[dict[str, Any] | None]:
    """The teacher itself (None), then per width the hard labels and every T and alpha."""
    yield None
    for width in settings.widths:
        yield {"width": width}
        for T in settings.temperatures:
            yield from ({"width": width, "T": T, "alpha": alpha} for alpha in settings.alphas)


def _key(block: int, cell: dict[str, Any] | None) -> str:
    name = "teacher" if cell is None else ", ".join(f"{k} {v:g}" for k, v in cell.items())
    return f"seeds {runs.seeds(block)[0]}-{runs.seeds(block)[-1]}, {name}"


def _assemble(settings: SweepSettings, done: dict[str, Any]) -> dict[str, Any]:
    """The blocks joined, per measure: teacher (S,), hard labels (W, S), distilled (W, K, A, S)."""

    def row(cell: dict[str, Any] | None, name: str) -> list[float]:
        blocks = range(settings.seeds // BLOCK)
        return [v for block in blocks for v in done["cells"][_key(block, cell)][name]]

    sweep: dict[str, Any] = {
        "about": "Students of three widths, distilled at five temperatures and three alphas from "
        "teachers that saw the same 1,000 labelled digits. Accuracy in percent, NLL in nats, ECE "
        "in points, on the 797 other digits, at T = 1. Axes: width, T, alpha, seed.",
        "made": made(COMMAND, done["seconds"], done["commit"]),
        "settings": asdict(settings),
        "widths": settings.widths,
        "temperatures": settings.temperatures,
        "alphas": settings.alphas,
    }
    for name in MEASURES:
        tail = "" if name == "accuracy" else f"_{name}"
        sweep[f"teacher{tail}"] = row(None, name)
        sweep[f"hard{tail}"] = [row({"width": width}, name) for width in settings.widths]
        sweep[f"kd{tail}"] = [
            [
                [row({"width": width, "T": T, "alpha": alpha}, name) for alpha in settings.alphas]
                for T in settings.temperatures
            ]
            for width in settings.widths
        ]
    return sweep


def _resume(partial: Path, settings: SweepSettings) -> dict[str, Any]:
    """Read what an earlier run finished, if it had the same settings."""
    wanted = json.loads(json.dumps(asdict(settings)))
    if partial.is_file():
        kept = json.loads(partial.read_text())
        # more or fewer seeds are other blocks of the same sweep: what is done stays done
        if {**kept["settings"], "seeds": 0} == {**wanted, "seeds": 0}:
            return {**kept, "settings": wanted}
    return {"settings": wanted, "commit": commit(), "cells": {}, "seconds": 0.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument("--out", type=Path, default=DATA, help="folder to write to")
    parser.add_argument("--seeds", type=int, default=SweepSettings.seeds, help="a multiple of five")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # two threads are many times slower on matrices this small
    settings, show = SweepSettings(seeds=options.seeds), progress()
    partial = DATA.parent / "build" / "sweeps" / "temperature_sweep.partial.json"
    make_sweep(settings, options.out / "temperature_sweep.json", partial=partial, show=show)
    make_teachers(settings, options.out / "temperature_teachers.safetensors", show=show)
    print(f"\nwrote the sweep and the teachers' answers to {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
