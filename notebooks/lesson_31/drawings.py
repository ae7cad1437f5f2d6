"""The drawings of lesson 31: eight teachers, two means, two specialists, whose label to buy."""

from __future__ import annotations

import numpy as np

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["conflict", "disagreement", "eight", "means"]

CLASSES = ("a", "b", "c")


def eight() -> svg.Svg:
    """Draw eight teachers whose mean teaches one student, and how their samples are drawn."""
    flow = Panel(
        "Many teachers, one student",
        300,
        alt="Eight small teacher boxes give probabilities for a picture without a label. Their "
        "mean is the target of one student.",
    )
    flow.box(14, 62, 84, 40, "picture", "data", detail="no label")
    for i in range(8):
        x, y = 128 + 28 * (i % 4), 56 + 28 * (i // 4)
        flow.box(x, y, 24, 24, str(i + 1), "teacher", size=12)
    flow.write(182, 128, "eight teachers", size=12, anchor="middle")
    flow.arrow([(98, 82), (124, 82)])
    mean = flow.box(140, 160, 84, 36, "mean", "teacher")
    flow.arrow([(182, 134), (182, 160)], color=svg.TEACHER)
    loss = flow.box(252, 160, 84, 36, "loss", "loss")
    flow.arrow([mean.right, loss.left], color=svg.TEACHER)
    student = flow.box(14, 236, 84, 40, "student", "student")
    flow.arrow([(56, 102), student.top])
    flow.arrow([student.right, (294, 256), loss.bottom], "probabilities", color=svg.STUDENT)
    samples = Panel(
        "A bootstrap sample",
        300,
        alt="Six labelled examples, 1 to 6. Each teacher learns from six draws with replacement: "
        "some examples come twice, others are missing.",
    )
    samples.write(14, 58, "labelled examples", size=12)
    for i in range(6):
        samples.box(14 + 40 * i, 68, 32, 28, str(i + 1), "label", size=12)
    for k, draw in enumerate(((1, 1, 3, 4, 6, 6), (2, 3, 3, 3, 5, 6), (1, 2, 4, 4, 5, 5))):
        y = 128 + 54 * k
        samples.write(14, y - 8, f"teacher {k + 1}", size=12)
        for i, number in enumerate(draw):
            repeated = i > 0 and draw[i - 1] == number
            role = "quiet" if repeated else "data"
            samples.box(14 + 40 * i, y, 32, 26, str(number), role, size=12)
    samples.write(264, 84, "each drawn", size=12, room=80)
    samples.write(264, 144, "6 draws, with replacement", size=12, room=80)
    return row(flow, samples)


def means() -> svg.Svg:
    """Draw two teachers' answers and their two means."""
    inputs = Panel(
        "Two teachers, three classes",
        212,
        alt="Teacher 1 gives nearly all probability to class a. Teacher 2 gives each class some, "
        "most to class b.",
    )
    teachers = np.array([[0.97, 0.02, 0.01], [0.2, 0.5, 0.3]])
    for i, p in enumerate(teachers.tolist()):
        x = 20 + 166 * i
        inputs.write(x + 70, 58, f"teacher {i + 1}", size=12, anchor="middle")
        schematics.columns(inputs, x, 70, 140, 100, p, "teacher", CLASSES)
    outputs = Panel(
        "Two means",
        212,
        alt="The mean of the probabilities keeps every class that one teacher finds possible. The "
        "mean of the logits, normalised again, keeps little of a class that one teacher finds "
        "impossible.",
    )
    arithmetic, product = teachers.mean(0), np.sqrt(teachers.prod(0))
    geometric = product / product.sum()
    for i, (name, p) in enumerate((("of probabilities", arithmetic), ("of logits", geometric))):
        x = 20 + 166 * i
        outputs.write(x + 70, 58, name, size=12, anchor="middle")
        schematics.columns(outputs, x, 70, 140, 100, p.tolist(), "teacher", CLASSES)
    return row(inputs, outputs)


def conflict() -> svg.Svg:
    """Draw two specialists under a mean, and under a route."""
    panels = []
    for title, words, routed in (
        ("A mean asks both", "mean", False),
        ("A route asks one", "route", True),
    ):
        alt = (
            "A picture of a 3 goes to the specialist for 0 to 4 alone. Its answer is the target."
            if routed
            else "A picture of a 3 goes to both specialists. The one for 5 to 9 never saw a 3, and "
            "its answer counts as much."
        )
        panel = Panel(title, 250, alt=alt)
        schematics.image(panel, 20, 92, 64)
        low = panel.box(132, 56, 92, 44, "knows", "teacher", detail="0 to 4")
        high = panel.box(
            132, 148, 92, 44, "knows", "quiet" if routed else "teacher", detail="5 to 9"
        )
        target = panel.box(258, 102, 80, 44, words, "loss", detail="target")
        panel.arrow([(84, 112), low.left])
        panel.arrow([low.right, (target.x, 116)], color=svg.TEACHER)
        if not routed:
            panel.arrow([(84, 132), high.left])
            panel.arrow([high.right, (target.x, 132)], color=svg.TEACHER)
        else:
            panel.write(178, 216, "not asked about this picture", size=12, anchor="middle")
        panels.append(panel)
    return row(*panels)


def disagreement() -> svg.Svg:
    """Draw two pictures with the same mean answer: one doubted by all, one disputed."""
    panels = []
    for title, rows, alt in (
        (
            "All doubt: no disagreement",
            ((0.5, 0.5, 0.0), (0.5, 0.5, 0.0)),
            "Both teachers give one half to class a and one half to class b: they agree.",
        ),
        (
            "Each is sure: disagreement",
            ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
            "Teacher 1 is sure of class a, teacher 2 of class b. The mean is as on the left.",
        ),
    ):
        panel = Panel(title, 200, alt=alt)
        for i, (name, p) in enumerate(
            zip(("teacher 1", "teacher 2", "mean"), (*rows, (0.5, 0.5, 0.0)), strict=True)
        ):
            x = 16 + 110 * i
            panel.write(x + 50, 58, name, size=12, anchor="middle", bold=name == "mean")
            schematics.columns(panel, x, 70, 100, 90, p, "teacher", CLASSES)
        panels.append(panel)
    return row(*panels)
