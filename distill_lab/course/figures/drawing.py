"""Schematic drawings: who teaches whom, what flows along an arrow, where a hint attaches.

A drawing is a row of panels. No panel is wider than `WIDTH`: two stand side by side on a page, on a
tablet a little smaller, and one below the other on a telephone, where the text keeps its size. The
roles have the colours and textures of every figure: the teacher solid vermillion, the student
dashed blue, labels dotted grey.

A panel knows where its texts, boxes and lines lie. It refuses to be drawn while a text leaves the
panel, two texts overlap, or a line or the border of a box runs through a text.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from distill_lab.course.figures import svg
from distill_lab.course.figures.layout import SIZE, Place, Point, crosses, rounded, text_width, wrap

__all__ = ["INK_LINE", "ROLES", "WIDTH", "Panel", "Place", "Point", "row"]

WIDTH = 352  # px: two of them and a gap make 712
SMALL, LEADING = 12.0, 17.0  # px; nothing is smaller than 12
SHRINK = 0.92  # of its width, before a panel goes below its neighbour: "on the left" stays true
EDGE = 8.0  # px between the border of a panel and its texts


class Role(NamedTuple):
    """How a box of this role looks."""

    fill: str
    stroke: str
    dash: str


ROLES = {
    "teacher": Role("#FCE8DA", svg.TEACHER, ""),
    "student": Role("#E1F0F9", svg.STUDENT, svg.DASHES[svg.STUDENT]),
    "label": Role("#EFEFEF", svg.HARD, svg.DASHES[svg.HARD]),
    "data": Role(svg.PAPER, svg.MUTED, ""),
    "loss": Role(svg.BAND, svg.INK, ""),
    "quiet": Role(svg.BAND, svg.RULE, ""),
}
INK_LINE = svg.MUTED  # of an arrow that belongs to neither teacher nor student


class Panel:
    """One panel of a drawing. Its methods place parts; `row` draws panels side by side.

    >>> panel = Panel("Who teaches whom", 120, alt="An arrow goes from the teacher to the student.")
    >>> teacher = panel.box(20, 50, 110, 44, "teacher", "teacher")
    >>> student = panel.box(220, 50, 110, 44, "student", "student")
    >>> _ = panel.arrow([teacher.right, student.left], "logits")
    >>> row(panel).alt
    'Who teaches whom: An arrow goes from the teacher to the student.'
    """

    def __init__(self, title: str, height: float, *, alt: str, width: float = WIDTH) -> None:
        if len(alt.split()) < 4:
            raise ValueError(
                f"every panel needs alt text of a sentence: what is drawn and what it says; "
                f"got {alt!r}"
            )
        if width > WIDTH:
            raise ValueError(
                f"a panel is at most {WIDTH} px wide, got {width}: on a telephone its text would "
                "shrink. Make two panels of it, or let it flow downwards"
            )
        self.title, self.width, self.height = title, width, height
        self.alt = f"{title}: {alt.strip()}" if title else alt.strip()
        self.parts: list[str] = []
        self.texts: list[tuple[str, Place, str]] = []  # with the colour behind it
        self.boxes: list[Place] = []
        self.lines: list[tuple[Point, Point]] = []
        for i, line in enumerate(wrap(title, width - 28, SIZE, bold=True) if title else []):
            self.write(14, 24 + LEADING * i, line, bold=True)

    def write(
        self,
        x: float,
        y: float,
        content: str,
        *,
        room: float | None = None,
        size: float = SIZE,
        anchor: str = "start",
        bold: bool = False,
        quiet: bool = False,
        behind: str = svg.PAPER,
    ) -> float:
        """Write a text with its first baseline at `y`, wrapped to `room`; returns the last one."""
        if size < SMALL:
            raise ValueError(f"no text is smaller than {SMALL:g} px, got {size:g}")
        if room is None:
            room = self.width - EDGE - x if anchor == "start" else self.width - 2 * EDGE
        for i, line in enumerate(wrap(content, room, size, bold=bold)):
            wide, at = text_width(line, size, bold=bold), y + LEADING * i
            left = {"start": x, "middle": x - wide / 2, "end": x - wide}[anchor]
            self.texts.append((line, Place(left, at - 0.8 * size, wide, size), behind))
            color = svg.MUTED if quiet else svg.INK
            self.parts.append(
                svg.text(x, at, line, size=size, color=color, anchor=anchor, bold=bold)
            )
        return at

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        name: str,
        role: str = "data",
        *,
        detail: str = "",
        bold: bool = True,
        size: float = SIZE,
    ) -> Place:
        """Place a box with a centred name and, smaller below it, a detail.

        Args:
            x: Left edge, px.
            y: Upper edge, px.
            width: Of the box, px.
            height: Of the box, px.
            name: What the box stands for, wrapped to its width.
            role: One of `ROLES`.
            detail: More words in the smaller size, wrapped too.
            bold: Whether the name is bold.
            size: Of the name, px.

        Returns:
            Where it lies, with the points for arrows.

        Raises:
            ValueError: For another role, or where the words do not fit.
        """
        if role not in ROLES:
            raise ValueError(f"expected one of the roles {', '.join(ROLES)}, got {role!r}")
        look, place = ROLES[role], Place(x, y, width, height)
        room = width - 10
        names = wrap(name, room, size, bold=bold) if name else []
        details = wrap(detail, room, SMALL) if detail else []
        tall = LEADING * (len(names) + len(details))
        if tall > height + 2:
            raise ValueError(f"the words of box {name!r} need {tall:.0f} px of height")
        border = svg.rect(x, y, width, height, look.fill, stroke=look.stroke, round_=6)
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        self.parts.append(border.replace("/>", f' stroke-width="1.5"{dash}/>'))
        self.boxes.append(place)
        base = y + (height - tall) / 2 + 0.76 * LEADING
        for i, line in enumerate([*names, *details]):
            head = i < len(names)
            self.write(
                x + width / 2,
                base + LEADING * i,
                line,
                size=size if head else SMALL,
                bold=bold and head,
                quiet=not head,
                anchor="middle",
                behind=look.fill,
            )
        return place

    def arrow(
        self,
        points: Sequence[Point],
        label: str = "",
        *,
        color: str = INK_LINE,
        kind: str = "flow",
        side: str = "",
        room: float = 130,
        at: int | None = None,
    ) -> Place:
        """Draw an arrow through `points`, with rounded corners and a label beside it.

        Args:
            points: Two or more points, the last is where it ends.
            label: What flows along it.
            color: Of the line; the student's is dashed, as everywhere.
            kind: "flow"; "gradient", dotted; or "stop", dotted, ending in a bar: nothing passes.
            side: Where the label lies: "left", "right", "above" or "below"; empty for the right of
                an upright piece and above a level one.
            room: The width at which the label is wrapped, px.
            at: Which piece bears the label, from 0; None for the longest.

        Returns:
            Where the label lies; a place of no size without one.

        Raises:
            ValueError: For fewer than two points or another kind.
        """
        if len(points) < 2 or kind not in ("flow", "gradient", "stop"):
            raise ValueError(
                'an arrow needs two points and a kind of "flow", "gradient" or "stop", got '
                f"{len(points)} points and {kind!r}"
            )
        pieces = list(itertools.pairwise(points))
        self.lines += pieces
        (x0, y0), (x1, y1) = pieces[-1]
        far = math.dist(pieces[-1][0], pieces[-1][1]) or 1.0
        ux, uy = (x1 - x0) / far, (y1 - y0) / far
        dash = svg.DASHES.get(color, "") if kind == "flow" else "1 5"
        short = 0 if kind == "stop" else 7  # the line ends inside the head
        ends = [*points[:-1], (x1 - ux * short, y1 - uy * short)]
        extra = f' stroke-dasharray="{dash}"' if dash else ""
        extra += ' stroke-linecap="round"' if kind != "flow" else ""
        weight = 1.8 if kind == "flow" else 2.6
        self.parts.append(
            f'<path d="{rounded(ends)}" fill="none" stroke="{color}" '
            f'stroke-width="{weight}"{extra}/>'
        )
        if kind == "stop":
            bar = [(x1 - uy * 8, y1 + ux * 8), (x1 + uy * 8, y1 - ux * 8)]
            self.parts.append(svg.line(bar, color, width=3, dash=""))
        else:
            tip = [(x1, y1)] + [
                (x1 - ux * 9 - uy * s * 4.5, y1 - uy * 9 + ux * s * 4.5) for s in (1, -1)
            ]
            path = "L".join(f"{svg.number(x)} {svg.number(y)}" for x, y in tip)
            self.parts.append(f'<path d="M{path}z" fill="{color}"/>')
        if not label:
            return Place(x1, y1, 0, 0)
        longest = max(range(len(pieces)), key=lambda i: math.dist(*pieces[i]))
        return self._beside(pieces[longest if at is None else at], label, side, room)

    def _beside(self, piece: tuple[Point, Point], label: str, side: str, room: float) -> Place:
        (x0, y0), (x1, y1) = piece
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        upright = abs(y1 - y0) > abs(x1 - x0)
        side = side or ("right" if upright else "above")
        lines = wrap(label, room, SMALL)
        tall = LEADING * (len(lines) - 1)
        if side in ("left", "right"):
            x, y = middle[0] + (8 if side == "right" else -8), middle[1] + 4 - tall / 2
            anchor = "start" if side == "right" else "end"
        else:
            x, y = middle[0], middle[1] + (-7 - tall if side == "above" else 17)
            anchor = "middle"
        self.write(x, y, label, room=room, size=SMALL, anchor=anchor)
        return self.texts[-1][1]

    def draw(self, height: float | None = None) -> svg.Svg:
        """Draw it, `height` px high (None for its own); raises ValueError where a law is broken."""
        height = self.height if height is None else height
        for fault in self.faults():
            raise ValueError(f"panel {self.title!r}: {fault}")
        card = svg.panel(0.5, 0.5, self.width - 1, height - 1)
        return svg.picture(self.width, height, self.alt, card, *self.parts)

    def faults(self) -> list[str]:
        """What of the texts a reader could not read, in words; empty when all is well."""
        inside = Place(EDGE - 2, 4, self.width - 2 * EDGE + 4, self.height - 8)
        problems = [
            f"{t!r} leaves the panel" for t, place, _ in self.texts if not inside.holds(place)
        ]
        for (one, a, _), (two, b, _) in itertools.combinations(self.texts, 2):
            if a.meets(b):
                problems.append(f"{one!r} and {two!r} overlap")
        for name, place, _ in self.texts:
            if any(box.meets(place) and not box.holds(place) for box in self.boxes):
                problems.append(f"the border of a box runs through {name!r}")
            if any(crosses(line, place) for line in self.lines):
                problems.append(f"a line runs through {name!r}")
        for one_box, two_box in itertools.combinations(self.boxes, 2):
            if one_box.meets(two_box) and not (one_box.holds(two_box) or two_box.holds(one_box)):
                problems.append("two boxes overlap")
        return problems


def row(*panels: Panel) -> svg.Svg:
    """Draw panels side by side, all as high as the highest; on a narrow page they stack.

    Raises ValueError without a panel, or where a panel breaks a law.
    """
    if not panels:
        raise ValueError("a drawing needs at least one panel, got none")
    height = max(panel.height for panel in panels)
    pictures = [panel.draw(height) for panel in panels]
    if len(pictures) == 1:
        return pictures[0]
    boxes = "".join(
        f'<div style="flex:1 1 {svg.number(SHRINK * panel.width)}px;'
        f'max-width:{svg.number(panel.width)}px">{picture}</div>'
        for panel, picture in zip(panels, pictures, strict=True)
    )
    source = f'<div style="display:flex;flex-wrap:wrap;gap:8px">{boxes}</div>'
    return svg.Svg(source, " ".join(picture.alt for picture in pictures))
