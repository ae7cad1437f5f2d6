"""The drawings of lesson 44: the recipe, one step of a chain, and two ways to learn."""

from __future__ import annotations

import itertools

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["one_step", "recipe", "two_signals"]


def recipe() -> svg.Svg:
    """Draw R1's recipe: sample, verify, keep, fine-tune; and who teaches whom through what."""
    one = Panel(
        "The teacher writes, a program verifies",
        330,
        alt="A problem goes to the teacher, which samples several chains. A program compares the "
        "final number of each with the right one. Two of four chains are kept.",
    )
    problem = one.box(20, 46, 312, 30, "7 + 8 + 3 = ?", "data")
    teacher = one.box(106, 104, 140, 36, "teacher", "teacher")
    one.arrow([problem.bottom, teacher.top])
    words = ("5 8", "5 8", "4 7", "5 9")
    for i, chain in enumerate(words):
        x = 20 + 80 * i
        good = chain == "5 8"
        place = one.box(x, 182, 72, 32, f"… {chain}", "teacher" if good else "label", bold=False)
        one.write(x + 36, 234, "✓" if good else "✗", anchor="middle")
        if good:
            one.box(x, 264, 72, 32, f"… {chain}", "teacher", bold=False)
        one.arrow([(teacher.bottom[0], 140), (x + 36, place.top[1])], color=svg.TEACHER)
    one.write(186, 276, "kept: the final\nnumber is right", size=12, quiet=True, room=150)
    two = Panel(
        "The student learns from what was kept",
        330,
        alt="The student reads a problem and a kept chain. The loss compares its probabilities "
        "with each token of the chain, and the gradient goes back to the student.",
    )
    problem = two.box(20, 52, 150, 36, "problem", "quiet")
    chain_box = two.box(178, 52, 154, 36, "kept chain", "teacher")
    student = two.box(112, 138, 128, 44, "student", "student")
    two.box(112, 252, 128, 48, "loss", "loss", detail="a target a token")
    two.arrow([problem.bottom, (95, 160), student.left])
    two.arrow([chain_box.bottom, (255, 160), student.right], color=svg.TEACHER)
    two.arrow([(206, 182), (206, 252)], "probabilities", color=svg.STUDENT)
    two.arrow([(146, 252), (146, 182)], "gradient", kind="gradient", side="left")
    return row(one, two)


def one_step() -> svg.Svg:
    """Draw what a step needs, and what an answer without steps would need."""
    alone = Panel(
        "The answer alone",
        216,
        alt="The digits 7, 8, 3 and 9 go to one token, the answer 7: one pass has to do three "
        "additions, one after another.",
    )
    digits = schematics.tokens(alone, 20, 56, ("7", "8", "3", "9"), cell=44, gap=8)
    answer = alone.box(244, 140, 60, 34, "7", "student")
    for place in digits:
        alone.arrow([place.bottom, (place.bottom[0], 157), answer.left])
    alone.write(20, 198, "three additions in one pass", size=12, quiet=True)
    steps = Panel(
        "With written steps",
        216,
        alt="The same digits, and below them the steps 7, 5, 8 and 7. Each step needs two tokens: "
        "the digit above it and the step before it.",
    )
    digits = schematics.tokens(steps, 20, 56, ("7", "8", "3", "9"), cell=44, gap=36)
    sums = schematics.tokens(steps, 20, 132, ("7", "5", "8", "7"), "student", cell=44, gap=36)
    for above, below in zip(digits, sums, strict=True):
        steps.arrow([above.bottom, below.top])
    for before, after in itertools.pairwise(sums):
        steps.arrow([before.right, after.left], color=svg.STUDENT)
    steps.write(20, 198, "one addition a pass; the text stores its result", size=12, quiet=True)
    return row(alone, steps)


def two_signals() -> svg.Svg:
    """Draw what distillation and reinforcement learning give the student for one problem."""
    teaching = Panel(
        "Distillation",
        286,
        alt="The teacher wrote the chain 7, 5, 8. Each of its tokens is a target for the student: "
        "as many signals as tokens.",
    )
    teacher = teaching.box(106, 46, 140, 34, "teacher", "teacher")
    tokens = schematics.tokens(teaching, 44, 116, ("7", "5", "8", "8"), "teacher", cell=58, gap=10)
    student = teaching.box(106, 226, 140, 38, "student", "student")
    teaching.arrow([teacher.bottom, (176, 112)], color=svg.TEACHER)
    for place in tokens:
        teaching.arrow([place.bottom, (place.bottom[0], 176)], color=svg.TEACHER)
    teaching.write(176, 194, "a target for each token", anchor="middle", size=12, quiet=True)
    teaching.arrow([(176, 202), student.top], kind="gradient")
    reward = Panel(
        "Reinforcement learning",
        286,
        alt="The student itself wrote four answers. A program gives each one number: 1 for the "
        "right answer, 0 for the others. Less their mean, these are the signals: plus three "
        "quarters for one answer, minus a quarter for the others.",
    )
    student = reward.box(106, 46, 140, 34, "student", "student")
    for i, (answer, mark, value) in enumerate(
        (
            ("5 9", "✗ 0", "−0.25"),
            ("5 8", "✓ 1", "+0.75"),
            ("4 7", "✗ 0", "−0.25"),
            ("2", "✗ 0", "−0.25"),
        )
    ):
        x = 20 + 80 * i
        place = reward.box(x, 116, 72, 32, answer, "student", bold=False)
        reward.arrow([(176, 80), (x + 36, place.top[1])], color=svg.STUDENT)
        reward.write(x + 36, 170, mark, anchor="middle")
        reward.write(x + 36, 200, value, anchor="middle", bold=value.startswith("+"))
    reward.write(
        176,
        234,
        "one number for each whole answer:\nreward minus the group's mean",
        anchor="middle",
        size=12,
        quiet=True,
    )
    return row(teaching, reward)
