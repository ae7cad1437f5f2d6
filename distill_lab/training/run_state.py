"""A training run on disk, written between two steps: all of it, or not at all."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import getattr_static
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from distill_lab._util.describe import as_it_was, code_of, describe
from distill_lab._util.io import user_path
from distill_lab._util.reached import held_by
from distill_lab._util.runtime import generator_states, own_randomness, restore_generator_states
from distill_lab._util.wrappers import base_state, differing_state, load_state, state_of
from distill_lab.data.batches import Source, TensorSource, batch_of, own_fingerprint
from distill_lab.data.fingerprints import few_of, of_examples, of_facts, of_structure, of_tensors
from distill_lab.data.forms import Buffered, Rows
from distill_lab.methods.method import Method
from distill_lab.teachers import Teacher, identity_of
from distill_lab.teachers.made_of import asked_by, made_of
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
from distill_lab.training.groups import groups_in_words
from distill_lab.training.history import History
from distill_lab.training.nonfinite import first_nonfinite

# what files of before do not say
LATER = {"base", "learning", "student's layers", "code", "teacher's layers", "examples", "members"}


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
            data, examples = _known(self.source)
            self.settings = {
                "method": self.method.name,
                "weights": dict(self.method.weights),
                **self.config.identity(),
                **({"groups": groups_in_words(self.optimizer)} if self.config.parted else {}),
                "data": data,
                **({"examples": examples} if examples else {}),
                "teacher": self._identity(self.teacher),
                **self._members(),
                "routing": self._routing(),
                "processes": self.dist.size,
                "precision": self.dist.precision,
            }
            if base := base_state(self.student):
                self.settings["base"] = of_tensors(base.items())
            self.settings["learning"] = _which_learn(self.student)
            self.settings["student's layers"] = of_structure(self.student, learns=True)
            if own := _own_code(self.method, self.config):
                self.settings["code"] = own
            if (layers := made_of(self.teacher, student=self.student)) is not None:
                self.settings["teacher's layers"] = layers

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
        changed = [
            f"{name}: {before.get(name)!r} there, {value!r} now"
            for name in dict.fromkeys([*self.settings, *before])
            if not as_it_was(before.get(name), value := self.settings.get(name))
            # files of before hold what stands under the adapters themselves, and say less
            and not (name in LATER and name not in before)
        ]
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

    def _identity(self, teacher: object) -> str:
        """A teacher's identity; a bare function's is what it does, or every lambda would be one."""
        named = teacher is None or getattr_static(teacher, "identity", None) is not None
        if named:
            return identity_of(teacher)
        return describe(teacher, weights=True, without=self.student)

    def _members(self) -> dict[str, list[str]]:
        """Bare functions within a teacher, which have no identity in its own."""
        bare = [
            part for part in _within(self.teacher) if getattr_static(part, "identity", None) is None
        ]
        return {"members": [self._identity(part) for part in bare]} if bare else {}

    def _routing(self) -> dict[str, object] | None:
        """Which teachers a routed one has, in order, and who chooses among them."""
        teacher: Any = self.teacher
        if not hasattr(teacher, "choose"):
            return None
        return {"teachers": list(teacher.names), "by": self._identity(teacher.by)}

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


def _within(teacher: Any) -> Iterator[Any]:
    """The teachers that one asks, and those that they ask."""
    for member in asked_by(teacher):
        yield member
        yield from _within(member)


def fingerprint(source: Source) -> str:
    """A short name for the content of data, read from a few examples where they are not at hand."""
    return _known(source)[0]


def _known(source: Source) -> tuple[str, list[str]]:
    """What data are known by: a short name for their content, and what makes examples of it.

    The latter are the functions that augment and collate, texts that no tensor holds, and all of
    the rows where they lie in memory.

    Args:
        source: the data.

    Returns:
        The name, and these parts in words.
    """
    if isinstance(source, TensorSource):
        return f"{len(source)}-{of_tensors(source.columns())}", []
    own = own_fingerprint(source)
    if own is not None and getattr(source, "collate", None) is None:
        return own, []
    (keys, words), (keys_again, words_again) = _sample(source), _sample(source)
    kept = [(n, a) for (n, a), (_, b) in zip(keys, keys_again, strict=True) if torch.equal(a, b)]
    # what another reading changes is no setting: a count, say
    same = [each for each in words if each in words_again]
    if _in_memory(dataset := getattr(source, "dataset", None)):
        same.append(f"rows {describe([dataset])}")
    if len(kept) < len(keys):
        warnings.warn(
            "the data hold other numbers each time an example is read, and no seed reaches what "
            "draws them, a generator of their own: a run that is taken up again draws others than "
            "it would have. Draw from torch, random or numpy.random as they are.",
            stacklevel=2,
        )
    return f"{len(source)}-{of_tensors(kept)}" if own is None else own, same


def _sample(source: Source) -> tuple[list[tuple[str, Tensor]], list[str]]:
    """What a few examples hold, and what made them; that of random augmentation differs in two."""
    index = few_of(len(source))
    with own_randomness(0):  # an augmentation that draws from the generators is the same twice
        batch = batch_of(source, index)
    parts = {"inputs": batch.inputs, "labels": batch.labels, "weights": batch.weights}
    keys, words = [], []
    for name, part in parts.items():
        try:
            keys.append((name, of_examples(part)))
        except TypeError:  # it holds no tensors
            words += [] if part is None else [f"{name} {describe([part])}"]
    # after the reading: what they make when they are first called is there
    functions = [("collate", getattr(source, "collate", None))]
    if own_fingerprint(source) is None:
        functions += _functions(getattr(source, "dataset", source), set())
    words += [f"{name} {describe(each)}" for name, each in functions if each is not None]
    return keys, words


def _in_memory(dataset: Any) -> bool:
    """Whether all rows of a data set are at hand, and nothing is made of them."""
    if type(dataset) is Subset:
        return _in_memory(dataset.dataset)
    if type(dataset) is ConcatDataset:
        return all(map(_in_memory, dataset.datasets))
    return type(dataset) in (list, tuple, Rows, Buffered, TensorDataset)


def _which_learn(student: nn.Module) -> str:
    """Which of a student's weights learn: what an optimizer keeps goes by their places in a row."""
    learn = [parameter.requires_grad for parameter in student.parameters()]
    return "all" if all(learn) else f"{sum(learn)} of {len(learn)} weights, {of_facts(learn)[:8]}"


def _own_code(method: Method, config: TrainingConfig) -> list[str]:
    """What functions of the caller's own do, and the numbers and words that stand outside them.

    A method of one's own goes by its name, which stays when a line of its terms is changed.
    """
    own = [] if method.terms.__module__.startswith("distill_lab.") else [code_of(method.terms)]
    for function in (method.terms, config.read, config.schedule, config.optimizer, config.lr):
        if isinstance(function, str) or not callable(function):
            continue
        plain = [
            f"{name}={value!r}"
            for name, value in held_by(function)
            if isinstance(value, bool | int | float | str)
        ]
        own += sorted(plain)
    return own


def _functions(dataset: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The functions that a data set holds, such as its transform, and those of others within it."""
    held = getattr(dataset, "__dict__", None)
    if not held or id(dataset) in seen:
        return
    seen.add(id(dataset))
    for name in sorted(held):
        each = held[name]
        several = isinstance(each, list | tuple) and len(each) > 0 and all(map(callable, each))
        if (callable(each) or several) and not isinstance(each, type):
            yield name, each
    own = held.get("_format_kwargs")  # of Hugging Face
    if isinstance(own, dict) and "transform" in own:
        yield "transform", own["transform"]
    joined = held.get("datasets")
    for within in (held.get("dataset"), *(joined if isinstance(joined, list | tuple) else ())):
        yield from _functions(within, seen)
