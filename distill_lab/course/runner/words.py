"""Figures and counts in words, the same on the terminal and on the pages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .findings import VERDICTS

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
    known = verdict_counts(claims)
    unknown = len(claims) - sum(count for _, count, _ in known)
    parts = [words for _, _, words in known]
    parts += [f"{unknown} with an unknown verdict"] if unknown else []
    return f"{len(claims)} claim{'s' * (len(claims) > 1)}: {', '.join(parts)}" if claims else ""


def number(value: Any) -> str:
    """A figure to three significant digits or one decimal; `n/a` for none.

    >>> number(-12.345), number(0.01234), number(5), number(None)
    ('-12.3', '0.0123', '5', 'n/a')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "n/a"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def interval(claim: dict[str, Any]) -> str:
    """The mean difference with its interval and unit.

    >>> interval({"mean": 3.2, "low": 1.1, "high": 5.3, "unit": "points"})
    '+3.2 [1.1, 5.3] points'
    """
    mean = number(claim.get("mean"))
    if mean == "n/a":
        return "not given"
    sign = "+" if claim["mean"] > 0 else ""
    ends = f"[{number(claim.get('low'))}, {number(claim.get('high'))}]"
    return f"{sign}{mean} {ends} {claim.get('unit') or ''}".rstrip()
