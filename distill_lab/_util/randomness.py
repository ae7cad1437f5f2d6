"""The generators that data may draw from beside torch's: Python's own, and NumPy's if it is used.

Augmentation often draws from them. Their states are tensors here, so that a checkpoint can hold
them; NumPy's only where the process has imported it, and it is the Mersenne Twister, as it is by
default.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def other_generators_seeded(seed: int) -> Iterator[None]:
    """Seed Python's and NumPy's generators for a block and give the caller's states back.

    >>> before = random.getstate()
    >>> with other_generators_seeded(0):
    ...     _ = random.random()
    >>> random.getstate() == before
    True
    """
    before = other_states()
    random.seed(f"distill_lab {seed}")  # of a number it would drop the sign
    if "numpy" in before:
        _numpy().seed(seed % 2**32)
    try:
        yield
    finally:
        restore_other_states(before)


def other_states() -> dict[str, Tensor]:
    """The state of each generator by name, as whole numbers: (n,) int64."""
    _, words, spare = random.getstate()
    states = {"python": torch.tensor([*words, spare is not None, _bits(spare or 0.0)])}
    if "numpy" in sys.modules:
        about = _numpy().get_state(legacy=False)
        if about["bit_generator"] == "MT19937":
            key, place = about["state"]["key"].tolist(), about["state"]["pos"]
            numbers = [*key, place, about["has_gauss"], _bits(about["gauss"])]
            states["numpy"] = torch.tensor(numbers)
    return states


def restore_other_states(states: dict[str, Tensor]) -> None:
    """Put back what ``other_states`` gave, as far as it is there."""
    if "python" in states:
        *words, has, spare = states["python"].tolist()
        random.setstate((3, tuple(words), _number(spare) if has else None))
    if "numpy" in states and "numpy" in sys.modules:
        *key, place, has, spare = states["numpy"].tolist()
        _numpy().set_state(("MT19937", key, place, has, _number(spare)))


def _numpy() -> Any:
    return sys.modules["numpy"].random


def _bits(number: float) -> int:
    return int(torch.tensor(number, dtype=torch.float64).view(torch.int64))


def _number(bits: int) -> float:
    return float(torch.tensor(bits).view(torch.float64))
