"""Why data are none, in a sentence that names what mends them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

NUMBERS = (int, float, np.generic)
ARRAYS = (Tensor, np.ndarray)


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


def no_numbers(name: str, value: Any) -> ValueError | TypeError:
    """Why a value makes no tensor: text, None, rows of several lengths, or another kind of thing.

    Args:
        name: of what it is, for the message.
        value: what was given.

    Returns:
        The error, to be raised.

    >>> str(no_numbers("labels", ["a", "b"]))[:35]
    "the labels are text (first: 'a'): e"
    """
    if hasattr(value, "toarray"):  # of scipy
        return TypeError(
            f"{name} is a {type(value).__name__}, and torch draws no rows of one: give .toarray(), "
            "or batches of it by a source of your own."
        )
    fields = getattr(getattr(value, "dtype", None), "names", None)
    if fields:
        return ValueError(
            f"{name} is a structured array with the fields {', '.join(fields[:8])}: give "
            "numpy.lib.recfunctions.structured_to_unstructured(array), or a mapping of its columns."
        )
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
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
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
    if isinstance(value, Sequence) and isinstance(first, NUMBERS):
        odd_ones = [(i, each) for i, each in enumerate(value) if isinstance(each, str)]
        if odd_ones:
            number, text = odd_ones[0]
            return ValueError(
                f"{name} holds numbers and text (first: example {number}, {text[:40]!r}): expected "
                "numbers alone. Number the classes, as [names.index(str(label)) for label in "
                "labels]."
            )
        large = [each for each in value if isinstance(each, int) and not -(2**63) <= each < 2**63]
        if large:
            return too_large(name, large[0])
        lengths = sorted({len(row) if isinstance(row, Sequence) else 0 for row in value})
        return different_lengths(name, " and ".join(map(str, lengths[:2])))
    return TypeError(
        f"{name} holds {type(first).__name__}: expected tensors, arrays or numbers. Turn it into "
        "numbers in the Dataset, as a transform of torchvision does, or by collate=."
    )


def too_large(name: str, number: int) -> ValueError:
    """Why a whole number is none that a tensor can hold.

    Args:
        name: of what it is among, for the message.
        number: itself.

    Returns:
        The error, to be raised.

    >>> str(too_large("labels", 2**63))[:46]
    'labels holds 9223372036854775808, more than in'
    """
    return ValueError(
        f"{name} holds {number}, more than int64 can: number what is there from 0 on, as "
        "numpy.unique(values, return_inverse=True)[1], or give floats where they are quantities."
    )


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(value, NUMBERS) for value in values)


def different_lengths(name: str, lengths: str) -> ValueError:
    """Why examples of several lengths make no batch, and what pads them.

    Args:
        name: of what they are, for the message.
        lengths: the first two of them, in words.

    Returns:
        The error, to be raised.

    >>> str(different_lengths("inputs", "2 and 3"))[:45]
    'the examples differ in length in inputs (firs'
    """
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
