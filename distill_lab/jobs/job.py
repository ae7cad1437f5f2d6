"""What a job file may say, and where it is wrong: every mistake with its line."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_lab.jobs.exam import read_exam
from distill_lab.training.distributed import PRECISIONS
from distill_lab.training.optim import SCHEDULES

METHODS = {
    "sft": "learn the answers of the training data",
    "seq-kd": "let the teacher answer the training prompts, and learn its answers",
    "token-kl": "forward KL to the teacher at each answer token",
    "reverse-kl": "reverse KL to the teacher at each answer token",
    "jsd": "generalised JSD to the teacher at each answer token",
    "on-policy": "the student answers the prompts, reverse KL to the teacher on what it wrote",
}
SHAPE = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
LORA = {"r": 8, "alpha": 16, "dropout": 0.0, "target_modules": None}


def positive(value: object) -> str | None:
    """Whole and at least 1."""
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if fine else "must be a positive integer"


def count(value: object) -> str | None:
    """Whole and at least 0."""
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if fine else "must be a whole number of at least 0"


def above_zero(value: object) -> str | None:
    """A finite number above 0."""
    fine = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if fine and 0 < value < math.inf else "must be a number above 0"  # type: ignore[operator]


def fraction(value: object) -> str | None:
    """A number in [0, 1]."""
    fine = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if fine and 0 <= value <= 1 else "must lie between 0 and 1"  # type: ignore[operator]


def text(value: object) -> str | None:
    """Text that is not empty."""
    return None if isinstance(value, str) and value.strip() else "must be a text"


def one_of(*known: str) -> Callable[[object], str | None]:
    """One of these words."""
    return lambda value: None if value in known else f"must be one of {', '.join(known)}"


def student_like(value: object) -> str | None:
    """A folder or hub name, or the shape of a new Llama."""
    if isinstance(value, dict):
        lacking, odd = set(SHAPE) - value.keys(), value.keys() - {*SHAPE, "num_key_value_heads"}
        if lacking or odd or any(positive(size) for size in value.values()):
            return f"as a shape needs {', '.join(SHAPE)}, each a positive integer"
        return None
    return text(value)


def lora_like(value: object) -> str | None:
    """Nothing, or options of a LoRA."""
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() - LORA.keys():
        return f"must be a mapping of some of {', '.join(LORA)}"
    return None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A distillation of one language model into another.

    ``teacher`` and ``student`` are folders or hub names; ``student`` may be the shape of a new
    Llama, which then gets the teacher's tokenizer. ``train`` and ``validation`` are JSONL files of
    prompts and answers or messages. ``task`` is an exam file that the models sit at the end: see
    ``read_exam``. Everything is written into the folder ``out``.
    """

    student: str | dict[str, int] = field(metadata={"check": student_like})
    train: str = field(metadata={"check": text})
    out: str = field(metadata={"check": text})
    method: str = field(metadata={"check": one_of(*METHODS)})
    teacher: str | None = field(default=None, metadata={"check": text})
    validation: str | None = field(default=None, metadata={"check": text})
    task: str | None = field(default=None, metadata={"check": text})
    epochs: int = field(default=3, metadata={"check": positive})
    batch_size: int = field(default=16, metadata={"check": positive})
    accumulate: int = field(default=1, metadata={"check": positive})
    lr: float = field(default=2e-4, metadata={"check": above_zero})
    schedule: str = field(default="cosine", metadata={"check": one_of(*SCHEDULES)})
    warmup: int = field(default=0, metadata={"check": count})
    clip: float = field(default=1.0, metadata={"check": above_zero})
    T: float = field(default=1.0, metadata={"check": above_zero})
    alpha: float = field(default=1.0, metadata={"check": fraction})
    beta: float = field(default=0.5, metadata={"check": fraction})
    temperature: float = field(default=1.0, metadata={"check": above_zero})
    max_length: int = field(default=512, metadata={"check": positive})
    max_new_tokens: int = field(default=128, metadata={"check": positive})
    precision: str = field(default="fp32", metadata={"check": one_of(*PRECISIONS)})
    lora: dict[str, Any] | None = field(default=None, metadata={"check": lora_like})
    checkpoint_every: int = field(default=100, metadata={"check": positive})
    seed: int = field(default=0, metadata={"check": count})


FIELDS = {field.name: field for field in dataclasses.fields(Job)}


def read_job(path: str | Path) -> Job:
    """Read a job file; paths in it that lie beside it are found from anywhere.

    Raises FileNotFoundError, or ValueError with every mistake on a line of its own, each with the
    line of the file where it stands and the way to mend it.
    """
    import yaml

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no job file {file}: check the path.")
    loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
    try:
        node = loader.get_single_node()
        said = {} if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"{file}{where}: this is not YAML: {error}") from error
    if not isinstance(said, dict):
        raise ValueError(f"{file}: expected lines of the form 'name: value', got {said!r}.")
    known = [] if node is None else node.value
    lines = {key.value: key.start_mark.line + 1 for key, _ in known}
    mistakes = _mistakes(said, lines)
    if mistakes:
        raise ValueError("\n".join(f"{file}, line {line}: {what}" for line, what in mistakes))
    found: dict[str, Any] = {
        k: float(v) if isinstance(FIELDS[k].default, float) else v for k, v in said.items()
    }
    for name in ("teacher", "student", "train", "validation", "task", "out"):
        beside = file.parent / str(found.get(name))
        if isinstance(found.get(name), str) and (name == "out" or beside.exists()):
            found[name] = str(beside)
    if found.get("task") and Path(found["task"]).is_file():
        read_exam(found["task"])  # its mistakes are better known now than after the training
    return Job(**found)


def _mistakes(said: dict[str, Any], lines: dict[str, int]) -> list[tuple[int, str]]:
    found = []
    for name, value in said.items():
        if name not in FIELDS:
            near = difflib.get_close_matches(str(name), FIELDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(FIELDS)}."
            found.append((lines.get(name, 1), f"there is no setting {name!r}; {hint}"))
        elif what := FIELDS[name].metadata["check"](value):
            found.append((lines[name], f"{name} {what}, got {value!r}."))
    for name, known in FIELDS.items():
        if known.default is dataclasses.MISSING and name not in said:
            what = known.metadata["check"](None) or "is needed"
            found.append((1, f"{name} is missing: it {what}."))
    method = said.get("method")
    if method in METHODS and method != "sft" and not said.get("teacher"):
        found.append((lines["method"], f"method {method} needs a teacher: name one."))
    if isinstance(said.get("student"), dict) and not said.get("teacher"):
        found.append((lines["student"], "a new student takes the teacher's tokenizer: name one."))
    if method == "jsd" and said.get("beta") in (0, 1):
        found.append((lines["beta"], "beta 0 and 1 are token-kl and reverse-kl: use these."))
    return sorted(found)
