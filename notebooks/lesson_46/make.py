"""Make the stored models of lesson 46 again: `python -m lesson_46.make`."""

from __future__ import annotations

import json
import time

from safetensors.torch import save

from distill_lab.course.stored import DATA, keep, made
from lesson_46 import experiments


def main() -> None:
    """Train the base, and from it the teacher that thinks aloud; keep both in half precision."""
    began = time.perf_counter()
    base = experiments.train_base()
    models = {"base": base, "thinker": experiments.train_thinker(base)}
    weights = {
        f"{name}.{key}": value.half().contiguous()
        for name, model in models.items()
        for key, value in model.state_dict().items()
    }
    facts = made(experiments.REMAKE, time.perf_counter() - began)
    keep(DATA / experiments.FILE, save(weights, metadata={"made": json.dumps(facts)}))


if __name__ == "__main__":
    main()
