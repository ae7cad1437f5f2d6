"""The drawings of lesson 26: four ways to be small, a start from layers, two stages."""

from __future__ import annotations

from distill_lab.course.figures import svg
from distill_lab.course.figures.drawing import Panel, row
from distill_lab.course.figures.schematics import stack

__all__ = ["four_ways", "start", "two_stages"]


def four_ways() -> svg.Svg:
    """Draw the shapes of the published students beside their teacher's."""
    return row(
        _shapes(
            "Fewer layers",
            (("BERT-base", 12, 96, "teacher"), ("DistilBERT", 6, 96, "student")),
            "12 layers become 6 of the same width: DistilBERT.",
        ),
        _shapes(
            "Thinner layers",
            (
                ("TinyBERT-4", 4, 39, "student"),
                ("MiniLM-12", 12, 48, "student"),
                ("MobileBERT", 24, 16, "student"),
            ),
            "TinyBERT-4 has 4 layers and is thin; MiniLM-12 has 12 layers of half the width; "
            "MobileBERT has 24 very thin layers.",
        ),
    )


def _shapes(title: str, models: tuple[tuple[str, int, float, str], ...], alt: str) -> Panel:
    panel = Panel(title, 280, alt=alt)
    step = 352 / len(models)
    for i, (name, layers, width, role) in enumerate(models):
        middle = step * (i + 0.5)
        thick = min(14.0, 168 / layers)
        color = svg.TEACHER if role == "teacher" else svg.STUDENT
        for k in range(layers):
            y = 222 - thick * (k + 1)
            panel.parts.append(svg.rect(middle - width / 2, y, width, thick - 2, color))
        panel.write(middle, 244, name, size=12, anchor="middle", bold=True)
        panel.write(middle, 262, f"{layers} layers", size=12, anchor="middle", quiet=True)
    return panel


def start() -> svg.Svg:
    """Draw which layers of the teacher a student of two layers starts from, and what teaches it."""
    copy = Panel(
        "First: copy",
        276,
        alt="A teacher of four layers, a student of two. Arrows go from the teacher's layer 1 to "
        "the student's layer 0, and from the teacher's layer 3 to the student's layer 1.",
    )
    high = stack(copy, 28, 56, [f"layer {i}" for i in range(4)], "teacher", gap=18)
    low = stack(copy, 228, 104, ["layer 0", "layer 1"], "student", gap=18)
    copy.arrow([high[1].right, low[0].left], color=svg.TEACHER)
    copy.arrow([high[3].right, low[1].left], color=svg.TEACHER)
    copy.write(76, 262, "teacher", size=12, anchor="middle", quiet=True)
    copy.write(276, 214, "student", size=12, anchor="middle", quiet=True)
    teach = Panel(
        "Then: teach",
        276,
        alt="A text goes to teacher and student. The loss compares the soft targets of both; its "
        "gradient reaches the student alone.",
    )
    text = teach.box(20, 116, 84, 40, "a text", "data", bold=False)
    teacher = teach.box(146, 56, 96, 40, "teacher", "teacher")
    student = teach.box(146, 176, 96, 40, "student", "student")
    loss = teach.box(268, 116, 72, 40, "loss", "loss")
    teach.arrow([text.top, (62.0, 76.0), teacher.left])
    teach.arrow([text.bottom, (62.0, 196.0), student.left])
    teach.arrow([teacher.right, (304.0, 76.0), loss.top], color=svg.TEACHER)
    teach.arrow([student.right, (304.0, 196.0), loss.bottom], color=svg.STUDENT)
    teach.write(304, 66, "soft targets", size=12, anchor="middle", room=96)
    teach.write(304, 216, "soft targets", size=12, anchor="middle", room=96)
    return row(copy, teach)


def two_stages() -> svg.Svg:
    """Draw TinyBERT's two stages: layers first, answers second."""
    first = _stage(
        "Stage 1: the inside",
        "hidden states,\nattention",
        0,
        "The student's layers 0 and 1 are compared with the teacher's layers 1 and 3. No labels "
        "and no answers are used.",
    )
    second = _stage(
        "Stage 2: the answer",
        "soft targets",
        1,
        "The answers above the layers are compared. The layers are not compared any more.",
    )
    return row(first, second)


def _stage(title: str, label: str, number: int, alt: str) -> Panel:
    panel = Panel(title, 292, alt=alt)
    names = [f"layer {i}" for i in range(4)]
    teacher = stack(panel, 20, 100, names, "teacher", width=86, gap=14)
    student = stack(panel, 246, 148, ["layer 0", "layer 1"], "student", width=86, gap=14)
    answers = (
        panel.box(20, 56, 86, 30, "answer", "teacher", size=12),
        panel.box(246, 56, 86, 30, "answer", "student", size=12),
    )
    panel.arrow([teacher[3].top, answers[0].bottom], color=svg.TEACHER)
    panel.arrow([student[1].top, answers[1].bottom], color=svg.STUDENT)
    if number:
        panel.arrow([answers[0].right, answers[1].left], label, room=110)
    else:
        panel.arrow([teacher[3].right, student[1].left], color=svg.TEACHER)
        panel.arrow([teacher[1].right, student[0].left], color=svg.TEACHER)
        panel.write(178, 240, label, size=12, anchor="middle", room=120)
    return panel
