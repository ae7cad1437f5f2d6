"""The forms in which people have their data, and how these become tensors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from distill_lab._util.checks import positive_int
from distill_lab._util.tensors import leaves, values_at_hand
from distill_lab.data.slots import stacked

Collate = Callable[[list[Any]], Any]  # rows -> a batch, as a DataLoader takes it
LABELS, WEIGHTS = ("labels", "label"), ("weights", "weight")
_NUMBERS = (int, float, np.generic)
_ARRAYS = (Tensor, np.ndarray)


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
    if _is_frame(data):
        raise TypeError(
            f"a {type(data).__name__} is read by columns: pass (frame[names], frame['label']), "
            "the names being those of numbers."
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
        isinstance(data, list) and all(isinstance(part, _ARRAYS) for part in data[:1])
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
    inputs = _columns("inputs", parts.inputs)
    labels = None if parts.labels is None else _columns("labels", parts.labels)
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


def in_batch(rows: Sequence[Any]) -> Parts:
    """Collate examples: each column stacked, (B, ...), as torch's default does and stricter.

    Args:
        rows: pairs, triples or mappings.

    Returns:
        Their parts.

    Raises:
        ValueError: for rows of another form, or that cannot be stacked, naming what pads them.
        TypeError: for what holds no numbers.

    >>> in_batch([([1, 2], 0), ([3, 4], 1)])
    Parts(inputs=tensor([[1, 2],
            [3, 4]]), labels=tensor([0, 1]), weights=None)
    """
    parts = [parts_of(row) for row in rows]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        kind = type(rows[parts.index(None)]).__name__
        raise ValueError(
            f"a Dataset must yield pairs (input, label) or mappings; this one yielded {kind}. Wrap "
            "it so that dataset[i] returns such a pair, or (input, None) where there is no label."
        )
    inputs, labels, weights = (list(column) for column in zip(*known, strict=True))
    missing = [place for place, label in enumerate(labels) if label is None]
    if missing and len(missing) < len(labels):
        raise ValueError(
            f"of {len(labels)} examples {len(missing)} have None as label: a class -100 marks an "
            "example without a label among others."
        )
    unweighted = all(weight is None for weight in weights)
    return Parts(
        _stacked("inputs", inputs),
        None if missing else _stacked("labels", labels),
        None if unweighted else checked_weights(_stacked("weights", weights), len(rows)),
    )


def by_function(collate: Collate, rows: list[Any]) -> Parts:
    """Collate examples by a function that a DataLoader would take.

    Args:
        collate: rows -> a mapping, a pair, a triple, or inputs alone.
        rows: B examples.

    Returns:
        The parts of the batch; text in its inputs stays as it is.

    Raises:
        ValueError: for a batch of another number of rows.

    >>> by_function(lambda rows: {"x": torch.tensor(rows), "labels": torch.zeros(2)}, [3, 4]).inputs
    {'x': tensor([3, 4])}
    """
    try:
        batch = collate(rows)
    except (ValueError, TypeError, RuntimeError) as error:
        first = rows[0].items() if isinstance(rows[0], Mapping) else ()
        texts = [str(name) for name, part in first if isinstance(part, str)]
        if not texts:
            raise
        raise ValueError(
            f"collate= makes no batch of rows that hold text, in {', '.join(texts)} ({error}): "
            f"leave it out, as dataset.remove_columns({texts})."
        ) from error
    parts = parts_of(batch) or Parts(batch)
    inputs = _columns("inputs", parts.inputs, texts=True)
    labels = None if parts.labels is None else _columns("labels", parts.labels)
    columns = leaves("", inputs) + ([] if labels is None else leaves("labels", labels))
    counts = [len(part) for _, part in columns]
    if not any(isinstance(part, Tensor) for _, part in columns) or set(counts) != {len(rows)}:
        raise ValueError(
            f"collate= made {counts} rows of {len(rows)} examples: expected one row an example in "
            "each part, so that every example keeps its number."
        )
    return Parts(inputs, labels, checked_weights(parts.weights, len(rows)))


class Rows:
    """Columns read row by row, for a function that collates rows.

    Args:
        parts: as `in_columns` gives them; rows of a mapping are mappings, with their label inside.

    >>> Rows(Parts({"input_ids": [[1], [2, 3]]}, [0, 1]))[1]
    {'input_ids': [2, 3], 'labels': 1}
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        column = parts.inputs
        while isinstance(column, Mapping | tuple):
            column = next(iter(column.values() if isinstance(column, Mapping) else column))
        self.size = len(column)
        if parts.labels is not None and len(parts.labels) != self.size:
            raise ValueError(
                f"data has {self.size} inputs but {len(parts.labels)} labels: expected one label "
                "an input. Unlabelled data is written (inputs, None)."
            )

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Any:
        inputs, labels, weights = (_row(part, i) for part in self.parts)
        if isinstance(inputs, dict):
            extra = {"labels": labels, "weights": weights}
            return inputs | {name: part for name, part in extra.items() if part is not None}
        return (inputs, labels) if weights is None else (inputs, labels, weights)


class Buffered:
    """The first examples of a stream, held in memory: they have numbers, and an order to draw.

    A stream cannot be shuffled, read a second time or resumed, since it does not know which example
    is which. What does not fit into memory is better written to disk once, as by
    `datasets.Dataset.from_generator`, which is read by number.

    Args:
        stream: an `IterableDataset`, a generator, or anything else that can be iterated over.
        examples: how many are read; fewer where the stream ends before.

    Raises:
        ValueError: for a number below 1.

    >>> len(Buffered(((float(i), i % 2) for i in range(1000)), examples=100))
    100
    """

    def __init__(self, stream: Iterable[Any], *, examples: int) -> None:
        self.rows = list(islice(stream, positive_int("examples", examples)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.rows[i]


def _row(value: Any, i: int) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _row(part, i) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_row(part, i) for part in value)
    return None if value is None else value[i]


def as_tensor(name: str, value: Any) -> Tensor:
    """Read numbers as a tensor; one that is there stays as it is.

    Python's floats and NumPy's float64 become torch's default type, whole numbers int64, and bytes
    (uint8), as of pictures, stay bytes.

    Args:
        name: of what it is, for the message.
        value: a tensor, an array, a number, or a sequence of these of one shape.

    Returns:
        The numbers.

    Raises:
        ValueError: for text, or rows of different lengths.
        TypeError: for what holds no numbers, or of which no rows can be drawn.

    >>> as_tensor("inputs", np.zeros(2)).dtype, as_tensor("labels", [1, 0]).dtype
    (torch.float32, torch.int64)
    """
    if isinstance(value, Tensor):
        if value.is_nested or value.layout not in (torch.strided, torch.sparse_coo):
            kind = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
            raise TypeError(
                f"{name} is a {kind} tensor, of which no rows can be drawn: give .to_dense(), "
                "or to_padded_tensor(0.0) and a mask."
            )
        return value
    if _is_frame(value):
        value = _of_frame(name, value)
    if isinstance(value, Sequence) and len(value) and isinstance(value[0], _ARRAYS):
        return _same_shape(name, [as_tensor(name, row) for row in value])
    try:
        array = value if isinstance(value, np.ndarray) else _array(value)
    except (TypeError, ValueError) as error:
        raise _refusal(name, value) from error
    if array.dtype.kind not in "biufc":
        raise _refusal(name, value)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        array = array.astype(np.int64, copy=False)
    array = known_to_torch(name, array)
    if not array.flags.writeable or any(step < 0 for step in array.strides):
        array = array.copy()  # torch cannot take it as it is
    tensor = torch.from_numpy(array)
    return tensor.to(torch.get_default_dtype()) if array.dtype == np.float64 else tensor


def known_to_torch(name: str, array: Any) -> Any:
    """The numbers of an array in a type, and an order of bytes, that torch has.

    Args:
        name: of what it is, for the message.
        array: of numbers.

    Returns:
        The array itself, or a copy.

    Raises:
        ValueError: for a masked array, of which torch would read what the mask hides.

    >>> known_to_torch("inputs", np.zeros(2, ">f4")).dtype
    dtype('float32')
    """
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(
            f"{name} is a masked array, and its mask would be lost: fill it, as "
            "array.filled(0.0), and give the mask beside it where a model reads one."
        )
    if array.dtype in (np.longdouble, np.clongdouble):  # torch has none
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


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


def refusal_of(data: Any) -> TypeError:
    """Why data are none that can be read by number, and what to pass in their place."""
    kind = type(data).__name__
    if isinstance(data, DataLoader):
        return TypeError(
            "data must be a pair (inputs, labels), a mapping of columns, or a map-style Dataset "
            "with len() and [i]; a DataLoader hides which example is which: pass its .dataset, "
            "with collate=loader.collate_fn and workers=2 where you need them, or "
            "DatasetSource(loader.dataset, num_workers=2), from distill_lab.data."
        )
    if hasattr(data, "__iter__"):
        return TypeError(
            "data must be a pair (inputs, labels), a mapping of columns, or a map-style Dataset "
            f"with len() and [i]; a stream such as {kind} has no examples by number. Hold as many "
            "as you need: Buffered(stream, examples=10_000), from distill_lab.data."
        )
    return TypeError(
        "data must be a pair (inputs, labels), a mapping of columns, Examples, Texts, or a "
        f"map-style Dataset with len() and [i]; got {kind}."
    )


def _columns(name: str, value: Any, texts: bool = False) -> Any:
    if isinstance(value, Mapping):
        named = {str(key): part for key, part in value.items()}
        return {key: _columns(f"{name}[{key!r}]", part, texts) for key, part in named.items()}
    if isinstance(value, tuple) and not all(isinstance(part, _NUMBERS) for part in value):
        items = [_columns(f"{name}[{i}]", part, texts) for i, part in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if texts and isinstance(value, list) and isinstance(next(iter(value), None), str):
        return value
    tensor = as_tensor(name, value)
    if tensor.dim() == 0:
        raise ValueError(f"{name} is a single number: expected one row an example.")
    if name == "labels" and tensor.dtype == torch.uint8 and not isinstance(value, Tensor):
        return tensor.long()  # class numbers, not the bytes of a picture
    return tensor


def _stacked(name: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        if any(value.keys() != first.keys() for value in values):
            raise ValueError(
                f"the examples have different names in {name} (first: {', '.join(first)}): "
                "expected the same in each, or a function that makes them alike, as collate=."
            )
        return {str(key): _stacked(f"{name}[{key!r}]", [v[key] for v in values]) for key in first}
    several = isinstance(first, tuple) and not all(isinstance(part, _NUMBERS) for part in first)
    if several or (isinstance(first, list) and first and isinstance(first[0], _ARRAYS)):
        items = [
            _stacked(f"{name}[{i}]", list(part)) for i, part in enumerate(zip(*values, strict=True))
        ]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    if isinstance(first, _NUMBERS):
        return as_tensor(name, values)
    return _same_shape(name, [as_tensor(name, value) for value in values])


def _same_shape(name: str, rows: list[Tensor]) -> Tensor:
    other = [row.shape for row in rows if row.shape != rows[0].shape]
    if other:
        raise _different_lengths(name, f"{tuple(rows[0].shape)} and {tuple(other[0])}")
    return stacked(rows)  # default_collate would take fresh shared memory in a worker


def _array(value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, _NUMBERS) or hasattr(value, "__array__"):
        return np.asarray(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise TypeError
    return np.asarray(list(value))


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "dtypes")


def _of_frame(name: str, frame: Any) -> np.ndarray[Any, Any]:
    """The columns of a DataFrame side by side; each has to hold numbers."""
    columns = {str(label): np.asarray(frame[label]) for label in frame.columns}
    odd = [label for label, column in columns.items() if column.dtype.kind not in "biuf"]
    if odd or not columns:
        first = f" (first: {columns[odd[0]][:1].tolist()})" if odd else ""
        raise ValueError(
            f"{name} is a DataFrame, and {', '.join(map(repr, odd)) or 'it'} holds "
            f"no numbers{first}: code such columns, as pandas.get_dummies(frame, "
            "dtype=float), or leave them out."
        )
    return np.stack(list(columns.values()), axis=1)


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


def _refusal(name: str, value: Any) -> ValueError | TypeError:
    value = value.to_numpy() if hasattr(value, "to_numpy") else value  # a column of pandas
    if isinstance(value, Sequence | np.ndarray) and any(part is None for part in value):
        place = next(i for i, part in enumerate(value) if part is None)
        return ValueError(
            f"{name} hold None, first in row {place}: a class -100 marks an example without a "
            "label, NaN a number that is not known."
        )
    if isinstance(value, np.ndarray) and value.ndim == 2:  # of objects: which column is no number
        odd = [i for i in range(value.shape[1]) if not _are_numbers(value[:, i])]
        if odd:
            name, value = f"{name}[:, {odd[0]}]", value[:, odd[0]]
    first: Any = value
    while isinstance(first, Sequence | np.ndarray) and not isinstance(first, str) and len(first):
        first = first[0]
    if isinstance(first, str) and name.startswith("labels"):
        return ValueError(
            f"the labels are text (first: {first[:40]!r}): expected class numbers. Number the "
            "classes, as [names.index(label) for label in labels]."
        )
    if isinstance(first, str):
        return ValueError(
            f"{name} holds text (first: {first[:40]!r}), and a model reads numbers: pass "
            "tokenizer(texts, padding=True, return_tensors='pt'), or Labelled(texts, labels, "
            "tokenizer) from distill_lab.data. Leave out a column that no model reads, as "
            "dataset.remove_columns(['text'])."
        )
    if isinstance(value, Sequence) and isinstance(first, _NUMBERS):
        odd_ones = [(i, each) for i, each in enumerate(value) if isinstance(each, str)]
        if odd_ones:
            number, text = odd_ones[0]
            return ValueError(
                f"{name} holds numbers and text (first: example {number}, {text[:40]!r}): expected "
                "numbers alone. Number the classes, as [names.index(str(label)) for label in "
                "labels]."
            )
        lengths = sorted({len(row) if isinstance(row, Sequence) else 0 for row in value})
        return _different_lengths(name, " and ".join(map(str, lengths[:2])))
    return TypeError(
        f"{name} holds {type(first).__name__}: expected tensors, arrays or numbers. Turn it into "
        "numbers in the Dataset, as a transform of torchvision does, or by collate=."
    )


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(value, _NUMBERS) for value in values)


def _different_lengths(name: str, lengths: str) -> ValueError:
    if "candidates" in name:
        return ValueError(
            f"the examples differ in length in {name} (first: {lengths}), so they make no tensor: "
            "fill each list up to the longest, and say by a mask which candidates there are, as "
            "{'candidates': ..., 'mask': ...}, in the data or by collate=."
        )
    return ValueError(
        f"the examples differ in length in {name} (first: {lengths}), so they make no tensor: pad "
        "them by collate=, as collate=DataCollatorWithPadding(tokenizer) from transformers, or "
        "give Labelled(texts, labels, tokenizer), from distill_lab.data."
    )
