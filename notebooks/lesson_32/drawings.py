"""The drawings of lesson 32: who labels what, five folds, and the circle of rounds."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["folds", "labelling", "rounds"]

P = (0.05, 0.62, 0.23, 0.1)  # what a teacher answers about one picture, of four classes
CLASSES = ("0", "3", "8", "9")


def labelling() -> svg.Svg:
    """Draw who labels which pictures, and the three ways to use one answer."""
    who = Panel(
        "Who labels what",
        300,
        alt="A person labels a few pictures. A teacher answers about many pictures that have no "
        "label. The student learns from both: labels and answers.",
    )
    few = who.box(16, 48, 112, 54, "50 pictures", "data", detail="a person labels")
    many = who.box(16, 142, 104, 60, "600 pictures", "data", detail="no label")
    teacher = who.box(168, 148, 84, 48, "teacher", "teacher")
    student = who.box(226, 236, 110, 44, "student", "student")
    who.arrow([few.right, (306, few.right[1]), (306, 236)], "labels", color=svg.HARD, side="above")
    who.arrow([many.right, teacher.left])
    who.arrow([(238, 196), (238, 236)], "answers", color=svg.TEACHER, side="left")
    who.arrow([(68, 202), (68, 258), student.left], "pictures", at=1)
    ways = Panel(
        "Three ways to use one answer",
        300,
        alt="The same answer of the teacher, with 0.62 for the digit 3. Hard: a target with 1 for "
        "the digit 3. Soft: the four probabilities themselves. Above a confidence of 0.9: no "
        "target, because 0.62 is below.",
    )
    ways.write(16, 58, "hard", bold=True)
    schematics.columns(ways, 16, 70, 92, 90, (0, 1, 0, 0), "label", CLASSES)
    ways.write(132, 58, "soft", bold=True)
    schematics.columns(ways, 132, 70, 92, 90, P, "teacher", CLASSES)
    ways.write(248, 58, "above 0.9", bold=True)
    schematics.columns(ways, 248, 70, 92, 90, (0, 0, 0, 0), "label", CLASSES)
    ways.write(16, 208, "Hard: the answer becomes a label.", size=12)
    ways.write(16, 232, "Soft: the answer is the target.", size=12)
    ways.write(16, 256, "Above 0.9: 0.62 is too low, so this", size=12)
    ways.write(16, 274, "picture is not used.", size=12)
    return row(who, ways)


def folds() -> svg.Svg:
    """Draw five teachers, each trained on four folds, each answering the fifth."""
    panel = Panel(
        "Five teachers for five folds",
        292,
        alt="Five rows, one for each teacher, and five columns, one for each fold. Each teacher "
        "learns from four folds and answers about the fold that it has not seen.",
    )
    for k in range(5):
        panel.write(136 + 44 * k, 58, f"fold {k}", size=12, anchor="middle")
    for teacher in range(5):
        y = 70 + 36 * teacher
        panel.write(16, y + 20, f"teacher {teacher}", size=12, bold=True)
        for k in range(5):
            role = "teacher" if k == teacher else "quiet"
            panel.box(116 + 44 * k, y, 40, 28, "?" if k == teacher else "", role, size=12)
    panel.write(16, 272, "grey: learns from it; “?”: answers about it", size=12, quiet=True)
    seen = Panel(
        "Why it matters",
        292,
        alt="A picture with label 3. A teacher that learned from it answers 3 with probability "
        "0.99. A teacher that has never seen it answers 3 with probability 0.62.",
    )
    seen.write(16, 58, "the teacher has seen the label", size=12, bold=True)
    schematics.columns(seen, 60, 68, 130, 66, (0, 0.99, 0.01, 0), "teacher", CLASSES)
    seen.write(16, 184, "the teacher has not seen the label", size=12, bold=True)
    schematics.columns(seen, 60, 194, 130, 66, P, "teacher", CLASSES)
    seen.write(210, 104, "repeats the label", size=12, room=126)
    seen.write(210, 228, "shows its doubt", size=12, room=126)
    return row(panel, seen)


def rounds() -> svg.Svg:
    """Draw the circle in which the student becomes the next teacher."""
    panel = Panel(
        "The student becomes the teacher",
        250,
        alt="A teacher answers about pictures without a label. A student learns from the answers. "
        "Then the student takes the teacher's place, and the next round begins.",
    )
    teacher = panel.box(16, 70, 108, 48, "teacher", "teacher")
    answers = panel.box(212, 70, 124, 48, "answers", "data", detail="600 pictures")
    student = panel.box(212, 176, 124, 48, "student", "student", detail="new weights")
    panel.arrow([teacher.right, answers.left], "gives", color=svg.TEACHER)
    panel.arrow([answers.bottom, student.top], "train", color=svg.HARD)
    panel.arrow([student.left, (70, 200), (70, 118)], "next round", color=svg.STUDENT, at=0)
    noise = Panel(
        "Noise for the student alone",
        250,
        alt="The teacher sees the picture as it is. The student sees the same picture moved and "
        "with noise, and has dropout; it must give the same answer.",
    )
    picture = noise.box(16, 116, 88, 44, "picture", "data")
    sure = noise.box(240, 62, 96, 44, "teacher", "teacher")
    unsure = noise.box(240, 176, 96, 44, "student", "student", detail="dropout")
    noise.arrow([picture.right, (150, 138), (150, 84), sure.left], "as it is", at=2)
    noise.arrow(
        [picture.right, (150, 138), (150, 198), unsure.left], "disturbed", at=2, side="below"
    )
    noise.arrow([sure.bottom, unsure.top], "target", color=svg.TEACHER)
    return row(panel, noise)
