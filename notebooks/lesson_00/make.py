"""Make the stored results of lesson 00 again: `python -m lesson_00.make`.

For each of 20 seeds a teacher learns from 1,000 labels. Then two students learn from the first
10, 20, … 1,000 of these pictures, one from the labels alone and one from labels and teacher, as
the lesson itself does with 50. One or two minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from distill_lab.course.profile import versions
from distill_lab.course.stored import DATA, keep, made, progress
from lesson_00.experiments import BLOCK, Recipe, accuracies

COMMAND, FILE = "python -m lesson_00.make", "seeds_and_labels.json"


def make(recipe: Recipe, file: Path) -> dict[str, Any]:
    """Train every student and keep the accuracies.

    Args:
        recipe: What decides the numbers; its seeds are a multiple of five.
        file: Where they go, with their checksum beside them.

    Returns:
        What the file holds.
    """
    began, show = time.perf_counter(), progress()
    blocks = []
    for first in range(0, recipe.seeds, BLOCK):
        blocks.append(accuracies(recipe, first))
        show(f"seeds {first} to {first + BLOCK - 1}")
    rows = {
        name: [[v for block in blocks for v in block[name][i]] for i in range(len(blocks[0][name]))]
        for name in ("alone", "taught", "teacher")
    }
    kept: dict[str, Any] = {
        "about": "Test accuracy in percent on 797 digits. `alone` learned from the labels, "
        "`taught` from labels and teacher; axes: labels, seed. `teacher` learned 1,000 labels.",
        "made": made(COMMAND, time.perf_counter() - began) | {"versions": versions()},
        "settings": asdict(recipe),
        "labels": recipe.labels,
        "alone": rows["alone"],
        "taught": rows["taught"],
        "teacher": rows["teacher"][0],
    }
    keep(file, (json.dumps(kept, separators=(",", ":")).replace(',"', ',\n"') + "\n").encode())
    return kept


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument("--out", type=Path, default=DATA, help="folder to write to")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # two threads are many times slower on matrices this small
    make(Recipe(), options.out / FILE)
    print(f"\nwrote {options.out / FILE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
