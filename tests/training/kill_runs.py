"""Kills training runs with SIGKILL at random moments and resumes them: started by test_survival.py.

    kill_runs.py FOLDER KILLS SEED

Prints one JSON object. A fork for each attempt, so that torch is imported once; with one thread for
torch there is none that a fork could lose.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from distill_lab import methods
from distill_lab.losses import hint_loss
from distill_lab.models import MLP
from distill_lab.models.projections import Regressor
from distill_lab.teachers import freeze
from distill_lab.training import EarlyStopping, distill
from distill_lab.training.checkpoint import load_checkpoint

STEPS_AN_EPOCH, EPOCHS = 5, 60


def digest(state: dict[str, torch.Tensor]) -> str:
    whole = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(state.items()):
        whole.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return whole.hexdigest()


def train(checkpoint: Path | None, notes: Path | None = None) -> str:
    """One run with everything a checkpoint has to hold; the digest of the student at its end."""
    x = torch.randn(70, 6, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    student = MLP(6, 8, 2, dropout=0.3, seed=1)
    hint = methods.match_features(
        "hint",
        hint_loss,
        [("hidden.0", "hidden.0")],
        weight=0.1,
        base_method=methods.kd(),
        regressors=[Regressor(8, 16, seed=3)],
    )
    seen: dict[int, str] = {}
    distill(
        student,
        (x, y),
        teacher=freeze(MLP(6, 16, 2, seed=9)),
        method=hint,
        epochs=EPOCHS,
        batch_size=14,
        clip=1.0,
        schedule="cosine",
        warmup=7,
        seed=5,
        progress=False,
        checkpoint=checkpoint,
        checkpoint_every=1 if checkpoint else None,
        early_stopping=EarlyStopping(lambda net: net(x)[0, 0].item(), patience=999),
        callbacks=[lambda step: seen.update({step.step: digest(step.student.state_dict())})],
    )
    if notes is not None:
        notes.write_text(json.dumps(seen))
    return digest(student.state_dict())


def in_a_fork(work, out: Path) -> int:
    """Run in a child that leaves its result in a file; return the child's process id."""
    pid = os.fork()
    if pid == 0:
        try:
            out.write_text(work())
            os._exit(0)
        except BaseException as error:
            out.write_text(f"error: {error!r}")
            os._exit(1)
    return pid


def main() -> None:
    torch.set_num_threads(1)
    distill(
        MLP(6, 2),
        (torch.zeros(4, 6), None),
        teacher=freeze(MLP(6, 2)),
        epochs=1,
        method=methods.kd(alpha=1.0),
        progress=False,
    )  # what torch imports at its first step
    folder, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    notes, end = folder / "steps.json", folder / "end"
    os.waitpid(in_a_fork(lambda: train(None, notes), end), 0)
    expected, final = {int(k): v for k, v in json.loads(notes.read_text()).items()}, end.read_text()

    killed = unreadable = wrong = runs = different = 0
    resumed_from: list[int] = []
    while killed < kills:
        path, out = folder / f"run{runs}.safetensors", folder / f"end{runs}"
        while not out.exists():
            began_with = path.stat().st_mtime_ns if path.exists() else None
            pid = in_a_fork(lambda p=path: train(p), out)
            patience = time.monotonic() + 60  # until the child has written once more
            while time.monotonic() < patience and not out.exists():
                if path.exists() and path.stat().st_mtime_ns != began_with:
                    break
                time.sleep(0.001)
            time.sleep(chance.random() * 0.06)
            if killed < kills and not out.exists():
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if not os.WIFSIGNALED(status):
                break
            killed += 1
            try:
                found = load_checkpoint(path)
            except (ValueError, OSError):
                unreadable += 1
                continue
            step = found.facts["step"]
            resumed_from.append(step)
            wrong += digest(found.tensors["student"]) != expected[step]
        runs += 1
        different += out.read_text() != final
    print(
        json.dumps(
            {
                "killed": killed,
                "runs": runs,
                "unreadable": unreadable,
                "wrong": wrong,
                "different": different,
                "stops": len(set(resumed_from)),
                "left over": [p.name for p in folder.glob(".*")],
            }
        )
    )


if __name__ == "__main__":
    main()
