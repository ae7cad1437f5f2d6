"""The drawings of lesson 33: who makes the pictures, what a file remembers, who judges."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["inversion", "judges", "memory", "sources"]

NOISE = (
    "#..#.##.",
    ".##...#.",
    "#.#..#.#",
    "..#.##..",
    "##...#.#",
    ".#.#..#.",
    "#..##..#",
    ".##..#.#",
)
BLOB = (
    "........",
    "..####..",
    ".######.",
    ".##..##.",
    ".######.",
    ".##..##.",
    ".######.",
    "..####..",
)


def sources() -> svg.Svg:
    """Draw distillation with data, and with a maker of pictures in their place."""
    usual = Panel(
        "With data",
        236,
        alt="Private pictures go to the teacher and to the student. The teacher's answers are the "
        "student's targets.",
    )
    schematics.image(usual, 24, 92, 56)
    usual.write(52, 170, "data", size=12, anchor="middle")
    teacher = usual.box(136, 56, 92, 40, "teacher", "teacher")
    student = usual.box(136, 156, 92, 40, "student", "student")
    usual.arrow([(84, 112), (110, 112), (110, 76), teacher.left])
    usual.arrow([(84, 132), (110, 132), (110, 176), student.left])
    usual.arrow([teacher.bottom, student.top], "answers", color=svg.TEACHER)
    none = Panel(
        "Without data",
        236,
        alt="A maker gives pictures that look like noise to the teacher and to the student. The "
        "teacher's answers are the student's targets. No private data are needed.",
    )
    maker = none.box(16, 104, 74, 40, "maker", "loss")
    schematics.image(none, 126, 98, 52, NOISE)
    none.write(152, 170, "made", size=12, anchor="middle")
    teacher = none.box(244, 56, 92, 40, "teacher", "teacher")
    student = none.box(244, 156, 92, 40, "student", "student")
    none.arrow([maker.right, (124, 124)])
    none.arrow([(182, 112), (214, 112), (214, 76), teacher.left])
    none.arrow([(182, 136), (214, 136), (214, 176), student.left])
    none.arrow([teacher.bottom, student.top], "answers", color=svg.TEACHER, side="left")
    return row(usual, none)


def memory() -> svg.Svg:
    """Draw what a batch-norm layer keeps in training, and what can be computed from its file."""
    keeps = Panel(
        "In training: the layer keeps statistics",
        250,
        alt="Private pictures go through the weights W into batch norm, which keeps a running mean "
        "and a running variance of its input.",
    )
    schematics.image(keeps, 20, 84, 52)
    keeps.write(46, 158, "private", size=12, anchor="middle")
    weights = keeps.box(112, 90, 62, 40, "W", "teacher")
    norm = keeps.box(226, 90, 108, 40, "batch norm", "teacher")
    keeps.arrow([(76, 110), weights.left])
    keeps.arrow([weights.right, norm.left], "W x", color=svg.TEACHER)
    file = keeps.box(206, 186, 128, 44, "teacher's file", "data", detail="W, μ, v")
    keeps.arrow([norm.bottom, (280, 186)], "keeps μ, v", side="left")
    keeps.write(20, 212, "μ: running mean,", size=12)
    keeps.write(20, 229, "v: running variance", size=12)
    assert file
    back = Panel(
        "Later: only the file is left",
        250,
        alt="From the teacher's file, with W and the running mean, least squares gives a picture: "
        "the mean of the private pictures.",
    )
    file = back.box(16, 90, 116, 44, "teacher's file", "data", detail="W, μ, v")
    schematics.image(back, 266, 86, 52, BLOB)
    back.write(292, 158, "mean picture?", size=12, anchor="middle")
    back.arrow([file.right, (262, 112)], "solve W x = μ")
    back.write(20, 212, "128 equations, 64 unknown pixels", size=12)
    return row(keeps, back)


def judges() -> svg.Svg:
    """Draw who gives the generator its gradient: the teacher, or teacher and student together."""
    judge = Panel(
        "DAFL: the teacher is the judge",
        262,
        alt="Random numbers go through the generator to a picture and on to the teacher. The "
        "gradient of a loss with three terms comes back through the frozen teacher.",
    )
    generator = judge.box(16, 64, 100, 40, "generator", "loss")
    schematics.image(judge, 150, 58, 52, NOISE)
    teacher = judge.box(240, 64, 96, 40, "teacher", "teacher", detail="")
    judge.arrow([generator.right, (148, 84)])
    judge.arrow([(204, 84), teacher.left])
    loss = judge.box(190, 160, 146, 44, "loss: 3 terms", "loss", detail="sure, active, varied")
    judge.arrow([(288, 104), (288, 160)], "", color=svg.TEACHER)
    judge.arrow([loss.left, (66, 182), generator.bottom], "gradient", kind="gradient", at=0)
    judge.write(16, 240, "no student: it learns afterwards", size=12)
    adversary = Panel(
        "ZSKT: a game of two players",
        262,
        alt="The generator's picture goes to teacher and student. The generator is changed so that "
        "their answers differ more, the student so that they differ less.",
    )
    generator = adversary.box(16, 104, 90, 40, "generator", "loss")
    schematics.image(adversary, 136, 100, 48, NOISE)
    teacher = adversary.box(244, 54, 92, 40, "teacher", "teacher")
    student = adversary.box(244, 154, 92, 40, "student", "student")
    adversary.arrow([generator.right, (134, 124)])
    adversary.arrow([(186, 114), (214, 114), (214, 74), teacher.left])
    adversary.arrow([(186, 134), (214, 134), (214, 174), student.left])
    adversary.write(290, 129, "KL", bold=True, anchor="middle")
    adversary.write(16, 222, "generator: make the KL larger", size=12)
    adversary.write(16, 244, "student: make the KL smaller", size=12)
    return row(judge, adversary)


def inversion() -> svg.Svg:
    """Draw the loop that changes pixels, and what it compares in each layer."""
    loop = Panel(
        "The pixels are trained, the teacher is not",
        250,
        alt="Made pictures go through the frozen teacher. The gradient of the loss comes back to "
        "the pixels, and no weight is changed.",
    )
    schematics.image(loop, 24, 66, 56, NOISE)
    loop.write(52, 144, "pixels", size=12, anchor="middle")
    teacher = loop.box(132, 74, 96, 40, "teacher", "teacher")
    loss = loop.box(272, 74, 64, 40, "loss", "loss")
    loop.arrow([(84, 94), teacher.left])
    loop.arrow([teacher.right, loss.left], "", color=svg.TEACHER)
    loop.arrow([loss.bottom, (304, 190), (52, 190), (52, 150)], "gradient", kind="gradient", at=1)
    loop.write(100, 222, "the weights stay as they are", size=12)
    layer = Panel(
        "In each batch-norm layer",
        250,
        alt="The mean and variance of the made pictures' features are compared with the running "
        "mean and variance that the layer remembers.",
    )
    made = layer.box(16, 66, 136, 44, "made pictures", "data", detail="mean, variance")
    kept = layer.box(200, 66, 136, 44, "the layer's own", "teacher", detail="μ, v")
    gap = layer.box(126, 160, 100, 40, "gap", "loss")
    layer.arrow([made.bottom, (84, 180), gap.left])
    layer.arrow([kept.bottom, (268, 180), gap.right], color=svg.TEACHER)
    layer.write(16, 230, "gap 0: same mean and variance here", size=12)
    return row(loop, layer)
