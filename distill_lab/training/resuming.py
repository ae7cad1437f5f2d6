"""A training run on disk: written between two steps, taken up again bit for bit."""

import os
from inspect import getattr_static
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.randomness import other_states, restore_other_states
from distill_lab.data.batches import Source, TensorSource, own_fingerprint
from distill_lab.data.fingerprints import of_tensors
from distill_lab.methods.naming import called
from distill_lab.teachers import identity_of
from distill_lab.training import checkpoints
from distill_lab.training.checkpoints import Checkpoint
from distill_lab.training.history import History
from distill_lab.training.settings import not_finite_in
from distill_lab.training.step import Learner
from distill_lab.training.stopping import Watch


class RunFile:
    """Saves and restores everything a run is made of.

    That is: student, the method's projections, optimiser, gradient scaler, a teacher that moves
    (``EMA``), the random state of every process (torch's, Python's, NumPy's), history, early
    stopping. Where the data was is
    the step itself, and the schedule follows from it. With no path it does nothing.
    Raises ValueError when the file belongs to another run, naming what differs;
    FloatingPointError rather than write weights that are not finite.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        settings: dict[str, Any],
        learner: Learner,
        watch: Watch,
        history: History,
        source: Source,
    ) -> None:
        self.path = None if path is None else Path(path)
        self.learner, self.watch, self.history = learner, watch, history
        self.crew = learner.crew
        self.modules = {"student": learner.student}
        if learner.method.projections is not None:
            self.modules["projections"] = learner.method.projections
        moving = getattr(learner.teacher, "moving", None)
        if moving is not None:
            self.modules["teacher"] = moving
        if self.path is not None:
            self.settings = settings | {
                "data": fingerprint(source),
                "teacher": _known(learner.teacher),
                "processes": self.crew.size,
                "precision": self.crew.precision,
            }

    def save(self, step: int) -> None:
        """Write the run as it stands after ``step`` steps."""
        if self.path is None:
            return
        self._refuse_not_finite(step)
        random = self._random_states()
        if self.crew.main:
            optimizer, facts = checkpoints.pack_optimizer(self.learner.optimizer)
            tensors = {name: module.state_dict() for name, module in self.modules.items()}
            tensors |= {
                "optimizer": optimizer,
                "random": random,
                "history": self.history.to_tensors(),
                "best": self.watch.best_weights,
            }
            about = {
                "step": step,
                "settings": self.settings,
                "optimizer": facts,
                "scaler": self.crew.scaler.state_dict(),
                "stopping": self.watch.facts(),
                "history": self.history.facts(),
            }
            checkpoints.save(self.path, Checkpoint(tensors, about))
        self.crew.wait()

    def resume(self) -> int:
        """Put everything back if there is a file; return how many steps were taken."""
        if self.path is None or not self.path.exists():
            return 0
        found = checkpoints.load(self.path)
        self._check_same_run(found)
        tensors, facts = found.tensors, found.facts
        for name, module in self.modules.items():
            module.load_state_dict(tensors[name])
        checkpoints.unpack_optimizer(
            self.learner.optimizer, tensors.get("optimizer", {}), facts["optimizer"]
        )
        if facts["scaler"]:
            self.crew.scaler.load_state_dict(facts["scaler"])
        self._restore_random_state(tensors["random"])
        self.history.resume(tensors.get("history", {}), facts["history"])
        self.watch.resume(facts["stopping"], tensors.get("best", {}))
        return facts["step"]

    def _check_same_run(self, found: Checkpoint) -> None:
        before = found.facts["settings"]
        changed = [
            f"{name}: {before.get(name)!r} there, {value!r} now"
            for name, value in self.settings.items()
            if before.get(name) != value
        ]
        for name, module in self.modules.items():
            there = {k: v.shape for k, v in found.tensors.get(name, {}).items()}
            if there != {k: v.shape for k, v in module.state_dict().items()}:
                changed.append(f"the {name} has other parameters")
        if changed:
            raise ValueError(
                f"{self.path} belongs to another run ({'; '.join(changed)}): use the same "
                "settings to go on with it, or another checkpoint path to start afresh."
            )

    def _refuse_not_finite(self, step: int) -> None:
        name = not_finite_in(self.learner.student)
        if name is not None:
            raise FloatingPointError(
                f"the student's {name} is not finite after step {step}, so the checkpoint "
                f"{self.path} was left as it was. Lower the learning rate, or set clip=1.0."
            )

    def _random_states(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()} | other_states()
        if self.crew.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.crew.device)
        return {
            f"{kind}/{rank}": state
            for kind, mine in states.items()
            for rank, state in enumerate(self.crew.gather(mine))
        }

    def _restore_random_state(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states[f"cpu/{self.crew.rank}"])
        if self.crew.device.type == "cuda":
            torch.cuda.set_rng_state(states[f"cuda/{self.crew.rank}"], self.crew.device)
        mine = {kind: states.get(f"{kind}/{self.crew.rank}") for kind in ("python", "numpy")}
        restore_other_states({kind: state for kind, state in mine.items() if state is not None})


def _known(teacher: object) -> str:
    """A teacher's identity; a bare function's is what it does, or every lambda would be one."""
    named = teacher is None or getattr_static(teacher, "identity", None) is not None
    return identity_of(teacher) if named else called(teacher)


def fingerprint(source: Source) -> str:
    """A short name for the content of data; data sets that cannot say go by their size."""
    told = own_fingerprint(source)
    if told is not None:
        return told
    tensors: list[tuple[str, Tensor]] = []
    if isinstance(source, TensorSource):
        named = (("inputs", source.inputs), ("labels", source.labels))
        tensors = [(name, tensor) for name, tensor in named if tensor is not None]
    return f"{len(source)}-{of_tensors(tensors)}"
