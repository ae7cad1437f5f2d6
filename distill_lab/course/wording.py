"""Figures and counts in words, the same on the terminal and on the pages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from distill_lab.course.claim import CANNOT, FAILS, HOLDS

VERDICTS = (HOLDS, FAILS, CANNOT)
PLURAL = {"holds": "hold", "does not hold here": "do not hold here"}


def verdict_counts(claims: Iterable[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """Verdict, how many, and the words for it, for each verdict that occurs."""
    counts = Counter(str(claim.get("verdict")) for claim in claims)
    return [
        (verdict, counts[verdict], f"{counts[verdict]} {_words(verdict, counts[verdict])}")
        for verdict in VERDICTS
        if counts[verdict]
    ]


def _words(verdict: str, count: int) -> str:
    return PLURAL.get(verdict, verdict) if count > 1 else verdict


def count_words(claims: Iterable[dict[str, Any]]) -> str:
    """The verdicts of some claims in one line, or nothing for no claims.

    >>> count_words([{"verdict": "holds"}, {"verdict": "does not hold here"}])
    '2 claims: 1 holds, 1 does not hold here'
    """
    claims = list(claims)
    counted = verdict_counts(claims)
    unknown = len(claims) - sum(count for _, count, _ in counted)
    parts = [text for _, _, text in counted]
    parts += [f"{unknown} with an unknown verdict"] if unknown else []
    return f"{len(claims)} claim{'s' * (len(claims) > 1)}: {', '.join(parts)}" if claims else ""


def number(value: Any, *, like: float | None = None) -> str:
    """A figure with the decimals that suit its size, or the size of `like`; `n/a` for none.

    >>> number(-12.345), number(0.01234), number(5), number(3.0, like=0.5), number(None)
    ('-12.3', '0.012', '5', '3.000', 'n/a')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "n/a"
    if like is None and value == int(value) and abs(value) < 1e6:
        return str(int(value))
    size = abs(value if like is None else like)
    if 0 < size < 0.01:
        return f"{value:.1e}"
    decimals = 0 if size == 0 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{decimals}f}"


def duration(seconds: Any) -> str:
    """What a claim cost, to the tenth of a second.

    >>> duration(61.44), duration(0.004), duration(None)
    ('61.4 s', 'under 0.1 s', '')
    """
    if number(seconds) == "n/a":
        return ""
    return f"{seconds:.1f} s" if seconds >= 0.1 else "under 0.1 s"


def wins(claim: dict[str, Any]) -> str:
    """How many seeds agree on the direction; nothing where a direction was not asked for.

    An exact figure has no seeds. A claim on a size ("within 2", "above 50") is not decided by
    the side of 0 that a seed lies on.

    >>> asked = {"expected": "above", "threshold": 0.0}
    >>> wins({**asked, "wins": 9, "n": 10}), wins({**asked, "wins": 5, "n": 5})
    ('9 of 10 seeds agree', 'all 5 seeds agree')
    >>> wins({"wins": 3, "n": 5, "expected": "within"}), wins({"wins": None, "n": 1})
    ('', '')
    """
    counted, n = claim.get("wins"), claim.get("n")
    direction = claim.get("expected") in ("above", "below") and not claim.get("threshold")
    if counted is None or n is None or not direction:
        return ""
    return f"all {n} seeds agree" if counted == n else f"{counted} of {n} seeds agree"


def same_in_all(n: int) -> str:
    """What stands where an interval would have no width.

    >>> same_in_all(5), same_in_all(10)
    ('the same in all five seeds', 'the same in all 10 seeds')
    >>> same_in_all(0)  # not known how many
    'the same in all seeds'
    """
    return f"the same in all {'five ' if n == 5 else f'{n} ' if n else ''}seeds"


def interval(claim: dict[str, Any]) -> str:
    """The mean difference with its interval and unit, all with the same decimals.

    >>> interval({"mean": 38.25, "low": 35.0, "high": 41.5, "unit": "points"})
    '+38.2 [35.0, 41.5] points'
    >>> interval({"mean": 67.5, "low": 67.5, "high": 67.5, "unit": "points", "n": 5})
    '+67.5 points, the same in all five seeds'
    """
    values: list[Any] = [claim.get(name) for name in ("mean", "low", "high")]
    if number(values[0]) == "n/a":
        return "not given"
    if "n/a" in map(number, values):  # an exact figure, without interval
        return f"{number(values[0])} {claim.get('unit') or ''}".rstrip()
    size = max(abs(value) for value in values)
    if values[1] == values[2]:
        sign = "+" if values[0] > 0 else ""
        figure = f"{sign}{number(values[0])} {claim.get('unit') or ''}".rstrip()
        return f"{figure}, {same_in_all(claim.get('n') or 0)}"
    mean, low, high = (number(value, like=size) for value in values)
    sign = "+" if values[0] > 0 else ""
    return f"{sign}{mean} [{low}, {high}] {claim.get('unit') or ''}".rstrip()
