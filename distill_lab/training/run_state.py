"""A training run on disk, written between two steps: all of it, or not at all."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.io import user_path
from distill_lab._util.runtime import generator_states, restore_generator_states
from distill_lab._util.wrappers import differing_state, load_state, state_of
from distill_lab.data.batches import Source
from distill_lab.methods.method import Method
from distill_lab.teachers import Teacher
from distill_lab.training.callbacks import EarlyStoppingState
from distill_lab.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    pack_optimizer,
    save_checkpoint,
    unpack_optimizer,
)
from distill_lab.training.config import TrainingConfig
from distill_lab.training.distributed import DistributedContext
from distill_lab.training.history import History
from distill_lab.training.known_again import differing_settings, known_by
from distill_lab.training.nonfinite import first_nonfinite


@dataclass
class RunState:
    """Saves and restores everything a run is made of.

    That is: student, the method's projections, optimizer, gradient scaler, a teacher that moves
    (`EMA`), the random state of every process (torch's, Python's, NumPy's), history, early
    stopping. Where the data was is the step itself, and the schedule follows from it. With no path
    it does nothing.

    Raises:
        ValueError: when the file belongs to another run, naming what differs.
        FloatingPointError: rather than write weights that are not finite.
    """

    config: TrainingConfig
    dist: DistributedContext
    source: Source
    student: nn.Module
    method: Method
    teacher: Teacher | None
    optimizer: torch.optim.Optimizer
    early_stopping: EarlyStoppingState
    history: History

    def __post_init__(self) -> None:
        path = self.config.checkpoint
        self.path = None if path is None else user_path(path, "checkpoint", "file")
        modules = {
            "student": self.student,
            "projections": self.method.projections,
            "teacher": getattr(self.teacher, "moving", None),
        }
        self.modules = {name: module for name, module in modules.items() if module is not None}
        if self.path is not None:
            for module in self.modules.values():
                state_of(module)  # what no checkpoint can hold is refused now, not after an epoch
            self.settings = known_by(
                self.config,
                self.dist,
                self.source,
                self.student,
                self.method,
                self.teacher,
                self.optimizer,
            )

    def save(self, step: int) -> None:
        """Write the run as it stands after so many steps."""
        if self.path is None:
            return
        broken = first_nonfinite(self.student)
        if broken is not None:
            raise FloatingPointError(
                f"{broken} is not finite after step {step}, so the checkpoint {self.path} was left "
                "as it was. Lower the learning rate, or set clip=1.0."
            )
        random = self._random_states()
        if self.dist.main:
            optimizer, facts = pack_optimizer(self.optimizer)
            tensors = {name: state_of(module) for name, module in self.modules.items()}
            tensors |= {
                "optimizer": optimizer,
                "random": random,
                "history": self.history.to_tensors(),
                "best": self.early_stopping.best_weights,
            }
            about = {
                "step": step,
                "settings": self.settings,
                "optimizer": facts,
                "scaler": self.dist.scaler.state_dict(),
                "stopping": self.early_stopping.facts(),
                "history": self.history.facts(),
            }
            save_checkpoint(self.path, Checkpoint(tensors, about))
        self.dist.barrier()

    def resume(self) -> int:
        """Put everything back if there is a file; return how many steps were taken."""
        if self.path is None or not self.path.exists():
            return 0
        checkpoint = load_checkpoint(self.path)
        self._check_same_run(checkpoint)
        tensors, facts = checkpoint.tensors, checkpoint.facts
        for name, module in self.modules.items():
            load_state(module, tensors[name])
        unpack_optimizer(self.optimizer, tensors.get("optimizer", {}), facts["optimizer"])
        if facts["scaler"]:
            self.dist.scaler.load_state_dict(facts["scaler"])
        self._restore_random_states(tensors["random"])
        self.history.resume(tensors.get("history", {}), facts["history"])
        self.early_stopping.resume(facts["stopping"], tensors.get("best", {}))
        return int(facts["step"])

    def _check_same_run(self, checkpoint: Checkpoint) -> None:
        before = checkpoint.facts["settings"]
        changed = differing_settings(before, self.settings)
        for name, module in self.modules.items():
            if differing := differing_state(module, checkpoint.tensors.get(name, {})):
                changed.append(f"the {name} has other parameters (first: {differing[0]})")
        if before.get("epochs") != self.settings["epochs"]:
            changed.append(
                f"{self.config.schedule!r} rates follow from the length of the run, so that only "
                "'constant', MultiStep and functions can be extended"
            )
        if changed:
            raise ValueError(
                f"{self.path} belongs to another run ({'; '.join(changed)}): use the same "
                "settings to go on with it, or another checkpoint path (of a job: another out) to "
                "start afresh."
            )

    def _random_states(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()} | generator_states()
        device = self.dist.device
        if device.type != "cpu":
            module: Any = torch.get_device_module(device)
            states[device.type] = module.get_rng_state(*_numbered(device))
        return {
            f"{kind}/{rank}": state
            for kind, own in states.items()
            for rank, state in enumerate(self.dist.gather(own))
        }

    def _restore_random_states(self, states: dict[str, Tensor]) -> None:
        rank = str(self.dist.rank)
        own = {
            key.split("/")[0]: state for key, state in states.items() if key.endswith("/" + rank)
        }
        torch.set_rng_state(own["cpu"])
        device = self.dist.device
        if device.type in own and device.type != "cpu":
            module: Any = torch.get_device_module(device)
            module.set_rng_state(own[device.type], *_numbered(device))
        elif device.type not in own:
            warnings.warn(
                f"{self.path} was written on another device and goes on on {device}: what is drawn "
                "from here on, such as dropout, is not what the whole run would have drawn.",
                stacklevel=2,
            )
        restore_generator_states(own)


def _numbered(device: torch.device) -> tuple[torch.device, ...]:
    """The device, for functions of a kind of which there may be several."""
    return () if device.type == "mps" else (device,)
