"""The drawings of lesson 43: the pipeline, steps or the answer alone, two kinds of error."""

from __future__ import annotations

from distill_lab.course.figures import schematics, svg
from distill_lab.course.figures.drawing import Panel, row

__all__ = ["errors", "pipeline", "steps_or_answer"]


def pipeline() -> svg.Svg:
    """Draw the two stages: the teacher answers and filters choose, then the student learns."""
    one = Panel(
        "Stage one: ask, filter, verify",
        366,
        alt="Prompts go to the teacher, which writes answers. Four filters follow: leakage, "
        "verified, near-duplicates, balance. What passes is the training set; what does not is "
        "rejected, with its reason.",
    )
    names = ("prompts", "teacher", "answers")
    roles = ("data", "teacher", "data")
    x, wide = 20.0, 136.0
    top = [
        one.box(x, 46 + 52 * i, wide, 32, name, role)
        for i, (name, role) in enumerate(zip(names, roles, strict=True))
    ]
    for above, below in ((top[0], top[1]), (top[1], top[2])):
        color = svg.TEACHER if above is top[1] else svg.MUTED
        one.arrow([above.bottom, below.top], color=color)
    filters = ("leakage", "verified", "near-duplicates", "balance")
    asks = ("is it in the test?", "is it right?", "was it there before?", "as many of each?")
    boxes = schematics.steps(one, x, 202, filters, wide, height=24, gap=15)
    one.arrow([top[2].bottom, boxes[0].top])
    for box, words in zip(boxes, asks, strict=True):
        one.write(172, box.right[1] + 4, words, size=12, quiet=True)
    one.write(172, 118, "answers several times", size=12, quiet=True)
    one.write(172, 170, "kept, or rejected", size=12, quiet=True)
    one.write(172, 187, "with a reason", size=12, quiet=True)
    two = Panel(
        "Stage two: the student learns",
        366,
        alt="Each example that passed is a prompt and an answer. The student reads both; the loss, "
        "a cross-entropy, looks at the tokens of the answer alone. The gradient goes back to the "
        "student.",
    )
    two.write(20, 62, "one example that passed:", size=12, quiet=True)
    prompt = two.box(20, 76, 150, 36, "prompt", "quiet", detail="")
    answer = two.box(178, 76, 154, 36, "answer", "teacher")
    student = two.box(112, 166, 128, 48, "student", "student", detail="a small model")
    two.box(112, 282, 128, 48, "loss", "loss", detail="on answer tokens")
    two.arrow([prompt.bottom, (95, 190), student.left])
    two.arrow([answer.bottom, (255, 190), student.right], color=svg.TEACHER)
    two.arrow([(206, 214), (206, 282)], "probabilities", color=svg.STUDENT)
    two.arrow([(146, 282), (146, 214)], "gradient", kind="gradient", side="left")
    return row(one, two)


def steps_or_answer() -> svg.Svg:
    """Draw one task answered at once, and answered in written steps."""
    alone = Panel(
        "The answer alone",
        282,
        alt="The question 5 + 3 − 2 + 6 goes straight to the answer 12: the network must do all "
        "the steps inside one pass.",
    )
    question = alone.box(86, 50, 180, 36, "5 + 3 − 2 + 6", "data")
    answer = alone.box(86, 222, 180, 36, "Answer: 12", "student")
    alone.arrow(
        [question.bottom, answer.top], "all steps inside the network, in one pass", room=140
    )
    steps = Panel(
        "With written steps",
        282,
        alt="The same question, then three written steps, 5 + 3 = 8, 8 − 2 = 6, 6 + 6 = 12, then "
        "the answer 12. Each arrow is one easy step, and the text keeps the intermediate result.",
    )
    places = [steps.box(40, 50, 150, 30, "5 + 3 − 2 + 6", "data")]
    for i, words in enumerate(("5 + 3 = 8", "8 − 2 = 6", "6 + 6 = 12", "Answer: 12")):
        place = steps.box(40, 96 + 43 * i, 150, 27, words, "student", bold=i == 3)
        steps.arrow([places[-1].bottom, place.top], color=svg.STUDENT)
        places.append(place)
    steps.write(206, 150, "one easy step\nat a time;", size=12, room=130)
    steps.write(206, 184, "the text keeps\neach result", size=12, room=130)
    return row(alone, steps)


def errors() -> svg.Svg:
    """Draw what two teachers write about 7 + 8, and what a filter leaves of it."""
    return row(
        _written(
            "A teacher with random errors",
            ("5", "5", "9", "5", "5", "2"),
            "Six answers to 7 + 8, counted modulo 10. Four are right, 5; two are wrong, each in "
            "another way. A filter leaves the four right ones. What will the student answer?",
        ),
        _written(
            "A teacher with one systematic error",
            ("4", "4", "4", "4", "4", "4"),
            "Six answers to 7 + 8, counted modulo 10. All are 4, the same error. A filter leaves "
            "nothing. What will the student answer?",
        ),
    )


def _written(title: str, answers: tuple[str, ...], alt: str) -> Panel:
    panel = Panel(title, 300, alt=alt)
    panel.write(20, 60, "what it writes for 7 + 8, modulo 10", size=12, quiet=True)
    panel.write(20, 144, "what a filter leaves", size=12, quiet=True)
    for i, answer in enumerate(answers):
        right, x = answer == "5", 20 + 53.6 * i
        panel.box(x, 70, 44, 32, answer, "teacher" if right else "label")
        panel.write(x + 22, 120, "✓" if right else "✗", anchor="middle", size=12)
        if right:
            panel.box(x, 154, 44, 32, answer, "teacher")
    if "5" not in answers:
        panel.write(176, 175, "nothing", size=12, anchor="middle")
    panel.arrow([(176, 196), (176, 236)])
    panel.box(96, 238, 160, 42, "7 + 8 = ?", "student", detail="the student")
    return panel
