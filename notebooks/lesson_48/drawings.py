"""The drawings of lesson 48: one pass with a draft, who teaches whom, and the two parts of p."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["one_pass", "two_parts"]

WORDS = ("ball", "hat", "lamp", "cup")
P, Q = (0.5, 0.3, 0.1, 0.1), (0.2, 0.4, 0.3, 0.1)


def one_pass() -> svg.Svg:
    """Draw one pass of speculative sampling, and how the target teaches its draft."""
    return row(_pass(), _teaching())


def _pass() -> Panel:
    panel = Panel(
        "One pass of the target",
        318,
        alt="The text so far is: Ann sends a. The draft proposes three tokens, one after the "
        "other: red, hat, to. The target reads all three in one pass. It keeps red, replaces hat "
        "by lamp, and drops the last one.",
    )
    rows = (
        (64, ("Ann", "sends", "a"), "data", 84, "the text so far"),
        (126, ("red", "hat", "to"), "student", 140, "the draft proposes, one by one"),
        (254, ("red", "lamp"), ("student", "teacher"), 262, "kept, replaced; the last is dropped"),
    )
    places = []
    for y, words, role, at, label in rows:
        places.append(schematics.tokens(panel, 16, y, words, role, cell=64))
        panel.write(234, at, label, size=12, quiet=True)
    target = panel.box(16, 190, 200, 34, "target", "teacher")
    panel.write(234, 200, "the target reads all three in one pass", size=12, quiet=True)
    for place in places[1]:
        panel.arrow([place.bottom, (place.bottom[0], target.top[1])], color=svg.STUDENT)
    for place in places[2]:
        panel.arrow([(place.top[0], target.bottom[1]), place.top], color=svg.TEACHER)
    return panel


def _teaching() -> Panel:
    panel = Panel(
        "The target is the teacher of its draft",
        318,
        alt="A text that the target wrote goes into target and draft. At each token the target "
        "gives the distribution p, the draft gives q, and a divergence compares them. The gradient "
        "goes back into the draft alone.",
    )
    text = panel.box(100, 56, 152, 36, "a text of the target", "data", size=12)
    teacher = panel.box(16, 132, 104, 44, "target", "teacher", detail="teacher")
    student = panel.box(232, 132, 104, 44, "draft", "student", detail="student")
    loss = panel.box(116, 220, 120, 40, "divergence", "loss")
    panel.arrow([text.left, (68, 74), teacher.top])
    panel.arrow([text.right, (284, 74), student.top])
    panel.arrow([teacher.bottom, (68, 240), loss.left], "p", color=svg.TEACHER, at=0)
    panel.arrow([(264, 176), (264, 230), (236, 230)], "q", color=svg.STUDENT, side="left", at=0)
    panel.arrow([(236, 250), (312, 250), (312, 176)], kind="gradient")
    panel.write(16, 298, "dotted: the gradient, into the draft alone", size=12, quiet=True)
    return panel


def two_parts() -> svg.Svg:
    """Draw p and q over four tokens, and the two parts that p is put together from."""
    given = Panel(
        "The two distributions",
        260,
        alt="Bars over four tokens. The target p: ball 0.5, hat 0.3, lamp 0.1, cup 0.1. The draft "
        "q: ball 0.2, hat 0.4, lamp 0.3, cup 0.1.",
    )
    parts = Panel(
        "The two parts of p",
        260,
        alt="Bars over four tokens. The smaller of p and q: ball 0.2, hat 0.3, lamp 0.1, cup 0.1. "
        "What is missing from p: ball 0.3, and nothing for the others.",
    )
    smaller = tuple(min(p, q) for p, q in zip(P, Q, strict=True))
    missing = tuple(max(p - q, 0.0) for p, q in zip(P, Q, strict=True))
    for panel, rows in (
        (given, (("target p", P, "teacher"), ("draft q", Q, "student"))),
        (parts, (("min(p, q)", smaller, "student"), ("max(p − q, 0)", missing, "teacher"))),
    ):
        for y, (name, values, role) in zip((58, 158), rows, strict=True):
            panel.write(14, y + 36, name, size=12, bold=True)
            schematics.columns(panel, 128, y, 208, 64, values, role, WORDS, top=0.6)
    return row(given, parts)
