"""Make the stored results of lesson 26 again: `python -m lesson_26.make teacher minilm`.

"teacher" is the small encoder that learns four tasks of the course's text worlds, "minilm" the
real encoder on the questions of a bank: it needs BANKING77 and all-MiniLM-L6-v2 on this machine.
"""

from __future__ import annotations

import json
import sys
import time

from safetensors.torch import save

from distill_lab.course.encoders import load_encoder
from distill_lab.course.stored import DATA, keep, made
from distill_lab.data import datasets
from lesson_26 import experiments, minilm

COMMANDS = ("teacher", "minilm")


def make_teacher() -> None:
    """Train the teacher, and keep its weights in half precision."""
    began = time.perf_counter()
    teacher = experiments.train_teacher()
    weights = {name: tensor.half() for name, tensor in teacher.state_dict().items()}
    facts = made("python -m lesson_26.make teacher", time.perf_counter() - began)
    keep(DATA / experiments.FILE, save(weights, metadata={"made": json.dumps(facts)}))


def make_minilm() -> None:
    """Run the experiment on BANKING77, and keep what every model got right."""
    body, tokenizer = load_encoder()
    settings = minilm.Settings()
    results = minilm.run(body, tokenizer, datasets.load("banking77"), settings, print)
    results["made"] = made(minilm.COMMAND, results.pop("seconds"))
    keep(DATA / minilm.FILE, (json.dumps(results, separators=(",", ":")) + "\n").encode())


def main(names: list[str]) -> None:
    """Make what is named, or all."""
    for name in names or COMMANDS:
        {"teacher": make_teacher, "minilm": make_minilm}[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
