"""How a claim looks: in plain lines, as a card with its interval drawn, and as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from html import escape

from distill_lab.course import wording
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
    true_minus,
)

__all__ = ["as_html", "as_text", "figure", "full_html", "table_html", "table_text"]

_LOOKS = {HOLDS: ("✓", GREEN), FAILS: ("✗", PURPLE), CANNOT: ("?", ORANGE)}
QUIET = "max-width:46em;margin:4px 0;padding:2px 12px;font:14px/1.45 system-ui,sans-serif"
# Folded lines look alike in Lab and on a page, which frames a <details> of its own.
_FOLD = "border:0;background:none;margin:0;padding:0"
_LINE = "border:0;padding:2px 0;font:inherit;color:inherit;cursor:pointer"
_LEFT = "text-align:left;vertical-align:top;padding:1px 12px 1px 0"


def difference_words(claim: Claim) -> str:
    """The difference with its interval, in words."""
    unit = f" {claim.unit}" if claim.unit else ""
    if claim.low is None or claim.high is None:
        size = "" if claim.mean is None else f"{number(claim.mean, sign=True)}{unit}; "
        return f"{size}exact, the same on every run"
    counted = "questions" if "questions" in claim.interval_kind else "seeds"
    seeds = wording.wins(asdict(claim)) or f"{claim.n} {counted}"
    aside = "" if claim.low == claim.high else f" ({claim.interval_kind}; {seeds})"
    return figure(claim) + aside


def figure(claim: Claim) -> str:
    """The mean with its interval and unit, all with the same decimals; `ours` if exact."""
    if claim.low is None or claim.high is None or claim.mean is None:
        return true_minus(claim.ours)
    unit = f" {claim.unit}" if claim.unit else ""
    if claim.low == claim.high:
        return f"{number(claim.mean, sign=True)}{unit}, {wording.same_in_all(claim.n)}"
    widest = max(abs(claim.low), abs(claim.high))
    bounds = f"[{number(claim.low, like=widest)}, {number(claim.high, like=widest)}]"
    return f"{number(claim.mean, sign=True, like=widest)}{unit} {bounds}"


def rule_words(claim: Claim) -> str:
    """The rule by which the verdict was given, in words."""
    if claim.expected == "exact":
        return "rule: an exact result, right or wrong"
    if claim.expected == "within":
        return f"rule: the whole interval inside ±{claim.margin:g}"
    return f"rule: the whole interval {claim.expected} {claim.threshold:g}".replace("-", "−")


def as_text(claim: Claim) -> str:
    """The claim in plain lines; one line where it is no card."""
    sign, _ = _LOOKS[claim.verdict]
    first = f"{sign} {claim.finding}."
    if not claim.card:
        return f"{first} {figure(claim)}  [{claim.verdict}; claim {claim.id}]"
    return "\n".join(
        (first, *(f"  {name}: {text}" for name, text in _rows(claim)), f"  {_foot(claim)}")
    )


def as_html(claim: Claim) -> str:
    """The claim as a card, or as one quiet line where it is none."""
    return full_html(claim) if claim.card else line_html(claim)


def line_html(claim: Claim) -> str:
    """The claim as one quiet line: sign, sentence, figure."""
    sign, colour = _LOOKS[claim.verdict]
    return (
        f'<div role="group" aria-label="Claim {claim.id}: {claim.verdict}" style="{QUIET}">'
        f"{badge(sign, '', colour=colour)}{escape(claim.finding)}. "
        f'<span style="opacity:.8">{escape(figure(claim))}</span></div>'
    )


def full_html(claim: Claim) -> str:
    """The claim as a card."""
    sign, colour = _LOOKS[claim.verdict]
    cells = []
    for name, text in _rows(claim):
        cell = escape(text)
        if name == "expected":
            cell = badge(sign, claim.verdict, colour=colour) + cell.partition(": ")[2]
        cells.append((name, cell + (_drawing(claim) if name == "difference" else "")))
    rows = "".join(
        f'{ROW}<th scope="row" style="{_LEFT};font-weight:600">{name}</th>'
        f'<td style="{_LEFT}">{cell}</td></tr>'
        for name, cell in cells
    )
    body = (
        f'<div style="font-weight:600;margin-bottom:2px">{escape(claim.finding)}.</div>'
        f"{TABLE}{rows}</table>{small(_foot(claim))}"
    )
    return card(body, colour=GREY, label=f"Claim {claim.id}: {claim.verdict}")


def _rows(claim: Claim) -> list[tuple[str, str]]:
    """What a card says after its first line; a row without content is left out."""
    expected = {
        HOLDS: "this was expected before the run",
        FAILS: f"expected was “{claim.says}”",
        CANNOT: f"expected was “{claim.says}”",
    }[claim.verdict]
    rows = (
        ("expected", f"{claim.verdict}: {expected}"),
        ("paper", claim.published),
        ("here", true_minus(claim.ours)),
        ("difference", difference_words(claim)),
    )
    return [(name, text) for name, text in rows if text]


def _foot(claim: Claim) -> str:
    limit = "a limit: what does not help · " if claim.limit else ""
    return f"{limit}{claim.paper}, {claim.where} · {rule_words(claim)} · claim {claim.id}"


def _drawing(claim: Claim) -> str:
    """The interval as a small drawing against its threshold or margin; nothing if exact."""
    if claim.low is None or claim.high is None or claim.mean is None or claim.low == claim.high:
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


def _title(claims: Sequence[Claim]) -> str:
    tally = wording.count_words([asdict(claim) for claim in claims]).partition(": ")[2]
    if not tally:
        return "This lesson has no claims"
    return f"All {len(claims)} claims of this lesson: {tally}"


def table_text(claims: Sequence[Claim]) -> str:
    """All claims of a lesson, a line each."""
    lines = [
        f"  {_LOOKS[c.verdict][0]} {c.verdict}: {c.finding} ({difference_words(c)})" for c in claims
    ]
    return "\n".join((_title(claims), *lines))


def table_html(claims: Sequence[Claim]) -> str:
    """All claims of a lesson, folded: a line each, which opens to the full card."""
    title = _title(claims)
    if not claims:
        return card(escape(title), colour=GREY, label=title)
    lines = "".join(
        f'<details style="{_FOLD}"><summary style="{_LINE}">'
        f"{badge(sign, '', colour=colour)}{escape(c.finding)}.</summary>{full_html(c)}</details>"
        for c in claims
        for sign, colour in (_LOOKS[c.verdict],)
    )
    body = (
        f'<details style="{_FOLD}"><summary style="{_LINE};font-weight:600">{escape(title)}'
        f"</summary>{lines}</details>"
    )
    return card(body, colour=GREY, label=title)
