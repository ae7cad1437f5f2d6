"""Checks of arguments that several rooms make: one sentence each, naming what came.

Each gives the value back, so that a check can stand where the value is stored. `what` replaces
what the sentence says was expected, `why` adds what the value is for, or how to mend it.
"""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

Value = TypeVar("Value")


def positive_int(
    name: str, value: object, *, what: str = "a positive integer", why: str = ""
) -> int:
    """Refuse anything but an integer of at least 1; True is no integer here.

    Args:
        name: the argument's, as the caller wrote it.
        value: what was passed.
        what: what was expected, in words.
        why: a sentence to end with, such as how to mend it.

    Returns:
        The value.

    Raises:
        ValueError: for anything else.

    >>> positive_int("epochs", 3)
    3
    >>> positive_int("epochs", 0)
    Traceback (most recent call last):
    ValueError: epochs must be a positive integer, got 0.
    """
    if not _is_int(value) or value < 1:  # type: ignore[operator]
        raise ValueError(_sentence(name, what, value, why))
    return value  # type: ignore[return-value]


def non_negative_int(
    name: str, value: object, *, what: str = "a whole number of at least 0", why: str = ""
) -> int:
    """Refuse anything but an integer of at least 0.

    Args:
        name: the argument's, as the caller wrote it.
        value: what was passed.
        what: what was expected, in words.
        why: a sentence to end with.

    Returns:
        The value.

    Raises:
        ValueError: for anything else.

    >>> non_negative_int("warmup", -1, what="a number of steps, 0 or more")
    Traceback (most recent call last):
    ValueError: warmup must be a number of steps, 0 or more, got -1.
    """
    if not _is_int(value) or value < 0:  # type: ignore[operator]
        raise ValueError(_sentence(name, what, value, why))
    return value  # type: ignore[return-value]


def positive_finite(
    name: str, value: object, *, what: str = "a positive finite number", why: str = ""
) -> float:
    """Refuse anything but a number above 0 and below infinity.

    Args:
        name: the argument's, as the caller wrote it.
        value: what was passed.
        what: what was expected, in words.
        why: a sentence to end with.

    Returns:
        The value.

    Raises:
        ValueError: for anything else.

    >>> positive_finite("T", 0.0, why="T = 1 leaves the softmax as it is.")
    Traceback (most recent call last):
    ValueError: T must be a positive finite number, got 0.0. T = 1 leaves the softmax as it is.
    """
    if not _is_number(value) or not 0 < value < math.inf:  # type: ignore[operator]
        raise ValueError(_sentence(name, what, value, why))
    return value  # type: ignore[return-value]


def non_negative_finite(
    name: str, value: object, *, what: str = "a finite number of at least 0", why: str = ""
) -> float:
    """Refuse anything but a finite number of at least 0.

    Args:
        name: the argument's, as the caller wrote it.
        value: what was passed.
        what: what was expected, in words.
        why: a sentence to end with.

    Returns:
        The value.

    Raises:
        ValueError: for anything else.

    >>> non_negative_finite("weight", float("nan"))
    Traceback (most recent call last):
    ValueError: weight must be a finite number of at least 0, got nan.
    """
    if not _is_number(value) or not 0 <= value < math.inf:  # type: ignore[operator]
        raise ValueError(_sentence(name, what, value, why))
    return value  # type: ignore[return-value]


def fraction(name: str, value: object, *, ends: bool = True, why: str = "") -> float:
    """Refuse anything but a number from 0 to 1.

    Args:
        name: the argument's, as the caller wrote it.
        value: what was passed.
        ends: whether 0 and 1 themselves are accepted.
        why: a sentence to end with.

    Returns:
        The value.

    Raises:
        ValueError: for anything else.

    >>> fraction("alpha", 1.5)
    Traceback (most recent call last):
    ValueError: alpha must lie between 0 and 1, got 1.5.
    >>> fraction("beta", 1.0, ends=False)
    Traceback (most recent call last):
    ValueError: beta must lie strictly between 0 and 1, got 1.0.
    """
    inside = _is_number(value) and 0 <= value <= 1  # type: ignore[operator]
    if not inside or (not ends and value in (0, 1)):
        strictly = "" if ends else "strictly "
        raise ValueError(f"{name} must lie {strictly}between 0 and 1, got {value!r}{_end(why)}")
    return value  # type: ignore[return-value]


def one_of(name: str, value: Value, allowed: Collection[object], *, why: str = "") -> Value:
    """Refuse anything that is not among `allowed`, naming them all.

    Args:
        name: the argument's, as the caller wrote it.
        value: what was passed.
        allowed: what may be passed.
        why: a sentence to end with.

    Returns:
        The value.

    Raises:
        ValueError: for anything else.

    >>> one_of("schedule", "cosine", ("constant", "cosine"))
    'cosine'
    >>> one_of("schedule", "step", ("constant", "cosine"))
    Traceback (most recent call last):
    ValueError: schedule must be one of ['constant', 'cosine'], got 'step'.
    """
    if value not in list(allowed):
        raise ValueError(_sentence(name, f"one of {list(allowed)}", value, why))
    return value


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Turn a missing package, around its import, into a sentence with the way out.

    >>> with needs("no_such_package"):
    ...     import no_such_package
    Traceback (most recent call last):
    ModuleNotFoundError: this needs the package no_such_package: pip install
    "distill-lab[synthesis]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != package:
            raise
        raise ModuleNotFoundError(
            f'this needs the package {package}: pip install "distill-lab[synthesis]"',
            name=error.name,
        ) from None


def error_in_words(error: Exception) -> str | None:
    """What a command prints in place of a traceback; None for a fault of ours, which needs one.

    Errors that are raised on purpose are sentences already. What a library raises in its own way
    (a template, a tokenizer, a file's format, a device without memory) is named with its kind.

    Args:
        error: what ended the command.

    Returns:
        A sentence.
    """
    if isinstance(error, (ValueError, OSError, ImportError, ArithmeticError)):
        return str(error)
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    module = "" if frame is None else str(frame.tb_frame.f_globals.get("__name__", ""))
    library = module.split(".")[0] or type(error).__module__.split(".")[0]
    if library == "distill_lab" and not isinstance(error, TypeError):
        return None
    return f"{type(error).__name__}: {' '.join(str(error).split())} (from {library})"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sentence(name: str, what: str, value: object, why: str) -> str:
    return f"{name} must be {what}, got {value!r}{_end(why)}"


def _end(why: str) -> str:
    """A full stop and a second sentence; or, after a colon, the reason in the same one."""
    if why.startswith(":"):
        return why
    return f". {why}" if why else "."
