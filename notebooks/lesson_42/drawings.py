"""The drawings of lesson 42: recovery, who writes and who scores, two losses, two temperatures."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["recovery", "two_losses", "two_temperatures", "who_writes"]


def recovery() -> svg.Svg:
    """Draw a row of tokens after one error, without and with a way back."""
    return row(
        _tokens(
            "No way back: errors add up",
            ("ok", "ok", "error", "error", "error"),
            "Five tokens. After the first error, all later tokens are errors too.",
            "a longer text has more room for errors",
        ),
        _tokens(
            "A way back: one error costs one token",
            ("ok", "ok", "error", "ok", "ok"),
            "Five tokens. One of them is an error, and the next token is right again.",
            "errors grow with the length only",
        ),
    )


def _tokens(title: str, words: tuple[str, ...], alt: str, below: str) -> Panel:
    panel = Panel(title, 150, alt=alt)
    roles = ["quiet" if word == "error" else "student" for word in words]
    schematics.tokens(panel, 14, 62, words, roles, cell=60)
    panel.write(176, 128, below, size=12, anchor="middle", quiet=True)
    return panel


def who_writes() -> svg.Svg:
    """Draw the share lambda: two sources of text, one divergence, one student that learns."""
    panel = Panel(
        "Who teaches whom: the text and its score",
        330,
        alt="A batch of text comes from the student with probability lambda, else from the "
        "teacher. Teacher and student read it, a divergence compares them at each token, and the "
        "gradient goes into the student.",
    )
    own = panel.box(16, 48, 140, 44, "student", "student", detail="writes: share λ")
    its = panel.box(196, 48, 140, 44, "teacher", "teacher", detail="writes: 1 − λ")
    text = panel.box(110, 128, 132, 36, "a batch of text", "data")
    teacher = panel.box(16, 204, 104, 44, "teacher", "teacher", detail="reads")
    student = panel.box(232, 204, 104, 44, "student", "student", detail="reads")
    loss = panel.box(116, 276, 120, 36, "divergence", "loss")
    panel.arrow([own.bottom, (86, 146), text.left], color=svg.STUDENT)
    panel.arrow([its.bottom, (266, 146), text.right], color=svg.TEACHER)
    panel.arrow([(140, 164), (140, 184), (68, 184), teacher.top])
    panel.arrow([(212, 164), (212, 184), (284, 184), student.top])
    panel.arrow([teacher.bottom, (68, 294), loss.left], color=svg.TEACHER)
    panel.arrow([(264, 248), (264, 286), (236, 286)], color=svg.STUDENT)
    panel.arrow([(236, 302), (310, 302), (310, 248)], kind="gradient")
    return row(panel, _grid())


def _grid() -> Panel:
    panel = Panel(
        "The text: a walk to the goal",
        330,
        alt="A grid of five by five cells. A walk begins in the upper left corner. It passes the "
        "goal's column, which is a mistake, then comes back and reaches the goal.",
    )
    left, top, size = 66.0, 54.0, 44.0
    for r in range(5):
        for c in range(5):
            panel.parts.append(
                svg.rect(left + size * c, top + size * r, size, size, svg.PAPER, stroke=svg.RULE)
            )
    goal = (left + 2.5 * size, top + 3.5 * size)
    panel.parts.append(svg.dot(*goal, 10, svg.TEACHER, hollow=True))
    path = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (2, 1), (2, 2), (2, 3)]
    points = [(left + size * (c + 0.5), top + size * (r + 0.5)) for c, r in path]
    panel.parts.append(svg.line(points, svg.STUDENT, width=2.6))
    panel.parts += [svg.dot(x, y, 4.5, svg.STUDENT) for x, y in points]
    panel.write(176, 300, "a step too far, and back to the goal", size=12, anchor="middle")
    return panel


def two_losses() -> svg.Svg:
    """Draw what each estimator reads at one position: all bars, or one number a side."""
    return row(
        _position(
            "Exact: compare all bars",
            (0.5, 0.3, 0.15, 0.05),
            (0.3, 0.4, 0.2, 0.1),
            "every bar has a part in the gradient",
            "The divergence reads the whole distributions of teacher and student.",
        ),
        _position(
            "Sampled: one number a side",
            (0.0, 0.3, 0.0, 0.0),
            (0.0, 0.4, 0.0, 0.0),
            "the written token alone: log q − log p",
            "Only the probability of the token that was written is read, on both sides.",
        ),
    )


def _position(
    title: str, teacher: tuple[float, ...], student: tuple[float, ...], below: str, alt: str
) -> Panel:
    panel = Panel(title, 250, alt=alt)
    names = ("cell 1", "cell 5", "cell 6", "end")
    panel.write(20, 88, "teacher p", size=12, bold=True)
    panel.write(20, 172, "student q", size=12, bold=True)
    schematics.columns(panel, 104, 48, 230, 56, teacher, "teacher", top=0.6)
    schematics.columns(panel, 104, 132, 230, 56, student, "student", names, top=0.6, bold=1)
    panel.write(176, 236, below, size=12, anchor="middle", quiet=True)
    return panel


def two_temperatures() -> svg.Svg:
    """Draw where each temperature acts: in the drawing of text, and in the two softmaxes."""
    writing = Panel(
        "Sampling temperature: which text",
        218,
        alt="The student's logits are divided by the sampling temperature, then a token is drawn. "
        "This decides which text exists.",
    )
    boxes = schematics.steps(
        writing, 86, 48, ("logits of the student", "divide by τ", "draw the token"), 180
    )
    writing.write(176, boxes[-1].bottom[1] + 30, "no gradient here", size=12, anchor="middle")
    scoring = Panel(
        "Scoring temperature: which loss",
        218,
        alt="The logits of teacher and student are divided by the scoring temperature T, then a "
        "divergence compares the two softmaxes. This decides the gradient.",
    )
    boxes = schematics.steps(scoring, 86, 48, ("logits of both", "divide by T", "divergence"), 180)
    scoring.write(176, boxes[-1].bottom[1] + 30, "the gradient is here", size=12, anchor="middle")
    return row(writing, scoring)
