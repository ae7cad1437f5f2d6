"""The drawings of lesson 24: five ways to be one's own teacher, and leaving a network early."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["exits", "own_teachers", "past_and_peers"]


def own_teachers() -> svg.Svg:
    """Draw generations of networks, and the deepest exit that teaches the early ones."""
    chain = Panel(
        "Generations",
        318,
        alt="Three networks of the same size, one below the other. Generation 0 learns from "
        "labels. Its probabilities teach generation 1, and those of generation 1 teach "
        "generation 2. Each starts from new random weights.",
    )
    labels = chain.box(16, 62, 92, 40, "labels", "label")
    first = chain.box(176, 58, 152, 48, "generation 0", "teacher", detail="new weights")
    second = chain.box(176, 150, 152, 48, "generation 1", "student", detail="new weights")
    third = chain.box(176, 242, 152, 48, "generation 2", "student", detail="new weights")
    chain.arrow([labels.right, first.left], color=svg.HARD)
    chain.arrow([first.bottom, second.top], "probabilities", color=svg.TEACHER, side="left")
    chain.arrow([second.bottom, third.top], "probabilities", color=svg.TEACHER, side="left")
    return row(chain, _inside())


def _inside() -> Panel:
    panel = Panel(
        "Deep to shallow, in one network",
        318,
        alt="A chain of three stages. Each has an exit, a small classifier. The deepest exit "
        "learns from labels. Its probabilities teach the two early exits; no gradient goes "
        "back into the deepest exit.",
    )
    names = [f"stage {i}" for i in range(1, 4)]
    stages = schematics.stack(panel, 20, 62, names, "student", width=92, height=50, gap=38)
    for i, stage in enumerate(stages):
        role = "teacher" if i == 2 else "student"
        head = panel.box(150, stage.y + 7, 76, 36, f"exit {i + 1}", role)
        panel.arrow([stage.right, head.left], color=svg.STUDENT)
        if i < 2:
            end = head.right
            panel.arrow([(280, 87), (280, end[1]), end], color=svg.TEACHER)
        else:
            panel.parts.append(svg.line([head.right, (280, head.right[1])], svg.TEACHER))
            panel.lines.append((head.right, (280, head.right[1])))
    panel.write(288, 190, "teaches", size=12)
    return panel


def past_and_peers() -> svg.Svg:
    """Draw a student with its own past as teacher, and two peers."""
    past = Panel(
        "The student's own past",
        250,
        alt="The student's weights are copied, or averaged, into a second network. This network "
        "is the student's past. Its probabilities teach the student; it learns nothing itself.",
    )
    now = past.box(200, 70, 132, 48, "student", "student", detail="weights now")
    old = past.box(20, 70, 132, 48, "past self", "teacher", detail="weights before")
    past.arrow([old.right, now.left], color=svg.TEACHER)
    past.write(176, 60, "probabilities", size=12, anchor="middle")
    past.arrow(
        [now.bottom, (266, 176), (86, 176), old.bottom],
        "a copy, or a moving average",
        color=svg.STUDENT,
        side="below",
        room=200,
    )
    past.write(20, 234, "no gradient enters the past self", size=12, quiet=True)
    peers = Panel(
        "Two peers",
        250,
        alt="Two networks of the same size with different first weights. Both learn from labels. "
        "The probabilities of each teach the other, and are constants while they teach.",
    )
    labels = peers.box(130, 56, 92, 36, "labels", "label")
    a = peers.box(16, 136, 92, 48, "peer A", "student", detail="seed 1")
    b = peers.box(244, 136, 92, 48, "peer B", "student", detail="seed 2")
    peers.arrow([labels.left, (62, labels.left[1]), a.top], color=svg.HARD)
    peers.arrow([labels.right, (290, labels.right[1]), b.top], color=svg.HARD)
    peers.arrow([(108, 150), (244, 150)], "probabilities", color=svg.TEACHER, side="above")
    peers.arrow([(244, 172), (108, 172)], "probabilities", color=svg.TEACHER, side="below")
    peers.write(16, 226, "each answer is a constant for the other", size=12, quiet=True)
    return row(past, peers)


def exits() -> svg.Svg:
    """Draw an easy and a hard picture: one leaves at the first exit, the other goes on."""
    panels = []
    for title, reach, words in (
        ("An easy picture", 1, "sure enough at exit 1: stages 2 and 3 are not computed"),
        ("A difficult picture", 3, "not sure before exit 3: the whole network is computed"),
    ):
        panel = Panel(
            title,
            232,
            alt=f"A picture enters a chain of three stages and is answered at exit {reach}. "
            f"{reach} of the three stages are computed.",
        )
        for k in range(1, 4):
            x, done = 24 + 112 * (k - 1), k <= reach
            stage = panel.box(x, 56, 80, 36, f"stage {k}", "student" if done else "quiet", size=12)
            role = "teacher" if k == reach else "student" if done else "quiet"
            head = panel.box(x, 128, 80, 36, f"exit {k}", role, size=12)
            if done:
                panel.arrow([stage.bottom, head.top], color=svg.STUDENT)
            if k < reach:
                panel.arrow([stage.right, (x + 112, stage.right[1])], color=svg.STUDENT)
        panel.write(24, 196, words, size=12, room=310)
        panels.append(panel)
    return row(*panels)
