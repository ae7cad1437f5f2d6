r"""Mathematical equality: of values, equations, sets, tuples, intervals and inequalities.

Expressions are calculated at many points with mpmath, to forty digits: no text is ever executed,
and nothing that is read can take long. A symbolic library would prove more; it would also execute
what it reads, or run for ever on a tower of powers.
"""

import re
from fractions import Fraction

from distill_lab.synthesis.verifiers.answers import undressed
from distill_lab.synthesis.verifiers.arithmetic import (
    AGREED,
    Point,
    Term,
    Value,
    agree,
    context,
    point_of,
)
from distill_lab.synthesis.verifiers.expressions import Expression
from distill_lab.synthesis.verifiers.groups import NAMED, Group, group_of
from distill_lab.synthesis.verifiers.quantities import Quantity, same_quantity, whole_quantity
from distill_lab.synthesis.verifiers.verdicts import UndecidedError

POINTS = 8
ENOUGH = 4  # points at which both have a value
RELATION = re.compile(
    r"<=|>=|≤|≥|\\leq?(?![a-z])|\\geq?(?![a-z])|<|>|\\lt(?![a-z])|\\gt(?![a-z])|≠|\\neq?(?![a-z])"
)
FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤", "≠": "≠"}


def same_mathematics(one: str, other: str) -> bool:
    r"""Tell whether two answers are the same mathematics.

    Args:
        one: an answer.
        other: the right one.

    Returns:
        Whether they are.

    Raises:
        UndecidedError: for what cannot be read.

    >>> same_mathematics(r"x = \pm 2", "{-2, 2}"), same_mathematics("(1, 2)", "[1, 2]")
    (True, False)
    """
    one, other = undressed(one).strip().rstrip("."), undressed(other).strip().rstrip(".")
    if re.sub(r"\s", "", one) == re.sub(r"\s", "", other):
        return True
    names = [_name(text) for text in (one, other)]
    if names[0] != names[1] and all(names) and not all("(" in name for name in names):
        return equal_everywhere(one, other)  # as equations: y = x is x = y
    one, other = (
        NAMED.sub("", text) if name else text
        for name, text in zip(names, (one, other), strict=True)
    )
    mine, right = group_of(one), group_of(other)
    if mine or right:
        return _same_group(mine or Group("", [one], ""), right or Group("", [other], ""))
    relations = _relation(one), _relation(other)
    if relations[0] or relations[1]:
        return _same_relation(*relations)
    if (number := _quantity(one)) and (right_number := _quantity(other)):
        return same_quantity(number, right_number, tolerance=1e-12)
    return equal_everywhere(one, other)


def _name(text: str) -> str:
    """What a text gives one value to; "" where it gives values to several, or to none."""
    match = NAMED.match(text)
    return match[1] if match and "=" not in text[match.end() :] else ""


def _quantity(text: str) -> Quantity | None:
    """A number alone, or with what it counts, such as 4 apples."""
    counted = re.fullmatch(r"([-+]?\d[\d.,]*)(?: [a-z]{2,})+", text)
    return whole_quantity(text) or (whole_quantity(counted[1]) if counted else None)


def _same_group(one: Group, other: Group) -> bool:
    if one.ordered or other.ordered:
        if (one.opening, one.closing) != (other.opening, other.closing):
            return False
        pairs = zip(one.items, other.items, strict=False)
        return len(one.items) == len(other.items) and all(same_mathematics(a, b) for a, b in pairs)
    if len(one.items) != len(other.items):
        return False
    rest = list(other.items)
    for item in one.items:
        twin = next((each for each in rest if same_mathematics(item, each)), None)
        if twin is None:
            return False
        rest.remove(twin)
    return True


def _relation(text: str) -> tuple[str, str, str] | None:
    """An inequality: its sides and its sign; the smaller side first."""
    signs = list(RELATION.finditer(text))
    if len(signs) > 1:
        raise UndecidedError(f"{text[:40]!r} holds several inequalities")
    if not signs:
        return None
    sign = signs[0][0].replace("\\", "")
    sign = {
        "le": "≤",
        "leq": "≤",
        "<=": "≤",
        "ge": "≥",
        "geq": "≥",
        ">=": "≥",
        "lt": "<",
        "gt": ">",
    }.get(sign, sign)
    sign = "≠" if sign in ("ne", "neq") else sign
    sides = text[: signs[0].start()], text[signs[0].end() :]
    return (sides[1], FLIPPED[sign], sides[0]) if sign in (">", "≥") else (sides[0], sign, sides[1])


def _same_relation(one: tuple[str, str, str] | None, other: tuple[str, str, str] | None) -> bool:
    if one is None or other is None or one[1] != other[1]:
        return False
    return equal_everywhere(one[0], other[0]) and equal_everywhere(one[2], other[2])


def equal_everywhere(one: str, other: str) -> bool:
    r"""Tell whether two expressions have the same value, whatever their variables are.

    Args:
        one: an expression, or an equation: these are equal where one is a multiple of the other.
        other: the same.

    Returns:
        Whether they agree at every point that was tried; a chance agreement is out of reach.

    Raises:
        UndecidedError: for what is no expression, or where too few points have a value.

    >>> equal_everywhere(r"\frac{x^2-1}{x-1}", "x + 1"), equal_everywhere("sqrt(x^2)", "x")
    (True, False)
    """
    left, right = _sides(one), _sides(other)
    if len(left) != len(right):
        raise UndecidedError("one of them is an equation, the other none")
    terms = [[Expression(side).term for side in sides] for sides in (left, right)]
    ratio: Value = None
    tried = 0
    for number in range(POINTS):
        try:
            point = point_of(number)
            a, b = (_difference(sides, point) for sides in terms)
        except ArithmeticError:
            continue
        tried += 1
        if len(left) == 2:  # equations: the same up to a factor
            if abs(b) < AGREED or abs(a) < AGREED:
                return False
            ratio = a / b if ratio is None else ratio
            a, b = a / b, ratio
        if not agree(a, b):
            return False
    if tried < ENOUGH:
        raise UndecidedError(f"{one[:40]!r} has no value at most points")
    return True


def constant(text: str) -> Fraction:
    r"""Calculate an expression without variables.

    Args:
        text: such as `2\sqrt{9}`.

    Returns:
        Its value, to some twenty digits.

    Raises:
        UndecidedError: for anything else.

    >>> float(constant(r"\frac{\sqrt{16}}{3}"))
    1.3333333333333333
    """
    values = []
    for number in (0, 1):
        try:
            values.append(Expression(text).term(point_of(number)))
        except ArithmeticError:
            raise UndecidedError(f"{text[:40]!r} has no value") from None
    if not agree(*values) or abs(values[0].imag) > AGREED:
        raise UndecidedError(f"{text[:40]!r} is no number")
    real = values[0].real
    if abs(real) > 1e300:
        raise UndecidedError(f"{text[:40]!r} is too large")
    return Fraction(context().nstr(real, 25, min_fixed=-400, max_fixed=400))


def _sides(text: str) -> list[str]:
    sides = re.split(r"(?<![<>!:])=(?!=)", text)
    if len(sides) > 2:
        raise UndecidedError(f"{text[:40]!r} holds more than one sign of equality")
    return sides


def _difference(sides: list[Term], point: Point) -> Value:
    return sides[0](point) if len(sides) == 1 else sides[0](point) - sides[1](point)
