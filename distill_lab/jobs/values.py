"""Checks of one value of a job file: it comes back as it is kept, or is refused in words."""

import difflib
from collections.abc import Callable
from typing import Any

from distill_lab._util.checks import (
    fraction,
    non_negative_finite,
    non_negative_int,
    one_of,
    positive_finite,
    positive_int,
)

Check = Callable[[str, Any], Any]


def text(name: str, value: object) -> str:
    """Refuse anything but a text that is not blank.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text, got {value!r}.")
    return value


def texts(name: str, value: object) -> str | list[str]:
    """A text, or a list of them.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return [text(name, each) for each in value]
    if isinstance(value, list):
        raise ValueError(f"{name} must be a text or a list of texts, got {value!r}.")
    return text(name, value)


def integer(name: str, value: object) -> int:
    """A positive integer, however it is written: 3, 3.0 or 3e0.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.

    >>> integer("epochs", 3e0)
    3
    """
    return positive_int(name, _as_int(value))


def several(name: str, value: object) -> int:
    """An integer of at least 2.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    if integer(name, value) < 2:
        raise ValueError(f"{name} must be 2 or more, got {value!r}: one has no interval, leave it.")
    return integer(name, value)


def count(name: str, value: object) -> int:
    """An integer of at least 0.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    number = non_negative_int(name, _as_int(value))
    if number >= 2**63:
        raise ValueError(f"{name} must be below 2^63, as torch counts, got {value!r}.")
    return number


def number(name: str, value: object) -> float:
    """A positive finite number.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    return float(positive_finite(name, value))


def share(name: str, value: object) -> float:
    """A number from 0 to 1.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    return float(fraction(name, value))


def part(name: str, value: object) -> float:
    """A number between 0 and 1, and neither of them.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    if number(name, value) >= 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {value!r}.")
    return number(name, value)


def at_least_0(name: str, value: object) -> float:
    """A finite number of at least 0.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    return float(non_negative_finite(name, value))


def flag(name: str, value: object) -> bool:
    """True or false.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}.")
    return value


def choice(*allowed: str) -> Check:
    """One of these words; one that is nearly such a word is told so."""

    def check(name: str, value: object) -> object:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        return one_of(name, value, allowed, why=f"Did you mean {near[0]!r}?" if near else "")

    return check


def some_of(*allowed: str) -> Check:
    """One of these words, or a list of them, each once."""

    def check(name: str, value: object) -> tuple[str, ...]:
        listed: list[Any] = value if isinstance(value, list) else [value]
        return tuple(dict.fromkeys(one_of(name, each, allowed) for each in listed))

    return check


def optional(check: Check) -> Check:
    """What a check accepts, or nothing at all."""
    return lambda name, value: None if value is None else check(name, value)


def mapping(name: str, value: object) -> Any:
    """Refuse what is no mapping: the parts of one are checked one by one.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a mapping, as in {{key: value}}, got {value!r}.")
    return value


def device(name: str, value: object) -> str:
    """The name of a device that is there.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    from distill_lab._util.devices import find_device

    return str(find_device(text(name, value)))


def prices(name: str, value: object) -> list[float]:
    """Two numbers, of at least 0.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{name} must be two numbers, as in [0.5, 1.5], got {value!r}.")
    return [at_least_0(name, each) for each in value]


def names(name: str, value: object) -> dict[str, str]:
    """A mapping of texts to texts.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    for key, other in mapping(name, value).items():
        text(f"each name in {name}", key)
        text(f"{key} in {name}", other)
    return dict(mapping(name, value))


def _as_int(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
