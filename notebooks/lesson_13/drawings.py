"""The drawings of lesson 13: equations, who knows what, distance, and the bill of two stages."""

from __future__ import annotations

from distill_lab.course.figures import svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["bill", "distance", "knowledge", "same_data"]


def same_data() -> svg.Svg:
    """Draw who teaches whom, and the two sources of a target."""
    panel = Panel(
        "Who teaches whom, and through what",
        236,
        alt="Training pictures go to the teacher and to the student. The teacher's logits and the "
        "labels go to the loss of the student.",
    )
    panel.box(16, 96, 80, 48, "pictures", "data")
    teacher = panel.box(140, 48, 88, 44, "teacher", "teacher")
    student = panel.box(140, 148, 88, 44, "student", "student")
    loss = panel.box(272, 148, 64, 44, "loss", "loss")
    panel.arrow([(56, 96), (56, 70), teacher.left])
    panel.arrow([(56, 144), (56, 170), student.left])
    panel.arrow([teacher.right, (304, 70), (304, 148)], "logits", color=svg.TEACHER, at=0)
    panel.arrow([student.right, loss.left], color=svg.STUDENT)
    panel.write(272, 218, "and labels", size=12)
    ask = Panel(
        "What decides",
        236,
        alt="Four questions: what the teacher knows, how far the student is from it, noise in the "
        "labels, and cost.",
    )
    for i, (name, detail) in enumerate(
        (
            ("knowledge", "more than the labels contain?"),
            ("distance", "can the student follow?"),
            ("noise", "was it really the teacher?"),
            ("cost", "what else would it buy?"),
        )
    ):
        ask.box(16, 44 + 47 * i, 100, 36, name, "quiet")
        ask.write(128, 67 + 47 * i, detail, size=12)
    return row(panel, ask)


def knowledge() -> svg.Svg:
    """Draw two teachers of one size: one saw 1,000 pictures, the other the student's 50."""
    panels = []
    for title, saw, words, alt in (
        (
            "A teacher that saw more",
            "1,000 pictures",
            "the 50 are among them",
            "The teacher learned from 1,000 pictures, the student from 50 of them.",
        ),
        (
            "Its twin that saw the same",
            "50 pictures",
            "the same 50",
            "The teacher learned from the student's own 50 pictures.",
        ),
    ):
        panel = Panel(title, 190, alt=alt)
        first = panel.box(16, 48, 110, 44, saw, "data")
        second = panel.box(16, 128, 110, 44, "50 pictures", "data")
        teacher = panel.box(238, 48, 96, 44, "teacher", "teacher")
        student = panel.box(238, 128, 96, 44, "student", "student")
        panel.arrow([first.right, teacher.left], "labels")
        panel.arrow([second.right, student.left])
        panel.arrow([teacher.bottom, student.top], "logits", color=svg.TEACHER, side="left")
        panel.write(16, 114, words, size=12, quiet=True)
        panels.append(panel)
    return row(*panels)


def distance() -> svg.Svg:
    """Draw three teachers above one narrow student."""
    panel = Panel(
        "Three teachers for one narrow student",
        246,
        alt="A weak, a medium and a strong teacher, of 16, 32 and 256 units a layer. Each teaches "
        "a student with 8 units a layer.",
    )
    student = panel.box(124, 186, 104, 44, "student", "student", detail="8 units")
    for x, name, units in ((12, "weak", 16), (124, "medium", 32), (236, "strong", 256)):
        teacher = panel.box(x, 48, 104, 44, name, "teacher", detail=f"{units} units")
        middle = x + 52
        panel.arrow([teacher.bottom, (middle, 140), (176, 140), student.top], color=svg.TEACHER)
    return row(panel)


def bill() -> svg.Svg:
    """Draw what two stages cost, beside one longer stage."""
    two = Panel(
        "Two stages",
        250,
        alt="Three items: train the teacher once, ask it once for each example, train the student. "
        "Several students may share the first two items.",
    )
    for i, (name, cost, role) in enumerate(
        (
            ("train the teacher", "3 F an example, / m", "teacher"),
            ("ask it: the cache", "F an example, / m", "teacher"),
            ("train the student", "3 f an example", "student"),
        )
    ):
        two.box(16, 48 + 66 * i, 160, 46, name, role)
        two.write(190, 76 + 66 * i, cost, size=12)
    one = Panel(
        "One longer stage",
        250,
        alt="The same money trains the student without a teacher, on more examples.",
    )
    one.box(16, 48, 160, 178, "train the student", "student")
    one.write(190, 128, "3 f an example, more examples", size=12, room=140)
    return row(two, one)
