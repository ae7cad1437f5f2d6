"""What a job file may say, and where it is wrong: every mistake with its line."""

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill_lab._util.checks import fraction, one_of, positive_finite, positive_int
from distill_lab.jobs.exam import read_exam
from distill_lab.training import TrainingConfig

METHODS = {
    "sft": "learn the answers of the training data",
    "seq-kd": "let the teacher answer the training prompts, and learn its answers",
    "token-kl": "forward KL to the teacher at each answer token",
    "reverse-kl": "reverse KL to the teacher at each answer token",
    "jsd": "generalised JSD to the teacher at each answer token",
    "on-policy": "the student answers the prompts, reverse KL to the teacher on its answers",
}
SHAPE = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
LORA = {"r": 8, "alpha": 16, "dropout": 0.0, "target_modules": None}
# The settings of the training that a job file may have, and what they are where it has them not.
TRAINING = (
    *("epochs", "batch_size", "accumulate", "lr", "weight_decay", "optimizer", "schedule"),
    *("warmup", "clip", "precision", "seed", "checkpoint_every"),
)
DEFAULTS = TrainingConfig(
    epochs=3,
    batch_size=16,
    lr=2e-4,
    schedule="cosine",
    clip=1.0,
    precision="fp32",
    checkpoint_every=100,
)


def _text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text, got {value!r}.")


def _student(name: str, value: object) -> None:
    if not isinstance(value, dict):
        _text(name, value)
    elif set(SHAPE) - value.keys() or value.keys() - {*SHAPE, "num_key_value_heads"}:
        raise ValueError(f"{name} as a shape needs {', '.join(SHAPE)}, got {value!r}.")
    else:
        for part, size in value.items():
            positive_int(f"{part} of the {name}", size)


def _lora(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, dict) or value.keys() - LORA.keys()):
        raise ValueError(f"{name} must be a mapping of some of {', '.join(LORA)}, got {value!r}.")


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "student": _student,
    **dict.fromkeys(("train", "out", "teacher", "validation", "task"), _text),
    "method": lambda name, value: one_of(name, value, METHODS),
    **dict.fromkeys(("T", "temperature"), positive_finite),
    **dict.fromkeys(("alpha", "beta"), fraction),
    **dict.fromkeys(("max_length", "max_new_tokens"), positive_int),
    "lora": _lora,
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A distillation of one language model into another.

    Args:
        student: A folder, a hub name, or the shape of a new Llama with the teacher's tokenizer.
        train: A JSONL file of prompts and answers, or of messages.
        out: The folder that everything is written into.
        method: One of `METHODS`.
        teacher: A folder or a hub name.
        validation: A file like `train`, which the figures are measured on; else `train` itself.
        task: An exam file that the models sit at the end: see `read_exam`.
        T: The temperature of the distributions that are compared.
        alpha: The teacher's share of the loss; the rest is cross-entropy on the labels.
        beta: The teacher's share of the mixture in the JSD.
        temperature: What logits are divided by when an answer is sampled.
        max_length: The length of a training text in tokens, at most.
        max_new_tokens: The length of a sampled answer in tokens, at most.
        lora: Options of low-rank adapters, some of `LORA`; None trains all weights.
        training: The settings of the training.
    """

    student: str | dict[str, int]
    train: str
    out: str
    method: str
    teacher: str | None = None
    validation: str | None = None
    task: str | None = None
    T: float = 1.0
    alpha: float = 1.0
    beta: float = 0.5
    temperature: float = 1.0
    max_length: int = 512
    max_new_tokens: int = 128
    lora: dict[str, Any] | None = None
    training: TrainingConfig = DEFAULTS

    @classmethod
    def of(cls, **settings: Any) -> "Job":
        """Make a job of its own settings and those of the training, side by side."""
        training = {name: settings.pop(name) for name in TRAINING if name in settings}
        return cls(**settings, training=replace(DEFAULTS, **training))

    def training_settings(self) -> dict[str, Any]:
        """The settings of the training, for `distill`."""
        return {name: getattr(self.training, name) for name in TRAINING}

    def facts(self) -> dict[str, Any]:
        """All settings side by side, as plain values."""
        own = {name: getattr(self, name) for name in FIELDS}
        return own | self.training_settings()


FIELDS = {each.name: each for each in dataclasses.fields(Job) if each.name != "training"}
KNOWN = (*FIELDS, *TRAINING)


def read_job(path: str | Path) -> Job:
    """Read a job file; paths in it that lie beside it are found from anywhere.

    Args:
        path: The YAML file.

    Raises:
        FileNotFoundError: Where there is none.
        ValueError: With every mistake on a line of its own, each with the line of the file where
            it stands and the way to mend it.
    """
    import yaml

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no job file {file}: check the path.")
    loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
    try:
        node = loader.get_single_node()
        given = {} if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"{file}{where}: this is not YAML: {error}") from error
    if not isinstance(given, dict):
        raise ValueError(f"{file}: expected lines of the form 'name: value', got {given!r}.")
    lines = {key.value: key.start_mark.line + 1 for key, _ in (node.value if node else ())}
    if mistakes := sorted(_mistakes(given, lines)):
        raise ValueError("\n".join(f"{file}, line {line}: {what}" for line, what in mistakes))
    settings = {
        name: float(value) if isinstance(_default(name), float) and value is not None else value
        for name, value in given.items()
    }
    for name in ("teacher", "student", "train", "validation", "task", "out"):
        beside = file.parent / str(settings.get(name))
        if isinstance(settings.get(name), str) and (name == "out" or beside.exists()):
            settings[name] = str(beside)
    job = Job.of(**settings)
    if job.task is not None and Path(job.task).is_file():
        read_exam(job.task)  # its mistakes are better known now than after the training
    return job


def _default(name: str) -> Any:
    return FIELDS[name].default if name in FIELDS else getattr(DEFAULTS, name)


def _mistakes(given: dict[str, Any], lines: dict[str, int]) -> list[tuple[int, str]]:
    mistakes = []
    for name, value in given.items():
        if name not in KNOWN:
            near = difflib.get_close_matches(str(name), KNOWN, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(KNOWN)}."
            mistakes.append((lines.get(name, 1), f"there is no setting {name!r}; {hint}"))
            continue
        try:
            if name in TRAINING:
                others = {"batch_size": given.get("batch_size", DEFAULTS.batch_size)}
                TrainingConfig(**(others if name == "accumulate" else {}) | {name: value})
            else:
                CHECKS[name](name, value)
        except (ValueError, TypeError) as error:
            mistakes.append((lines[name], str(error)))
    for name, each in FIELDS.items():
        if each.default is dataclasses.MISSING and name not in given:
            mistakes.append((1, f"{name} is missing: {NEEDED[name]}."))
    method = given.get("method")
    if method in METHODS and method != "sft" and not given.get("teacher"):
        mistakes.append((lines["method"], f"method {method} needs a teacher: name one."))
    if isinstance(given.get("student"), dict) and not given.get("teacher"):
        message = "a new student takes the teacher's tokenizer: name one."
        mistakes.append((lines["student"], message))
    if method == "jsd" and given.get("beta") in (0, 1):
        mistakes.append((lines["beta"], "beta 0 and 1 are token-kl and reverse-kl: use these."))
    return mistakes


NEEDED = {
    "student": "name a folder, a model on the hub, or a shape",
    "train": "name a JSONL file",
    "out": "name a folder",
    "method": f"name one of {', '.join(METHODS)}",
}
