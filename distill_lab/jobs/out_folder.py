"""A job's folder, looked at before anything is loaded: may it be written, and is it this job's."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distill_lab._util.io import take_lock
from distill_lab._util.model_files import header
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
