"""The drawings of lesson 11: two kinds of target, the two terms, why T², an unseen digit."""

from __future__ import annotations

import itertools

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row
from distill_lab.course.figures.formulas import soften

__all__ = ["fading_gradient", "label_or_soft_target", "two_terms", "unseen_digit"]

DIGITS = [str(digit) for digit in range(10)]
LOGITS = (0.4, 0.2, 3.0, 9.0, -0.5, 5.2, -1.0, 2.2, 4.4, 2.6)  # an example, made by hand
EIGHT = ("..####..", ".##..##.", ".##..##.", "..####..", ".##..##.", ".##..##.", ".##..##.")
FIVE = (".######.", ".##.....", ".##.....", ".#####..", ".....##.", ".....##.", ".##..##.")
BOTTOM = ("..####..",)


def label_or_soft_target() -> svg.Svg:
    """Draw one picture's label and its soft target as bars."""
    label = Panel(
        "The label",
        196,
        alt="Ten bars, one for each digit: the bar of 3 has height 1, all others have height 0.",
    )
    schematics.columns(label, 96, 46, 236, 110, [float(d == "3") for d in DIGITS], "label", DIGITS)
    schematics.image(label, 20, 72, 56)
    soft = Panel(
        "The soft target",
        196,
        alt="Ten bars for the same picture, in an example: 3 is the tallest, and 5 and 8, which "
        "look like it, have more than the other digits.",
    )
    p = soften([*LOGITS], 3.0).tolist()
    schematics.columns(soft, 96, 46, 236, 110, p, "teacher", DIGITS, top=1.0)
    schematics.image(soft, 20, 72, 56)
    return row(label, soft)


def two_terms() -> svg.Svg:
    """Draw the loss as two comparisons, each with its weight."""
    panel = Panel(
        "The distillation loss: two comparisons",
        340,
        alt="The teacher's and the student's logits, both divided by T, meet in KL. The student's "
        "logits at T = 1 and the label meet in the cross-entropy, CE. KL has the weight alpha "
        "times T squared, CE the weight 1 minus alpha. Their sum is the loss.",
    )
    teacher = panel.box(14, 48, 96, 44, "teacher", "teacher")
    student = panel.box(140, 48, 104, 44, "student", "student")
    label = panel.box(272, 48, 66, 44, "label", "label")
    kl = panel.box(30, 156, 144, 48, "KL", "loss", detail="p against q, at T")
    ce = panel.box(204, 156, 134, 48, "CE", "loss", detail="student at T = 1")
    loss = panel.box(132, 272, 104, 44, "loss", "loss")
    x = teacher.bottom[0]
    panel.arrow([teacher.bottom, (x, kl.y)], "logits", color=svg.TEACHER, side="left")
    panel.arrow([(158, student.bottom[1]), (158, kl.y)], "logits", color=svg.STUDENT, side="left")
    panel.arrow([(226, student.bottom[1]), (226, ce.y)], color=svg.STUDENT)
    panel.arrow([label.bottom, (label.bottom[0], ce.y)], color=svg.HARD)
    panel.arrow([(90, 204), (90, 294), loss.left], "× α T²", at=0, side="left")
    panel.arrow([(272, 204), (272, 294), loss.right], "× (1 − α)", at=0, side="right", room=70)
    weights = Panel(
        "How much the teacher counts: alpha",
        340,
        alt="Four stacked bars show the shares of teacher and label: at alpha 0 the label alone, "
        "at 0.5 half and half, at 0.9 mostly the teacher, at 1 the teacher alone.",
    )
    for i, alpha in enumerate((0.0, 0.5, 0.9, 1.0)):
        y = 58 + 54 * i
        weights.write(20, y + 18, f"α = {alpha:g}")
        teacher_part, label_part = 220 * alpha, 220 * (1 - alpha)
        if alpha > 0:
            weights.parts.append(svg.bar(92, y, teacher_part, 26, svg.TEACHER))
        if alpha < 1:
            weights.parts.append(svg.bar(92 + teacher_part, y, label_part, 26, svg.HARD))
    weights.parts += [svg.bar(92, 278, 18, 12, svg.TEACHER), svg.bar(92, 302, 18, 12, svg.HARD)]
    weights.write(118, 289, "the teacher's soft target", size=12)
    weights.write(118, 313, "the label", size=12)
    return row(panel, weights)


def fading_gradient() -> svg.Svg:
    """Draw the two reasons why the gradient of the KL fades as 1/T²."""
    first = Panel(
        "Reason 1: p and q become similar",
        332,
        alt="Bars of teacher p and student q at T = 1 differ much. At T = 20 all bars are almost "
        "equally high, so the difference q minus p is about T times smaller.",
    )
    p_logits, q_logits = [6.0, 2.0, 0.0, -2.0], [0.0, 1.0, 3.0, 1.0]
    for i, T in enumerate((1.0, 20.0)):
        y = 66 + 132 * i
        first.write(20, y + 44, f"T = {T:g}", bold=True)
        for j, (name, logits, role) in enumerate(
            (("p", p_logits, "teacher"), ("q", q_logits, "student"))
        ):
            x = 96 + 128 * j
            schematics.columns(first, x, y, 104, 76, soften(logits, T).tolist(), role)
            first.write(x + 52, y + 94, name, size=12, anchor="middle")
    second = Panel(
        "Reason 2: logits are divided by T",
        332,
        alt="Downwards: student's logits z, divided by T, softmax, KL. Upwards the gradient first "
        "is q minus p, about 1/T, and then passes the division, 1/T once more: together 1/T "
        "squared. The factor T squared in the loss restores it.",
    )
    names = ["logits z", "z / T", "softmax q", "T² KL"]
    roles = ["student", "student", "student", "loss"]
    boxes = [
        second.box(34, 70 + 68 * i, 104, 34, name, role, bold=i == 3)
        for i, (name, role) in enumerate(zip(names, roles, strict=True))
    ]
    for above, below in itertools.pairwise(boxes):
        x = above.x + 34
        second.arrow([(x, above.bottom[1]), (x, below.y)], color=svg.STUDENT)
        second.arrow([(x + 40, below.y), (x + 40, above.bottom[1])], kind="gradient")
    for box, words in zip(
        boxes, ("T² · 1/T² = 1", "× 1/T  (division)", "× 1/T  (q − p)", "× T²"), strict=True
    ):
        second.write(160, box.right[1] + 4, words, bold=words.endswith("1"))
    second.write(160, 56, "the gradient on its way up:", size=12, quiet=True)
    return row(first, second)


def unseen_digit() -> svg.Svg:
    """Draw how a student learns of threes from pictures of other digits."""
    training = Panel(
        "Training: every digit but 3",
        300,
        alt="A picture of an 8 and one of a 5, each with the teacher's soft target. Both give a "
        "share to 3, the bold digit, which no picture shows.",
    )
    for i, (rows, own) in enumerate(((EIGHT, 8), (FIVE, 5))):
        logits = [0.0, -0.5, 1.4, 2.6, -0.4, 1.0, 0.2, 0.4, 1.0, 1.2]
        logits[own] = 5.0
        y = 50 + 124 * i
        schematics.image(training, 20, y + 12, 56, (*rows, *BOTTOM))
        p = soften(logits, 2.0).tolist()
        schematics.columns(training, 96, y, 236, 78, p, "teacher", DIGITS, top=0.6, bold=3)
    exam = Panel(
        "Test: its first 3",
        300,
        alt="A picture of a 3 goes into the student, which never saw a 3. Its answer is a "
        "question mark.",
    )
    picture = schematics.image(exam, 20, 62, 56)
    student = exam.box(150, 66, 110, 48, "student", "student", detail="never saw a 3")
    exam.arrow([picture.right, student.left])
    answer = exam.box(150, 180, 110, 48, "?", "student", detail="which digit?")
    exam.arrow([student.bottom, answer.top], color=svg.STUDENT)
    return row(training, exam)
