"""The drawings of lesson 25: a picture as tokens, two tokens and their heads, a cut picture."""

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["cut", "sequence", "teaching"]

ONE = (
    "...##...",
    "..###...",
    ".####...",
    "...##...",
    "...##...",
    "...##...",
    "...##...",
    ".######.",
)


def sequence() -> svg.Svg:
    """Draw how a picture becomes tokens, and how a token gathers from all others."""
    cutting = Panel(
        "A picture becomes a sequence",
        300,
        alt="A picture of a three is cut into 16 squares, four rows of four. Each square becomes "
        "one token. A class token is put in front.",
    )
    schematics.image(cutting, 20, 56, 128)
    for k in range(5):
        at = 20 + 32 * k
        cutting.parts.append(svg.line([(at, 56), (at, 184)], svg.TEACHER, width=1.5, dash=""))
        cutting.parts.append(
            svg.line([(20, 56 + 32 * k), (148, 56 + 32 * k)], svg.TEACHER, width=1.5, dash="")
        )
    cutting.write(176, 84, "16 patches, each of 2 × 2 pixels", size=12, room=160)
    cutting.write(176, 134, "a linear map turns a patch into a token", size=12, room=160)
    names = ["class", "1", "2", "3", "…", "16"]
    roles = ["label", *["data"] * 5]
    schematics.tokens(cutting, 18, 214, names, roles, cell=50, height=34)
    cutting.write(18, 274, "17 tokens; a position is added to each", size=12)
    block = Panel(
        "A block, then a head",
        300,
        alt="The class token gathers from all tokens by attention, then two layers change each "
        "token. After two blocks a head reads the class token alone and gives ten logits.",
    )
    low = schematics.tokens(block, 18, 236, names, roles, cell=50, height=34)
    attention = block.box(18, 156, 316, 40, "attention: each token gathers from all", size=12)
    for place in low:
        block.arrow([place.top, (place.top[0], attention.y + attention.height)])
    layers = block.box(18, 102, 316, 36, "two layers, on each token alone", size=12)
    block.arrow([attention.top, layers.bottom])
    head = block.box(18, 46, 96, 36, "head", "student", size=12)
    block.arrow([(66, 102), (66, 82)], color=svg.STUDENT)
    block.arrow([head.right, (196, 64)], color=svg.STUDENT)
    block.write(204, 68, "10 logits", size=12)
    return row(cutting, block)


def teaching() -> svg.Svg:
    """Draw who teaches which token, and what answers at test."""
    training = Panel(
        "In training: two tokens, two tasks",
        330,
        alt="The picture goes to a convolutional teacher and to the student. The label is the "
        "target of the head on the class token. The teacher's answer is the target of the head "
        "on the distillation token. Both heads share the student's blocks.",
    )
    picture = training.box(128, 278, 96, 34, "picture")
    blocks = training.box(18, 214, 190, 36, "blocks", "student", size=12)
    training.arrow([(150, 278), (150, 250)])
    teacher = training.box(240, 190, 96, 60, "teacher", "teacher", detail="convolutions")
    training.arrow([picture.right, (288, 295), teacher.bottom])
    label_head = training.box(18, 146, 88, 40, "class head", "student", size=12)
    taught_head = training.box(120, 146, 88, 40, "distillation head", "student", size=12)
    for head in (label_head, taught_head):
        training.arrow([(head.bottom[0], 214), head.bottom], color=svg.STUDENT)
    ce = training.box(18, 88, 88, 32, "loss", "loss", size=12)
    kd = training.box(120, 88, 88, 32, "loss", "loss", size=12)
    training.arrow([label_head.top, ce.bottom], color=svg.STUDENT)
    training.arrow([taught_head.top, kd.bottom], color=svg.STUDENT)
    label = training.box(18, 42, 88, 28, "label", "label", size=12)
    training.arrow([label.bottom, ce.top], color=svg.HARD)
    training.arrow([teacher.top, (288, 104), kd.right], color=svg.TEACHER)
    training.write(222, 76, "decision, or soft targets", size=12, room=116)
    test = Panel(
        "At test: the mean of both heads",
        330,
        alt="Without teacher and label, the logits of both heads are averaged. The mean is the "
        "student's answer.",
    )
    picture = test.box(128, 278, 96, 34, "picture")
    blocks = test.box(60, 214, 232, 36, "blocks", "student", size=12)
    test.arrow([picture.top, blocks.bottom])
    left = test.box(60, 146, 104, 40, "class head", "student", size=12)
    right = test.box(188, 146, 104, 40, "distillation head", "student", size=12)
    for head in (left, right):
        test.arrow([(head.bottom[0], 214), head.bottom], color=svg.STUDENT)
    answer = test.box(116, 60, 120, 40, "mean of logits", "loss", size=12)
    test.arrow([left.top, (left.top[0], 122), (152, 122), (152, 100)], color=svg.STUDENT)
    test.arrow([right.top, (right.top[0], 122), (200, 122), (200, 100)], color=svg.STUDENT)
    assert answer.width
    return row(training, test)


def cut() -> svg.Svg:
    """Draw a cut picture with the four targets that a token can get for it."""
    making = Panel(
        "A cut picture",
        250,
        alt="The left five columns of a three and the right three columns of a one make a new "
        "picture.",
    )
    mixed = tuple(three[:5] + one[5:] for three, one in zip(schematics.THREE, ONE, strict=True))
    schematics.image(making, 20, 60, 88)
    making.write(64, 170, "a three", size=12, anchor="middle")
    making.write(128, 110, "+", bold=True, anchor="middle")
    schematics.image(making, 148, 60, 60, ONE)
    making.write(178, 142, "a one", size=12, anchor="middle")
    making.arrow([(216, 104), (236, 104)])
    schematics.image(making, 244, 60, 88, mixed)
    making.write(288, 170, "5 columns, 3 columns", size=12, anchor="middle", room=96)
    making.write(20, 222, "The label of the larger part says: three.", size=12)
    targets = Panel(
        "Four targets for the second token",
        250,
        alt="Four targets for the same cut picture. The label of the larger part is three. The "
        "areas give five eighths to three and three eighths to one. The teacher's decision is one "
        "class. The teacher's soft targets give some probability to each class.",
    )
    for i, (name, values, role) in enumerate(
        (
            ("label", (1.0, 0.0, 0.0), "label"),
            ("areas", (0.625, 0.375, 0.0), "label"),
            ("decision", (0.0, 0.0, 1.0), "teacher"),
            ("soft", (0.3, 0.2, 0.5), "teacher"),
        )
    ):
        x, y = 20 + 168 * (i % 2), 66 + 96 * (i // 2)
        targets.write(x, y - 8, name, size=12, bold=True)
        schematics.columns(targets, x, y, 120, 44, values, role, ("3", "1", "9"))
    return row(making, targets)
