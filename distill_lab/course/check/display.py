"""A report as words and as a card."""

from __future__ import annotations

from html import escape

from distill_lab.course.check.exercise import Report
from distill_lab.course.records import GREEN, ORANGE, SKY, badge, card, publish

__all__ = ["show"]

_LOOKS = {
    "right": ("✓", "right", GREEN),
    "wrong": ("✗", "not right yet", ORANGE),
    "not attempted": ("○", "not attempted yet", SKY),
}

# Its own colours: JupyterLab's would be dark on dark in a dark theme.
_CODE = '<code style="background:#ecece4;color:inherit;padding:0 3px">'


def show(report: Report) -> None:
    """Publish the report: a heading with sign and word, then the findings in order."""
    sign, word, colour = _LOOKS[report.state]
    items = "".join(f"<li>{_code(finding)}</li>" for finding in report.findings)
    html = card(
        f"{badge(sign, word, colour=colour)}<b>{escape(report.exercise)}</b>"
        f'<ol style="margin:4px 0 0;padding-left:1.4em">{items}</ol>',
        colour=colour,
        label=f"Exercise {report.exercise}: {word}",
    )
    lines = [f"{sign} {report.exercise}: {word}"]
    lines += [f"  {i}. {finding}" for i, finding in enumerate(report.findings, start=1)]
    publish(report.record(), text="\n".join(lines), html=html)


def _code(finding: str) -> str:
    """Escape a finding; what stands between backticks is set as code."""
    parts = escape(finding).split("`")
    if len(parts) % 2 == 0:  # a lone backtick, from the learner's own line: leave it be
        return escape(finding)
    return "".join(f"{_CODE}{p}</code>" if i % 2 else p for i, p in enumerate(parts))
