"""The scores of a causal language model at the positions that count, and of no others.

Four fifths of a batch are often prompt and padding, and scores (B, L, C) are by far the largest
tensor of a step. The output layer of a Hugging Face model is given the hidden states of the
positions that count alone; and where the model does nothing more to its scores, not even these are
made: a loss gets the hidden states and the layer. What a model does, such as the soft cap of Gemma
2, is found out by looking at one example, and no list of models is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab._util.tensors import (
    Batch,
    Head,
    device_of,
    map_tensors,
    moved,
    next_tokens,
    values_at_hand,
)
from distill_lab._util.wrappers import OutputReader, is_compiled
from distill_lab.models.hooks import undisturbed
from distill_lab.models.networks import logits_of
from distill_lab.models.padding import in_place

WHOLE, ROWS, HEAD = "whole", "rows", "head"  # what a model can be asked for
WORTH = 2**20  # scores; fewer are made sooner than they are gone round
FEW = 4  # positions that are looked at
PIECE = 2**22  # scores that are looked at together, where nobody learns from them
OWN_LENGTH = {"labels", "logits_to_keep", "num_logits_to_keep"}  # inputs that speak of all scores

# the layer that was looked at, and what was found: a model that was changed is looked at again
_found: WeakKeyDictionary[nn.Module, tuple[nn.Module, str]] = WeakKeyDictionary()


class Places(NamedTuple):
    """Some of the positions (B, L) of a batch, n of them.

    Args:
        rows: of each (n,).
        columns: of each (n,).
        shape: that of all positions, (B, L).

    >>> Places.of(torch.tensor([[False, True], [True, True]])).take(torch.arange(4).view(2, 2))
    tensor([1, 2, 3])
    """

    rows: Tensor
    columns: Tensor
    shape: torch.Size

    @classmethod
    def of(cls, mask: Tensor) -> "Places":
        """Those at which a mask is True; how many there are is read from its device."""
        rows, columns = mask.nonzero(as_tuple=True)
        return cls(rows, columns, mask.shape)

    @classmethod
    def to_predict(cls, batch: Batch) -> "Places":
        """Those of a batch of texts whose next token is to be predicted.

        Of a batch that was moved they are found where it came from, so that a device is not waited
        for.
        """
        here = batch.at_hand
        assert batch.labels is not None and here.labels is not None
        at = cls.of(next_tokens(here.labels, here.inputs)[1])
        return at.to(batch.labels.device)

    def to(self, device: torch.device) -> "Places":
        """The same positions, told on another device."""
        return Places(moved(self.rows, device), moved(self.columns, device), self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, values: Tensor) -> Tensor:
        """What a tensor (B, L, ...) holds there, (n, ...), refusing one of other positions."""
        if values.shape[:2] != self.shape:
            raise ValueError(
                f"labels have shape {tuple(self.shape)} and the scores {tuple(values.shape)}: "
                "expected scores (B, L, classes) of the same positions. Give both the same batch."
            )
        return values[self.rows, self.columns]

    def scores(self, values: Tensor) -> Tensor:
        """The scores (n, C) there of scores (B, L, C), refusing one number a token."""
        taken = self.take(values)
        if taken.dim() < 2:
            raise ValueError(
                f"scores have the labels' own shape {tuple(values.shape)}: expected (B, L, classes)"
                ", a score for each token that may come next. Of one answer a text use kd(), or "
                "binary_kd() where several labels hold at once."
            )
        return taken


def scores_at(
    model: Callable[..., Any], inputs: Any, at: Places, *, head: bool = True
) -> Tensor | Head:
    """Ask a language model about some positions of its inputs.

    Args:
        model: the network, in any wrapper; one that cannot be asked so is asked for all scores.
        inputs: (B, L), or a dict of them.
        at: the positions that are asked about, n of them.
        head: whether a `Head` may come back, where there are many scores.

    Returns:
        Scores (n, C), or what they are made of: hidden states (n, H) and the output layer.

    Raises:
        TypeError, IndexError: as `logits_of`.

    >>> table = nn.Embedding(5, 3)
    >>> at = Places.of(torch.tensor([[False, True]]))
    >>> scores_at(table, torch.tensor([[1, 4]]), at).shape
    torch.Size([1, 3])
    """
    inputs = in_place(model, inputs)  # before anything is changed in it
    layer = _output_layer(model, inputs)
    road = WHOLE if layer is None else _road(model, layer, inputs, at)
    if layer is None or road == WHOLE:
        return at.scores(logits_of(model, inputs))
    if road == HEAD and head and len(at) * len(layer.weight) >= WORTH:  # type: ignore[arg-type]
        with _given(layer, lambda hidden: hidden[:1, :1]) as seen:
            logits = logits_of(model, inputs)
        if not seen.untouched(logits):  # the model is another since it was looked at
            del _found[_inner(model)]
            return scores_at(model, inputs, at, head=head)
        return Head(at.take(seen.hidden), layer.weight, layer.bias)  # type: ignore[arg-type]
    with _given(layer, lambda hidden: at.take(hidden)[None]):
        return logits_of(model, inputs)[0]


def in_pieces(*sides: Tensor | Head) -> Iterator[tuple[slice, list[Tensor]]]:
    """The scores of some models at the same positions, few at a time, as they are asked for.

    Args:
        *sides: scores (n, C), or heads of them, each with its own number of classes.

    Yields:
        Which of the positions, and the scores (rows, C) of each side there, in float32.

    >>> [(rows.stop, list(z[0].shape)) for rows, z in in_pieces(torch.zeros(3, 2))]
    [(3, [3, 2])]
    """
    count = len(sides[0].hidden if isinstance(sides[0], Head) else sides[0])
    widest = max(len(x.weight) if isinstance(x, Head) else x.shape[-1] for x in sides)
    step = max(1, PIECE // widest)
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        yield (
            rows,
            [
                F.linear(x.hidden[rows], x.weight, x.bias).float()
                if isinstance(x, Head)
                else x[rows].float()
                for x in sides
            ],
        )


class _Seen:
    """What an output layer was given and what it made, in one forward pass."""

    def __init__(self) -> None:
        self.calls = 0
        self.hidden = self.scores = torch.empty(0)
        self.version = 0

    def untouched(self, logits: Tensor) -> bool:
        """Whether a model returned just what its layer made."""
        same = logits.data_ptr() == self.scores.data_ptr() and logits.shape == self.scores.shape
        return self.calls == 1 and same and _version(self.scores) == self.version


def _version(tensor: Tensor) -> int:
    """How often a tensor was written to; in inference mode nobody counts."""
    return 0 if tensor.is_inference() else tensor._version


@contextmanager
def _given(layer: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[_Seen]:
    """Within, a layer gets something else in the place of its hidden states (B, L, H)."""
    seen = _Seen()

    def before(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        seen.calls += 1
        seen.hidden = args[0]
        return (change(args[0]), *args[1:])

    def after(_: nn.Module, args: Any, scores: Tensor) -> None:
        seen.scores, seen.version = scores, _version(scores)

    handles = layer.register_forward_pre_hook(before), layer.register_forward_hook(after)
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _inner(model: Any) -> Any:
    return model.module if isinstance(model, OutputReader) else model


def _output_layer(model: Any, inputs: Any) -> nn.Module | None:
    """The layer that makes a model's scores, if it may be asked about fewer positions."""
    if not isinstance(model, nn.Module) or (isinstance(model, OutputReader) and model.read):
        return None
    if isinstance(inputs, Mapping) and OWN_LENGTH & set(inputs):
        return None
    inner = _inner(model)
    if not hasattr(inner, "get_output_embeddings") or is_compiled(inner):
        return None
    layer = inner.get_output_embeddings()
    if not isinstance(layer, nn.Module) or not isinstance(getattr(layer, "weight", None), Tensor):
        return None
    # who looks into the layer, or at the model's output, expects all positions
    watched = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks)
    outer = (m for m in (model, inner))
    if any(watched) or any(m._forward_hooks or m._backward_hooks for m in outer):
        return None
    return layer if values_at_hand(layer.weight) else None  # type: ignore[arg-type]


def _road(model: Any, layer: nn.Module, inputs: Any, at: Places) -> str:
    inner = _inner(model)
    known = _found.get(inner)
    if known is None or known[0] is not layer:
        first = at.rows[:1]
        try:
            size = at.shape[0]
            one = map_tensors(lambda x: x.index_select(0, first) if len(x) == size else x, inputs)
            road = _look(model, layer, one, at.shape[1])
        except Exception:  # of any kind, from a model that takes no single example
            road = WHOLE
        _found[inner] = known = layer, road
    return known[1]


def _look(model: Any, layer: nn.Module, inputs: Any, length: int) -> str:
    """Find out what stands between the output layer and the scores, on one example."""
    with undisturbed(model, device_of(inputs)):
        with _given(layer, lambda hidden: hidden[:, :FEW]) as seen:
            logits = logits_of(model, inputs)
        few = min(FEW, length)
        if seen.calls != 1 or seen.hidden.shape[:-1] != (1, length) or logits.shape[1] != few:
            return WHOLE
        hidden = seen.hidden[:, :few]
        if seen.untouched(logits) and type(layer) is nn.Linear and _plain(layer, hidden, logits):
            return HEAD
        last = slice(few - 1, few)
        with _given(layer, lambda hidden: hidden[:, last]):
            alone = logits_of(model, inputs)
        expected = logits[:, last]
        alike = alone.shape == expected.shape and torch.allclose(alone, expected, 1e-2, 1e-3)
        return ROWS if alike else WHOLE


def _plain(layer: nn.Linear, hidden: Tensor, logits: Tensor) -> bool:
    """Whether scores are the product of a layer's own weight, which nothing makes anew."""
    if layer.weight.device != hidden.device or not layer.weight.is_floating_point():
        return False
    return torch.allclose(F.linear(hidden, layer.weight, layer.bias), logits, 1e-2, 1e-3)
