"""The drawings of lesson 23: relations instead of values, an angle, and a list of neighbours."""

from __future__ import annotations

import math

from distill_lab.course.figures import svg
from distill_lab.course.figures.drawing import Panel, Point, row

__all__ = ["relations", "seen_by"]

SHAPE = ((-34.0, 20.0), (30.0, 26.0), (4.0, -30.0))  # three pictures, as the teacher places them
COLOURS = {"teacher": svg.TEACHER, "student": svg.STUDENT}


def relations() -> svg.Svg:
    """Draw who teaches whom, and what stays when the points are rotated."""
    panel = Panel(
        "Who teaches whom, and through what",
        330,
        alt="The same batch of B pictures goes through the teacher and the student. The teacher "
        "gives 128 numbers a picture, the student 32. Each side becomes a B by B table of "
        "distances. The loss compares the two tables; no extra layer is needed.",
    )
    batch = panel.box(116, 44, 120, 34, "B pictures", "data")
    wide = panel.box(16, 106, 130, 46, "teacher", "teacher", detail="128 numbers each")
    thin = panel.box(206, 106, 130, 46, "student", "student", detail="32 numbers each")
    left = panel.box(16, 190, 130, 46, "B × B table", "teacher", detail="of distances")
    right = panel.box(206, 190, 130, 46, "B × B table", "student", detail="of distances")
    loss = panel.box(126, 274, 100, 36, "loss", "loss")
    panel.arrow([batch.left, (81, batch.left[1]), wide.top])
    panel.arrow([batch.right, (271, batch.right[1]), thin.top])
    panel.arrow([wide.bottom, left.top], color=svg.TEACHER)
    panel.arrow([thin.bottom, right.top], color=svg.STUDENT)
    panel.arrow([left.bottom, (81, loss.left[1]), loss.left], color=svg.TEACHER)
    panel.arrow([loss.right, (271, loss.right[1]), right.bottom], kind="gradient")
    return row(panel, _turned())


def _turned() -> Panel:
    panel = Panel(
        "Other values, the same relations",
        330,
        alt="Three points A, B and C of the teacher form a triangle. The student's triangle is "
        "rotated and half as large. All coordinates differ; the proportions of the three "
        "distances are equal.",
    )
    _triangle(panel, (98, 130), "teacher", 1.35, 0.0)
    _triangle(panel, (258, 130), "student", 0.675, 2.2)
    panel.write(98, 58, "teacher", bold=True, anchor="middle")
    panel.write(258, 58, "student", bold=True, anchor="middle")
    panel.write(176, 226, "every coordinate is different", anchor="middle")
    panel.write(176, 250, "every distance is half as large", anchor="middle")
    panel.write(176, 286, "divided by the mean distance,", anchor="middle", bold=True)
    panel.write(176, 306, "the two tables are equal", anchor="middle", bold=True)
    return panel


def _triangle(panel: Panel, centre: Point, role: str, size: float, turn: float) -> None:
    cos, sin = math.cos(turn), math.sin(turn)
    corners = [
        (centre[0] + size * (cos * x - sin * y), centre[1] + size * (sin * x + cos * y))
        for x, y in SHAPE
    ]
    dash = svg.DASHES[svg.STUDENT] if role == "student" else ""
    for i in range(3):
        panel.parts.append(
            svg.line([corners[i], corners[(i + 1) % 3]], COLOURS[role], width=1.6, dash=dash)
        )
    for name, (x, y) in zip("ABC", corners, strict=True):
        _point(panel, x, y, name, role)


def _point(panel: Panel, x: float, y: float, name: str, role: str) -> None:
    panel.parts.append(svg.dot(x, y, 11, COLOURS[role]))
    panel.parts.append(svg.dot(x, y, 9, svg.PAPER))
    panel.parts.append(svg.text(x, y + 4, name, size=12, anchor="middle", bold=True))


def seen_by() -> svg.Svg:
    """Draw the angle at one picture between two others, and one picture's list of neighbours."""
    angle = Panel(
        "RKD angle: three pictures at once",
        286,
        alt="From picture A, one line goes to picture B and one to picture C. The angle between "
        "the two lines at A is what the loss compares, as a cosine.",
    )
    a, b, c = (70.0, 216.0), (292.0, 190.0), (150.0, 74.0)
    for end in (b, c):
        angle.parts.append(svg.line([a, end], svg.INK, width=1.8, dash=""))
    arc = [
        (a[0] + 46 * math.cos(-t), a[1] + 46 * math.sin(-t))
        for t in (0.12 + 0.1 * i for i in range(11))
    ]
    angle.parts.append(svg.line(arc, svg.GREEN, width=3, dash=""))
    for name, (x, y) in zip("ABC", (a, b, c), strict=True):
        _point(angle, x, y, name, "teacher")
    angle.write(134, 178, "cosine", size=13, bold=True)
    angle.write(176, 262, "B × B × B cosines for a batch", anchor="middle")
    near = Panel(
        "PKT: whom would A choose?",
        286,
        alt="Picture A chooses one of the others as its neighbour. A near picture gets a large "
        "share, a far one a small share; the shares sum to 1. Each picture has one such list.",
    )
    from_a = near.box(20, 112, 66, 40, "A", "teacher")
    for i, (name, share) in enumerate((("B", 0.5), ("C", 0.35), ("D", 0.15))):
        y = 56 + 66 * i
        other = near.box(178, y, 52, 36, name, "teacher")
        near.arrow([from_a.right, (132, from_a.right[1]), (132, y + 18), other.left])
        near.parts.append(svg.rect(242, y + 8, 90 * share, 20, svg.TEACHER))
        near.write(242 + 90 * share + 8, y + 23, f"{share:g}", size=12)
    near.write(176, 262, "B lists, each with the sum 1", anchor="middle")
    return row(angle, near)
