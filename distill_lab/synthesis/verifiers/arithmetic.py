"""Arithmetic of expressions at points, to forty digits, with bounds on what it may cost."""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

from distill_lab._util.checks import needs
from distill_lab.synthesis.verifiers.verdicts import UndecidedError

DIGITS = 40  # of every calculation
AGREED = 1e-25  # how near two values of one expression are
LARGEST = 10_000  # powers of ten
CALLED = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}
Value = Any  # mpmath's numbers
Point = Callable[[str], Value]
Term = Callable[[Point], Value]


@cache
def context() -> Any:
    """Make the place where numbers have forty digits, apart from mpmath's own settings."""
    with needs("mpmath"):
        from mpmath import MPContext

    place = MPContext()
    place.dps = DIGITS
    return place


def point_of(number: int) -> Point:
    """Give each variable a value: another at each point, of both signs, the same every time."""

    def value(name: str) -> Value:
        digest = hashlib.sha256(f"{number} {name}".encode()).digest()
        share = context().mpf(int.from_bytes(digest[:8], "big")) / 2**64
        return (share * 2 + context().mpf(1) / 3) * (-1 if number % 2 else 1)

    return value


def number_term(digits: str) -> Term:
    """Make a number of its figures. Raises UndecidedError for more than a hundred."""
    if len(digits) > 100:
        raise UndecidedError("a number of so many figures is not read")
    return lambda point: context().mpf(digits)


def combined(one: Term, other: Term, sign: str) -> Term:
    """Combine two terms.

    Args:
        one: the left one.
        other: the right one.
        sign: one of + - * / ^.

    Returns:
        Their sum, difference, product, quotient or power.
    """

    def value(point: Point) -> Value:
        a, b = one(point), other(point)
        if sign == "+":
            return a + b
        if sign == "-":
            return a - b
        if sign == "*":
            return _bounded(a * b)
        if sign == "/":
            return _bounded(a / b)
        return _raised(a, b)

    return value


def _raised(base: Value, power: Value) -> Value:
    if abs(power) > LARGEST:
        raise UndecidedError("a power so large is not calculated")
    if not base:
        if power.real <= 0:
            raise ZeroDivisionError
        return base
    if abs(context().log(abs(base)) * abs(power)) > 2 * LARGEST:
        raise UndecidedError("a power so large is not calculated")
    return base**power


def factorial(value: Value) -> Value:
    """Calculate n!. Raises UndecidedError for what is no whole number up to 1000."""
    if abs(value) > 1000 or value != int(value.real) or value.real < 0:
        raise UndecidedError("only a whole number up to 1000 has a factorial here")
    return context().factorial(int(value.real))


def called(name: str, value: Value) -> Value:
    """Call a function by its name.

    Args:
        name: such as sin, exp or arctan; log is that to the base e.
        value: its argument.

    Returns:
        The value.

    Raises:
        ArithmeticError: where there is none.
        UndecidedError: for an argument that would take long.
    """
    if abs(value) > LARGEST:
        raise UndecidedError(f"{name} of a number so large is not calculated")
    if name == "abs":
        return abs(value)
    if name in ("log", "ln"):
        if not value:
            raise ZeroDivisionError
        return context().log(value)
    return _bounded(getattr(context(), CALLED.get(name, name))(value))


def _bounded(value: Value) -> Value:
    if not context().isfinite(value):
        raise ZeroDivisionError
    if value and abs(context().log(abs(value))) > 3 * LARGEST:
        raise UndecidedError("a number so large is not calculated")
    return value


def agree(one: Value, other: Value) -> bool:
    """Tell whether two values are one, but for rounding."""
    return bool(abs(one - other) <= AGREED * max(1, abs(one), abs(other)))
