"""Reading a job file: every mistake in it at once, each with its line and the way to mend it."""

import difflib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from glob import has_magic, iglob
from pathlib import Path
from typing import Any

from distill_lab._util.io import read_text, user_path
from distill_lab.jobs.job import DEFAULTS
from distill_lab.jobs.kinds import KINDS
from distill_lab.jobs.run_options import misfits
from distill_lab.jobs.settings import NEEDED, Kind, Setting, Values
from distill_lab.jobs.yaml_file import ESCAPES, Document, Key, read_value, read_yaml

ELSEWHERE = {  # what other tools call our settings
    **dict.fromkeys(("packing", "sample_packing", "group_by_length"), "bundle"),
    "learning_rate": "lr",
    **dict.fromkeys(("num_train_epochs", "num_epochs"), "epochs"),
    **dict.fromkeys(("per_device_train_batch_size", "micro_batch_size"), "batch_size"),
    "gradient_accumulation_steps": "accumulate",
    **dict.fromkeys(("bf16", "fp16", "dtype", "torch_dtype"), "precision"),
    **dict.fromkeys(("lr_scheduler", "lr_scheduler_type"), "schedule"),
    "warmup_steps": "warmup",
    "max_grad_norm": "clip",
    **dict.fromkeys(("max_seq_length", "max_seq_len", "sequence_len", "cutoff_len"), "max_length"),
    "output_dir": "out",
    **dict.fromkeys(("dataset", "datasets", "train_file", "data"), "train"),
    **dict.fromkeys(("eval_steps", "eval_every"), "validate_every"),
    **dict.fromkeys(("save_steps", "save_every"), "checkpoint_every"),
    "report_to": "trackers",
    "early_stopping_patience": "patience",
    **dict.fromkeys(("val_set_size", "test_size"), "held_out"),
    "optim": "optimizer",
    **dict.fromkeys(("model", "base_model", "model_name_or_path", "student_model"), "student"),
    **dict.fromkeys(("teacher_model", "teacher_model_name_or_path"), "teacher"),
}


def read_job(path: str | Path, overrides: Sequence[str] = ()) -> Any:
    """Read a job file; paths in it that lie beside it are found from anywhere.

    Args:
        path: The YAML file.
        overrides: Settings in place of the file's, as `name=value`; of a mapping, `lora.r=4`. Their
            paths lie beside the process.

    Returns:
        The job: a `Job`, or that of another kind.

    Raises:
        FileNotFoundError: Where there is none.
        ValueError: With every mistake on a line of its own, each with the line of the file where
            it stands and the way to mend it.
    """
    file = user_path(path, "the job file")
    if not file.is_file():
        raise FileNotFoundError(f"there is no job file {file}: check the path.")
    document = read_yaml(read_text(file), file)
    given = Given(file, document)
    for override in overrides:
        given.override(override)
    return given.job()


class Given:
    """The settings that a file and a command line give together.

    Args:
        file: The file.
        document: What it says.
    """

    def __init__(self, file: Path, document: Document) -> None:
        self.file, self.values = file, document.values
        self.lines, self.escaped = dict(document.lines), document.escaped
        self.mistakes: list[tuple[float, str]] = [
            (line, f"{file}, line {line}: {what}") for line, what in document.mistakes
        ]
        self.typed: set[Key] = set()

    def override(self, words: str) -> None:
        """Take one `name=value` of the command line.

        Raises:
            ValueError: For words of another form.
        """
        name, equals, value = words.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{words!r} is no setting: expected name=value, as in lr=1e-3.")
        key = tuple(name.strip().split("."))
        values = self.values
        for part in key[:-1]:
            inner = values.get(part)
            values[part] = inner = dict(inner) if isinstance(inner, dict) else {}
            values = inner
        values[key[-1]] = read_value(value)
        self.escaped = {each for each in self.escaped if each[: len(key)] != key}
        self.typed.add(key)

    def job(self) -> Any:
        """Check all values, and make the job.

        Raises:
            ValueError: With every mistake on a line of its own.
        """
        name = self.values.pop("kind", "language-model")
        kind = KINDS.get(name) if isinstance(name, str) else None
        if kind is None:
            near = difflib.get_close_matches(str(name), KINDS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            self._wrong(("kind",), f"there is no kind {name!r}; {hint}known: {', '.join(KINDS)}.")
            raise ValueError(self._sentences())
        values = self._checked(self.values, kind.settings, ())
        defaults = {each.name: each.default for each in kind.settings}
        together = (*kind.misfits(values), *misfits(values), *_pieces(values, defaults))
        for setting, sentence in together:
            self._wrong(tuple(setting.split(".")), sentence)
        if self.mistakes:
            raise ValueError(self._sentences())
        # a file is often kept for several methods, so this is said and refused by nobody
        for setting, sentence in self._unread(kind, values):
            warnings.warn(f"{self._where((setting,))[1]}: {sentence}", stacklevel=3)
        places = {name: self._where((name,))[1].removeprefix(f"{name}= ") for name in values}
        return replace(kind.make(defaults | values), places=places)

    def _checked(self, given: Values, settings: Sequence[Setting], at: Key) -> Values:
        """The values as they are kept; what is wrong becomes a mistake."""
        known = {each.name: each for each in settings}
        inside = f" in {'.'.join(at)}" if at else ""
        kept: Values = {}
        for name, value in given.items():
            key = (*at, str(name))
            if name not in known:
                near = [word for word in (ELSEWHERE.get(str(name)),) if word in known]
                near = near or difflib.get_close_matches(str(name), known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
                self._wrong(key, f"there is no setting {name!r}{inside}; {hint}")
                continue
            try:
                kept[name] = self._value(known[name], value, key)
            except (ValueError, TypeError) as error:
                self._wrong(key, str(error))
        needed = [name for name, setting in known.items() if setting.default is NEEDED]
        missing = [name for name in needed if name not in given]
        if at and missing:
            add = ", ".join(missing)
            self._wrong(at, f"{'.'.join(at)} needs {', '.join(needed)}: add {add}.")
        elif not at:
            for name in missing:
                self._wrong((), f"{name} is missing: name {known[name].about}.")
        return kept

    def _value(self, setting: Setting, value: Any, key: Key) -> Any:
        if setting.parts and isinstance(value, dict):
            return self._checked(value, setting.parts_of(value), key)
        value = setting.checked(value)
        if not setting.path or value is None:
            return value
        if key in self.escaped:
            raise ValueError(f"{setting.name} {value!r} holds an escape: {ESCAPES}")
        if isinstance(value, list):
            return [self._path(setting, each, key) for each in value]
        return self._path(setting, value, key)

    def _path(self, setting: Setting, value: str, key: Key) -> str:
        """The path as it is found from here: beside the file where it lies there."""
        if "://" in value and setting.path == "model":
            return value  # refused where models are looked for, which says how a server is asked
        path = user_path(value, setting.name)
        beside = path if key in self.typed else self.file.parent / path
        if setting.path == "out" or _is_there(beside):
            return str(beside)
        looks_like_a_path = value[:1] in "./~$" or "\\" in value
        if _is_there(path) or (setting.path == "model" and not looks_like_a_path):
            return str(path)  # beside the process, or a name on a hub
        return str(beside)

    def _unread(self, kind: Kind, values: Values) -> Iterator[tuple[str, str]]:
        method = values.get("method")
        for name in values if method in kind.methods else ():
            setting = kind.setting(name)
            if not setting.is_read(method, values):
                readers = ", ".join(setting.methods)
                yield name, f"method {method} does not read {name}; {readers} do."

    def _wrong(self, key: Key, sentence: str) -> None:
        line, where = self._where(key)
        self.mistakes.append((line, f"{where}: {sentence}"))

    def _where(self, key: Key) -> tuple[float, str]:
        for known in (key[:length] for length in range(len(key), 0, -1)):
            if known in self.typed:
                return float("inf"), f"{'.'.join(known)}= on the command line"
            if known in self.lines:
                return self.lines[known], f"{self.file}, line {self.lines[known]}"
        return 1, f"{self.file}, line 1"

    def _sentences(self) -> str:
        return "\n".join(sentence for _, sentence in sorted(self.mistakes))


def _is_there(path: Path) -> bool:
    """Whether a path leads to something, also as a pattern such as part-*.jsonl."""
    return path.exists() or (
        has_magic(str(path)) and next(iglob(str(path), recursive=True), None) is not None
    )


def _pieces(values: Values, defaults: Values) -> Iterator[tuple[str, str]]:
    if "accumulate" in values:
        sizes = {name: (defaults | values)[name] for name in ("batch_size", "accumulate")}
        try:
            replace(DEFAULTS, **sizes)
        except ValueError as error:
            yield "accumulate", str(error)
