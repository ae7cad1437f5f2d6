"""Parts that several drawings need: bars of a distribution, tokens, stacks of layers, steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from distill_lab.course.figures import svg
from distill_lab.course.figures.drawing import INK_LINE, SMALL, Panel
from distill_lab.course.figures.layout import Place

__all__ = ["THREE", "columns", "image", "stack", "steps", "tokens"]

THREE = (  # drawn by hand: no picture of a data set, a figure of speech
    "..####..",
    ".##..##.",
    ".....##.",
    "...###..",
    ".....##.",
    ".....##.",
    ".##..##.",
    "..####..",
)
_COLORS = {"teacher": svg.TEACHER, "student": svg.STUDENT, "label": svg.HARD}


def image(panel: Panel, x: float, y: float, size: float, rows: Sequence[str] = THREE) -> Place:
    """Draw a small picture of digits: "#" is ink; the default is a three."""
    ink = [[float(mark == "#") for mark in line] for line in rows]
    panel.parts.append(svg.pixels(np.array(ink), x, y, size))
    place = Place(x, y, size, size * len(rows) / len(rows[0]))
    panel.boxes.append(place)
    return place


def columns(
    panel: Panel,
    x: float,
    y: float,
    width: float,
    height: float,
    values: Sequence[float],
    role: str,
    names: Sequence[str] = (),
    *,
    top: float = 1.0,
    bold: int | None = None,
) -> Place:
    """Draw upright bars of a distribution, their names below the base line.

    Args:
        panel: Where to draw.
        x: Left edge, px.
        y: Upper edge of the tallest bar possible, px.
        width: Of all bars together, px.
        height: Of a bar of the value `top`, px.
        values: One a bar, from 0 to `top`.
        role: "teacher", "student" (striped) or "label".
        names: One a bar, or none.
        top: The value that fills the height.
        bold: Which name is bold: the bar that is meant.

    Returns:
        Where the bars lie, without their names.

    Raises:
        ValueError: If a value lies outside 0 to `top`, or a name is missing.
    """
    if not all(0 <= value <= top for value in values) or (names and len(names) != len(values)):
        raise ValueError(
            f"expected values from 0 to {top:g} and a name for each or none, got {list(values)} "
            f"and {list(names)}"
        )
    step, base = width / len(values), y + height
    thick = min(26.0, step * 0.66)
    drawn = []
    for i, value in enumerate(values):
        middle, tall = x + step * (i + 0.5), height * value / top
        # svg.bar lies: turned by a quarter it stands, and keeps the texture of its role
        turn = f"translate({svg.number(middle - thick / 2)} {svg.number(base)}) rotate(-90)"
        drawn.append(f'<g transform="{turn}">{svg.bar(0, 0, tall, thick, _COLORS[role])}</g>')
        if names:
            panel.write(
                middle,
                base + 16,
                names[i],
                size=SMALL,
                anchor="middle",
                room=step + 12,
                bold=i == bold,
            )
    panel.parts += [*drawn, svg.line([(x, base), (x + width, base)], svg.MUTED, width=1)]
    return Place(x, y, width, height)


def tokens(
    panel: Panel,
    x: float,
    y: float,
    words: Sequence[str],
    roles: Sequence[str] | str = "data",
    *,
    cell: float = 62,
    height: float = 30,
    gap: float = 4,
) -> list[Place]:
    """Draw a row of tokens, one box each; `roles` is one of `ROLES` for all, or one a token."""
    each = [roles] * len(words) if isinstance(roles, str) else list(roles)
    return [
        panel.box(x + i * (cell + gap), y, cell, height, word, role, bold=False, size=SMALL)
        for i, (word, role) in enumerate(zip(words, each, strict=True))
    ]


def stack(
    panel: Panel,
    x: float,
    y: float,
    names: Sequence[str],
    role: str,
    *,
    width: float = 96,
    height: float = 30,
    gap: float = 20,
    bold: int | None = None,
) -> list[Place]:
    """Draw layers, the first lowest, with arrows where there is room; `bold` is the one meant."""
    count, color = len(names), _COLORS.get(role, INK_LINE)
    places = [
        panel.box(
            x,
            y + (count - 1 - i) * (height + gap),
            width,
            height,
            name,
            role,
            bold=i == bold,
            size=SMALL,
        )
        for i, name in enumerate(names)
    ]
    for below, above in itertools.pairwise(places if gap >= 14 else []):
        panel.arrow([below.top, above.bottom], color=color)
    return places


def steps(
    panel: Panel,
    x: float,
    y: float,
    names: Sequence[str],
    width: float,
    *,
    role: str = "data",
    counts: Sequence[int] = (),
    height: float = 30,
    gap: float = 14,
) -> list[Place]:
    """Draw the steps of a pipeline, downwards, an arrow between them; a count right of each."""
    places = [
        panel.box(x, y + i * (height + gap), width, height, name, role, bold=False, size=SMALL)
        for i, name in enumerate(names)
    ]
    for above, below in itertools.pairwise(places):
        panel.arrow([above.bottom, below.top])
    for place, count in zip(places, counts, strict=False):
        panel.write(place.right[0] + 10, place.right[1] + 4, f"{count:,}", bold=True)
    return places
