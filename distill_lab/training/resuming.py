"""A training run on disk: written between two steps, taken up again bit for bit."""

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from distill_lab.batches import Source, TensorSource
from distill_lab.training import checkpoints
from distill_lab.training.checkpoints import Checkpoint
from distill_lab.training.history import History


class RunFile:
    """Saves and restores student, optimiser, random state and history of one run.

    With no path it does nothing. Raises ValueError when the file belongs to another run, naming
    what differs.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        settings: dict[str, Any],
        student: nn.Module,
        optimizer: torch.optim.Optimizer,
        history: History,
        source: Source,
    ) -> None:
        self.path = None if path is None else Path(path)
        self.student, self.optimizer, self.history = student, optimizer, history
        if self.path is not None:
            self.settings = settings | {"data": fingerprint(source)}

    def save(self, step: int) -> None:
        """Write the run as it stands after ``step`` steps."""
        if self.path is None:
            return
        optimizer, facts = checkpoints.pack_optimizer(self.optimizer)
        tensors = {
            "student": self.student.state_dict(),
            "optimizer": optimizer,
            "random": _random_state(self.student),
            "history": self.history.to_tensors(),
        }
        about = {
            "step": step,
            "settings": self.settings,
            "optimizer": facts,
            "seconds": self.history.seconds,
        }
        checkpoints.save(self.path, Checkpoint(tensors, about))

    def resume(self) -> int:
        """Put everything back if there is a file; return how many steps were taken."""
        if self.path is None or not self.path.exists():
            return 0
        found = checkpoints.load(self.path)
        self._check_same_run(found)
        self.student.load_state_dict(found.tensors["student"])
        checkpoints.unpack_optimizer(
            self.optimizer, found.tensors.get("optimizer", {}), found.facts["optimizer"]
        )
        _restore_random_state(found.tensors["random"], self.student)
        for name, values in found.tensors.get("history", {}).items():
            self.history.terms[name] = values.tolist()
        self.history.seconds = found.facts["seconds"]
        return found.facts["step"]

    def _check_same_run(self, found: Checkpoint) -> None:
        before = found.facts["settings"]
        changed = [
            f"{name}: {before.get(name)!r} there, {value!r} now"
            for name, value in self.settings.items()
            if before.get(name) != value
        ]
        shapes = {k: v.shape for k, v in self.student.state_dict().items()}
        if {k: v.shape for k, v in found.tensors["student"].items()} != shapes:
            changed.append("the student has other parameters")
        if changed:
            raise ValueError(
                f"{self.path} belongs to another run ({'; '.join(changed)}): use the same "
                "settings to go on with it, or another checkpoint path to start afresh."
            )


def fingerprint(source: Source) -> str:
    """A short name for the content of tensor data; other data sets go by their size."""
    digest = hashlib.blake2b(str(len(source)).encode(), digest_size=8)
    if isinstance(source, TensorSource):
        for tensor in (source.inputs, source.labels):
            if tensor is not None:
                raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
                digest.update(raw.numpy().data)
    return digest.hexdigest()


def _random_state(student: nn.Module) -> dict[str, torch.Tensor]:
    state = {"cpu": torch.get_rng_state()}
    device = next(student.parameters()).device
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _restore_random_state(state: dict[str, torch.Tensor], student: nn.Module) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], next(student.parameters()).device)
