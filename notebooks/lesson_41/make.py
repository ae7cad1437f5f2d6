"""Make the stored results of lesson 41 again: `python -m lesson_41.make`.

For each way to keep k of the teacher's probabilities five students are trained as in section 5.
Kept is the mean of their probabilities at each position of one story. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_lab import methods
from distill_lab.course.profile import versions
from distill_lab.course.stored import DATA, keep, made, progress
from distill_lab.data.batches import Batch
from distill_lab.teachers import freeze, record
from lesson_41 import experiments, generation, gift_stories
from lesson_41.pointer import COMMAND, FILE, KEPT, WAYS, keep_targets

SETTINGS = {"seeds": 5, "stories": 1600, "steps": 200, "batch_size": 16, "lr": 0.02, "width": 24}
RARE = gift_stories.NAMES[2:]


def choose(texts: Sequence[str]) -> int:
    """Choose the story that is shown: the first right one whose giver has one of the rarer names.

    >>> choose(["Ann", "Mia buys a red hat . Mia gives the red hat to Tom . Tom thanks Mia ."])
    1
    """
    return next(i for i, t in enumerate(texts) if gift_stories.is_right(t) and t.split()[0] in RARE)


def make(file: Path, settings: dict[str, Any] = SETTINGS) -> dict[str, Any]:
    """Train the students and keep their probabilities.

    Args:
        file: Where they go, with their checksum beside them.
        settings: What decides the numbers.

    Returns:
        What the file holds.
    """
    began, show = time.perf_counter(), progress()
    generator = experiments.tiny_teacher(0)
    samples = generation.sample_texts(generator.model, generator, settings["stories"], seed=1)
    test = generation.sample_texts(generator.model, generator, 300, seed=2)
    targets = record(freeze(generator.model), samples.data)
    shown = choose(test.texts)
    ids = test.ids[shown : shown + 1]
    length = int((test.labels[shown] != -100).sum())
    seeds = range(settings["seeds"])

    def sparse(way: str, k: int, batch: Batch) -> Any:
        return keep_targets(way, targets(batch), k, batch.ids)

    students: dict[str, list[Any]] = {}
    for way in WAYS:
        for k in KEPT:
            trained = generation.train_students(
                [
                    experiments.network(len(gift_stories.WORDS), settings["width"], 1, 4, seed=seed)
                    for seed in seeds
                ],
                samples,
                partial(sparse, way, k),
                methods.tokens(),
                steps=settings["steps"],
                lr=settings["lr"],
                batch_size=settings["batch_size"],
                seeds=seeds,
            )
            mean = torch.stack([next_words(student, ids, length) for student in trained]).mean(0)
            students.setdefault(way, []).append(rounded(mean))
            show(f"{way}, k = {k}")
    kept = {
        "about": "Probabilities of the next word at each position of one story of the teacher. "
        "`students` are means over the seeds; axes: way, k, position, word.",
        "made": made(COMMAND, time.perf_counter() - began) | {"versions": versions()},
        "settings": settings,
        "kept": KEPT,
        "tokens": generator.tokenizer.convert_ids_to_tokens(ids[0, 1 : 1 + length]),
        "words": list(gift_stories.WORDS),
        "teacher": rounded(next_words(generator.model, ids, length)),
        "students": students,
    }
    keep(file, (json.dumps(kept, separators=(",", ":")).replace(',"', ',\n"') + "\n").encode())
    return kept


@torch.no_grad()
def next_words(model: Any, ids: Tensor, length: int) -> Tensor:
    """The model's probabilities (L, C) of each of the first L tokens after the start token."""
    return torch.as_tensor(model(ids).logits[0, :length].softmax(-1))


def rounded(probabilities: Tensor) -> list[list[float]]:
    """Four decimals are enough for a figure."""
    return [[round(value, 4) for value in row] for row in probabilities.tolist()]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument("--out", type=Path, default=DATA, help="folder to write to")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # two threads are many times slower on matrices this small
    make(options.out / FILE)
    print(f"\nwrote {options.out / FILE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
