"""How alike a student's and a teacher's layers are, as a picture: one cell a pair of layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from distill_lab.course.figures import svg

CELL, HIGH, LEFT, TOP, BOTTOM = 56, 26, 78, 88, 40
LIGHT, DARK = (247, 250, 252), (84, 158, 210)  # light enough for one ink


def render_cka(
    cka: ArrayLike, *, title: str, facts: Sequence[str] = (), pairs: Sequence[tuple[int, int]] = ()
) -> svg.Svg:
    """Draw the CKA of student layers (rows) and teacher layers (columns), each number in its cell.

    Args:
        cka: Values in [0, 1], the first layer on top, (L, M).
        title: What is shown.
        facts: Short lines to the right.
        pairs: (student layer, teacher layer), counted from 0, to be framed.

    Returns:
        The picture, with every number in its alt text.

    Raises:
        ValueError: For another shape, values outside [0, 1], or a pair that is not there.

    >>> render_cka([[0.5, 1.0]], title="one student layer").alt
    'CKA of student and teacher layers, one student layer. Student layer 1: 0.50, 1.00.'
    """
    table = np.asarray(cka, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(
            f"expected CKA as (student layers, teacher layers), got shape {table.shape}"
        )
    if not ((table >= -1e-4) & (table <= 1 + 1e-4)).all():
        raise ValueError("CKA lies between 0 and 1, got other values or NaN: linear_cka gives it")
    count, across = table.shape
    if any(not (0 <= s < count and 0 <= t < across) for s, t in pairs):
        raise ValueError(f"pairs name layers of a {count} by {across} table, got {list(pairs)}")
    right = LEFT + CELL * across
    width = right + (142 if facts else 24)
    height = TOP + HIGH * count + BOTTOM
    numbers = "; ".join(
        f"Student layer {i}: {', '.join(f'{v:.2f}' for v in row)}" for i, row in enumerate(table, 1)
    )
    alt = f"CKA of student and teacher layers, {title}. {'. '.join((*facts, numbers))}."
    return svg.picture(
        width,
        height,
        alt,
        svg.panel(0.5, 0.5, width - 1, height - 1),
        svg.text(14, 23, title, size=13, bold=True),
        svg.text(LEFT, 54, "teacher's layer", size=11, bold=True),
        svg.text(14, 74, "student's", size=11, bold=True),
        *(svg.text(LEFT + CELL * (j + 0.5), 74, j + 1, anchor="middle") for j in range(across)),
        *(_row(row, i) for i, row in enumerate(table)),
        *(_frame(s, t) for s, t in pairs),
        *(
            svg.text(right + 18, TOP + 18 + 22 * i, fact, bold=i == 0)
            for i, fact in enumerate(facts)
        ),
        _scale(LEFT, height - 28, CELL * across),
    )


def _shade(value: float) -> str:
    shade = [round(a + (b - a) * value) for a, b in zip(LIGHT, DARK, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in shade)


def _scale(x: float, y: float, width: float) -> str:
    """What the shades mean, from 0 to 1."""
    count, room = 20, width - 40
    step = room / count
    cells = [
        svg.rect(x + 20 + step * i, y, step + 0.3, 12, _shade((i + 0.5) / count))
        for i in range(count)
    ]
    ends = svg.text(x + 12, y + 10, "0", anchor="end") + svg.text(x + width - 12, y + 10, "1")
    return svg.text(14, y + 10, "CKA") + "".join(cells) + ends


def _row(values: np.ndarray, i: int) -> str:
    y = TOP + HIGH * i
    parts = [svg.text(14, y + 17, f"layer {i + 1}")]
    for j, value in enumerate(values.tolist()):
        x, full = LEFT + CELL * j, min(max(value, 0.0), 1.0)
        parts.append(svg.rect(x, y, CELL, HIGH, _shade(full), stroke=svg.PAPER))
        parts.append(svg.text(x + CELL / 2, y + 17, f"{full:.2f}", anchor="middle"))
    return "".join(parts)


def _frame(student: int, teacher: int) -> str:
    x, y = LEFT + CELL * teacher, TOP + HIGH * student
    return (
        f'<rect x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{HIGH - 2}" fill="none" '
        f'stroke="{svg.TEACHER}" stroke-width="2.5"/>'
    )
