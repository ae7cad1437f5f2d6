"""Checks of arguments that several rooms make: one sentence each, naming what came.

Each gives the value back, so that a check can stand where the value is stored: numbers of NumPy and
torch as Python's own. `what` replaces what the sentence says was expected, `why` adds what the
value is for, or how to mend it.
"""

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Value = TypeVar("Value")


def plain_number(value: Any) -> Any:
    """A number of NumPy or torch as Python's own; anything else as it is.

    A setting is written into names, checkpoints and JSON, where `np.float64(2.0)` would be another
    setting than 2.0. A tensor that requires a gradient stays what it is: as a number it would learn
    no more.

    Args:
        value: a scalar, an array or a tensor without axes, or anything.

    Returns:
        An int or a float, or the value.

    >>> import numpy as np
    >>> plain_number(np.int64(3)), plain_number(np.array(0.5)), plain_number("3")
    (3, 0.5, '3')
    """
    if type(value) in (int, float) or getattr(value, "ndim", None) != 0:
        return value
    if getattr(value, "requires_grad", False) or not callable(getattr(value, "item", None)):
        return value
    number = value.item()
    return number if _is_number(number) else value


def whole_number(name: str, value: object, *, what: str = "a whole number", why: str = "") -> int:
    """Refuse anything but an integer, as seeds are.

    Args:
        name: the argument's, as the caller wrote it.
        value: what was passed.
        what: what was expected, in words.
        why: a sentence to end with.

    Returns:
        The value.

    Raises:
        ValueError: for anything else.

    >>> whole_number("seed", "3")
    Traceback (most recent call last):
    ValueError: seed must be a whole number, got '3'.
    """
    number = plain_number(value)
    if not _is_int(number):
        raise ValueError(_sentence(name, what, value, why))
    return number  # type: ignore[no-any-return]


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
    number = plain_number(value)
    if not _is_int(number) or number < 1:
        raise ValueError(_sentence(name, what, value, why))
    return number  # type: ignore[no-any-return]


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
    number = plain_number(value)
    if not _is_int(number) or number < 0:
        raise ValueError(_sentence(name, what, value, why))
    return number  # type: ignore[no-any-return]


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
    number = plain_number(value)
    if not _is_number(number) or not 0 < number < math.inf:
        raise ValueError(_sentence(name, what, value, why))
    return number  # type: ignore[no-any-return]


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
    number = plain_number(value)
    if not _is_number(number) or not 0 <= number < math.inf:
        raise ValueError(_sentence(name, what, value, why))
    return number  # type: ignore[no-any-return]


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
    number = plain_number(value)
    inside = _is_number(number) and 0 <= number <= 1
    if not inside or (not ends and number in (0, 1)):
        strictly = "" if ends else "strictly "
        raise ValueError(f"{name} must lie {strictly}between 0 and 1, got {value!r}{_end(why)}")
    return number  # type: ignore[no-any-return]


def set_checked(
    owner: object, check: Callable[..., Any], *names: str, optional: bool = False, **options: str
) -> None:
    """Put attributes through a check and keep what it gives back.

    Args:
        owner: has the attributes; it may be a frozen dataclass.
        check: one of those above.
        names: of the attributes.
        optional: whether None is let through.
        options: `what` and `why` of the check.

    Raises:
        ValueError: as the check does.
    """
    for name in names:
        value = getattr(owner, name)
        if value is not None or not optional:
            object.__setattr__(owner, name, check(name, value, **options))


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
