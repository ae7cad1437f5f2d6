"""Make the stored rounds of lesson 32 again: `python -m lesson_32.make`.

The rounds of its section 4, plain and noisy, for students of three widths. The seeds are not those
of the lesson, because the lesson's width was chosen on those. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.profile import versions
from distill_lab.course.stored import DATA, keep, made, progress
from distill_lab.data import datasets
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from lesson_32.experiments import disturb

__all__ = ["FILE", "Recipe", "make", "rounds_of_width"]

COMMAND, FILE = "python -m lesson_32.make", "noisy_rounds_by_width.json"


@dataclass(frozen=True)
class Recipe:
    """What decides the numbers; all but widths and seeds as in the lesson."""

    widths: tuple[int, ...] = (64, 96, 128)
    first_seed: int = 100
    seeds: int = 12
    rounds: int = 2
    steps: int = 300
    labels: int = 50
    unlabelled: int = 600
    dropout: float = 0.3


def rounds_of_width(width: int, recipe: Recipe) -> dict[str, list[list[float]]]:
    """Run the rounds with and without noise for students 64-w-w-10.

    Args:
        width: w.
        recipe: all other settings.

    Returns:
        Test accuracies in percent: `plain` and `noisy` with axes (round, seed), round 0 the first
        teacher, which both share; `control` (1, seed), the same noise on the labelled pictures.
    """
    seeds = range(recipe.first_seed, recipe.first_seed + recipe.seeds)
    train, test = datasets.load("digits").split(train=1250, seeds=seeds)
    pictures = train.inputs[:, : recipe.labels + recipe.unlabelled]
    few = slice(0, recipe.labels)
    labels = train.labels[:, : pictures.shape[1]].clone()
    labels[:, recipe.labels :] = -100

    def fit(inputs: Tensor, targets: Tensor, noisy: bool, round_: int) -> tuple[Tensor, Tensor]:
        if noisy:
            inputs = torch.cat([inputs, *(disturb(inputs, seed=i) for i in (1, 2))], 1)
            targets = targets.repeat(1, 3)
        dropout = recipe.dropout if noisy else 0.0
        size = min(100, inputs.shape[1])
        runs = distill_seeds(
            lambda seed: MLP(64, width, width, 10, dropout=dropout, seed=1000 * round_ + seed),
            (inputs, targets),
            seeds=seeds,
            epochs=recipe.steps * size // inputs.shape[1],
            batch_size=size,
        )
        return runs.accuracy(test), runs.logits(pictures).argmax(-1)

    first = fit(pictures[:, few], labels[:, few], False, 0)
    kept = {"control": [fit(pictures[:, few], labels[:, few], True, 1)[0]]}
    for name in ("plain", "noisy"):
        results = [first]
        for round_ in range(1, recipe.rounds + 1):
            targets = torch.where(labels < 0, results[-1][1], labels)
            results.append(fit(pictures, targets, name == "noisy", round_))
        kept[name] = [accuracy for accuracy, _ in results]
    return {
        name: [[round(float(v), 4) for v in row] for row in rows] for name, rows in kept.items()
    }


def make(recipe: Recipe, file: Path) -> dict[str, Any]:
    """Run the rounds of every width and keep the accuracies.

    Args:
        recipe: What decides the numbers.
        file: Where they go, with their checksum beside them.

    Returns:
        What the file holds.
    """
    began, show = time.perf_counter(), progress()
    widths = {}
    for width in recipe.widths:
        widths[str(width)] = rounds_of_width(width, recipe)
        show(f"width {width}")
    kept: dict[str, Any] = {
        "about": "Test accuracy in percent on 547 digits after each round of self-training, by "
        "the width of the student; axes: round, seed. Round 0 is the first teacher. `control`: "
        "no round, the noise of one on the labelled pictures alone.",
        "made": made(COMMAND, time.perf_counter() - began) | {"versions": versions()},
        "settings": asdict(recipe),
        "widths": widths,
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
