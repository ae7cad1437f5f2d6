"""The file of a run: one safetensors file of named tensors and plain facts, never pickle."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from distill_lab._util.io import partial_file, user_path
from distill_lab._util.tensors import dense_parts, sparse_of

FORMAT = "distill-lab checkpoint 2"
TENSOR = "a tensor of this name"  # stands in the facts for a tensor inside a list or a dict


@dataclass
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped.

    Args:
        tensors: named groups: student weights, optimizer state, random state, history.
        facts: plain values (step, settings, optimizer groups), which travel as JSON.
    """

    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint beside its final place, flush it to disk, then move it there.

    Raises:
        OSError: disk full, no permission; the previous checkpoint is still in place.
    """
    target = user_path(path, "the checkpoint", "file")
    named = {
        f"{group}/{name}": tensor.detach()
        for group, tensors in checkpoint.tensors.items()
        for name, tensor in tensors.items()
    }
    flat = {
        name: tensor.to("cpu", copy=True).contiguous()
        for pair in named.items()
        for name, tensor in dense_parts(*pair).items()
    }
    sparse = {n: str(t.layout) for n, t in named.items() if t.layout != torch.strided}
    facts = {"format": FORMAT, "facts": json.dumps(checkpoint.facts), "sparse": json.dumps(sparse)}
    try:
        with partial_file(target) as partial:
            save_file(flat, partial, metadata=facts)
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"could not write the checkpoint {target}: {error}. What was there before is intact; "
            "free some space or choose another path."
        ) from error


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint that `save_checkpoint` wrote.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: for a file that was cut short or is of another kind.
    """
    source = user_path(path, "the checkpoint", "file")
    if not source.exists():
        raise FileNotFoundError(f"no checkpoint at {source}: check the path, or start without one.")
    try:
        with safe_open(source, framework="pt") as file:
            metadata = file.metadata() or {}
            flat = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{source} is not a whole checkpoint ({error}): it was cut short or is another kind "
            "of file. Choose another path; or delete it, if nobody needs it."
        ) from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{source} was not written by this version of distill_lab (expected {FORMAT!r}, found "
            f"{metadata.get('format')!r}): choose another path, or delete it to start again."
        )
    for name, layout in json.loads(metadata.get("sparse", "{}")).items():
        tensor = sparse_of(name, flat, layout)
        others = {key: t for key, t in flat.items() if not key.startswith(f"{name}.")}
        flat = others | {name: tensor}
    checkpoint = Checkpoint(facts=json.loads(metadata["facts"]))
    for key, tensor in flat.items():
        group, _, name = key.partition("/")
        checkpoint.tensors.setdefault(group, {})[name] = tensor
    return checkpoint


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimizer's state into tensors by name and plain facts.

    Args:
        optimizer: any of torch's kind; its state may hold tensors in lists and dicts as well.

    Returns:
        Tensors by name, and what can be written as JSON.

    Raises:
        ValueError: for a state that is neither.
    """
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for number, values in state["state"].items():
        for name, value in values.items():
            key = f"{number}/{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                plain[key] = _packed(value, key, tensors)
    return tensors, {"groups": _packed(state["param_groups"], "groups", tensors), "plain": plain}


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], facts: dict[str, Any]
) -> None:
    """Put back what `pack_optimizer` took apart."""
    state: dict[int, dict[str, Any]] = {}
    inside: set[str] = set()
    plain = {key: _unpacked(value, tensors, inside) for key, value in facts["plain"].items()}
    groups = _unpacked(facts["groups"], tensors, inside)
    own = {key: value for key, value in tensors.items() if key not in inside}
    for key, value in [*own.items(), *plain.items()]:
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _packed(value: Any, key: str, tensors: dict[str, Tensor]) -> Any:
    """A value as JSON can hold it; tensors inside it are put aside under their place in it."""
    if isinstance(value, Tensor):
        tensors[key] = value
        return {TENSOR: key}
    if isinstance(value, tuple | list):
        return [_packed(item, f"{key}/{i}", tensors) for i, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _packed(item, f"{key}/{name}", tensors) for name, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(
        f"the optimizer keeps a {type(value).__name__} in {key}, which a checkpoint cannot hold: "
        "choose another optimizer, or leave checkpoint= out."
    )


def _unpacked(value: Any, tensors: dict[str, Tensor], inside: set[str]) -> Any:
    if isinstance(value, dict) and set(value) == {TENSOR}:
        inside.add(value[TENSOR])
        return tensors[value[TENSOR]]
    if isinstance(value, dict):
        return {name: _unpacked(item, tensors, inside) for name, item in value.items()}
    if isinstance(value, list):
        return [_unpacked(item, tensors, inside) for item in value]
    return value
