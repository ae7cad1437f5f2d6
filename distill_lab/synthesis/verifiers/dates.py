"""A verifier of dates, as they are written in several countries."""

import datetime
import re
from collections.abc import Iterator
from typing import Any

from distill_lab._util.jsonl import Row
from distill_lab.synthesis.verifiers.answers import read_final_answer, undressed
from distill_lab.synthesis.verifiers.verdicts import (
    UndecidedError,
    Verdict,
    Verifier,
    accepted,
    answer_of,
    judged,
)
from distill_lab.synthesis.verifiers.words import CLAUSE, DENIAL

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
YEAR = r"(?P<year>\d{4})"
NAMED = (
    re.compile(rf"\b{DAY}\.?\s+(?:of\s+)?{MONTH},?\s+{YEAR}\b", re.I),
    re.compile(rf"\b{MONTH}\s+{DAY},?\s+{YEAR}\b", re.I),
    re.compile(rf"\b{YEAR},?\s+{MONTH}\s+{DAY}\b", re.I),
    re.compile(rf"\b{DAY}-{MONTH}-{YEAR}\b", re.I),
)
ISO = re.compile(
    r"(?<![\d-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\d-])|(\d{4})年(\d{1,2})月(\d{1,2})日"
)
FIGURES = re.compile(r"(?<![\d./-])(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?!\d)")
BOUND = re.compile(r"\b(?:before|after|between|(?:earlier|later) than)\s+(?:the )?$", re.I)


def date(key: str = "answer", *, day_first: bool | None = None) -> Verifier:
    """Accept an answer that gives the date kept under `key`, and no other.

    Args:
        key: Where under `about` the right date stands: 2024-03-12, or as answers have it.
        day_first: How 3/4/2024 is read; None rejects what may be read in two ways.

    Returns:
        The verifier.

    >>> date()({"answer": "On March 12th, 2024.", "about": {"answer": "2024-03-12"}}).ok
    True
    """

    def verify(row: Row) -> Verdict:
        right: set[datetime.date] = set()
        for one in accepted(row, key):
            right |= {one} if type(one) is datetime.date else _dates(str(one), day_first)
        if not right:
            return Verdict(False, f"what is kept under {key!r} is no date: {row['about'][key]!r}")
        text = read_final_answer(answer_of(row)).text
        if text.rstrip().endswith("?"):
            raise UndecidedError(f"it ends with a question, {text[-40:]!r}")
        given = _dates(text, day_first)
        if not given:
            return Verdict(False, "no date in its answer")
        if len(given) > 1:
            raise UndecidedError(f"it gives {len(given)} dates")
        (day,) = given
        return (
            Verdict(True) if day in right else Verdict(False, f"answered {day}, not {min(right)}")
        )

    return judged(verify)


def _dates(text: str, day_first: bool | None) -> set[datetime.date]:
    text = undressed(text)
    dates: set[Any] = set()
    for pattern in NAMED:
        for match in _stated(pattern, text):
            month = MONTHS.index(match["month"][:3].lower()) + 1
            dates.add(_day(int(match["year"]), month, int(match["day"])))
    for match in _stated(ISO, text):
        year, month, day = (int(part) for part in match.groups() if part and part.isdigit())
        dates.add(_day(year, month, day))
    for match in _stated(FIGURES, text):
        one, other, year = int(match[1]), int(match[3]), int(match[4])
        ways = {True: _day(year, other, one), False: _day(year, one, other)}
        if match[2] == ".":  # nobody writes the month first with points
            dates.add(ways[True])
        elif day_first is not None:
            dates.add(ways[day_first])
        elif len(possible := {day for day in ways.values() if day}) > 1:
            raise UndecidedError(f"{match[0]} may be two dates: say day_first = True or False")
        else:
            dates |= possible
    return dates - {None}


def _stated(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Where a date stands and is not denied. Raises UndecidedError for a bound: before 3 May."""
    for match in pattern.finditer(text):
        before = text[: match.start()]
        if BOUND.search(before):
            raise UndecidedError(f"it gives a bound, {text[:60]!r}")
        if not DENIAL.search(CLAUSE.split(before.lower())[-1]):
            yield match


def _day(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None
