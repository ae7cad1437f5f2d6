"""A job's folder, looked at before anything is loaded: may it be written, and is it this job's."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from filecmp import cmp
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn

from distill_lab._util.describe import as_it_was
from distill_lab._util.io import take_lock, write_whole
from distill_lab._util.model_files import header
from distill_lab._util.wrappers import unwrapped
from distill_lab.data import fingerprints
from distill_lab.jobs.kinds.language_model import ALONE, LORA
from distill_lab.jobs.repeating import check_seeds, files_of, seeds_of
from distill_lab.jobs.setups.layers import in_full
from distill_lab.jobs.setups.setup import Validation
from distill_lab.jobs.setups.students import network_recipe
from distill_lab.jobs.validating import early_stopping
from distill_lab.methods import Method
from distill_lab.training.config import TrainingConfig
from distill_lab.training.known_again import fingerprint

CHECKPOINT, TEACHER = "run.safetensors", "teacher.safetensors"
PATHS = ("student", "teacher", "train", "validation")  # words that are known by their content
# Words that what a checkpoint says follows from: they say why it differs, where it does.
SHOWN = (
    *("balance", "augment", "max_length", "held_out", "labels", "columns", "separator", "size"),
    *("reads", "learn", "reasoning", "template"),
)
OWN = "student/"  # what stands before a weight of the student in a checkpoint


def check_out(out: Path) -> None:
    """Refuse a folder that cannot be written into.

    Args:
        out: the job's.

    Raises:
        ValueError: naming what is in the way.
    """
    there = next(each for each in (out, *out.absolute().parents) if each.exists())
    if not there.is_dir():
        raise ValueError(f"out {out}: {there} is a file, and a folder is needed: choose another.")
    if not os.access(there, os.W_OK):
        raise ValueError(f"out {out}: nothing may be written into {there}: choose another.")


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Be the one run that writes into a folder, which is made where it is missing.

    Args:
        out: the job's.

    Raises:
        BlockingIOError: where another process has a run in it.
        ValueError: where it cannot be written into.
    """
    check_out(out)
    out.mkdir(parents=True, exist_ok=True)
    path = out / ".running"
    lock = take_lock(path, f"into {out}")
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes nothing that is held
            path.unlink()
        lock.release()


def check_run(
    job: Any, method: Method, learned: Any = None, learns: Mapping[str, list[int]] | None = None
) -> None:
    """Refuse a folder with the checkpoint of another run, as far as that shows without weights.

    Args:
        job: what would be done.
        method: what would be minimised.
        learned: the data of it; None where they are not known yet.
        learns: the shape of each weight that would learn, by its name; None where none is known.

    Raises:
        ValueError: naming what differs.
    """
    if job.seeds is not None:
        check_seeds(job, files_of(job), None if learned is None else fingerprint(learned))
        for each in seeds_of(job):
            check_run(each, method, learned, learns)
        return
    path, taught = Path(job.out) / CHECKPOINT, Path(job.origin.out) / TEACHER
    sampler = None if learned is None else job.sampler(learned)
    words = words_of(job)
    why = _changes_of_job(path, {name: words.pop(name) for name in SHOWN if name in words})
    finetune = getattr(job, "finetune", None)
    if finetune is not None and (before := _settings_of(taught)) is not None:
        training = replace(job.origin.training, **finetune, sampler=sampler)
        changed = _changes(before, _training(job, training, before))
        _refuse(taught, changed and [*changed, *why])
    if (before := _settings_of(path)) is None:
        return
    now = _training(job, replace(job.training, sampler=sampler), before)
    now["weights"], now["method"] = dict(method.weights), method.name
    # matched layers come behind the method, and an embedder's regressor, which are not made yet
    if getattr(job, "match", None) or job.kind == "embedding":
        now["weights"] = before["weights"] | now["weights"]
        if str(before["method"]).startswith(method.name.removesuffix(")")):
            now["method"] = before["method"]
    if learned is not None:
        now["data"] = fingerprint(learned)
    if job.validates:
        rule = early_stopping(job, Validation("", float), log=lambda line: None)
        # which way is better is the figure's, and follows from the method
        way = str(before.get("early_stopping")).partition(", ")[0]
        now["early_stopping"] = f"{way}, {str(rule).partition(', ')[2]}"
    changed = [*_changes(before, now), *_changes_of_job(path, words)]
    if learns is not None:
        held = {name: each["shape"] for name, each in header(path).items()}
        kept = {name.removeprefix(OWN): held[name] for name in held if name.startswith(OWN)}
        more = kept.keys() - learns.keys() if job.lora is None else set()
        if more or any(kept.get(name) != shape for name, shape in learns.items()):
            changed.append("the student has other parameters")
    _refuse(path, changed and [*changed, *why])


def _settings_of(path: Path) -> dict[str, Any] | None:
    """The settings that a checkpoint was made with; None where there is none."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            settings: dict[str, Any] = json.loads((file.metadata() or {})["facts"])["settings"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a whole checkpoint ({error}): delete it.") from None
    return settings


def _training(job: Any, training: TrainingConfig, before: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of the settings of a training."""
    launcher = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    precision = training.precision or (launcher if launcher != "no" else "fp32")
    known = {"sampler": None, **training.identity(), "precision": precision}
    ordered = getattr(job, "balance", None) == "sampler" or getattr(job, "bundle", False)
    if ordered and known["sampler"] is None:  # the order follows from data that are not read
        known["sampler"] = before.get("sampler") or "an order of its own"
    return known


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {before.get(name)!r} there, {value!r} now"
        for name, value in json.loads(json.dumps(now, default=str)).items()
        if not as_it_was(before.get(name), value)
    ]


def words_of(job: Any) -> dict[str, Any]:
    """What a checkpoint does not say of the job that it belongs to, by the names of its settings.

    Args:
        job: of any kind.

    Returns:
        Plain values.
    """
    words: dict[str, Any] = {name: getattr(job, name) for name in SHOWN if hasattr(job, name)}
    words["student"] = network_recipe(job.student) or job.student
    if job.validates:  # which weights are kept follows from what is measured
        words["validation"] = job.validation
    if job.kind != "language-model":  # whose data have a name in the checkpoint
        words |= {"train": job.train, "match": in_full(job.match)}
    elif job.method == "seq-kd":  # unless they are a teacher's answers
        words |= {name: getattr(job, name) for name in ("samples", "verify", "filters")}
    if getattr(job, "lora", None) is not None:
        usual = {each.name: each.default for each in LORA if each.name != "merge"}
        words["lora"] = {name: job.lora.get(name, value) for name, value in usual.items()}
    if (finetune := getattr(job, "finetune", None)) is not None:  # it is taken from its checkpoint
        learns = replace(job.training, **finetune)
        words |= {
            "teacher": job.teacher,
            "teacher.finetune": {**learns.identity(), "epochs": learns.epochs},
        }
    if job.method not in (*ALONE, "supervised") or getattr(job, "match", None):
        kept, prompt = getattr(job, "teacher_keep", None), getattr(job, "teacher_prompt", None)
        words |= {"teacher": job.teacher, "teacher.keep": kept, "teacher_prompt": prompt}
        words["cache"] = getattr(job, "cache", None)
    plain: dict[str, Any] = json.loads(json.dumps(words, default=str))
    return plain


def _changes_of_job(checkpoint: Path, now: Mapping[str, Any]) -> list[str]:
    """What is otherwise than it was noted; files that were moved are still what they were."""
    start, note = (checkpoint.with_suffix(f".{each}.json") for each in ("start", "job"))
    before = json.loads(start.read_bytes()).get("job") if start.is_file() else None
    if before is None:  # runs of before have it in a file of its own, or not at all
        before = json.loads(note.read_bytes()) if note.is_file() else {}
    known = {name: value for name, value in now.items() if name in before}
    for name, value in known.items():
        if name in PATHS and _may_be_same(before[name], value):
            before[name] = value
    return _changes(before, known)


def _may_be_same(one: Any, other: Any) -> bool:
    """Whether files, or what is in folders, are the same, or one of them is not to be seen.

    Of a model's folder the weights count; of two shapes of a student the sizes that both name.
    """
    if one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        alike = all(one[name] == other[name] for name in one.keys() & other.keys())
        return alike and ("layers" in one) == ("layers" in other)
    if isinstance(one, dict) or isinstance(other, dict):
        return False
    sides = [[side] if isinstance(side, str) else side or [] for side in (one, other)]
    files = [[file for each in side for file in _files_of(Path(each))] for side in sides]
    if not all(files):
        return True
    return len(files[0]) == len(files[1]) and all(
        cmp(left, right, shallow=False) for left, right in zip(*files, strict=True)
    )


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    weights = sorted(path.glob("*.safetensors"))
    return weights or sorted(file for file in path.rglob("*") if file.is_file())


def _refuse(path: Path, changed: list[str]) -> None:
    if changed:
        raise ValueError(
            f"{path} belongs to another run ({'; '.join(changed)}): choose another out, or delete "
            "it to start afresh."
        )


def check_start(
    checkpoint: Path, network: nn.Module, words: Mapping[str, Any] | None = None
) -> None:
    """Refuse the checkpoint of a run that another network began, or that was measured otherwise.

    Its weights would be put into this one, and what was asked for would be learned from nothing. A
    short name for the start lies beside the checkpoint, with the job's words; one of before has
    none, and is believed.

    Args:
        checkpoint: where it is, or will be.
        network: as it is before its first step.
        words: as `words_of` gives them.

    Raises:
        ValueError: where it is another than the one that began.
    """
    beside, job = checkpoint.with_suffix(".start.json"), dict(words or {})
    now = {"weights": fingerprints.of_model(network), "shape": _shape_of(network)}
    if not checkpoint.exists():
        write_whole(beside, json.dumps(now | ({"job": job} if job else {}), indent=1).encode())
        return
    before = json.loads(beside.read_bytes()) if beside.exists() else now
    if any(before.get(name) != value for name, value in now.items()):
        what = "weights" if before.get("shape") == now["shape"] else "settings"
        raise ValueError(
            f"{checkpoint} belongs to another run (the network that began it had other {what}): "
            "choose another out, or delete it to start afresh."
        )
    measured = {name: value for name, value in job.items() if name == "validation"}
    _refuse(checkpoint, _changes_of_job(checkpoint, measured))


def _shape_of(network: nn.Module) -> str:
    """A short name for what a network is beside its weights: heads, rates, scales of adapters."""
    inner = unwrapped(network)
    own: Any = getattr(inner, "config", None)
    config = own.to_dict() if hasattr(own, "to_dict") else {"layers": str(inner)}
    adapters = {name: each.to_dict() for name, each in getattr(inner, "peft_config", {}).items()}
    # where a model came from, and by which version, is no part of what it is
    for facts in (config, *adapters.values()):
        for name in ("_name_or_path", "transformers_version", "base_model_name_or_path"):
            facts.pop(name, None)
    return fingerprints.of_facts(json.loads(json.dumps([config, adapters], default=_plain)))


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(value)
