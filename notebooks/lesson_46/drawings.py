"""The drawings of lesson 46: two views, what is shifted, three views, hints and their average."""

from __future__ import annotations

import torch

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row
from lesson_46 import hints

__all__ = ["average", "feedback", "same_answer", "teaching", "templates"]


def teaching() -> svg.Svg:
    """Draw one network as teacher and as student, with what each reads."""
    panel = Panel(
        "One network, two views",
        318,
        alt="One network stands twice. The copy on the left, the frozen teacher, reads a system "
        "prompt and the question. The student on the right reads the question alone. Both give "
        "probabilities for the same answer, and a divergence compares them.",
    )
    system = panel.box(14, 46, 124, 40, "rules, a hint", "data", detail="only here")
    panel.box(150, 46, 80, 40, "question", "data")
    panel.box(34, 122, 118, 44, "teacher", "teacher", detail="a frozen copy")
    panel.box(214, 122, 118, 44, "student", "student", detail="learns")
    answer = panel.box(122, 196, 108, 32, "one answer", "data")
    loss = panel.box(118, 264, 116, 34, "divergence", "loss")
    panel.arrow([system.bottom, (76, 122)])
    panel.arrow([(170, 86), (170, 104), (120, 104), (120, 122)])
    panel.arrow([(206, 86), (206, 104), (262, 104), (262, 122)])
    panel.arrow([answer.left, (108, 212), (108, 166)])
    panel.arrow([answer.right, (244, 212), (244, 166)])
    panel.arrow([(60, 166), (60, 281), loss.left], color=svg.TEACHER)
    panel.arrow([(300, 166), (300, 274), (234, 274)], color=svg.STUDENT)
    panel.arrow([(234, 290), (322, 290), (322, 166)], kind="gradient")
    return row(panel, _four_views())


def _four_views() -> Panel:
    panel = Panel(
        "What the teacher can read in addition",
        318,
        alt="Four kinds of text that only the teacher reads: a system prompt with rules, a "
        "demonstration, the solution, and feedback on an attempt. Each has its name in the field.",
    )
    rows = (
        ("a system prompt", "prompt distillation", "+3 polite"),
        ("a demonstration", "SDFT", "hint ok 6 7 1 4 2"),
        ("the solution", "OPSD", "hint well 4"),
        ("feedback on an attempt", "SDPO", "hint so : 8"),
    )
    for i, (name, field, sample) in enumerate(rows):
        y = 46 + 66 * i
        panel.box(14, y, 190, 44, name, "data", detail=sample)
        panel.write(216, y + 27, field, size=12, room=128)
    return panel


def same_answer() -> svg.Svg:
    """Draw the same answer behind two prompts, and the positions that are compared."""
    student = Panel(
        "The student reads",
        176,
        alt="Six tokens: user, code, 3, bot, well, 7. The last two are the answer.",
    )
    cells = ("user", "code", "3", "bot", "well", "7")
    roles = ("quiet", "quiet", "quiet", "quiet", "student", "student")
    placed = schematics.tokens(student, 14, 56, cells, roles, cell=50)
    for place in placed[3:5]:
        student.arrow([(place.bottom[0], 86), (place.bottom[0], 116)], color=svg.STUDENT)
    student.write(14, 140, "the logits at bot and well predict the answer", size=12)
    teacher = Panel(
        "The teacher reads",
        176,
        alt="Seven tokens: system, the rule +4, user, code, 3, bot, well. The answer stands "
        "further right than in the student's text, and it is the same answer.",
    )
    cells = ("sys", "+4", "user", "code", "3", "bot", "well")
    roles = ("teacher", "teacher", "quiet", "quiet", "quiet", "quiet", "student")
    placed = schematics.tokens(teacher, 12, 56, cells, roles, cell=43)
    for place in placed[5:7]:
        teacher.arrow([(place.bottom[0], 86), (place.bottom[0], 116)], color=svg.TEACHER)
    teacher.write(12, 140, "the same logits, two positions later", size=12)
    return row(student, teacher)


def average() -> svg.Svg:
    """Draw hints for one question, the teachers that read them, and the student they teach."""
    surest, other = (0.98, 0.01, 0.01), (0.01, 0.98, 0.01)
    teachers = torch.tensor([surest, other, surest])
    panel = Panel(
        "Hints for one question",
        262,
        alt="Three teachers read three hints, and each is nearly sure of the place that its hint "
        "names: twice the first, once the second. The student reads none of the hints.",
    )
    for i, (hint, values) in enumerate(zip(("3", "4", "3"), teachers.tolist(), strict=True)):
        x = 14 + 112 * i
        panel.write(x + 50, 62, f"hint: {hint}", size=12, anchor="middle")
        schematics.columns(panel, x, 76, 100, 84, values, "teacher", ("3", "4", "8"))
    panel.write(14, 214, "teachers with different hints, one question", size=12)
    panel.write(14, 234, "the digits: 3 4 8", size=12, quiet=True)
    equal = torch.full((3,), 1 / 3)
    right = Panel(
        "What the student learns",
        262,
        alt="Two distributions of a student. With forward KL it is the average of the teachers. "
        "With reverse KL more goes to the place that most hints name.",
    )
    for x, name, words, q in (
        (20, "forward KL", "the average", hints.average(equal, teachers)),
        (196, "reverse KL", "sharper than it", hints.geometric(equal, teachers)),
    ):
        right.write(x + 66, 62, name, size=12, anchor="middle", bold=True)
        schematics.columns(right, x, 76, 132, 84, q.tolist(), "student", ("3", "4", "8"))
        right.write(x, 214, words, size=12)
    return row(panel, right)


def feedback() -> svg.Svg:
    """Draw a round of feedback: attempts, a verifier, a right one as the hint."""
    panel = Panel(
        "One round of feedback",
        300,
        alt="The student writes many attempts at one question. A verifier marks the right ones. "
        "One of them becomes the teacher's hint, and the teacher scores eight attempts.",
    )
    panel.box(14, 46, 96, 40, "student", "student", detail="writes")
    attempts = panel.box(150, 46, 188, 40, "32 attempts", "data", detail="right and wrong")
    verifier = panel.box(174, 118, 140, 44, "verifier", "label", detail="marks right ones")
    hint = panel.box(172, 194, 144, 40, "one right attempt", "data", detail="any? the shortest?")
    teacher = panel.box(14, 194, 104, 40, "teacher", "teacher", detail="reads it")
    panel.arrow([(110, 66), attempts.left], color=svg.STUDENT)
    panel.arrow([attempts.bottom, verifier.top])
    panel.arrow([verifier.bottom, hint.top])
    panel.arrow([hint.left, teacher.right])
    panel.arrow([(66, 194), (66, 86)], color=svg.TEACHER)
    panel.write(78, 144, "scores\neight", size=12, room=90)
    panel.write(14, 270, "then the next round, with new questions", size=12, quiet=True)
    return row(panel)


def templates() -> svg.Svg:
    """Draw how two templates end a prompt, and which token each wants first."""
    panels = []
    for title, ends, first, role in (
        ("The student's prompt", ("code", "3", "bot"), "well", "student"),
        ("What the teacher expects", ("3", "/no_think", "bot"), "well", "teacher"),
        ("What the teacher gets", ("code", "3", "bot"), "hm", "teacher"),
    ):
        panel = Panel(
            title,
            132,
            alt=f"The prompt ends with {', '.join(ends)}. The answer's first token is {first}.",
            width=352,
        )
        cell = 76
        placed = schematics.tokens(panel, 12, 50, ends, "quiet", cell=cell)
        end = placed[-1]
        box = panel.box(end.x + cell + 28, 50, 44, 30, first, role, size=12)
        panel.arrow([end.right, box.left])
        panel.write(12, 108, "the first token of the answer is on the right", size=12, quiet=True)
        panels.append(panel)
    return row(*panels)
