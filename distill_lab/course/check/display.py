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

_PLAIN = '<code style="background:none;color:inherit">'
_CELL = 'style="text-align:left;vertical-align:top;padding:1px 12px 1px 0;color:inherit"'
_BEFORE_THE_SOLUTION = 2  # wrong tries


def show(report: Report, tries: int = 0) -> None:
    """Publish the report: a heading with sign and word, then the findings in order.

    Args:
        report: What the check reports.
        tries: How often this exercise was tried by now, in this session; 0 says nothing of it.
    """
    sign, word, colour = _LOOKS[report.state]
    findings = [*report.findings, *_advice(report, tries)]
    html = card(
        f"{badge(sign, word, colour=colour)}<b>{escape(report.exercise)}</b>"
        f'<ol style="margin:4px 0 0;padding-left:1.4em">{_items(report, findings)}</ol>',
        colour=colour,
        label=f"Exercise {report.exercise}: {word}",
    )
    lines = [f"{sign} {report.exercise}: {word}"]
    for i, finding in enumerate(findings, start=1):
        lines.append(f"  {i}. {finding}")
        if i == 1 and report.case:
            lines.append(f"     {_heading(report)}")
            width = max(len(name) for name, _ in report.case.rows())
            lines += [f"       {name:<{width}}  {value}" for name, value in report.case.rows()]
    record = {**report.record(), **({"attempt": tries} if tries else {})}
    publish(record, text="\n".join(lines), html=html)


def _advice(report: Report, tries: int) -> list[str]:
    """How many tries there were; the solution is mentioned after the second wrong one."""
    if report.state != "wrong" or not tries:
        return []
    if tries < _BEFORE_THE_SOLUTION:
        return ["Try 1. Change one thing and check again; the hint and the help stand above."]
    return [f"Try {tries}. The solution stands above, folded, if you want to compare."]


def _heading(report: Report) -> str:
    return "The smallest case that fails:" if report.case and report.case.yours else "Called with:"


def _items(report: Report, findings: list[str]) -> str:
    """The findings as list items, the failing case under the first."""
    items = [f"<li>{code_words(finding)}" for finding in findings]
    if report.case:
        rows = "".join(
            f'<tr style="background:transparent"><th scope="row" {_CELL}>{escape(name)}</th>'
            f"<td {_CELL}>{_PLAIN}{escape(value)}</code></td></tr>"
            for name, value in report.case.rows()
        )
        items[0] += (
            f'<div style="margin-top:4px">{_heading(report)}</div>'
            f'<div style="overflow-x:auto"><table style="border-collapse:collapse;color:inherit;'
            f'font:inherit;margin:2px 0 4px">{rows}</table></div>'
        )
    return "</li>".join([*items, ""])
