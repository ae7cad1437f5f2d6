"""A model in whatever form it comes, ready to be called: module, export, session, function."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import getattr_static
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from distill_lab._util.tensors import Batch, attention_of, leaves, map_tensors
from distill_lab.evaluation.predictions import as_module, evaluating
from distill_lab.models.networks import output_of

__all__ = [
    "Read",
    "Runnable",
    "example_count",
    "first_rows",
    "is_session",
    "scores_of",
    "session_bytes",
    "unpadded",
]

Read = Callable[[Any], Any]
ONNX_DTYPES = {"float": "float32", "double": "float64"}  # the others are called as in NumPy


class Runnable:
    """How a model is called, and the network whose cost can be read.

    Args:
        model: a module, compiled, quantised or scripted as well; a `torch.export`ed program; an
            ONNX session; a frozen teacher; or a function of the inputs. A function that reads
            `.inputs`, as teachers do, is given a batch.
        read: takes the scores out of what the model returns; a frozen teacher has its own.

    Raises:
        TypeError: for anything else.

    >>> Runnable(nn.Linear(4, 3)).scores(Batch(torch.zeros(2, 4), None, torch.arange(2))).shape
    torch.Size([2, 3])
    """

    def __init__(self, model: Any, read: Read | None = None) -> None:
        self.model, self.read = model, read
        self.module: nn.Module | None = None
        self.rows: int | None = None  # how many examples a call must have, where that is fixed
        self.dtype: torch.dtype | None = None  # of floating inputs, where the weights ask for it
        self.whole_batch = False  # teachers are given the batch, all others its inputs
        if isinstance(model, ExportedProgram):
            self.kind, self.module, self.rows = "exported", model.module(), _exported_rows(model)
        elif isinstance(model, nn.Module):
            self.kind, self.module = "module", model
            if isinstance(model, torch.fx.GraphModule):  # an exported program as a module
                self.rows = _rows_of_graph(model.graph, None)
        elif is_session(model):
            self.kind, self.rows = "ONNX session", _session_rows(model)
        elif isinstance(getattr(model, "model", None), nn.Module) or (
            callable(model) and getattr_static(model, "identity", None) is not None
        ):
            inner = getattr(model, "model", None)
            self.module = inner if isinstance(inner, nn.Module) else None
            self.kind, self.whole_batch = type(model).__name__, callable(model)
        elif callable(model) and not isinstance(model, type):
            self.kind = "function"
        else:
            as_module(model)  # says in words what is expected

    @property
    def network(self) -> nn.Module | None:
        """The module that answers by itself: an ensemble holds a list of them, and none does."""
        return None if isinstance(self.module, nn.ModuleList) else self.module

    @property
    def session(self) -> bool:
        """Whether it is an ONNX session, whose file has a size though it has no module."""
        return self.module is None and is_session(self.model)

    @property
    def device(self) -> torch.device | None:
        """Where the weights are; None where there are none to see."""
        held = None if self.module is None else next(self.module.parameters(), None)
        return None if held is None else held.device

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Eval mode and no gradients inside."""
        with evaluating(self.module) if self.module is not None else torch.inference_mode():
            yield

    def scores(self, batch: Batch) -> Tensor:
        """What the model answers to a batch, one row an example, where it computed them."""
        if self.whole_batch:
            batch = batch if self.device is None else batch.to(self.device)
            read = self.read if self.kind == "function" else None  # a teacher has its own
            return scores_of(self.model(batch), read, self.kind, len(batch.ids))
        count = len(batch.ids)
        if self.rows in (None, count):
            return self._scores(batch, count)
        parts = []
        for start in range(0, count, self.rows or 1):
            places = (start + torch.arange(self.rows or 1)).clamp_max(count - 1)  # the last again
            part = Batch(_at(batch.inputs, places), None, batch.ids[places])
            parts.append(self._scores(part, len(places)))
        return torch.cat(parts)[:count]

    def _scores(self, batch: Batch, count: int) -> Tensor:
        try:
            output = self.prepared(batch.inputs)()
        except AttributeError as error:
            # As a teacher is asked: a function may be one of the batch.
            asked_for_more = error.obj is batch.inputs and error.name in Batch._fields
            if self.kind != "function" or not asked_for_more:
                raise
            self.whole_batch = True
            return self.scores(batch)
        return scores_of(output, self.read, self.kind, count)

    def prepared(self, inputs: Any) -> Callable[[], Any]:
        """A call with nothing left to do but the answer: inputs moved, named and cast before."""
        if self.module is None:
            if self.session:
                return functools.partial(_run, self.model, _feeds(self.model, inputs))
            return functools.partial(self.model, inputs)
        module = self.module
        here = map_tensors(lambda x: x.to(self.device), inputs) if self.device else inputs
        given, wanted = _floating(here), _dtype(module)
        if self.dtype is None and None not in (given, wanted) and given != wanted:
            # Asked once: a network may turn its inputs into its own type by itself.
            try:
                output_of(module, here)
                self.dtype = given
            except RuntimeError:
                self.dtype = wanted
        if self.dtype is not None:
            dtype = self.dtype
            here = map_tensors(lambda x: x.to(dtype) if x.is_floating_point() else x, here)
        return functools.partial(output_of, module, here)


def scores_of(output: Any, read: Read | None, kind: str, count: int) -> Tensor:
    """The scores in what a model returned: a tensor, an array, `.logits`, or what `read` takes."""
    value = output
    if read is not None:
        value = read(output)
    elif isinstance(output, Mapping):
        value = output.get("logits", next(iter(output.values())) if len(output) == 1 else output)
    elif hasattr(output, "logits"):
        value = output.logits
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if not isinstance(value, Tensor):
        parts = f" with {list(value)}" if isinstance(value, Mapping) else ""
        raise TypeError(
            f"the model must answer with logits as one tensor; got {type(value).__name__}{parts} "
            f'of a {kind}. Say where they are: read=lambda out: out[0], or out["name"].'
        )
    if value.is_complex() or value.layout != torch.strided:
        raise TypeError(
            f"the model must answer with real numbers in a dense tensor; got {value.dtype}, "
            f"{value.layout}: read=abs of complex ones, or read=lambda out: out.to_dense()."
        )
    if value.ndim == 0 or len(value) != count:
        raise ValueError(
            f"{count} inputs must give {count} rows of answers; got {tuple(value.shape)}."
        )
    value = value.detach()
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def is_session(model: Any) -> bool:
    """Whether this is an ONNX session: told by what it does, for onnxruntime is not needed here."""
    return all(callable(getattr(model, name, None)) for name in ("run", "get_inputs"))


def session_bytes(session: Any) -> int | None:
    """Bytes of an ONNX model's file and of the data beside it; None if it came from memory."""
    path = getattr(session, "_model_path", None)
    if not path:
        return None
    file = Path(path)
    beside = [file.with_name(file.name + end) for end in ("", ".data", "_data")]
    return sum(part.stat().st_size for part in beside if part.is_file())


def example_count(inputs: Any) -> int:
    """How many examples some inputs hold: a dict has as many as its tensors have rows."""
    return len(leaves("", inputs)[0][1])


def first_rows(inputs: Any, count: int) -> Any:
    """The first examples of some inputs."""
    return map_tensors(lambda x: x[:count], inputs)


def unpadded(inputs: Any) -> Any:
    """Inputs without the columns that are padding in every example, where a mask tells them."""
    mask = attention_of(inputs)
    if mask is None or mask.ndim != 2:
        return inputs
    kept = mask.any(0)
    return map_tensors(lambda x: x[:, kept] if x.shape[:2] == mask.shape else x, inputs)


def _at(inputs: Any, places: Tensor) -> Any:
    return map_tensors(lambda x: x[places.to(x.device)], inputs)


def _floating(inputs: Any) -> torch.dtype | None:
    tensors = (x for _, x in leaves("", inputs) if isinstance(x, Tensor))
    return next((x.dtype for x in tensors if x.is_floating_point()), None)


def _dtype(module: nn.Module) -> torch.dtype | None:
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), None)


def _exported_rows(program: ExportedProgram) -> int | None:
    """The examples a call must have: those of the example that it was exported with, if fixed."""
    return _rows_of_graph(program.graph, set(program.graph_signature.user_inputs))


def _rows_of_graph(graph: torch.fx.Graph, named: set[str] | None) -> int | None:
    for node in graph.nodes:
        value = node.meta.get("val")
        known = named is None or node.name in named
        if node.op == "placeholder" and known and isinstance(value, Tensor):
            rows = value.shape[0] if value.ndim else None
            return rows if isinstance(rows, int) else None
    return None


def _session_rows(session: Any) -> int | None:
    shape = session.get_inputs()[0].shape
    return shape[0] if shape and isinstance(shape[0], int) else None


def _feeds(session: Any, inputs: Any) -> dict[str, np.ndarray[Any, Any]]:
    slots = session.get_inputs()
    if not isinstance(inputs, Mapping):
        values = inputs if isinstance(inputs, tuple) else (inputs,)
        inputs = dict(zip((slot.name for slot in slots), values, strict=False))
    missing = [slot.name for slot in slots if slot.name not in inputs]
    if missing:
        raise ValueError(
            f"the ONNX session wants inputs {missing}, and the data have {list(inputs)}: name them "
            "alike in a dict."
        )
    feeds = {}
    for slot in slots:
        dtype = slot.type.removeprefix("tensor(").removesuffix(")")
        feeds[slot.name] = inputs[slot.name].cpu().numpy().astype(ONNX_DTYPES.get(dtype, dtype))
    return feeds


def _run(session: Any, feeds: Any) -> dict[str, Tensor]:
    names = [output.name for output in session.get_outputs()]
    answers = (torch.from_numpy(answer) for answer in session.run(None, feeds))
    return dict(zip(names, answers, strict=True))
