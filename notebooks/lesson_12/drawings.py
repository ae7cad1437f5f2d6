"""The drawings of lesson 12: temperature, alpha, the student's size, and what calibrated means."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row
from distill_lab.course.figures.formulas import soften

__all__ = ["balance", "calibrated", "capacity", "dial"]

LOGITS = (0.5, 7.0, 3.0, 4.6, 1.5)  # of an example with five classes
CLASSES = ("a", "b", "c", "d", "e")


def dial() -> svg.Svg:
    """Draw one teacher's answer at three temperatures, and where T is used."""
    one = Panel(
        "One set of logits, three temperatures",
        292,
        alt="The same five logits at T = 1, T = 4 and T = 20. At T = 1 one bar has nearly all; at "
        "T = 4 the other bars can be seen; at T = 20 all bars are almost equally high. A dial "
        "below points from cold to hot.",
    )
    for i, T in enumerate((1.0, 4.0, 20.0)):
        x = 16 + 110 * i
        one.write(x + 50, 58, f"T = {T:g}", bold=True, anchor="middle")
        schematics.columns(
            one, x, 72, 100, 110, soften(LOGITS, T).tolist(), "teacher", CLASSES, top=1.0
        )
        one.parts.append(svg.dot(x + 50, 236, 6, svg.TEACHER))
    one.parts.insert(0, svg.line([(20, 236), (332, 236)], svg.RULE, width=4))
    one.write(20, 264, "one class stands out", size=12)
    one.write(332, 264, "nearly equal", size=12, anchor="end")
    use = Panel(
        "T belongs to the training",
        292,
        alt="In training, the logits of teacher and student are both divided by T before they are "
        "compared. In use, the student's logits are read at T = 1.",
    )
    use.write(16, 58, "in training", bold=True)
    teacher = use.box(16, 72, 96, 36, "teacher", "teacher")
    student = use.box(16, 122, 96, 36, "student", "student")
    use.box(252, 88, 84, 54, "loss", "loss")
    use.arrow([teacher.right, (252, 90)], "÷ T, softmax", color=svg.TEACHER)
    use.arrow([student.right, (252, 140)], "÷ T, softmax", color=svg.STUDENT, side="below")
    use.write(16, 212, "in use", bold=True)
    student = use.box(16, 226, 96, 36, "student", "student")
    answer = use.box(252, 226, 84, 36, "answer", "data")
    use.arrow([student.right, answer.left], "softmax, T = 1", color=svg.STUDENT)
    return row(one, use)


def balance() -> svg.Svg:
    """Draw the target as a mixture of the teacher's answer and the label."""
    panel = Panel(
        "α mixes two targets",
        300,
        alt="The teacher's softened bars, with weight alpha, and the single bar of the label, with "
        "weight 1 minus alpha, enter the loss of the student. An example with alpha = 0.7.",
    )
    p = soften(LOGITS, 4.0).tolist()
    panel.write(86, 54, "teacher, at T", size=12, anchor="middle")
    schematics.columns(panel, 30, 64, 112, 70, p, "teacher", CLASSES, top=1.0)
    panel.write(266, 54, "label, at T = 1", size=12, anchor="middle")
    schematics.columns(panel, 210, 64, 112, 70, [0, 1, 0, 0, 0], "label", CLASSES)
    loss = panel.box(124, 232, 104, 44, "loss", "loss", detail="of the student")
    panel.arrow([(86, 162), (86, 254), loss.left], "× α T²", color=svg.TEACHER, at=0, side="left")
    panel.arrow([(266, 162), (266, 254), loss.right], "× (1 − α)", color=svg.HARD, at=0, room=76)
    shares = Panel(
        "Three settings of α",
        300,
        alt="At alpha 0 only the label counts and T changes nothing; at 0.9 the teacher has nine "
        "tenths of the weight; at 1 the teacher is alone.",
    )
    for i, (alpha, words) in enumerate(
        (
            (0.0, "the label alone: T changes nothing"),
            (0.9, "mostly the teacher"),
            (1.0, "the teacher alone: no labels needed"),
        )
    ):
        y = 54 + 82 * i
        shares.write(20, y + 20, f"α = {alpha:g}", bold=True)
        if alpha > 0:
            shares.parts.append(svg.bar(92, y, 236 * alpha, 28, svg.TEACHER))
        if alpha < 1:
            shares.parts.append(svg.bar(92 + 236 * alpha, y, 236 * (1 - alpha), 28, svg.HARD))
        shares.write(92, y + 46, words, size=12)
    return row(panel, shares)


def capacity() -> svg.Svg:
    """Draw teacher and two students with layers as high as they have units."""
    sizes = Panel(
        "Units in each of the two hidden layers",
        300,
        alt="Bars as high as a layer has units: the teacher's two layers have 256 units each, the "
        "usual student's 32, the narrow student's 8.",
    )
    base = 244.0
    for x, name, units, color in (
        (28, "teacher", 256, svg.TEACHER),
        (140, "student", 32, svg.STUDENT),
        (252, "narrow", 8, svg.STUDENT),
    ):
        tall = 176.0 * units / 256
        for k in (0, 1):
            turn = f"translate({x + 8 + 38 * k} {base}) rotate(-90)"
            sizes.parts.append(f'<g transform="{turn}">{svg.bar(0, 0, tall, 26, color)}</g>')
        sizes.write(x + 40, base - tall - 10, f"{units}", bold=True, anchor="middle")
        sizes.write(x + 40, base + 20, name, size=12, anchor="middle")
    sizes.parts.append(svg.line([(20, base), (332, base)], svg.MUTED, width=1))
    asks = Panel(
        "What the loss asks for",
        300,
        alt="Bars show how much each logit counts in the loss. At T = 4 the logits of the likely "
        "classes count most. At T = 20 all logits count almost equally.",
    )
    for i, (T, words) in enumerate(
        ((4.0, "the likely classes count more"), (20.0, "all classes count alike"))
    ):
        y = 52 + 122 * i
        p = soften(LOGITS, T)
        weight = p * (1 - p)  # how strongly a small change of this logit changes the KL
        asks.write(20, y + 44, f"T = {T:g}", bold=True)
        schematics.columns(
            asks, 92, y, 150, 66, (weight / weight.max()).tolist(), "teacher", CLASSES
        )
        asks.write(254, y + 30, words, size=12, room=90)
    return row(sizes, asks)


def calibrated() -> svg.Svg:
    """Draw ten pictures of one confidence, of which a calibrated network has eight right."""
    panels = []
    for right, title, words in (
        (8, "Calibrated", "confidence 80 %, accuracy 80 %, gap 0"),
        (5, "Too confident", "confidence 80 %, accuracy 50 %, gap 30"),
    ):
        panel = Panel(
            title,
            160,
            alt=f"Ten pictures, each with confidence 80 percent. The network is right on {right} "
            f"of them, so its accuracy is {10 * right} percent.",
        )
        for i in range(10):
            x, good = 34 + 31 * i, i < right
            panel.parts.append(svg.dot(x, 72, 11, svg.STUDENT if good else svg.HARD, hollow=True))
            panel.write(x, 77, "✓" if good else "✗", anchor="middle", bold=good)
        panel.write(20, 112, words, size=12)
        panel.write(20, 140, "✓ right, ✗ wrong; the gap in points", size=12, quiet=True)
        panels.append(panel)
    return row(*panels)
