"""Make what lesson 44 keeps: `python -m lesson_44.make models forms`.

"models" are the bases and the teacher, in half precision; "forms" is how often students of each
form of chain are right. Some minutes of one core each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from distill_lab.course.stored import DATA, keep, made, progress
from lesson_44 import experiments as e

COMMANDS = ("models", "forms")
Show = Callable[[str], None]


def make_models(out: Path, show: Show, **updates: int) -> None:
    """Train bases and teacher, and keep their weights: the first axis is the base."""
    began = time.perf_counter()
    bases = []
    for i in range(e.BASES):
        show(f"base {i + 1} of {e.BASES}")
        bases.append(e.train_base(i, **updates))
    weights = _stacked("base.", bases) | _stacked("teacher.", [e.train_teacher(**updates)])
    facts = made(f"{e.REMAKE} models", time.perf_counter() - began)
    settings = {"noise": e.NOISE, "texts": e.READ, "updates": e.BASE_UPDATES}
    content = {"made": json.dumps(facts), "settings": json.dumps(settings)}
    keep(out / e.FILE, save(weights, metadata=content))


def _stacked(prefix: str, models: Sequence[Any]) -> dict[str, torch.Tensor]:
    states = [model.state_dict() for model in models]
    return {prefix + name: torch.stack([s[name] for s in states]).half() for name in states[0]}


def make_forms(out: Path, show: Show, **sizes: Any) -> None:
    """Train students of each form and width, and keep how often they are right."""
    began = time.perf_counter()
    results = e.run_forms(show, **sizes)
    results["made"] = made(f"{e.REMAKE} forms", time.perf_counter() - began)
    keep(out / e.FORMS_FILE, (json.dumps(results, separators=(",", ":")) + "\n").encode())


def main(names: list[str]) -> None:
    """Make what is named, or all."""
    torch.set_num_threads(1)  # two threads are slower on matrices this small
    for name in names or COMMANDS:
        {"models": make_models, "forms": make_forms}[name](DATA, progress())


if __name__ == "__main__":
    main(sys.argv[1:])
