"""Numbers in every form as a tensor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill_lab._util.tensors import values_at_hand
from distill_lab.data.forms.refusals import (
    ARRAYS,
    NUMBERS,
    different_lengths,
    no_numbers,
    too_large,
)
from distill_lab.data.slots import stacked

UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)  # of which torch draws no rows
_LARGEST = 2**63 - 1


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
        return _signed(name, value) if value.dtype in UNSIGNED else value
    if is_frame(value):
        value = _of_frame(name, value)
    if isinstance(value, Sequence) and len(value) and isinstance(value[0], ARRAYS):
        return same_shape(name, [as_tensor(name, row) for row in value])
    try:
        array = value if isinstance(value, np.ndarray) else _array(value)
        if array.dtype == object:  # numbers in an array made for anything, as pandas makes them
            array = np.asarray(array.tolist())
    except (TypeError, ValueError) as error:
        raise no_numbers(name, value) from error
    if array.dtype.kind not in "biufc":
        raise no_numbers(name, value)
    if array.dtype == np.uint64 and array.size and array.max() > _LARGEST:
        raise too_large(name, int(array.max()))
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


def same_shape(name: str, rows: list[Tensor]) -> Tensor:
    """Tensors of one shape, stacked.

    Args:
        name: of what they are, for the message.
        rows: B tensors.

    Returns:
        (B, ...).

    Raises:
        ValueError: for rows of several shapes.

    >>> same_shape("inputs", [torch.zeros(2), torch.ones(2)]).shape
    torch.Size([2, 2])
    """
    other = [row.shape for row in rows if row.shape != rows[0].shape]
    if other:
        raise different_lengths(name, f"{tuple(rows[0].shape)} and {tuple(other[0])}")
    return stacked(rows)  # default_collate would take fresh shared memory in a worker


def _signed(name: str, tensor: Tensor) -> Tensor:
    """Whole numbers that torch draws no rows of, as int64."""
    signed = tensor.to(torch.int64)
    if tensor.dtype == torch.uint64 and values_at_hand(tensor) and bool((signed < 0).any()):
        raise too_large(name, int(signed[signed < 0].max()) + 2**64)
    return signed


def _array(value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, NUMBERS) or hasattr(value, "__array__"):
        return np.asarray(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise TypeError
    return np.asarray(list(value))


def _of_frame(name: str, frame: Any) -> np.ndarray[Any, Any]:
    """The columns of a DataFrame side by side; each has to hold numbers."""
    names = [str(label) for label in frame.columns]
    if twice := sorted({label for label in names if names.count(label) > 1}):
        raise ValueError(
            f"{name} is a DataFrame with the column {twice[0]!r} twice: give each a name of its "
            "own, or pass frame.to_numpy()."
        )
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


def is_frame(value: Any) -> bool:
    """Whether a value is a DataFrame, of pandas or of another library."""
    return hasattr(value, "columns") and hasattr(value, "dtypes")
