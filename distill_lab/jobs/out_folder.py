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

from distill_lab._util.io import take_lock, write_whole
from distill_lab._util.jsonl import in_words
from distill_lab._util.model_files import header
from distill_lab._util.wrappers import unwrapped
from distill_lab.data import fingerprints
from distill_lab.jobs.kinds.language_model import ALONE
from distill_lab.jobs.setups.setup import Validation
from distill_lab.jobs.validating import early_stopping
from distill_lab.methods import Method
from distill_lab.training.config import TrainingConfig
from distill_lab.training.run_state import fingerprint

CHECKPOINT, TEACHER, NOTE = "run.safetensors", "teacher.safetensors", "run.job.json"
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


def note_job(job: Any) -> None:
    """Write down beside a checkpoint to be what it will not say of the job that it belongs to.

    Args:
        job: of any kind, about to begin; where it has begun, what stands there is left.
    """
    out = Path(job.out)
    if not (out / CHECKPOINT).exists():
        out.mkdir(parents=True, exist_ok=True)
        with in_words(out / NOTE):
            write_whole(out / NOTE, json.dumps(_noted(job), default=str, indent=1).encode())


def check_run(
    job: Any, method: Method, texts: Any = None, learns: Mapping[str, list[int]] | None = None
) -> None:
    """Refuse a folder with the checkpoint of another run, as far as that shows without weights.

    Args:
        job: what would be done.
        method: what would be minimised.
        texts: what would be learned; None where that is not known yet.
        learns: the shape of each weight that would learn, by its name; None where none is known.

    Raises:
        ValueError: naming what differs.
    """
    out = Path(job.out)
    finetune = getattr(job, "finetune", None)
    if finetune is not None and (before := _settings_of(out / TEACHER)) is not None:
        training = replace(job.training, **finetune)
        _refuse(out / TEACHER, _changes(before, _training(job, training)))
    path = out / CHECKPOINT
    if (before := _settings_of(path)) is None:
        return
    training = job.training
    if getattr(job, "bundle", False) and texts is not None:
        training = replace(training, sampler=job.sampler(texts))
    now = _training(job, training)
    # matched layers have weights of their own, and an embedder a regressor that is not made yet
    if not getattr(job, "match", None) and job.kind != "embedding":
        now["weights"] = dict(method.weights)
        if getattr(job, "balance", None) != "weights":  # those of the classes are in its name
            now["method"] = method.name
    if texts is not None:
        now["data"] = fingerprint(texts)
    if job.validates:
        rule = early_stopping(job, Validation("", float), log=lambda line: None)
        # which way is better is the figure's, and follows from the method
        way = str(before.get("early_stopping")).partition(", ")[0]
        now["early_stopping"] = f"{way}, {str(rule).partition(', ')[2]}"
    changed = [*_changes(before, now), *_changes_of_job(job)]
    if learns is not None:
        held = {name: each["shape"] for name, each in header(path).items()}
        kept = {name.removeprefix(OWN): held[name] for name in held if name.startswith(OWN)}
        more = kept.keys() - learns.keys() if job.lora is None else set()
        if more or any(kept.get(name) != shape for name, shape in learns.items()):
            changed.append("the student has other parameters")
    _refuse(path, changed)


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


def _training(job: Any, training: TrainingConfig) -> dict[str, Any]:
    """What a checkpoint says of the settings of a training."""
    launcher = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    precision = training.precision or (launcher if launcher != "no" else "fp32")
    known = {"sampler": None, **training.identity(), "precision": precision}
    ordered = getattr(job, "balance", None) == "sampler" or getattr(job, "bundle", False)
    if ordered and known["sampler"] is None:  # the order follows from data that are not read
        del known["sampler"]
    return known


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {before.get(name)!r} there, {value!r} now"
        for name, value in json.loads(json.dumps(now, default=str)).items()
        if before.get(name) != value
    ]


def _noted(job: Any) -> dict[str, Any]:
    """What a job learns from, under the names of its settings."""
    noted: dict[str, Any] = {}
    if job.kind != "language-model":  # whose data have a name in the checkpoint
        noted["train"] = job.train
    if job.method in (*ALONE, "supervised"):
        return noted
    if (finetune := getattr(job, "finetune", None)) is not None:  # it is taken from its checkpoint
        learns = replace(job.training, **finetune)
        return {**noted, "teacher.finetune": {**learns.identity(), "epochs": learns.epochs}}
    kept, prompt = getattr(job, "teacher_keep", None), getattr(job, "teacher_prompt", None)
    return {**noted, "teacher": job.teacher, "teacher.keep": kept, "teacher_prompt": prompt}


def _changes_of_job(job: Any) -> list[str]:
    """What is otherwise than it was noted; files that were moved are still what they were."""
    path = Path(job.out) / NOTE
    if not path.is_file():
        return []
    before, now = json.loads(path.read_bytes()), json.loads(json.dumps(_noted(job), default=str))
    for name in ("train", "teacher"):
        if name in before and _may_be_same(before[name], now.get(name)):
            before[name] = now.get(name)
    return _changes(before, {name: value for name, value in now.items() if name in before})


def _may_be_same(one: Any, other: Any) -> bool:
    """Whether files, or the weights in folders, are the same, or one of them is not to be seen."""
    sides = [
        [Path(each) for each in ([side] if isinstance(side, str) else side or [])]
        for side in (one, other)
    ]
    if all(path.is_file() for side in sides for path in side):
        files = sides
    else:
        files = [sorted(f for path in side for f in path.glob("*.safetensors")) for side in sides]
    if not all(files):
        return True
    return len(files[0]) == len(files[1]) and all(
        cmp(left, right, shallow=False) for left, right in zip(*files, strict=True)
    )


def _refuse(path: Path, changed: list[str]) -> None:
    if changed:
        raise ValueError(
            f"{path} belongs to another run ({'; '.join(changed)}): choose another out, or delete "
            "it to start afresh."
        )


def check_start(checkpoint: Path, network: nn.Module) -> None:
    """Refuse the checkpoint of a run that another network began.

    Its weights would be put into this one, and what was asked for would be learned from nothing. A
    short name for the start lies beside the checkpoint; one of before has none, and is believed.

    Args:
        checkpoint: where it is, or will be.
        network: as it is before its first step.

    Raises:
        ValueError: where it is another than the one that began.
    """
    beside = checkpoint.with_suffix(".start.json")
    now = {"weights": fingerprints.of_model(network), "shape": _shape_of(network)}
    if not checkpoint.exists():
        write_whole(beside, json.dumps(now).encode())
        return
    before = json.loads(beside.read_bytes()) if beside.exists() else now
    if before != now:
        what = "weights" if before.get("shape") == now["shape"] else "settings"
        raise ValueError(
            f"{checkpoint} belongs to another run (the network that began it had other {what}): "
            "choose another out, or delete it to start afresh."
        )


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
