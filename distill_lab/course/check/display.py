"""A report as words and as a card."""

from __future__ import annotations

from html import escape

from distill_lab.course.check.exercise import Report
from distill_lab.course.records import GREEN, ORANGE, SKY, badge, card, code_words, publish

__all__ = ["show"]

_LOOKS = {
    "right": ("✓", "right", GREEN),
    "wrong": ("✗", "not right yet", ORANGE),
    "not attempted": ("○", "not attempted yet", SKY),
}


def show(report: Report) -> None:
    """Publish the report: a heading with sign and word, then the findings in order."""
    sign, word, colour = _LOOKS[report.state]
    items = "".join(f"<li>{code_words(finding)}</li>" for finding in report.findings)
    html = card(
        f"{badge(sign, word, colour=colour)}<b>{escape(report.exercise)}</b>"
        f'<ol style="margin:4px 0 0;padding-left:1.4em">{items}</ol>',
        colour=colour,
        label=f"Exercise {report.exercise}: {word}",
    )
    lines = [f"{sign} {report.exercise}: {word}"]
    lines += [f"  {i}. {finding}" for i, finding in enumerate(report.findings, start=1)]
    publish(report.record(), text="\n".join(lines), html=html)
