"""Rows put together into a batch, as torch does and stricter, or by a function."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from distill_lab.data.forms.columns import WEIGHTS, Parts, checked_weights, columns_of, parts_of
from distill_lab.data.forms.numbers import as_tensor, same_shape
from distill_lab.data.forms.refusals import ARRAYS, NUMBERS

Collate = Callable[[list[Any]], Any]  # rows -> a batch, as a DataLoader takes it


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


def by_function(collate: Collate, rows: list[Any], weights: Any = None) -> Parts:
    """Collate examples by a function that a DataLoader would take.

    Args:
        collate: rows -> a mapping, a pair, a triple, or inputs alone.
        rows: B examples.
        weights: what each of them weighs (B,), where the batch does not say it; None: unknown.

    Returns:
        The parts of the batch; text in its inputs stays as it is.

    Raises:
        ValueError: for a batch of another number of rows, or without the weights that its rows had.

    >>> import torch
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
    inputs = columns_of("inputs", parts.inputs, texts=True)
    labels = None if parts.labels is None else columns_of("labels", parts.labels)
    columns = _columns(inputs) + ([] if labels is None else _columns(labels))
    counts = [len(part) for part in columns]
    if not any(isinstance(part, Tensor) for part in columns) or set(counts) != {len(rows)}:
        raise ValueError(
            f"collate= made {counts} rows of {len(rows)} examples: expected one row an example in "
            "each part, so that every example keeps its number."
        )
    own = parts.weights
    if own is None and weights is not None:
        own = weights  # every example keeps its number, and so what it weighs
    elif own is None and not _says_weights(batch) and any(_has_weight(row) for row in rows):
        raise ValueError(
            "the rows have weights and collate= hands none on, so every example would weigh the "
            "same: put them into the batch under 'weights', or as the third part of a triple. "
            "Where they are no weights of examples, or none are wanted, say 'weights': None there."
        )
    return Parts(inputs, labels, checked_weights(own, len(rows)))


def _columns(value: Any) -> list[Any]:
    """Every tensor, and every list of texts as the one column that it is."""
    if isinstance(value, Mapping | tuple):
        parts = value.values() if isinstance(value, Mapping) else value
        return [column for part in parts for column in _columns(part)]
    return [value]


def _says_weights(batch: Any) -> bool:
    """Whether a batch has a place for weights, even if there is None in it."""
    if isinstance(batch, Mapping):
        return any(name in batch for name in WEIGHTS)
    return isinstance(batch, tuple | list) and len(batch) == 3


def _has_weight(row: Any) -> bool:
    """Whether a row names its weight; a third part may be anything that collate= reads."""
    return isinstance(row, Mapping) and any(row.get(name) is not None for name in WEIGHTS)


def _stacked(name: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        if any(value.keys() != first.keys() for value in values):
            raise ValueError(
                f"the examples have different names in {name} (first: {', '.join(first)}): "
                "expected the same in each, or a function that makes them alike, as collate=."
            )
        return {str(key): _stacked(f"{name}[{key!r}]", [v[key] for v in values]) for key in first}
    several = isinstance(first, tuple) and not all(isinstance(part, NUMBERS) for part in first)
    if several or (isinstance(first, list) and first and isinstance(first[0], ARRAYS)):
        items = [
            _stacked(f"{name}[{i}]", list(part)) for i, part in enumerate(zip(*values, strict=True))
        ]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    if isinstance(first, NUMBERS):
        return as_tensor(name, values)
    return same_shape(name, [as_tensor(name, value) for value in values])
