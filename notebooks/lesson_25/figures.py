"""The pictures of lesson 25: where two tokens look, and what a move does to three networks."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from distill_lab.course.figures import svg

WIDTH = 462


def render_looks(
    image: ArrayLike, maps: Mapping[str, ArrayLike], *, title: str, answers: Mapping[str, str]
) -> svg.Svg:
    """Draw a picture, and for each token the share of its attention on each patch.

    Args:
        image: (H, W) in [0, 1].
        maps: name of a token -> (side, side), shares of its attention.
        title: above it.
        answers: name of a token -> what its head answers.

    Returns:
        The picture; the darkest patch has the largest share of all maps, as printed.

    Raises:
        ValueError: for a map that is not square.
    """
    size, top, gap = 132, 62, 18
    grids = {name: np.asarray(grid, dtype=float) for name, grid in maps.items()}
    if any(grid.ndim != 2 or grid.shape[0] != grid.shape[1] for grid in grids.values()):
        raise ValueError(
            f"a map must be (side, side), got {[g.shape for g in grids.values()]}: take the mean "
            "over the heads, and one row."
        )
    largest = max(float(grid.max()) for grid in grids.values())
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, 247, title),
        svg.text(15, top - 10, "picture", bold=True),
        svg.pixels(np.asarray(image), 15, top, size),
    ]
    spoken = []
    for i, (name, grid) in enumerate(grids.items(), 1):
        x = 15 + i * (size + gap)
        color = svg.HARD if i == 1 else svg.TEACHER
        parts.append(svg.text(x, top - 10, name, bold=True))
        parts.append(_map(grid / largest, x, top, size, color))
        at = np.unravel_index(int(grid.argmax()), grid.shape)
        place = f"row {at[0] + 1}, column {at[1] + 1}"
        parts.append(svg.text(x, top + size + 18, f"on patches {100 * grid.sum():.0f} %", size=12))
        parts.append(svg.text(x, top + size + 36, f"its head: {answers[name]}", size=12))
        spoken.append(
            f"the {name} gives {100 * grid.sum():.0f} % to patches, most to {place} "
            f"({100 * grid.max():.0f} %), and its head answers {answers[name]}"
        )
    parts.append(svg.text(15, top + size + 18, "darkest patch:", size=12, color=svg.MUTED))
    parts.append(svg.text(15, top + size + 36, f"{100 * largest:.0f} %", size=12, color=svg.MUTED))
    return svg.picture(WIDTH, 248, f"{title}. {'; '.join(spoken)}.", *parts)


def _map(shares: np.ndarray, x: float, y: float, size: float, color: str) -> str:
    """Squares in a colour, the more solid the larger the share."""
    cell = size / len(shares)
    parts = [svg.rect(x, y, size, size, svg.PAPER)]
    for (row, column), share in np.ndenumerate(shares):
        square = svg.rect(x + column * cell, y + row * cell, cell, cell, color)
        parts.append(square.replace("/>", f' fill-opacity="{share:.2f}"/>'))
    return "".join([*parts, svg.rect(x, y, size, size, "none", stroke=svg.RULE)])


def render_moved(
    image: ArrayLike, right: Mapping[str, float], *, title: str, plain: Mapping[str, float]
) -> svg.Svg:
    """Draw a moved picture, and how many pictures moved so each network gets right.

    Args:
        image: (H, W) in [0, 1], as moved.
        right: name of a network -> accuracy in percent on pictures moved so.
        title: above it.
        plain: the same without a move, drawn as a mark.

    Returns:
        The picture, on a scale from 0 to 100 %.
    """
    size, top, left, length = 132, 50, 176, 200
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, 209, title),
        svg.pixels(np.asarray(image), 15, top, size),
    ]
    colors = (svg.TEACHER, svg.STUDENT, svg.GREEN)
    for i, (name, value) in enumerate(right.items()):
        y = top + 46 * i
        parts.append(svg.text(left, y + 10, name, size=12))
        parts.append(svg.bar(left, y + 16, length * value / 100, 16, colors[i]))
        mark = left + length * plain[name] / 100
        parts.append(svg.line([(mark, y + 12), (mark, y + 36)], svg.INK, width=2, dash=""))
        parts.append(svg.text(left + length + 12, y + 29, f"{value:.0f} %", bold=True))
    parts.append(svg.line([(left, top + 12), (left, top + 130)], svg.MUTED, width=1, dash=""))
    parts.append(svg.text(left, 200, "upright mark: not moved; scale 0 to 100 %", size=11))
    spoken = "; ".join(
        f"{name} {value:.0f} %, not moved {plain[name]:.0f} %" for name, value in right.items()
    )
    return svg.picture(WIDTH, 210, f"{title}. Right: {spoken}.", *parts)
