"""A job's folder, looked at before anything is loaded: may it be written, and is it this job's."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import nn

from distill_lab._util.io import take_lock, write_whole
from distill_lab._util.model_files import header
from distill_lab._util.wrappers import unwrapped
from distill_lab.data import fingerprints
from distill_lab.jobs.job import Job
from distill_lab.jobs.setups.setup import Validation
from distill_lab.jobs.validating import early_stopping
from distill_lab.methods import Method
from distill_lab.training.run_state import fingerprint


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


def check_run(job: Job, texts: Any, method: Method, learns: Mapping[str, list[int]]) -> None:
    """Refuse a folder with the checkpoint of another run.

    Args:
        job: what would be done.
        texts: what would be learned.
        method: what would be minimised.
        learns: the shape of each weight that would learn, by its name.

    Raises:
        ValueError: naming what differs.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(job.out) / "run.safetensors"
    if not path.is_file():
        return
    try:
        with safe_open(path, framework="pt") as file:
            before = json.loads((file.metadata() or {})["facts"])["settings"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a whole checkpoint ({error}): delete it.") from None
    held = {name: each["shape"] for name, each in header(path).items()}
    now = {
        "method": method.name,
        "weights": dict(method.weights),
        "data": fingerprint(texts),
        **job.training.identity(),
    }
    if job.validates:
        rule = early_stopping(job, Validation("", float), log=lambda line: None)
        now["early_stopping"] = str(rule)
    changed = [
        f"{name}: {before.get(name)!r} there, {value!r} now"
        for name, value in json.loads(json.dumps(now, default=str)).items()
        if before.get(name) != value
    ]
    kept = {name.removeprefix("student/"): held[name] for name in held if name[:8] == "student/"}
    more = kept.keys() - learns.keys() if job.lora is None else set()
    if more or any(kept.get(name) != shape for name, shape in learns.items()):
        changed.append("the student has other parameters")
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
