"""The drawings of lesson 00: who teaches whom, a paired comparison, and the three verdicts."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row
from distill_lab.course.figures.layout import Place

__all__ = ["paired", "teaching", "verdicts"]


def teaching() -> svg.Svg:
    """Draw training on labels beside distillation: the same student, one more thing to match."""
    alone = Panel(
        "Labels alone",
        340,
        alt="A picture goes into the student. The student's probabilities and the label, 3, meet "
        "in the loss. A gradient goes from the loss back to the student.",
    )
    _student_and_loss(alone)
    taught = Panel(
        "Distillation: a teacher as well",
        340,
        alt="The same picture also goes into the teacher, which stays as it is. Its soft targets "
        "enter the loss beside the label. The gradient goes back to the student only.",
    )
    picture, loss = _student_and_loss(taught)
    teacher = taught.box(14, 132, 100, 48, "teacher", "teacher", detail="stays fixed")
    taught.arrow([picture.left, (64, 72), teacher.top])
    taught.arrow([teacher.bottom, (64, 296), loss.left], "soft targets", color=svg.TEACHER, at=1)
    return row(alone, taught)


def _student_and_loss(panel: Panel) -> tuple[Place, Place]:
    """The right half of both panels; returns the picture and the loss."""
    picture = schematics.image(panel, 176, 48, 48)
    student = panel.box(150, 132, 100, 48, "student", "student", detail="learns")
    loss = panel.box(150, 272, 100, 48, "loss", "loss", detail="a distance")
    label = panel.box(282, 272, 58, 48, "label", "label", detail="3")
    panel.write(picture.right[0] + 10, 76, "picture", size=12, quiet=True)
    panel.arrow([picture.bottom, student.top])
    panel.arrow([(226, 180), (226, 272)], "probabilities", color=svg.STUDENT)
    panel.arrow([label.left, loss.right], color=svg.HARD)
    panel.arrow([(174, 272), (174, 180)], "gradient", kind="gradient", side="left")
    return picture, loss


def paired() -> svg.Svg:
    """Draw one seed of a paired comparison, and what several of them give."""
    pair = Panel(
        "One seed: a pair of students",
        304,
        alt="Both students of a pair get the same pictures, the same first weights and the same "
        "order. One learns from labels alone, the other from a teacher as well. The difference of "
        "their test accuracies is one number.",
    )
    shared = pair.box(
        46, 44, 260, 60, "the same for both", "quiet", detail="pictures, first weights, order"
    )
    alone = pair.box(14, 146, 146, 48, "student", "student", detail="labels alone")
    taught = pair.box(192, 146, 146, 48, "student", "student", detail="labels and teacher")
    gap = pair.box(76, 236, 200, 48, "difference", "loss", detail="of the test accuracies")
    for student in (alone, taught):
        x = student.top[0]
        pair.arrow([(x, shared.bottom[1]), student.top])
        pair.arrow([student.bottom, (x, gap.y)], color=svg.STUDENT)

    seeds = Panel(
        "Five seeds: five differences",
        304,
        alt="Five dots, one for each seed, lie right of a dotted line at zero. Below them a bar, "
        "the interval, shows where the mean difference can lie; it does not touch zero.",
    )
    zero, base = 84.0, 236.0
    seeds.parts.append(svg.line([(zero, 52), (zero, base)], svg.HARD, width=1.5))
    seeds.lines.append(((zero, 52), (zero, base)))
    for i, x in enumerate((176.0, 252.0, 214.0, 290.0, 232.0)):
        y = 66 + 24 * i
        seeds.write(18, y + 4, f"seed {i}", size=12, quiet=True)
        seeds.parts.append(svg.dot(x, y, 6, svg.STUDENT))
    low, high, y = 180.0, 286.0, 204.0
    seeds.parts.append(svg.line([(low, y), (high, y)], svg.STUDENT, width=3, dash=""))
    seeds.parts += [
        svg.line([(x, y - 7), (x, y + 7)], svg.STUDENT, width=3, dash="") for x in (low, high)
    ]
    seeds.parts.append(svg.rect(228, y - 5, 10, 10, svg.STUDENT))
    seeds.write(233, y + 24, "the interval of the mean", size=12, anchor="middle")
    seeds.parts.append(svg.line([(18, base), (338, base)], svg.MUTED, width=1))
    seeds.write(zero, base + 18, "0", size=12, anchor="middle")
    seeds.write(96, base + 18, "the teacher helps →", size=12, quiet=True)
    return row(pair, seeds)


def verdicts() -> svg.Svg:
    """Draw where the interval lies for each of the three verdicts."""
    panel = Panel(
        "Claim: the teacher helps (gain above 0)",
        204,
        alt="Three intervals and a dotted line at zero. Wholly right of zero: holds. Wholly left "
        "of zero: does not hold here. On both sides of zero: cannot be resolved here.",
    )
    zero = 150.0
    rows = (
        ("holds", 184, 300, svg.GREEN, 76.0),
        ("does not hold here", 30, 110, svg.PURPLE, 120.0),
        ("cannot be resolved here", 92, 236, svg.YELLOW, 164.0),
    )
    panel.parts.append(svg.line([(zero, 44), (zero, 178)], svg.HARD, width=1.5))
    for name, low, high, colour, y in rows:
        panel.parts.append(svg.line([(low, y), (high, y)], colour, width=6, dash=""))
        panel.parts.append(svg.dot((low + high) / 2, y, 4, svg.INK))
        panel.write(zero + 14, y - 10, name, size=13)
    panel.write(zero, 196, "0", size=12, anchor="middle")
    return row(panel)
