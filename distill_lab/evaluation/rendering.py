"""A table as text and as HTML: the same cells in both."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Cell", "Grid", "Head", "to_html", "to_text"]

# The course's colours and lines: a solid teacher, a dashed student, a dotted baseline. They only
# repeat what the heading says in words.
RULES = {"teacher": "solid #D55E00", "student": "dashed #0072B2", "baseline": "dotted #5A5A5A"}


@dataclass(frozen=True)
class Cell:
    """A figure, what stands beside it in parentheses, and its interval, if it has them."""

    figure: str
    aside: str = ""
    interval: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.figure, self.aside, self.interval)))


@dataclass(frozen=True)
class Head:
    """What a row or column is called, and the part it plays: "teacher", "student", "baseline"."""

    name: str
    role: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Grid:
    """One table: a caption above, notes below, a heading for every row and column.

    `corner` says what the rows are.
    """

    caption: str
    corner: str
    columns: tuple[Head, ...]
    lines: tuple[tuple[Head, tuple[Cell, ...]], ...]
    notes: tuple[str, ...] = ()


def to_text(grids: Sequence[Grid]) -> str:
    """Tables in plain text, digits under digits."""
    return "\n\n".join(_text(grid) for grid in grids)


def to_html(grids: Sequence[Grid]) -> str:
    """Tables for a page or a notebook; every heading has its scope, every table its caption."""
    return "\n".join(_html(grid) for grid in grids)


def _text(grid: Grid) -> str:
    first = max(len(str(head)) for head in (Head(grid.corner), *(h for h, _ in grid.lines)))
    rows = [f"{grid.corner:<{first}}", *(f"{head!s:<{first}}" for head, _ in grid.lines)]
    for i, head in enumerate(grid.columns):
        cells = [line[i] for _, line in grid.lines]
        # What follows a figure stands in a place of its own: the figures stay under each other.
        rest = [" ".join(filter(None, (cell.aside, cell.interval))) for cell in cells]
        figures, tail = max(len(cell.figure) for cell in cells), max(map(len, rest))
        column = [
            f"{cell.figure:>{figures}}" + (f" {text:<{tail}}" if tail else "")
            for cell, text in zip(cells, rest, strict=True)
        ]
        width = max(len(str(head)), len(column[0]))
        for k, text in enumerate([str(head), *column]):
            rows[k] += f"  {text:>{width}}"
    around = [textwrap.fill(text, 100) for text in (grid.caption, *grid.notes)]
    return "\n".join([around[0], "", *(row.rstrip() for row in rows), "", *around[1:]]).rstrip()


def _html(grid: Grid) -> str:
    side = "text-align:left;padding:3px 0 3px 6px"
    figure = "text-align:right;vertical-align:top;padding:3px 0"

    def th(head: Head, scope: str, style: str, edge: str) -> str:
        rule = f";border-{edge}:3px {RULES[head.role]}" if head.role in RULES else ""
        role = "" if head.role in ("", head.name) else f"<br><small>{escape(head.role)}</small>"
        return f'<th scope="{scope}" style="{style}{rule}">{escape(head.name)}{role}</th>'

    def td(cell: Cell) -> str:
        interval = f"<br><small>{escape(cell.interval)}</small>" if cell.interval else ""
        aside = f" {escape(cell.aside)}" if cell.aside else ""
        unbroken = ";white-space:nowrap" if any(map(str.isdigit, cell.figure)) else ""
        return f'<td style="{figure}{unbroken}">{escape(cell.figure)}{aside}{interval}</td>'

    corner = f'<th scope="col" style="{side};vertical-align:bottom">{escape(grid.corner)}</th>'
    top = "".join(th(h, "col", f"{figure};vertical-align:bottom", "bottom") for h in grid.columns)
    left = f"{side};vertical-align:top;font-weight:normal"
    body = "\n".join(
        f"<tr>{th(head, 'row', left, 'left')}{''.join(map(td, cells))}</tr>"
        for head, cells in grid.lines
    )
    notes = "".join(
        f'<p style="margin:2px 20px"><small>{escape(n)}</small></p>' for n in grid.notes
    )
    return (
        '<div style="overflow-x:auto;max-width:100%;margin:8px 0">'
        '<table style="border-collapse:separate;border-spacing:14px 0;'
        'font-variant-numeric:tabular-nums">'
        f'<caption style="caption-side:top;text-align:left;font-weight:bold;padding:4px 20px">'
        f"{escape(grid.caption)}</caption>\n<thead><tr>{corner}{top}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>{notes}</div>"
    )
