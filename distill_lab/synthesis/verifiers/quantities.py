"""Numbers as people write them: separators of several countries, fractions, shares, units."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from distill_lab.synthesis.verifiers.answers import FinalAnswer, sentence_end
from distill_lab.synthesis.verifiers.figures import NUMBER, spelled, value_of
from distill_lab.synthesis.verifiers.units import Unit, unit_at
from distill_lab.synthesis.verifiers.verdicts import UndecidedError, UnreadableError

LONGEST = 4000  # characters of an answer
NEAR = 80  # characters before a number that say how it is meant
SHARE = re.compile(r"\s?(%|‰|per ?cent\b|percent\b|pct\b)(?!\s?points?)", re.I)
LARGE = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
SCALE = re.compile(rf"[\s-]?({'|'.join(LARGE)})s?\b", re.I)
SHORT_SCALE = re.compile(r"(k|M|bn|B)\b")
DENIED = re.compile(
    r"(?:\bnot|\bcannot(?: be)?|\bnever|n[’']t(?: be)?|\brather than|\binstead of|\bnor|≠|!="
    r"|\\neq?)\s*(?:\w+\s+)?\W*$",
    re.I,
)
BOUND = re.compile(
    r"(?:\b(?:less|more|fewer|greater|larger|smaller|higher|lower) than|\bat (?:least|most)|\bup to"
    r"|\b(?:over|under|below|above|nearly|almost|between)|[<>≤≥]|\\[lg]eq?)\s*\W*$",
    re.I,
)
LINK = re.compile(
    r"(?:\b(?:or|and|to|through|versus|vs|x)|[-–—,;±&+*×/^=]|\\(?:pm|times|cdot))\s*\W*$", re.I
)
# A number that an answer marks as its last one: "$5 each, so $20 in total".
TOTAL_BEFORE = re.compile(
    r"(?:\bso|\btotal(?:s|ling)?(?: is| of)?|\baltogether|\bin (?:all|total))[\s:,]*$", re.I
)
TOTAL_BEHIND = re.compile(
    r"\s*(?:[^\W\d]+ ){0,2}?(?:in total|in all|al(?:l )?together|total)\b", re.I
)
# Between two numbers: another result, and no reason for the first.
NEXT_RESULT = re.compile(r"[,;:]|\b(?:so|which|making|and)\b", re.I)
REASON = re.compile(
    r"\b(?:because|since|as|for|from|than|if|when|where|with|after|before|given|of"
    r"|(?<!which )(?<!that )(?:is|was))\b",
    re.I,
)
SHARE_OF = re.compile(
    r"\s*(?:\w+ )?(?:of|in|per|over)(?: the| these| those| all| every)?\s*", re.IGNORECASE
)

# What makes a number a part of an expression, such as 3x, x + 3 or GPT-3.
AFTER = re.compile(r"[A-Za-z\\(_^]|\s?[-+*/^]\s?(?:[b-zB-Z](?![a-zA-Z])|\(|\\)")
BEFORE = re.compile(
    r"(?:(?:(?<![A-Za-z])[b-zB-HJ-Z]|[)\]}])\s*[-+*/^]|[A-Za-z](?:\s+[-+*/]\s+|[-+*/^])"
    r"|[{√]\s*|[A-Za-z]\(\s*)$"
)


class Quantity(NamedTuple):
    """A number with what stands around it.

    Args:
        value: the number, exactly.
        percent: whether it is said in per cent; the value is that of the share.
        unit: what it measures; None where nothing is said.
        written: how it stands in the text.
    """

    value: Fraction
    percent: bool
    unit: Unit | None
    written: str


def same_quantity(one: Quantity, other: Quantity, tolerance: float) -> bool:
    """Compare two quantities: by their units where both have one, else by their numbers.

    25 % is 0.25. It is 25 as well, since the sign may be left out; but 0.5 % is not 0.5: a number
    up to one is a share.

    Args:
        one: a quantity.
        other: the right one.
        tolerance: how far off it may be, of the larger of 1 and the right number.

    Returns:
        Whether they are the same.
    """
    mine, right = one.value, other.value
    if one.unit and other.unit:
        if one.unit.dimensions != other.unit.dimensions:
            return False
        mine *= one.unit.size / other.unit.size
    if one.percent != other.percent:
        bare = right if one.percent else mine
        if abs(bare) > 1 and abs(mine - right) > tolerance:  # the sign was left out
            mine, right = (mine * 100, right) if one.percent else (mine, right * 100)
    elif one.percent:
        mine, right = mine * 100, right * 100
    return abs(mine - right) <= Fraction(tolerance) * max(Fraction(1), abs(right))


def quantity_of(answer: FinalAnswer) -> Quantity | None:
    """Read the one number that an answer gives.

    Behind "the answer is" the first number counts, in a last line the last one of its last
    sentence; behind a sign of equality the last. What stands in brackets beside another number is
    passed over, and so is what is denied.

    Args:
        answer: as `read_final_answer` finds it.

    Returns:
        The quantity; None where there is no number.

    Raises:
        UndecidedError: where several may be meant, a bound is given, or a number cannot be read.
    """
    text = spelled(answer.text)
    if text.rstrip().endswith("?"):
        raise UndecidedError(f"it ends with a question, {text[-40:]!r}")
    marked = answer.marked
    if not marked and re.match(r"-\s", answer.line):
        raise UndecidedError("a dash before it may be a bullet or a minus")
    if len({*re.findall(r"(?<![A-Za-z])([A-Za-z])\s*=(?!=)", text)}) > 1:
        raise UndecidedError(f"it gives several variables, {text.strip()[:60]!r}")
    sides = re.split(r"(?<![<>!:])=(?!=)|≈|≃|\\approx|\\simeq", text)
    if len(sides) > 1 and re.search(r"\d", sides[-1]):
        text, marked = sides[-1], True
    elif not marked:
        text = _last_sentence(text)
    outside = re.sub(r"\([^()]*\)", " ", text)
    if re.search(r"\d", outside) and not re.match(r"\s*[-+]?\s*\(", text):
        text = outside
    return _one_of(text, marked)


def whole_quantity(text: str) -> Quantity | None:
    """Read a text that is a number with its unit and nothing else; None for any other.

    >>> whole_quantity("1,000").value, whole_quantity("type 2")
    (Fraction(1000, 1), None)
    """
    try:
        quantity = quantity_of(FinalAnswer(text, text, True))
    except UndecidedError:
        return None
    rest = spelled(text).replace(quantity.written, "", 1) if quantity else ""
    return None if re.search(r"[\w\\!]", rest) else quantity


def _one_of(text: str, first: bool) -> Quantity | None:
    """The number of a text that counts."""
    if len(text) > LONGEST:
        raise UndecidedError(f"an answer of {len(text)} characters is not read")
    read: list[tuple[int, int, Quantity | None]] = []
    for match in NUMBER.finditer(text):
        if read and match.start() < read[-1][1]:
            continue
        if DENIED.search(text[max(0, match.start() - NEAR) : match.start()]):
            continue
        quantity, end = _quantity(text, match)
        previous = read[-1] if read else None
        between = text[previous[1] : match.start()] if previous else ""
        if previous and (joined := _joined(previous[2], quantity, between)):
            read[-1] = (previous[0], end, joined)
        else:
            read.append((match.start(), end, quantity))
    if not read:
        return None
    chosen = 0 if first else len(read) - 1
    different = {(q.value, q.percent) if q else None for *_, q in read}
    if len(different) > 1:
        pairs = read[:2] if first else read[-2:]
        between = text[pairs[0][1] : pairs[1][0]]
        share = not first and SHARE_OF.fullmatch(between)  # 3 out of 10 are neither 3 nor 10
        if LINK.search(between) or not between.strip() or share:
            raise UnreadableError(f"it gives several numbers, {text.strip()[:60]!r}")
    if first and len(different) > 1:
        chosen = _result(text, read)
    start, end, quantity = read[chosen]
    if BOUND.search(text[max(0, start - NEAR) : start]):
        raise UndecidedError(f"it gives a bound, {text.strip()[:60]!r}")
    if quantity is None:
        raise UnreadableError(f"{text[start : end + 8].strip()!r} is no number that can be read")
    return quantity


def _result(text: str, read: Sequence[tuple[int, int, Quantity | None]]) -> int:
    """Which of several numbers an answer is: the total where one is marked as that, or the first.

    Raises UnreadableError where several are, or where another one of the same unit competes.
    """
    totals = {
        place
        for place, (start, end, _) in enumerate(read)
        if TOTAL_BEHIND.match(text, end)
        or (
            TOTAL_BEFORE.search(text[max(0, start - NEAR) : start])
            and not re.match(r"\s+(?:\w+ )?(?:more|less|fewer)\b", text[end:])
        )
    }
    if len(totals) == 1:
        return totals.pop()
    one = read[0][2]
    rivals = [
        other
        for start, _, other in read[1:]
        if one
        and other
        and one.unit
        and other.unit
        and one.unit.dimensions == other.unit.dimensions
        and one.value * one.unit.size != other.value * other.unit.size
        and NEXT_RESULT.search(between := text[read[0][1] : start])
        and not REASON.search(between)
    ]
    if totals or rivals:
        raise UnreadableError(f"several numbers may be its answer, {text.strip()[:60]!r}")
    return 0


def _joined(one: Quantity | None, other: Quantity | None, between: str) -> Quantity | None:
    """Two quantities that are one: 2 hours and 30 minutes."""
    if not (one and other and one.unit and other.unit) or between.strip(" ,") not in ("", "and"):
        return None
    if one.unit.dimensions != other.unit.dimensions or one.unit.size <= other.unit.size:
        return None
    if one.unit.size == other.unit.size or one.value < 0:
        return None
    more = other.value * other.unit.size / one.unit.size
    return one._replace(value=one.value + more, written=f"{one.written} {other.written}")


def _quantity(text: str, match: re.Match[str]) -> tuple[Quantity | None, int]:
    """A number with its signs, and where it ends; None where it cannot be read."""
    end = match.end()
    value = value_of(match)
    if value is None:
        return None, end
    if scale := SCALE.match(text, end) or (match["money"] and SHORT_SCALE.match(text, end)):
        names = {"k": 3, "M": 6, "bn": 9, "B": 9}
        value *= 10 ** (names.get(scale[1]) or LARGE[scale[1].lower()])
        end = scale.end()
    elif scale := re.compile(r"k\b").match(text, end):
        value, end = value * 1000, scale.end()
    percent = SHARE.match(text, end)
    if percent:
        value, end = value / (1000 if percent[1] == "‰" else 100), percent.end()
    unit: Unit | None = None
    gap = re.compile(r"[\s-]?").match(text, end)
    if gap and (counted := unit_at(text[gap.end() :])):
        unit, end = counted[0], gap.end() + counted[1]
    elif AFTER.match(text, end) and not match["ordinal"]:
        return None, end
    if BEFORE.search(text[max(0, match.start() - NEAR) : match.start()] + match["sign"]):
        return None, end
    if match["money"] and (money := unit_at(match["money"].strip().removeprefix("US"))):
        unit = money[0]
    return Quantity(value, bool(percent), unit, text[match.start() : end].strip()), end


def _last_sentence(text: str) -> str:
    """The last sentence of a text in which there is a figure."""
    sentences: list[str] = []
    while (end := sentence_end(text)) is not None:
        sentences.append(text[: end + 1])
        text = text[end + 1 :]
    sentences.append(text)
    numbered: Sequence[str] = [each for each in sentences if re.search(r"\d", each)]
    return numbered[-1] if numbered else text
