"""What a run is known by: settings, data, student, method and teacher, each in a word or a name."""

import warnings
from collections.abc import Iterator, Mapping
from inspect import getattr_static
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from distill_lab._util.describe import as_it_was, code_of, describe
from distill_lab._util.reached import held_by
from distill_lab._util.runtime import own_randomness
from distill_lab._util.wrappers import base_state
from distill_lab.data.batches import Source, TensorSource, batch_of, own_fingerprint
from distill_lab.data.fingerprints import few_of, of_examples, of_facts, of_structure, of_tensors
from distill_lab.data.forms import Buffered, Rows
from distill_lab.methods.method import Method
from distill_lab.teachers import Teacher, identity_of
from distill_lab.teachers.made_of import asked_by, made_of
from distill_lab.training.config import TrainingConfig
from distill_lab.training.distributed import DistributedContext
from distill_lab.training.groups import groups_in_words

# what files of before do not say
LATER = {"base", "learning", "student's layers", "code", "teacher's layers", "examples", "members"}


def known_by(
    config: TrainingConfig,
    dist: DistributedContext,
    source: Source,
    student: nn.Module,
    method: Method,
    teacher: Teacher | None,
    optimizer: torch.optim.Optimizer,
) -> dict[str, Any]:
    """What has to be as it was for a run to go on, by name.

    Args:
        config: settings of the run.
        dist: its processes and precision.
        source: the data.
        student: who learns.
        method: what is minimised.
        teacher: who is asked, or None.
        optimizer: of which the groups count, where a function parts them.

    Returns:
        Plain values, as a checkpoint keeps them.
    """
    data, examples = _data_known_by(source)
    known: dict[str, Any] = {
        "method": method.name,
        "weights": dict(method.weights),
        **config.identity(),
        **({"groups": groups_in_words(optimizer)} if config.parted else {}),
        "data": data,
        **({"examples": examples} if examples else {}),
        "teacher": _identity(teacher, student),
        **_members(teacher, student),
        "routing": _routing(teacher, student),
        "processes": dist.size,
        "precision": dist.precision,
        "learning": _which_learn(student),
        "student's layers": of_structure(student, learns=True),
    }
    if base := base_state(student):
        known["base"] = of_tensors(base.items())
    if own := _own_code(method, config):
        known["code"] = own
    if (layers := made_of(teacher, student=student)) is not None:
        known["teacher's layers"] = layers
    return known


def differing_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was, in words; what files of before do not say is taken to be.

    Args:
        before: what `known_by` gave when a file was written.
        now: what it gives.

    Returns:
        A phrase for each.
    """
    return [
        f"{name}: {before.get(name)!r} there, {value!r} now"
        for name in dict.fromkeys([*now, *before])
        if not as_it_was(before.get(name), value := now.get(name))
        and not (name in LATER and name not in before)
    ]


def _identity(teacher: object, student: nn.Module) -> str:
    """A teacher's identity; a bare function's is what it does, or every lambda would be one."""
    named = teacher is None or getattr_static(teacher, "identity", None) is not None
    if named:
        return identity_of(teacher)
    return describe(teacher, weights=True, without=student)


def _members(teacher: Any, student: nn.Module) -> dict[str, list[str]]:
    """Bare functions within a teacher, which have no identity in its own."""
    bare = [part for part in _within(teacher) if getattr_static(part, "identity", None) is None]
    return {"members": [_identity(part, student) for part in bare]} if bare else {}


def _routing(teacher: Any, student: nn.Module) -> dict[str, object] | None:
    """Which teachers a routed one has, in order, and who chooses among them."""
    if not hasattr(teacher, "choose"):
        return None
    return {"teachers": list(teacher.names), "by": _identity(teacher.by, student)}


def _within(teacher: Any) -> Iterator[Any]:
    """The teachers that one asks, and those that they ask."""
    for member in asked_by(teacher):
        yield member
        yield from _within(member)


def fingerprint(source: Source) -> str:
    """A short name for the content of data, read from a few examples where they are not at hand."""
    return _data_known_by(source)[0]


def _data_known_by(source: Source) -> tuple[str, list[str]]:
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
