"""Ask models for their logits without training them, in whatever form they come."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import positive_int
from distill_lab._util.runtime import modes_kept

__all__ = ["Contender", "as_module", "ask", "evaluating", "predict_logits", "with_teacher"]


def as_module(model: Any) -> nn.Module:
    """The torch module itself, also out of a frozen teacher; TypeError for anything else."""
    inner = model if isinstance(model, nn.Module) else getattr(model, "model", None)
    if not isinstance(inner, nn.Module):
        raise TypeError(
            f"expected a torch module, or a teacher that holds one; got {type(model).__name__}."
        )
    return inner


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside; afterwards every submodule is in the mode it was in."""
    with modes_kept(model), torch.inference_mode():
        with suppress(NotImplementedError):  # of an exported graph, which has one mode
            model.eval()
        yield


def predict_logits(model: Any, inputs: Tensor, batch_size: int = 1024) -> Tensor:
    """A model's logits in eval mode and without a graph.

    It runs on the model's device and answers on the inputs'; the model's modes are restored.

    Args:
        model: the network.
        inputs: examples (N, ...).
        batch_size: examples a call.

    Returns:
        Scores (N, C).

    Raises:
        TypeError: where the model answers with anything but one tensor.
        ValueError: for no inputs, or where it answers with another number of rows.

    >>> predict_logits(nn.Linear(4, 3), torch.rand(5, 4)).shape
    torch.Size([5, 3])
    """
    positive_int("batch_size", batch_size)
    if len(inputs) == 0:
        raise ValueError("there are no inputs: expected at least one example.")
    module = as_module(model)
    held = next(module.parameters(), None)
    parts = []
    with evaluating(module):
        for batch in inputs.split(batch_size):
            part = module(batch if held is None else batch.to(held.device))
            if not isinstance(part, Tensor):
                raise TypeError(
                    f"the model must answer with logits as one tensor; got {type(part).__name__}. "
                    "Wrap it in a module that returns them."
                )
            if part.ndim != 2 or len(part) != len(batch):
                raise ValueError(
                    f"{len(batch)} inputs must give logits ({len(batch)}, classes); "
                    f"got {tuple(part.shape)}."
                )
            parts.append(part.to(inputs.device))
    # Joined outside inference mode, the result may take part in a later loss.
    return torch.cat(parts)


@dataclass(frozen=True)
class Contender:
    """A model's logits of the examples, (S, N, C), and the network whose cost is measured.

    S = 1 for a single network. `network` is the first seed's; None where only logits were given.
    """

    name: str
    logits: Tensor
    network: nn.Module | None

    @property
    def seeds(self) -> int:
        """How many networks there are."""
        return len(self.logits)


def with_teacher(models: Mapping[str, Any], teacher: Any) -> tuple[dict[str, Any], str | None]:
    """The models to measure, in order, and the name of the teacher among them."""
    named = dict(models)
    if teacher is None or isinstance(teacher, str):
        if not named:
            raise ValueError('there is nothing to compare: pass {"name": model, ...}.')
        if teacher is not None and teacher not in named:
            raise ValueError(
                f"teacher must name one of the models, {list(named)}, or be a model itself; "
                f"got {teacher!r}."
            )
        return named, teacher
    for name, model in named.items():
        if _inner(model) is _inner(teacher):
            return named, name
    if "teacher" in named:
        raise ValueError(
            'two models would be called "teacher": rename the one in models, or pass '
            'teacher="teacher" if that is the one meant.'
        )
    return {"teacher": teacher, **named}, "teacher"


def ask(name: str, model: Any, inputs: Tensor, labels: Tensor) -> Contender:
    """Ask a model, or the model of every seed, about the examples.

    `model` is a module (or a frozen teacher), a list of modules, what `distill_seeds` returned, or
    logits (N, C) or (S, N, C). `inputs` are (N, ...), or (S, N, ...) with a row for each seed;
    `labels` (N,) or (S, N) tell which. Raises ValueError for rows that do not fit the seeds.
    """
    rows = len(labels) if labels.ndim == 2 else None
    if isinstance(model, Tensor):
        logits, network = _given(name, model, labels), None
    elif isinstance(model, list | tuple):
        logits, network = _each(name, [as_module(m) for m in model], inputs, rows)
    elif _is_runs(model):
        students = getattr(model, "students", None)
        with evaluating(students) if isinstance(students, nn.Module) else nullcontext():
            answer = model.logits(inputs)
        # Joined outside inference mode, the logits may take part in anything.
        logits, network = answer.clone(), model.model(0)
    else:
        network = _one(name, model)
        logits, network = _each(name, [network] * (rows or 1), inputs, rows)
    if rows is not None and len(logits) != rows:
        raise ValueError(
            f"the data has a row for each of {rows} seeds, but {name!r} has {len(logits)}: give "
            "each seed its own model, or choose a seed with data.at(i)."
        )
    return Contender(name, logits.detach().cpu(), network)


def _one(name: str, model: Any) -> nn.Module:
    try:
        return as_module(model)
    except TypeError as error:
        raise TypeError(
            f"{name!r}: {error} Also taken: a list of modules, one a seed, what distill_seeds "
            "returned, or logits."
        ) from error


def _each(
    name: str, networks: list[nn.Module], inputs: Tensor, rows: int | None
) -> tuple[Tensor, nn.Module]:
    """Logits (S, N, C) of a network a seed, each on its own row where the data has rows."""
    if not networks:
        raise ValueError(f"{name!r} is an empty list: give one network a seed.")
    if rows is not None and len(networks) != rows:
        raise ValueError(
            f"the data has a row for each of {rows} seeds, but {name!r} has {len(networks)}: give "
            "each seed its own model, or choose a seed with data.at(i)."
        )
    parts = [
        predict_logits(network, inputs if rows is None else inputs[i])
        for i, network in enumerate(networks)
    ]
    return torch.stack(parts), networks[0]


def _given(name: str, logits: Tensor, labels: Tensor) -> Tensor:
    stacked = logits[None] if logits.ndim == 2 else logits
    if stacked.ndim != 3 or stacked.shape[1] != labels.shape[-1]:
        raise ValueError(
            f"{name!r} must have one row of logits an example, ({labels.shape[-1]}, classes), or "
            f"that for every seed; got {tuple(logits.shape)}."
        )
    return stacked


def _is_runs(model: Any) -> bool:
    """Many seeds trained as one: they answer by `.logits(inputs)` and give out `.model(i)`."""
    if isinstance(model, nn.Module):
        return False
    return callable(getattr(model, "logits", None)) and callable(getattr(model, "model", None))


def _inner(model: Any) -> Any:
    """What makes two entries the same model: the module inside a frozen teacher, or the object."""
    inner = getattr(model, "model", None)
    return inner if isinstance(inner, nn.Module) and not isinstance(model, nn.Module) else model
