"""What examples consist of, by name or by place, and the columns of all of them as tensors."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from distill_lab._util.tensors import leaves, values_at_hand
from distill_lab.data.forms.numbers import UNSIGNED, as_tensor, is_frame
from distill_lab.data.forms.refusals import ARRAYS, NUMBERS

LABELS, WEIGHTS = ("labels", "label"), ("weights", "weight")


class Parts(NamedTuple):
    """What some examples consist of, of one or of many.

    Args:
        inputs: what a model reads.
        labels: what is to be learned, or None.
        weights: what each example weighs, or None.
    """

    inputs: Any
    labels: Any = None
    weights: Any = None


def parts_of(value: Any) -> Parts | None:
    """Part inputs, labels and weights: of a mapping by name, of a pair or triple by place.

    Args:
        value: a mapping, in which `labels` or `label` names the labels and `weights` or `weight`
            the weights; (inputs, labels); or (inputs, labels, weights).

    Returns:
        The parts as they are; None for another form.

    Raises:
        ValueError: for labels twice.

    >>> parts_of({"input_ids": [[1, 2]], "label": [0]})
    Parts(inputs={'input_ids': [[1, 2]]}, labels=[0], weights=None)
    """
    if isinstance(value, Mapping):
        names = {what: [n for n in what if n in value] for what in (LABELS, WEIGHTS)}
        for what, present in names.items():
            if len(present) > 1:
                raise ValueError(
                    f"data has both {' and '.join(present)}: leave one of them out, since only one "
                    f"can be the {what[0]}."
                )
        labels, weights = ([value[n] for n in names[what]] or [None] for what in (LABELS, WEIGHTS))
        taken = {*LABELS, *WEIGHTS}
        inputs = {str(name): part for name, part in value.items() if name not in taken}
        return Parts(inputs, labels[0], weights[0])
    if isinstance(value, tuple | list) and len(value) in (2, 3):
        parts = Parts(*value)
        twice = [n for n in LABELS if isinstance(parts.inputs, Mapping) and n in parts.inputs]
        if twice:
            raise ValueError(
                f"the inputs of a pair have {twice[0]!r} among them, and the student would read "
                "its answers: take it out, or pass the mapping alone."
            )
        return parts
    return None


def in_columns(data: Any) -> Parts | None:
    """The parts of data that hold all examples at once, in columns; None for data in rows."""
    if isinstance(data, Dataset):
        return None  # whatever it holds, what it yields may be another thing: augmented, say
    if not isinstance(data, tuple) and is_frame(data):
        raise TypeError(
            f"a {type(data).__name__} is read by columns: pass (frame[names], frame['label']), "
            "the names being those of numbers."
        )
    if isinstance(data, np.ndarray) and data.dtype.names:  # a table, as numpy.genfromtxt reads it
        return parts_of({name: data[name] for name in data.dtype.names})
    way = getattr(data, "format", None)
    if isinstance(way, Mapping) and way.get("type") in ("arrow", "polars"):
        raise TypeError(
            f"data give their rows as {way['type']} tables: say data.with_format('torch'), or "
            "'numpy'."
        )
    if isinstance(data, Mapping):
        splits = [str(name) for name, part in data.items() if hasattr(part, "column_names")]
        if splits:
            raise TypeError(
                f"data holds the splits {', '.join(splits)}: pass one of them, as "
                f"data[{splits[0]!r}]."
            )
        return parts_of(data)
    if hasattr(data, "inputs") and hasattr(data, "labels"):
        return Parts(data.inputs, data.labels)
    if isinstance(data, tuple) or (
        isinstance(data, list) and all(isinstance(part, ARRAYS) for part in data[:1])
    ):
        return parts_of(data)
    return None


def in_tensors(parts: Parts) -> Parts:
    """The same with every column as a tensor, as `as_tensor` reads it.

    Raises:
        ValueError: for text, rows of different lengths, columns of different lengths, and weights
            that are none.
        TypeError: for what holds no numbers.
    """
    for name in ("labels", "weights"):
        _check_same_order(name, parts.inputs, getattr(parts, name))
    inputs = columns_of("inputs", parts.inputs)
    labels = None if parts.labels is None else columns_of("labels", parts.labels)
    columns = leaves("", inputs)
    if not columns:
        raise ValueError("data has labels and no inputs: expected at least one column of inputs.")
    count = len(columns[0][1])
    for name, column in columns:
        if len(column) != count:
            raise ValueError(
                f"{name} holds {len(column)} examples and {columns[0][0]} {count}: expected one "
                "row an example in each."
            )
    for _, column in leaves("", labels) if labels is not None else ():
        if len(column) != count:
            raise ValueError(
                f"data has {count} inputs but {len(column)} labels: expected one label an "
                "input. Unlabelled data is written (inputs, None)."
            )
    return Parts(inputs, labels, checked_weights(parts.weights, count))


def columns_of(name: str, value: Any, texts: bool = False) -> Any:
    """Every column of a mapping or tuple of them as a tensor.

    Args:
        name: of what they are, for the message.
        value: the columns.
        texts: whether a list of texts stays as it is.

    Returns:
        The same form, of tensors (N, ...).

    Raises:
        ValueError: for a single number, and as `as_tensor`.
        TypeError: as `as_tensor`.

    >>> columns_of("inputs", {"x": [1.0, 2.0]})
    {'x': tensor([1., 2.])}
    """
    if isinstance(value, Mapping):
        named = {str(key): part for key, part in value.items()}
        return {key: columns_of(f"{name}[{key!r}]", part, texts) for key, part in named.items()}
    if isinstance(value, tuple) and not all(isinstance(part, NUMBERS) for part in value):
        items = [columns_of(f"{name}[{i}]", part, texts) for i, part in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if texts and isinstance(value, list) and isinstance(next(iter(value), None), str):
        return value
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_nested
    tensor = value if plain and value.dtype not in UNSIGNED else as_tensor(name, value)
    if tensor.dim() == 0:
        raise ValueError(f"{name} is a single number: expected one row an example.")
    if name == "labels" and tensor.dtype == torch.uint8 and not isinstance(value, Tensor):
        return tensor.long()  # class numbers, not the bytes of a picture
    return tensor


def checked_weights(weights: Any, count: int) -> Tensor | None:
    """Weights as a tensor (B,); None stays None.

    Args:
        weights: what was given for them.
        count: of the examples, B.

    Returns:
        What each example weighs (B,).

    Raises:
        ValueError: for another number or type, or negative or not finite ones.
    """
    if weights is None:
        return None
    tensor = as_tensor("weights", weights)
    if tensor.shape != (count,) or not tensor.is_floating_point():
        raise ValueError(
            "the third part of data is what each example weighs: expected floats of shape "
            f"({count},), got {tensor.dtype} {tuple(tensor.shape)}. Several inputs go into a tuple "
            "or dict, as ((x, mask), labels)."
        )
    if values_at_hand(tensor) and not bool((tensor.isfinite() & (tensor >= 0)).all()):
        raise ValueError("weights must be finite and at least 0: look at how they were made.")
    return tensor


def _check_same_order(name: str, inputs: Any, part: Any) -> None:
    """ValueError for a column of pandas with the index of the inputs in another order."""
    first: Any
    second: Any
    first, second = (getattr(frame, "index", None) for frame in (inputs, part))
    if not hasattr(first, "equals") or not hasattr(second, "equals") or first.equals(second):
        return
    if len(first) == len(second) and first.sort_values().equals(second.sort_values()):
        raise ValueError(
            f"{name} has the index of the inputs in another order, and rows are taken by place: "
            f"give {name}.loc[inputs.index], or both without an index, as .to_numpy()."
        )
