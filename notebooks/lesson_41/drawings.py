"""The drawings of lesson 41: each position, shift and mask, what each KL punishes, own text."""

from __future__ import annotations

import numpy as np

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row
from distill_lab.course.figures.layout import Point
from lesson_41.figures import X, hills

__all__ = ["directions", "each_position", "on_policy", "own_text", "shift_and_mask"]


def each_position() -> svg.Svg:
    """Draw a classifier with one distribution, and a language model with one at each position."""
    one = Panel(
        "A classifier: one distribution",
        262,
        alt="One picture goes into teacher and student. Each gives one distribution over the "
        "classes, and the loss compares the two.",
    )
    picture = schematics.image(one, 152, 46, 48)
    for x, role in ((20, "teacher"), (212, "student")):
        model = one.box(x, 122, 120, 34, role, role)
        one.arrow([(picture.bottom[0], 94), (picture.bottom[0], 108), (x + 60, 108), model.top])
        values = (0.1, 0.75, 0.15) if role == "teacher" else (0.3, 0.45, 0.25)
        schematics.columns(one, x + 10, 176, 100, 44, values, role, ("2", "3", "8"))
    one.write(176, 204, "loss", size=12, anchor="middle", bold=True)
    many = Panel(
        "A language model: one at each position",
        262,
        alt="A text of four tokens: Ann, finds, a, ball. At each position teacher and student give "
        "a distribution over the next token, and the loss compares the two at each position.",
    )
    words = schematics.tokens(many, 46, 46, ("Ann", "finds", "a", "ball"), cell=70)
    many.write(10, 132, "t", size=12, bold=True)
    many.write(10, 202, "s", size=12, bold=True)
    rows = (
        ("teacher", 96, ((0.5, 0.4, 0.1), (0.2, 0.7, 0.1), (0.3, 0.2, 0.5), (0.02, 0.03, 0.95))),
        ("student", 166, ((0.4, 0.4, 0.2), (0.3, 0.4, 0.3), (0.3, 0.3, 0.4), (0.2, 0.1, 0.7))),
    )
    for role, y, values in rows:
        for word, bars in zip(words, values, strict=True):
            schematics.columns(many, word.x + 5, y, 60, 50, bars, role)
    many.write(46, 240, "t: teacher, s: student; bars: the next token", size=12, quiet=True)
    return row(one, many)


def shift_and_mask() -> svg.Svg:
    """Draw which token each position predicts, and which positions count."""
    shift = Panel(
        "Shift: each position predicts the next",
        236,
        alt="Five tokens, Ann, finds, a, ball and a full stop. Under each stands the token that "
        "its position predicts: finds, a, ball, the full stop and the end token.",
    )
    shift.write(16, 58, "the token it has just read", size=12, quiet=True)
    above = schematics.tokens(shift, 16, 68, ("Ann", "finds", "a", "ball", "."))
    below = schematics.tokens(shift, 16, 154, ("finds", "a", "ball", ".", "end"), "student")
    shift.write(16, 206, "the token it has to predict", size=12, quiet=True)
    for read, predicted in zip(above, below, strict=True):
        shift.arrow([read.bottom, predicted.top], color=svg.STUDENT)
    mask = Panel(
        "Mask: which positions count",
        236,
        alt="Five tokens: who, a question mark, Ann, end, padding. Only the positions whose next "
        "token belongs to the answer, Ann and end, count. The others have the label −100.",
    )
    mask.write(16, 58, "prompt", size=12, quiet=True)
    mask.write(148, 58, "answer", size=12, quiet=True)
    mask.write(280, 58, "padding", size=12, quiet=True)
    above = schematics.tokens(mask, 16, 68, ("who", "?", "Ann", "end", "pad"))
    roles = ("quiet", "student", "student", "quiet")
    below = schematics.tokens(mask, 16, 154, ("?", "Ann", "end", "pad"), roles)
    for read, predicted, role in zip(above, below, roles, strict=False):
        counts = role == "student"
        mask.arrow([read.bottom, predicted.top], color=svg.STUDENT if counts else svg.MUTED)
        x = predicted.bottom[0]
        mask.write(x, 206, "counts" if counts else "−100", size=12, anchor="middle", bold=counts)
    return row(shift, mask)


def directions() -> svg.Svg:
    """Draw for each direction of KL the place where a student pays."""
    p = hills(3.0)
    one = np.exp(-0.5 * (X + 3) ** 2) / np.sqrt(2 * np.pi)
    wide = np.exp(-0.5 * (X / 3.0) ** 2) / np.sqrt(2 * np.pi) / 3.0
    return row(
        _hills(
            "Forward KL: the sum of p log (p / q)",
            "p is here, q is not:\nthis is costly",
            (p, one),
            np.where(X > 0, p, 0),
            (236, 62),
            "The teacher p has two peaks, the student q only covers the left one. The right peak "
            "is shaded: p is large there and q near zero, which forward KL punishes.",
        ),
        _hills(
            "Reverse KL: the sum of q log (q / p)",
            "q is here, p is not:\nthis is costly",
            (p, wide),
            np.where(np.abs(X) < 1.6, wide, 0),
            (176, 62),
            "The teacher p has two peaks, the student q is wide and high between them. The part of "
            "q between the peaks is shaded: p is near zero there, which reverse KL punishes.",
        ),
    )


def _hills(
    title: str,
    words: str,
    curves: tuple[np.ndarray, np.ndarray],
    shaded: np.ndarray,
    at: Point,
    alt: str,
) -> Panel:
    panel = Panel(title, 262, alt=alt)
    shown = np.abs(X) <= 7.5
    left, base, wide, high = 20.0, 206.0, 312.0, 118.0

    def points(values: np.ndarray) -> list[Point]:
        x = left + (X[shown] + 7.5) / 15 * wide
        y = base - values[shown] / 0.42 * high
        return list(zip(x.tolist(), y.tolist(), strict=True))

    area = "L".join(f"{svg.number(x)} {svg.number(y)}" for x, y in points(shaded))
    panel.parts.append(f'<path d="M{area}z" fill="{svg.YELLOW}" opacity="0.45"/>')
    for values, color in zip(curves, (svg.TEACHER, svg.STUDENT), strict=True):
        panel.parts.append(svg.line(points(values), color, width=2.4))
    panel.parts.append(svg.line([(left, base), (left + wide, base)], svg.MUTED, width=1))
    panel.write(*at, words, size=12, anchor="middle", room=200)
    keys = ((svg.TEACHER, "teacher p"), (svg.STUDENT, "student q"))
    for i, (color, name) in enumerate(keys):
        x = 70 + 122 * i
        panel.parts.append(svg.line([(x, 236), (x + 24, 236)], color, width=2.4))
        panel.write(x + 32, 240, name, size=12)
    return panel


def own_text() -> svg.Svg:
    """Draw a text that leaves the known path, without and with practice on own text."""
    return row(
        _path(
            "Trained on the teacher's text only",
            False,
            "A level line is the text that the student has seen in training. Its own text follows "
            "the line, makes one mistake, and moves away from it: it never comes back.",
        ),
        _path(
            "Trained on its own text as well",
            True,
            "The same mistake, but the teacher has corrected the student there in training: its "
            "text comes back to the line at the next token.",
        ),
    )


def _path(title: str, practised: bool, alt: str) -> Panel:
    panel = Panel(title, 262, alt=alt)
    step, y = 44.0, 96.0
    xs = [26 + step * i for i in range(8)]
    panel.write(26, 58, "texts seen in training", size=12, quiet=True)
    panel.parts.append(svg.line([(x, y) for x in xs], svg.TEACHER, width=2.4))
    fall = [0, 0, 0, 46, 0, 0, 0, 0] if practised else [0, 0, 0, 46, 70, 88, 100, 106]
    path = [(x, y + down) for x, down in zip(xs, fall, strict=True)]
    panel.parts += [svg.dot(x, y, 4.5, svg.TEACHER) for x in xs]
    panel.parts.append(svg.line(path, svg.STUDENT, width=2.4))
    panel.parts += [svg.dot(x, at, 6, svg.STUDENT) for x, at in path]
    panel.write(xs[3] - 14, y + 66, "a mistake", size=12, anchor="end", bold=True)
    if practised:
        panel.write(xs[3] + 12, y + 66, "corrected in training", size=12)
    else:
        panel.write(xs[4] - 20, y + 112, "never seen", size=12, anchor="end")
    for x, color, name in ((26, svg.TEACHER, "teacher's text"), (186, svg.STUDENT, "its own text")):
        panel.parts.append(svg.line([(x, 240), (x + 24, 240)], color, width=2.4))
        panel.write(x + 32, 244, name, size=12)
    return panel


def on_policy() -> svg.Svg:
    """Draw one step of on-policy distillation, and where the gradient does not go."""
    panel = Panel(
        "On-policy distillation: one step",
        330,
        alt="The student writes a text. Teacher and student read it and give probabilities at each "
        "token; a divergence compares them. The gradient goes back into the student through its "
        "probabilities, not through the writing.",
    )
    panel.box(120, 48, 112, 44, "student", "student", detail="writes")
    text = panel.box(110, 140, 132, 36, "its own text", "data")
    teacher = panel.box(16, 212, 104, 44, "teacher", "teacher", detail="reads")
    student = panel.box(232, 212, 104, 44, "student", "student", detail="reads")
    loss = panel.box(116, 278, 120, 36, "divergence", "loss")
    panel.arrow([(150, 92), (150, 140)], color=svg.STUDENT)
    panel.arrow([(204, 140), (204, 98)], "no gradient", kind="stop")
    panel.arrow([text.left, (68, 158), teacher.top])
    panel.arrow([text.right, (284, 158), student.top])
    panel.arrow([teacher.bottom, (68, 296), loss.left], color=svg.TEACHER)
    panel.arrow([(264, 256), (264, 288), (236, 288)], color=svg.STUDENT)
    panel.arrow([(236, 304), (310, 304), (310, 256)], kind="gradient")
    return row(panel, _two_readings())


def _two_readings() -> Panel:
    panel = Panel(
        "At each token, two distributions",
        330,
        alt="The student's own text: Ann, gives, the. For the next token the teacher likes ball "
        "and kite, the student gives most to the wrong word, gives. The divergence of the two is "
        "the loss at this position.",
    )
    panel.write(20, 58, "the student's own text so far", size=12, quiet=True)
    panel.arrow([(238, 83), (262, 83)])
    schematics.tokens(panel, 20, 68, ("Ann", "gives", "the"), "student", cell=66)
    panel.box(264, 68, 66, 30, "?", "data", size=12)
    words = ("ball", "kite", "gives")
    for y, name, values in (
        (128, "teacher", (0.58, 0.4, 0.02)),
        (228, "student", (0.32, 0.2, 0.48)),
    ):
        panel.write(30, y + 40, f"{name}:", bold=True)
        schematics.columns(panel, 126, y, 204, 64, values, name, words, top=0.6)
    return panel
