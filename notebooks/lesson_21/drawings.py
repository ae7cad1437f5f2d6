"""The drawings of lesson 21: where a hint attaches, its two stages, and what CKA compares."""

from __future__ import annotations

import numpy as np

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["hint", "layouts"]

LOW, GAP = 20.0, 9.0  # height of a thin layer, and the room between two
# six pictures of three digits as a layer may place them, in two dimensions
SPOTS = np.array([[0.0, 0.1], [0.34, 0.3], [1.4, 0.1], [1.62, 0.42], [0.6, 1.55], [0.95, 1.35]])
NAMES = ("0", "0", "3", "3", "7", "7")


def hint() -> svg.Svg:
    """Draw the hint: student's layer, regressor, loss, teacher's layer."""
    panel = Panel(
        "A hint joins two layers",
        326,
        alt="A thin student with eight hidden layers on the left, a teacher with three on the "
        "right. The student's layer 5 goes through a regressor into the hint loss, and so does "
        "the teacher's layer 3. The gradient goes back through the regressor into the student.",
    )
    names = [f"layer {i + 1}" for i in range(8)]
    panel.write(60, 52, "student", bold=True, anchor="middle")
    thin = schematics.stack(panel, 14, 62, names, "student", width=92, height=LOW, gap=GAP, bold=4)
    panel.write(292, 52, "teacher", bold=True, anchor="middle")
    wide = schematics.stack(
        panel, 246, 62, names[:3], "teacher", width=92, height=66, gap=12, bold=2
    )
    regressor = panel.box(132, thin[4].right[1] - 20, 92, 40, "regressor", "student", size=12)
    loss = panel.box(132, 76, 92, 38, "hint loss", "loss")
    panel.arrow([thin[4].right, regressor.left], color=svg.STUDENT)
    panel.arrow([(190, regressor.y), (190, 114)], color=svg.STUDENT)
    panel.arrow([(164, 114), (164, regressor.y)], kind="gradient")
    panel.arrow([wide[2].left, loss.right], color=svg.TEACHER)
    panel.write(178, 218, "32 numbers", size=12, anchor="middle")
    panel.write(178, 235, "become 64", size=12, anchor="middle")
    panel.write(60, 310, "8 × 32 units", size=12, anchor="middle", quiet=True)
    panel.write(292, 310, "3 × 64 units", size=12, anchor="middle", quiet=True)
    return row(panel, _two_stages())


def _two_stages() -> Panel:
    panel = Panel(
        "Two stages",
        326,
        alt="Stage one trains layers 1 to 5 and the regressor on the hint, without labels. Stage "
        "two trains all eight layers on labels or soft targets; the regressor is thrown away.",
    )
    for x, title, trained in ((40, "stage one", 5), (212, "stage two", 8)):
        panel.write(x + 50, 52, title, bold=True, anchor="middle")
        for i in range(8):
            role = "student" if i < trained else "quiet"
            y = 96 + 22 * (7 - i)
            panel.box(x, y, 100, 16, "", role)
    panel.write(90, 82, "the hint, no label", size=12, anchor="middle")
    panel.write(262, 82, "labels or soft targets", size=12, anchor="middle")
    panel.write(90, 296, "trains layers 1 to 5", size=12, anchor="middle")
    panel.write(90, 313, "and the regressor", size=12, anchor="middle", quiet=True)
    panel.write(262, 296, "trains all layers", size=12, anchor="middle")
    panel.write(262, 313, "without the regressor", size=12, anchor="middle", quiet=True)
    panel.arrow([(150, 180), (202, 180)])
    return panel


def layouts() -> svg.Svg:
    """Draw two layers' layouts of the same pictures, and the tables that are compared."""
    turned = SPOTS @ np.array([[0.0, 1.0], [-1.0, 0.0]]) * 0.9
    maps = Panel(
        "Six pictures in two layers",
        300,
        alt="Six pictures, two each of 0, 3 and 7, as points. The student's layer shows the same "
        "three groups as the teacher's, rotated by 90 degrees and a little smaller. No unit of one "
        "layer belongs to a unit of the other.",
    )
    tables = Panel(
        "How alike is each pair of pictures?",
        300,
        alt="Two tables of six by six, a cell for each pair of pictures, dark where the inner "
        "product of their features is large. Both tables are the same, although the layouts are "
        "rotated. CKA compares such tables.",
    )
    for i, (name, role, spots, color) in enumerate(
        (
            ("teacher's layer", "teacher", SPOTS, svg.TEACHER),
            ("student's layer", "student", turned, svg.STUDENT),
        )
    ):
        x = 16 + 168 * i
        maps.write(x + 76, 58, name, size=12, anchor="middle")
        maps.box(x, 72, 152, 180, "", "data")
        at = (spots - spots.min(0)) / 1.7 * 112 + np.array([x + 22, 108])
        if role == "student":
            at += np.array([0, 8])
        for (px, py), label in zip(at.tolist(), NAMES, strict=True):
            maps.parts.append(svg.dot(px, py, 11, color, hollow=True))
            maps.write(px, py + 4, label, size=12, anchor="middle", bold=True)
        centred = spots - spots.mean(0)
        close = centred @ centred.T
        close = (close - close.min()) / (close.max() - close.min())
        tables.write(x + 76, 58, name, size=12, anchor="middle")
        _table(tables, x + 16, 96, close, (0, 69, 117) if role == "student" else (160, 66, 0))
    maps.write(176, 280, "same groups, rotated", size=12, anchor="middle")
    tables.write(176, 280, "the same table: CKA = 1", size=12, anchor="middle")
    return row(maps, tables)


def _table(panel: Panel, x: float, y: float, values: np.ndarray, dark: tuple[int, ...]) -> None:
    cell = 22.0
    for i, line in enumerate(values.tolist()):
        panel.write(x - 6, y + cell * i + 15, NAMES[i], size=12, anchor="end")
        panel.write(x + cell * (i + 0.5), y - 6, NAMES[i], size=12, anchor="middle")
        for j, value in enumerate(line):
            shade = "".join(f"{round(250 + (d - 250) * value):02x}" for d in dark)
            panel.parts.append(
                svg.rect(x + cell * j, y + cell * i, cell, cell, f"#{shade}", stroke=svg.PAPER)
            )
