"""How alike layers are, as a table of CKA, and how two layers place the same pictures."""

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


SIDE, EDGE = 226, 12  # of a panel, and its empty rim
# ten inks, each at least 4.5 to 1 on white; the digit itself is what tells them apart
INKS = (
    "#0b5394",
    "#a13d00",
    "#00695c",
    "#b0006d",
    "#5b3a8c",
    "#7a5200",
    "#b00020",
    "#2e6b00",
    "#455a64",
    "#1b1b1b",
)


def render_layouts(
    teacher: ArrayLike,
    student: ArrayLike,
    labels: ArrayLike,
    *,
    title: str,
    facts: Sequence[str] = (),
) -> svg.Svg:
    """Draw two layers' layouts of the same pictures side by side, each picture as its digit.

    Args:
        teacher: The teacher's layout, (N, 2), mean squared length 1.
        student: The student's layout of the same pictures, (N, 2).
        labels: The digit of each picture, (N,).
        title: Which student this is.
        facts: Lines under the panels, one to three.

    Returns:
        The picture; its alt text has the title and the facts.

    Raises:
        ValueError: If the three do not have the same number of pictures.

    >>> render_layouts([[0.0, 1.0]], [[1.0, 0.0]], [3], title="one picture").alt
    "One picture. Two layouts of 1 pictures, the teacher's and the student's layer, by digit."
    """
    both = [np.asarray(spots, dtype=np.float64) for spots in (teacher, student)]
    digits = np.asarray(labels)
    if any(spots.shape != (len(digits), 2) for spots in both):
        shapes = " and ".join(str(spots.shape) for spots in both)
        raise ValueError(
            f"expected two layouts of {len(digits)} pictures, one a label, each of shape "
            f"({len(digits)}, 2); got {shapes}"
        )
    width, top = 2 * SIDE + 3 * EDGE, 60
    height = top + SIDE + 12 + 20 * len(facts) + 8
    what = f"Two layouts of {len(digits)} pictures, the teacher's and the student's layer, by digit"
    parts = [
        svg.panel(0.5, 0.5, width - 1, height - 1),
        svg.text(EDGE, 23, title, size=13, bold=True),
    ]
    for i, (name, spots) in enumerate(
        zip(("teacher's layer 3", "student's layer 5"), both, strict=True)
    ):
        x = EDGE + i * (SIDE + EDGE)
        colour = svg.TEACHER if i == 0 else svg.STUDENT
        parts.append(svg.text(x, 50, name, size=12, bold=True))
        parts.append(
            f'<rect x="{x}" y="{top}" width="{SIDE}" height="{SIDE}" fill="none" '
            f'stroke="{colour}" stroke-width="1.5"/>'
        )
        parts.append(_digits(spots, digits, x, top))
    parts += [
        svg.text(EDGE, top + SIDE + 22 + 20 * i, fact, size=12) for i, fact in enumerate(facts)
    ]
    alt = ". ".join((title[:1].upper() + title[1:], what, *facts)) + "."
    return svg.picture(width, height, alt, *parts)


def _digits(spots: np.ndarray, digits: np.ndarray, x: float, top: float) -> str:
    half = SIDE / 2 - EDGE
    at = np.clip(spots / 2, -1, 1) * half + SIDE / 2  # what lies further out stands at the rim
    parts = []
    for (px, py), digit in zip(at.tolist(), digits.tolist(), strict=True):
        cx, cy = round(x + px), round(top + py)
        ink = INKS[int(digit)]
        # each on a disc of its own: where two meet, the later one covers the other
        parts.append(svg.dot(cx, cy, 5.5, svg.PAPER))
        parts.append(svg.text(cx, cy + 4, int(digit), size=11, color=ink, anchor="middle"))
    return "".join(parts)


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
