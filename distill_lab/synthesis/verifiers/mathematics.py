"""Verifiers of numbers, of mathematics, and of lists of either."""

import re
from fractions import Fraction
from typing import Any

from distill_lab._util.jsonl import Row
from distill_lab.synthesis.verifiers.answers import (
    FinalAnswer,
    bullets_at_end,
    plain,
    read_final_answer,
    undressed,
)
from distill_lab.synthesis.verifiers.equality import constant, same_mathematics
from distill_lab.synthesis.verifiers.quantities import Quantity, quantity_of, same_quantity
from distill_lab.synthesis.verifiers.verdicts import (
    UndecidedError,
    UnreadableError,
    Verdict,
    Verifier,
    accepted,
    answer_of,
    judged,
)

# Between the things of a list; with a comma before it, it is one separator with that comma.
AND = r"\s*[,;]\s*(?:and|und|or|&|as well as)\s+|\s+(?:and|und|et|y|or|as well as)\s+|\s&\s"
HANGING = re.compile(r"(?:[,;]\s*)?(?:\s(?:and|or))?$")  # behind a bullet: "dogs, and"
# What leads up to an answer.
IT_IS = re.compile(
    r"^\W*(?:so |thus |hence |therefore )?(?:it|that|this)(?:[’']s| is)\s*:?\s+", re.I
)
THEY_ARE = re.compile(r"^(?:the|these|those|they)\b[^,;:\n]*?\b(?:are|were)\s*:?\s+", re.I)


def numeric(key: str = "answer", *, tolerance: float = 1e-6) -> Verifier:
    r"""Accept an answer whose number is the one kept under `key`, or one of them if it is a list.

    Formula: |answer - right| <= tolerance * max(1, |right|). Reads 1,234.5 and 1.234,5, 3/4 and
    1 1/2, -2, 1e6 and 3 \times 10^4, 25 %, $5 and 12 cm^2: units are compared where both have one.

    Args:
        key: Where under `about` the right number stands.
        tolerance: How far off an answer may be.

    Returns:
        The verifier.

    Raises:
        ValueError: For a negative tolerance.

    >>> numeric()({"answer": "so 1,000 + 234 = 1,234", "about": {"answer": 1234}}).ok
    True
    """
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance must be 0 or more, got {tolerance!r}.")

    def verify(row: Row) -> Verdict:
        kept = accepted(row, key)
        right = [number for one in kept if (number := _right_number(one))]
        if not right or len(right) < len(kept):
            return Verdict(False, f"what is kept under {key!r} is no number: {row['about'][key]!r}")
        number = _number(read_final_answer(answer_of(row)))
        if number is None:
            return Verdict(False, "no number in its answer")
        if any(same_quantity(number, one, tolerance) for one in right):
            return Verdict(True)
        return Verdict(False, f"answered {number.written[:60]}, not {right[0].written[:60]}")

    return judged(verify)


def mathematical(key: str = "answer") -> Verifier:
    r"""Accept an answer that is the same mathematics as what is kept under `key`, or one of a list.

    Expressions are the same where they have the same value for every value of their variables;
    sets in any order, tuples and intervals with their brackets, equations up to a factor.

    Args:
        key: Where under `about` the right answer stands, in LaTeX or as people type it.

    >>> verify = mathematical()
    >>> verify({"answer": r"So \boxed{\frac{\sqrt{8}}{2}}", "about": {"answer": "sqrt(2)"}}).ok
    True
    """

    def verify(row: Row) -> Verdict:
        answer = IT_IS.sub("", read_final_answer(answer_of(row)).text)
        right = [read_final_answer(str(one)).text for one in accepted(row, key)]
        undecided = None
        for one in right:
            try:
                if same_mathematics(answer, one):
                    return Verdict(True)
            except UndecidedError as error:
                undecided = undecided or error
        if undecided:
            raise undecided
        return Verdict(False, f"answered {answer[:60]!r}, not {right[0]!r}" if right else "")

    return judged(verify)


def listed(key: str = "answer", *, ordered: bool = False, tolerance: float = 1e-6) -> Verifier:
    """Accept an answer that lists what is kept under `key`, all of it and nothing else.

    Args:
        key: Where under `about` the right things stand: a list, or a text with commas.
        ordered: Whether their order counts.
        tolerance: How far off a number may be.

    Returns:
        The verifier.

    Raises:
        ValueError: For a negative tolerance.

    >>> row = {"answer": "Answer: red, blue and 2.0", "about": {"answer": ["blue", "2", "red"]}}
    >>> listed()(row).ok
    True
    """
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance must be 0 or more, got {tolerance!r}.")

    def verify(row: Row) -> Verdict:
        kept = accepted(row, key)
        right = [str(one) for one in kept] if len(kept) != 1 else _items(str(kept[0]), None)
        answer = read_final_answer(answer_of(row))
        bullets = "" if answer.marked else bullets_at_end(answer_of(row))
        items = _items(bullets or THEY_ARE.sub("", answer.text), len(right))
        if len(items) != len(right):
            return Verdict(False, f"lists {len(items)} things, not {len(right)}: {items!r}"[:120])
        rest = list(right)
        for item in items:
            near = rest[:1] if ordered else rest
            twin = next((one for one in near if _same_item(item, one, tolerance)), None)
            if twin is None:
                return Verdict(
                    False, f"lists {item!r}, which is not {'next' if ordered else 'there'}"
                )
            rest.remove(twin)
        return Verdict(True)

    return judged(verify)


def _right_number(value: Any) -> Quantity | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return Quantity(Fraction(str(value)), False, None, str(value))
        except ValueError:  # no number, or none that is finite
            return None
    try:
        return _number(read_final_answer(str(value)))
    except UndecidedError:
        return None


def _number(answer: FinalAnswer) -> Quantity | None:
    """The number of an answer, calculated where it is an expression without variables."""
    undecided: UnreadableError | None = None
    try:
        if quantity := quantity_of(answer):
            return quantity
    except UnreadableError as error:
        undecided = error
    text = undressed(re.split(r"=|≈|\\approx", answer.text)[-1])
    try:
        if re.search(r"[-+*/^\\√π!·×÷]", text):
            return Quantity(constant(text), False, None, text)
    except UndecidedError:
        pass
    if undecided:
        raise undecided
    return None


def _items(text: str, count: int | None) -> list[str]:
    """The things of a list, as many as there shall be where that can be."""
    text = re.sub(
        r"^\s*(?:\\\{|[\[({])(.*?)(?:\\\}|[\])}])\s*$", r"\1", undressed(text), flags=re.S
    )
    ways = [
        [HANGING.sub("", item.strip()) for item in re.split(separator, text) if item.strip()]
        for link in (rf"{AND}|", "")  # without it: Trinidad and Tobago
        for separator in (rf"{link}\s*[;\n]\s*|,\s+", rf"{link}\s*[;\n,]\s*", rf"{link}\s*[;\n]\s*")
    ]
    return next(
        (way for way in ways if len(way) == count), ways[0] if len(ways[0]) > 1 else ways[1]
    )


def _same_item(one: str, other: str, tolerance: float) -> bool:
    if plain(one) == plain(other):
        return True
    try:
        numbers = [_number(FinalAnswer(text, text, True)) for text in (one, other)]
    except UndecidedError:
        return False
    if not (numbers[0] and numbers[1]):
        return False
    if any(re.search(r"[A-Za-z]{2,}", text) for text in (one, other)) and not (
        numbers[0].unit or numbers[1].unit
    ):
        return False  # three apples are no three pears
    return same_quantity(numbers[0], numbers[1], tolerance)
