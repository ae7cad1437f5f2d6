"""Where the parts of a drawing lie: rectangles, lines with corners, and how wide a text is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from distill_lab.course.figures import svg

Point = tuple[float, float]
SIZE = 13.0  # px, of a text in a drawing
_NARROW, _WIDE = set("iljtfrI.,:;'|!()[] ·-"), set("mwMW@%→←≈≠∥—−+=<>")


class Place(NamedTuple):
    """A rectangle in a panel, with the points at which arrows start and end."""

    x: float
    y: float
    width: float
    height: float

    @property
    def top(self) -> Point:
        """The middle of the upper edge."""
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> Point:
        """The middle of the lower edge."""
        return self.x + self.width / 2, self.y + self.height

    @property
    def left(self) -> Point:
        """The middle of the left edge."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> Point:
        """The middle of the right edge."""
        return self.x + self.width, self.y + self.height / 2

    def meets(self, other: Place, slack: float = 1.0) -> bool:
        """Whether the two overlap by more than `slack` px."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return min(across, down) > slack

    def holds(self, other: Place) -> bool:
        """Whether the other lies inside."""
        across = self.x <= other.x and other.x + other.width <= self.x + self.width
        return across and self.y <= other.y and other.y + other.height <= self.y + self.height


def text_width(content: str, size: float = SIZE, *, bold: bool = False) -> float:
    """Estimate the width of a text in px, for the widest of the usual fonts.

    >>> text_width("will") < text_width("moon")
    True
    """
    units = sum(
        0.38
        if c in _NARROW
        else 0.97
        if c in _WIDE
        else 0.74
        if c.isupper() or not c.isascii()
        else 0.655
        for c in content
    )
    return units * size * (1.08 if bold else 1.0)


def wrap(content: str, room: float, size: float = SIZE, *, bold: bool = False) -> list[str]:
    """Break a text into lines that fit into `room` px; a line break in it stays.

    Raises ValueError where a single word is wider than the room.

    >>> wrap("two soft targets", 90)
    ['two soft', 'targets']
    """
    lines: list[str] = []
    for part in content.split("\n"):
        line = ""
        for word in part.split(" "):
            longer = f"{line} {word}" if line else word
            if line and text_width(longer, size, bold=bold) > room:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    for line in lines:
        if text_width(line, size, bold=bold) > room + 0.5:
            raise ValueError(
                f"{line!r} needs {text_width(line, size, bold=bold):.0f} px, there are {room:.0f}: "
                "choose a shorter word or a wider box"
            )
    return lines


def rounded(points: Sequence[Point], radius: float = 8) -> str:
    """A path through `points` whose corners are rounded."""

    def towards(a: Point, b: Point, far: float) -> str:
        part = min(far, math.dist(a, b) / 2) / (math.dist(a, b) or 1)
        return (
            f"{svg.number(a[0] + (b[0] - a[0]) * part)} {svg.number(a[1] + (b[1] - a[1]) * part)}"
        )

    def at(a: Point) -> str:
        return f"{svg.number(a[0])} {svg.number(a[1])}"

    path = f"M{at(points[0])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        path += f"L{towards(corner, before, radius)}Q{at(corner)} {towards(corner, after, radius)}"
    return f"{path}L{at(points[-1])}"


def crosses(line: tuple[Point, Point], place: Place) -> bool:
    """Whether a straight line runs through a place, 1.5 px of its edge aside."""
    (x0, y0), (x1, y1) = line
    low, high = 0.0, 1.0
    for start, step, least, most in (
        (x0, x1 - x0, place.x + 1.5, place.x + place.width - 1.5),
        (y0, y1 - y0, place.y + 1.5, place.y + place.height - 1.5),
    ):
        if abs(step) < 1e-9:
            if not least < start < most:
                return False
            continue
        near, far = sorted(((least - start) / step, (most - start) / step))
        low, high = max(low, near), min(high, far)
    return low < high
