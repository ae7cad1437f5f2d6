"""The drawings of lesson 45: who compares and who learns, DPO's margin, a judge's two orders."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["comparing", "margin", "orders"]


def comparing() -> svg.Svg:
    """Draw who compares two answers, and who learns from the comparison."""
    one = Panel(
        "Who compares",
        330,
        alt="A request goes to the reference, a small language model. It writes two answers. "
        "People, or a teacher, read both and say which is better.",
    )
    request = one.box(96, 46, 160, 34, "price? date?", "data", bold=False)
    reference = one.box(96, 108, 160, 40, "reference", "student", detail="a frozen copy")
    first = one.box(20, 182, 148, 34, "price well", "quiet", bold=False)
    second = one.box(184, 182, 148, 34, "price date", "quiet", bold=False)
    one.box(76, 262, 200, 46, "people, or a teacher", "teacher", detail="which is better?")
    one.arrow([request.bottom, reference.top])
    one.arrow([(150, 148), (94, 182)], color=svg.STUDENT)
    one.arrow([(202, 148), (258, 182)], color=svg.STUDENT)
    one.arrow([first.bottom, (130, 262)])
    one.arrow([second.bottom, (222, 262)])
    two = Panel(
        "Who learns, and through what",
        330,
        alt="A pair, price date over price well, goes to the student and to the frozen reference. "
        "Both give a log-probability to each answer. The loss compares the four numbers, and its "
        "gradient goes back to the student alone.",
    )
    two.box(66, 46, 220, 46, "price date > price well", "teacher", detail="one pair")
    two.box(20, 142, 148, 46, "student", "student", detail="is trained")
    frozen = two.box(184, 142, 148, 46, "reference", "student", detail="stays as it was")
    two.box(86, 262, 180, 46, "loss of DPO", "loss", detail="four log-probabilities")
    two.arrow([(130, 92), (94, 142)], color=svg.TEACHER)
    two.arrow([(222, 92), (258, 142)], color=svg.TEACHER)
    two.arrow([(122, 188), (150, 262)], color=svg.STUDENT)
    two.arrow([frozen.bottom, (226, 262)], color=svg.STUDENT)
    two.arrow([(98, 262), (66, 188)], "gradient", kind="gradient", side="left")
    return row(one, two)


def margin() -> svg.Svg:
    """Draw how four log-probabilities become one margin."""
    panel = Panel(
        "Four numbers, one margin",
        250,
        alt="For each answer the reference's log-probability is subtracted from the student's: how "
        "far the student has moved. The rejected answer's move is subtracted from the chosen "
        "answer's, and multiplied by beta. This is the margin.",
    )
    panel.write(16, 62, "chosen answer", size=12, quiet=True)
    panel.write(184, 62, "rejected answer", size=12, quiet=True)
    for x, end in ((16, 130), (184, 222)):
        words, roles = ("student", "reference"), ("student", "quiet")
        boxes = schematics.tokens(panel, x, 72, words, roles, cell=74)
        move = panel.box(x, 136, 152, 34, "student − reference", bold=False, size=12)
        for box in boxes:
            panel.arrow([box.bottom, (box.bottom[0], 136)])
        panel.arrow([move.bottom, (end, 204)])
    panel.box(76, 204, 200, 34, "margin = β · difference", "loss")
    return row(panel)


def orders() -> svg.Svg:
    """Draw a judge that reads one pair in both orders."""
    return row(
        _order("In the first order", ("price date", "date price well"), "A is better: 0.7"),
        _order("In the second order", ("date price well", "price date"), "A is better: 0.6"),
    )


def _order(title: str, answers: tuple[str, str], verdict: str) -> Panel:
    panel = Panel(
        title,
        216,
        alt=f"The judge reads {answers[0]} as answer A and {answers[1]} as answer B. It says: "
        f"{verdict}.",
    )
    boxes = [
        panel.box(x, 50, 148, 46, f"answer {name}", "quiet", detail=answer)
        for x, name, answer in ((20, "A", answers[0]), (184, "B", answers[1]))
    ]
    judge = panel.box(96, 122, 160, 36, "judge", "teacher")
    for box, x in zip(boxes, (140, 212), strict=True):
        panel.arrow([box.bottom, (x, 122)])
    panel.arrow([judge.bottom, (176, 184)], color=svg.TEACHER)
    panel.write(176, 202, verdict, anchor="middle", bold=True)
    return panel
