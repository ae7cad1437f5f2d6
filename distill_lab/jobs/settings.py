"""The schema of job files: each setting's name, meaning, default, check, and who reads it.

Nothing heavy is imported here, so that the table of all settings is printed at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from distill_lab.jobs.values import (
    Check,
    at_least_0,
    choice,
    count,
    device,
    integer,
    names,
    number,
    optional,
    text,
    texts,
)

NEEDED: Any = object()  # the default of a setting that every job has to give
Values = dict[str, Any]
Log = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """One setting of a job file.

    Args:
        name: What stands before the colon.
        about: What it means, one clause.
        check: `(name, value)` gives the value as it is kept, or raises in words.
        default: What it is where the file has it not; `NEEDED`: the file has to.
        methods: Which methods read it; none named: all of them.
        read_with: Settings that, where they are given, make every method read it.
        path: "file" for what lies beside the job file, "model" for what may be on a hub as well,
            "out" for what is written; "~" and "$NAME" are expanded in all of them.
        parts: The settings of a mapping, each checked at its own line.
        forms: Those of a mapping of another form, by the key that such a one has.
    """

    name: str
    about: str
    check: Check
    default: Any = NEEDED
    methods: tuple[str, ...] = ()
    read_with: tuple[str, ...] = ()
    path: Literal["", "file", "model", "out"] = ""
    parts: tuple["Setting", ...] = ()
    forms: Mapping[str, tuple["Setting", ...]] = field(default_factory=dict)

    def parts_of(self, value: Mapping[str, Any]) -> tuple["Setting", ...]:
        """The settings that a mapping may have, by its form."""
        return next((parts for key, parts in self.forms.items() if key in value), self.parts)

    def checked(self, value: Any) -> Any:
        """The value as it is kept; None stands for a default of None.

        Raises:
            ValueError: For a value that cannot be, in words.
            TypeError: For one of another kind.
        """
        return None if value is None and self.default is None else self.check(self.name, value)

    def is_read(self, method: object, given: Iterable[str]) -> bool:
        """Whether a method reads it.

        Args:
            method: the job's.
            given: the settings that the job gives.

        Returns:
            Whether it does.
        """
        return not self.methods or method in self.methods or bool({*self.read_with} & {*given})


@dataclass(frozen=True)
class Kind:
    """A kind of job: what its file may say, and what is done with it.

    Args:
        name: What stands behind `kind:`.
        about: What it does, one clause.
        methods: Each with what it does.
        settings: All that a file of this kind may say.
        misfits: Of the values, those that do not go together: a setting and a sentence each.
        make: The job of the values of all settings.
        check: `(job, log)` opens everything that the job names, and loads no model.
        run: `(job, *, progress, log)` runs it, and returns what it left.
    """

    name: str
    about: str
    methods: Mapping[str, str]
    settings: tuple[Setting, ...]
    misfits: Callable[[Values], Iterable[tuple[str, str]]]
    make: Callable[[Values], Any]
    check: Callable[[Any, Log], None]
    run: Callable[..., Any]

    def setting(self, name: str) -> Setting:
        """The setting of this name."""
        return {each.name: each for each in self.settings}[name]


DATA = (
    Setting(
        "train",
        "the training data: a file, a pattern such as part-*.jsonl, a folder, or a list of them",
        texts,
        path="file",
    ),
    Setting(
        "validation",
        "data of the same form, which the figures are measured on; else the training data",
        texts,
        None,
        path="file",
    ),
    Setting("columns", "our names for columns of the data, as in {prompt: question}", names, None),
    Setting("encoding", "of data that are not UTF-8, such as cp1252", text, None),
)
_TRAINING = (
    Setting("epochs", "how often every example is seen", integer, 3),
    Setting("batch_size", "examples a step", integer, 16),
    Setting("accumulate", "pieces that a batch is cut into, to save memory", integer, 1),
    Setting("lr", "the learning rate, at its highest", number, 2e-4),
    Setting("weight_decay", "what is taken off the weights, times lr", at_least_0, 0.0),
    Setting("optimizer", "adamw or muon", choice("adamw", "muon"), "adamw"),
    Setting(
        "schedule",
        "of lr: constant, linear or cosine",
        choice("constant", "linear", "cosine"),
        "cosine",
    ),
    Setting("warmup", "steps in which lr first rises", count, 0),
    Setting("clip", "the largest norm of the gradient; null: any", optional(number), 1.0),
    Setting(
        "precision",
        "of the forward pass: fp32, bf16 or fp16; null: as the launcher says",
        optional(choice("fp32", "bf16", "fp16")),
        "fp32",
    ),
    Setting(
        "device",
        "where models are, such as cpu, cuda, cuda:1 or mps; null: the best there is",
        optional(device),
        None,
    ),
    Setting("seed", "of the order of batches, of dropout and of fresh weights", count, 0),
    Setting("checkpoint_every", "steps between two writings", optional(integer), 100),
)
TRAINING = tuple(each.name for each in _TRAINING)


def training(**defaults: Any) -> tuple[Setting, ...]:
    """The settings of every training.

    Args:
        **defaults: Those that are other than usual in a kind of job.

    Returns:
        The settings.

    >>> [each.default for each in training(lr=5e-5) if each.name == "lr"]
    [5e-05]
    """
    return tuple(replace(each, default=defaults.get(each.name, each.default)) for each in _TRAINING)


def in_words(methods: Mapping[str, str]) -> str:
    """How to learn: each method with what it does, in one line.

    Args:
        methods: of a kind of job.

    Returns:
        The line.

    >>> in_words({"sft": "learn the answers", "dpo": "raise the chosen one"})
    'how to learn; sft: learn the answers; dpo: raise the chosen one'
    """
    return "; ".join(["how to learn", *(f"{name}: {about}" for name, about in methods.items())])


def settings_table(kinds: Sequence[Kind], *, markdown: bool = False) -> str:
    """All settings of some kinds of job: name, default, who reads it, what it means.

    Args:
        kinds: The kinds; what several share is named once.
        markdown: Whether it is a table for a page; else lines for a terminal.

    Returns:
        The table.
    """
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for kind in kinds:
        for each in kind.settings:
            for row in _rows(each):
                rows.setdefault(row, []).append(kind.name)
    lines = []
    for (name, default, readers, about), of in rows.items():
        only = "" if len(of) == len(kinds) else ", ".join(of)
        where = "; ".join(filter(None, (only, readers))) or "all"
        if markdown:
            cells = [f"`{name}`", default, where, about]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        else:
            lines.append(f"  {name:<28} {default:<12} {about} [{where}]")
    if markdown:
        lines[:0] = ["| setting | default | read by | what it is |", "| --- | --- | --- | --- |"]
    return "\n".join(lines)


def _rows(each: Setting, inside: str = "") -> list[tuple[str, str, str, str]]:
    readers = ", ".join(each.methods)
    if each.read_with:
        readers += f", or with {', '.join(each.read_with)}"
    name = inside + each.name
    rows = [(name, _shown(each.default), readers, each.about)]
    for part in (part for parts in (each.parts, *each.forms.values()) for part in parts):
        rows += [row for row in _rows(part, f"{name}.") if row not in rows]  # of several forms
    return rows


def _shown(default: Any) -> str:
    if default is NEEDED:
        return "needed"
    if isinstance(default, float):
        return f"{default:g}"
    return "none" if default in (None, (), {}) else str(default)
