"""The drawings of lesson 22: maps without channels, two hops of attention, the mean of heads."""

from __future__ import annotations

import numpy as np

from distill_lab.course.figures import svg
from distill_lab.course.figures.drawing import Panel, row
from distill_lab.course.figures.layout import Place

__all__ = ["heads", "maps", "two_hops"]

GUESTS = ("Anna: tea", "Ben: milk", "Cleo: as Ben", "Dora: as Anna")
DARK = {"teacher": (160, 66, 0), "student": (0, 69, 117)}
STROKE = np.array([[0, 1, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1]], dtype=float)


def maps() -> svg.Svg:
    """Draw how channels become one map, for a wide layer and a narrow one."""
    return row(_one_map("teacher", 4), _one_map("student", 2))


def _one_map(role: str, channels: int) -> Panel:
    panel = Panel(
        f"{role.capitalize()}: {channels} channels",
        318,
        alt=f"{channels} small maps, one a channel, become one map: each value is squared, the "
        "channels are added up, and the map is divided by its length.",
    )
    x, wide = 176 - (56 * channels + 20 * (channels - 1)) / 2, 56.0
    parts = [np.roll(STROKE, k, axis=k % 2) * (1 - 0.15 * k) for k in range(channels)]
    for k, part in enumerate(parts):
        _grid(panel, x + 76 * k, 50, wide, part, role)
    panel.arrow([(176, 114), (176, 186)], "square, add up,\ndivide by the length", room=150)
    total = np.square(np.stack(parts)).sum(0)
    _grid(panel, 132, 194, 88, total / total.max(), role)
    panel.write(176, 304, "one map, for any number of channels", size=12, anchor="middle")
    return panel


def two_hops() -> svg.Svg:
    """Draw the two reads that answer an order such as "as Ben"."""
    first = _table(
        "Layer 1: what did Cleo say?",
        2,
        "Cleo?",
        "learns “as Ben”",
        "The question about Cleo reads the token of Cleo, which says: as Ben.",
    )
    second = _table(
        "Layer 2: what did Ben say?",
        1,
        "as Ben?",
        "answers “milk”",
        "The question now contains “as Ben”. It reads the token of Ben, which says: milk.",
    )
    return row(first, second)


def _table(title: str, read: int, question: str, learned: str, alt: str) -> Panel:
    panel = Panel(title, 268, alt=alt)
    panel.write(20, 56, "each guest is a token", size=12, quiet=True)
    rows = []
    for i, words in enumerate(GUESTS):
        role = "teacher" if i == read else "data"
        rows.append(panel.box(20, 66 + 42 * i, 128, 32, words, role, bold=i == read, size=12))
    panel.write(84, 250, "…", anchor="middle", quiet=True)
    ask = panel.box(236, 100, 100, 48, question, "loss", detail="the question")
    target = rows[read].right
    bend = [(192.0, ask.left[1]), (192.0, target[1])] if target[1] != ask.left[1] else []
    panel.arrow([ask.left, *bend, target], "reads", at=0)
    panel.write(286, 176, learned, size=12, anchor="middle", room=120, bold=True)
    return panel


def heads() -> svg.Svg:
    """Draw heads without a partner, and the means that can be matched."""
    rng = np.random.default_rng(3)
    teacher = [_shares(rng) for _ in range(4)]
    student = [_shares(rng) for _ in range(2)]
    which = Panel(
        "Heads: which learns from which?",
        300,
        alt="A teacher with four heads above, a student with two heads below. Dotted lines join "
        "every student's head with every teacher's head: the order of heads means nothing.",
    )
    above = [_grid(which, 24 + 82 * k, 72, 58, a, "teacher") for k, a in enumerate(teacher)]
    below = [_grid(which, 92 + 110 * k, 206, 58, a, "student") for k, a in enumerate(student)]
    for low in below:
        for high in above:
            which.parts.append(svg.line([low.top, high.bottom], svg.MUTED, width=1.2, dash="1 5"))
    which.write(176, 60, "teacher, four heads", size=12, anchor="middle")
    which.write(176, 284, "student, two heads", size=12, anchor="middle")
    mean = Panel(
        "A first answer: match the means",
        300,
        alt="The four heads of the teacher are averaged into one map, the two heads of the student "
        "into another. The loss compares the two means.",
    )
    for k, a in enumerate(teacher):
        _grid(mean, 20 + 46 * k, 66, 40, a, "teacher")
    for k, a in enumerate(student):
        _grid(mean, 66 + 46 * k, 210, 40, a, "student")
    top = _grid(mean, 268, 57, 58, np.mean(teacher, 0) * 1.4, "teacher")
    low = _grid(mean, 268, 201, 58, np.mean(student, 0) * 1.4, "student")
    mean.arrow([(206, 86), top.left], "mean", color=svg.TEACHER)
    mean.arrow([(160, 230), low.left], "mean", color=svg.STUDENT)
    loss = mean.box(252, 142, 90, 34, "loss", "loss")
    mean.arrow([top.bottom, loss.top], color=svg.TEACHER)
    mean.arrow([low.top, loss.bottom], color=svg.STUDENT)
    return row(which, mean)


def _shares(rng: np.random.Generator) -> np.ndarray:
    scores = np.exp(2.2 * rng.standard_normal((4, 4)))
    return scores / scores.sum(1, keepdims=True)


def _grid(panel: Panel, x: float, y: float, size: float, values: np.ndarray, role: str) -> Place:
    """Draw a square map, dark where a value is large."""
    cell = size / len(values)
    for i, line in enumerate(np.clip(values, 0, 1).tolist()):
        for j, value in enumerate(line):
            shade = "".join(f"{round(248 + (d - 248) * value):02x}" for d in DARK[role])
            panel.parts.append(
                svg.rect(x + cell * j, y + cell * i, cell, cell, f"#{shade}", stroke=svg.PAPER)
            )
    color = svg.TEACHER if role == "teacher" else svg.STUDENT
    panel.parts.append(svg.rect(x, y, size, size, "none", stroke=color))
    return Place(x, y, size, size)
