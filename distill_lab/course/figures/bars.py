"""Rows of horizontal bars, one row a class: the building blocks of the temperature explorer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distill_lab.course.figures import svg


class Rows:
    """One row a class: where its bars lie."""

    def __init__(self, count: int, *, top: float, height: float) -> None:
        self.count, self.top, self.step = count, top, height / count
        self.size = min(11.0, self.step * 0.46)  # of the small figures beside the bars

    def y(self, row: int) -> float:
        """The top of a row."""
        return self.top + row * self.step

    def names(self, x: float, names: Sequence[str], label: int | None) -> str:
        """The names of the classes beside their rows, that of the label in bold."""
        return "".join(
            svg.text(x, self.y(i) + self.step / 2 + 4, name, anchor="end", bold=i == label)
            for i, name in enumerate(names)
        )


def distribution(
    rows: Rows, x: float, room: float, p: np.ndarray, color: str, *, half: int | None = None
) -> str:
    """Bars of a distribution with their values; `half` 0 or 1 takes that half of each row."""
    gap = rows.step * 0.08
    thick = rows.step - 2 * gap if half is None else rows.step / 2 - gap
    shift = gap if half is None else gap + half * thick
    size = min(11.0, thick)
    places = [(x, rows.y(i) + shift, value * room) for i, value in enumerate(p.tolist())]
    labels = [
        svg.text(x + length + 5, y + thick / 2 + size * 0.36, probability(length / room), size=size)
        for _, y, length in places
    ]
    return svg.bars(places, thick - 0.8, color) + "".join(labels) + _baseline(rows, x)


def stacked(rows: Rows, x: float, room: float, soft: np.ndarray, hard: np.ndarray) -> str:
    """Bars of two shares of one target, end to end: the teacher's, then the label's."""
    thick = rows.step * 0.6
    soft_bars, hard_bars, labels = [], [], []
    for i, (one, two) in enumerate(zip(soft.tolist(), hard.tolist(), strict=True)):
        y, end = rows.y(i) + rows.step * 0.2, x + (one + two) * room
        soft_bars.append((x, y, one * room))
        if two > 0:
            hard_bars.append((x + one * room, y, two * room))
        labels.append(svg.text(end + 5, y + thick / 2 + 4, probability(one + two), size=rows.size))
    drawn = svg.bars(soft_bars, thick, svg.TEACHER) + svg.bars(hard_bars, thick, svg.HARD)
    return drawn + "".join(labels) + _baseline(rows, x)


def signed(rows: Rows, x: float, room: float, values: np.ndarray, limit: float) -> str:
    """Bars to both sides of zero; `limit` is the value that fills a side."""
    zero, scale, thick = x + room / 2, (room / 2 - 38) / limit, rows.step * 0.6
    places, labels = [], []
    for i, value in enumerate(values.tolist()):
        y = rows.y(i) + rows.step * 0.2
        places.append((zero, y, value * scale))
        side, pad = ("start", 5) if value >= 0 else ("end", -5)
        at, written = zero + value * scale + pad, f"{value:+.2f}".replace("-", "−")
        labels.append(svg.text(at, y + thick / 2 + 4, written, size=rows.size, anchor=side))
    return svg.bars(places, thick, svg.STUDENT) + "".join(labels) + _baseline(rows, zero)


def _baseline(rows: Rows, x: float) -> str:
    ends = [(x, rows.top), (x, rows.top + rows.step * rows.count)]
    return svg.line(ends, svg.MUTED, width=1)


def probability(value: float) -> str:
    """A probability in few characters.

    >>> probability(0.314), probability(0.004), probability(0.00002), probability(0.0)
    ('0.31', '0.004', '2e-5', '0')
    """
    if value == 0:
        return "0"
    if value >= 0.00995:
        return f"{value:.2f}"
    if value == 0:
        return "0"
    return f"{value:.3f}" if value >= 0.00095 else f"{value:.0e}".replace("e-0", "e-")
