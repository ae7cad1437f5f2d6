"""How a claim looks: in plain lines, as a card with its interval drawn, and as a row of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from distill_lab.course.claim import CANNOT, FAILS, HOLDS, Claim
from distill_lab.course.records import (
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    ROW,
    TABLE,
    badge,
    card,
    number,
    small,
    table,
)

__all__ = ["as_html", "as_text", "table_html", "table_text"]

_LOOKS = {HOLDS: ("✓", GREEN), FAILS: ("✗", PURPLE), CANNOT: ("?", ORANGE)}
_LEFT = "text-align:left;vertical-align:top;padding:1px 12px 1px 0"


def difference_words(claim: Claim) -> str:
    """The difference with its interval, in words."""
    unit = f" {claim.unit}" if claim.unit else ""
    if claim.low is None or claim.high is None:
        size = "" if claim.mean is None else f"{number(claim.mean, sign=True)}{unit}; "
        return f"{size}exact, the same on every run"
    signs = "" if claim.wins is None else f", {claim.wins} of them with this sign"
    widest = max(abs(claim.low), abs(claim.high))
    bounds = f"[{number(claim.low, like=widest)}, {number(claim.high, like=widest)}]"
    mean = number(claim.mean or 0.0, sign=True, like=widest)
    return f"{mean}{unit} {bounds} ({claim.interval_kind}; {claim.n} seeds{signs})"


def rule_words(claim: Claim) -> str:
    """The rule by which the verdict was given, in words."""
    if claim.expected == "exact":
        return "rule: an exact result, right or wrong"
    if claim.expected == "within":
        return f"rule: the whole interval inside ±{claim.margin:g}"
    return f"rule: the whole interval {claim.expected} {claim.threshold:g}"


def as_text(claim: Claim) -> str:
    """The claim in plain lines."""
    sign, _ = _LOOKS[claim.verdict]
    negative = "; a negative result" if claim.negative else ""
    return "\n".join(
        (
            f"{sign} {claim.verdict}: {claim.says}  [claim {claim.id}]",
            f"  paper: {claim.published}  ({claim.paper}, {claim.where})",
            f"  here:  {claim.ours}",
            f"  difference: {difference_words(claim)}",
            f"  {rule_words(claim)}{negative}; {claim.seconds:.1f} s",
        )
    )


def as_html(claim: Claim) -> str:
    """The claim as a card."""
    sign, colour = _LOOKS[claim.verdict]
    rows = "".join(
        f'{ROW}<th scope="row" style="{_LEFT};font-weight:600">{name}</th>'
        f'<td style="{_LEFT}">{cell}</td></tr>'
        for name, cell in (
            ("paper", escape(claim.published)),
            ("here", escape(claim.ours)),
            ("difference", escape(difference_words(claim)) + _drawing(claim)),
        )
    )
    negative = " · a negative result" if claim.negative else ""
    foot = (
        f"{claim.paper}, {claim.where} · claim {claim.id} · {rule_words(claim)}{negative} · "
        f"{claim.seconds:.1f} s"
    )
    body = (
        f"<div>{badge(sign, claim.verdict, colour=colour)}{escape(claim.says)}</div>"
        f"{TABLE}{rows}</table>{small(foot)}"
    )
    return card(body, colour=colour, label=f"Claim {claim.id}: {claim.verdict}")


def _drawing(claim: Claim) -> str:
    """The interval as a small drawing against its threshold or margin; nothing if exact."""
    if claim.low is None or claim.high is None or claim.mean is None:
        return ""
    marks = [] if claim.threshold is None else [claim.threshold]
    if claim.margin is not None:
        marks += [-claim.margin, claim.margin]
    ends = [claim.low, claim.high, *marks]
    span = (max(ends) - min(ends)) or 1.0
    left = min(ends) - 0.08 * span

    def x(value: float) -> float:
        return round(240 * (value - left) / (1.16 * span), 1)

    dashes = "".join(
        f'<line x1="{x(m)}" x2="{x(m)}" y1="1" y2="17" stroke="{GREY}" stroke-dasharray="3 2"/>'
        for m in marks
    )
    _, colour = _LOOKS[claim.verdict]
    label = f"{difference_words(claim)}; dashed line at {' and '.join(map(number, marks))}"
    return (
        f'<div><svg role="img" aria-label="{escape(label)}" width="240" height="18" '
        f'viewBox="0 0 240 18">{dashes}'
        f'<line x1="{x(claim.low)}" x2="{x(claim.high)}" y1="9" y2="9" stroke="{colour}" '
        f'stroke-width="4"/><circle cx="{x(claim.mean)}" cy="9" r="4.5" fill="#1b1b1b"/>'
        "</svg></div>"
    )


def _title(lesson: str, claims: Sequence[Claim]) -> str:
    counts = Counter(claim.verdict for claim in claims)
    tally = ", ".join(f"{v}: {counts[v]}" for v in (HOLDS, FAILS, CANNOT) if counts[v])
    count = f"{len(claims)} claim{'' if len(claims) == 1 else 's'} in {lesson}"
    return f"{count} ({tally})" if tally else count


def table_text(lesson: str, claims: Sequence[Claim]) -> str:
    """All claims of a lesson, a line each."""
    lines = [
        f"  {_LOOKS[c.verdict][0]} {c.verdict}: {c.says} ({difference_words(c)})" for c in claims
    ]
    return "\n".join((_title(lesson, claims), *lines))


def table_html(lesson: str, claims: Sequence[Claim]) -> str:
    """All claims of a lesson as one table in a card."""
    rows = []
    for claim in claims:
        sign, colour = _LOOKS[claim.verdict]
        cells = [escape(cell) for cell in (claim.says, claim.published, claim.ours)]
        cells.append(badge(sign, claim.verdict, colour=colour))
        rows.append(cells)
    title = _title(lesson, claims)
    body = f"<b>{escape(title)}</b>"
    body += table(("claim", "paper", "here", "verdict"), rows) if claims else ""
    return card(body, colour=GREY, label=title)
