"""The two-stage pipeline in pictures: what the filters leave, and one task's answers, judged."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from distill_lab.course.figures import svg
from distill_lab.course.worlds import Task

WIDTH, NAME, ROW = 720, 210, 40
LINE, LETTERS = 17, 92  # height of a line of text, letters in it
COLOURS = {"teacher": svg.TEACHER, "student": svg.STUDENT}


def render_funnel(stages: Sequence[tuple[str, int, str]], *, title: str) -> svg.Svg:
    """Draw the rows that are left after each stage, as bars of that length.

    Args:
        stages: (name, rows, remark) each.
        title: above them.

    Returns:
        The picture.

    Raises:
        ValueError: without stages, or where more rows are left than there were at first.

    >>> render_funnel([("asked", 10, ""), ("verified", 8, "2 were wrong")], title="a set").alt
    'a set: asked 10; verified 8 (2 were wrong).'
    """
    if not stages or not all(0 <= rows <= stages[0][1] for _, rows, _ in stages):
        raise ValueError("a funnel needs stages, none of which has more rows than the first.")
    scale = (WIDTH - NAME - 250) / max(1, stages[0][1])
    parts = [svg.text(12, 20, title, size=13, bold=True)]
    for i, (name, rows, remark) in enumerate(stages):
        y = 34 + ROW * i
        end = NAME + scale * rows
        parts += [
            svg.text(NAME - 12, y + 17, name, anchor="end"),
            svg.bar(NAME, y + 2, max(1, scale * rows), 22, svg.TEACHER),
            svg.text(end + 10, y + 17, f"{rows:,}", bold=True),
            svg.text(end + 22 + 7.5 * len(f"{rows:,}"), y + 17, remark, size=11, color=svg.MUTED),
        ]
    spoken = "; ".join(f"{n} {rows:,}" + (f" ({more})" if more else "") for n, rows, more in stages)
    height = 40 + ROW * len(stages)
    return svg.picture(WIDTH, height, f"{title}: {spoken}.", *parts)


def render_answers(task: Task, answers: Mapping[str, str], *, lines: int = 3) -> svg.Svg:
    """Draw a prompt and what each of several models answers, with the verifier's verdict.

    Args:
        task: the prompt, the gold answer and the verifier.
        answers: name of the model to text.
        lines: room for each answer, so that the picture keeps its height from task to task; what
            is longer ends in dots.

    Returns:
        The picture.

    Raises:
        ValueError: without answers.

    >>> from distill_lab.course import worlds
    >>> task = worlds.load("arithmetic").test(1)[0]
    >>> render_answers(task, {"teacher": f"Answer: {task.answer}", "student": "?"}).alt[-18:]
    'student, wrong: ?.'
    """
    if not answers:
        raise ValueError("there are no answers to show: pass {name: text}.")
    prompt = _wrapped(task.prompt, 4, LETTERS + 14)
    parts = [svg.text(8, 16, f"{task.world}: the prompt", size=11, color=svg.MUTED)]
    parts += [svg.text(8, 36 + LINE * i, line) for i, line in enumerate(prompt)]
    y, spoken = 36.0 + 4 * LINE, []
    for name, text in {**answers, "gold answer": task.target}.items():
        verdict = task.check.verdict(text)
        colour = next((c for part, c in COLOURS.items() if part in name), svg.HARD)
        mark = "✓" if verdict else "✗"
        remark = "" if verdict else _shortened(verdict.reason, 92)
        parts += [
            svg.bar(0, y, 6, 20 + LINE * lines, colour),
            svg.text(16, y + 13, f"{mark} {name}", bold=True),
            svg.text(WIDTH - 2, y + 13, remark, size=11, color=svg.MUTED, anchor="end"),
        ]
        shown = _wrapped(text or "(nothing)", lines, LETTERS + 10)
        parts += [svg.text(16, y + 32 + LINE * i, line) for i, line in enumerate(shown)]
        spoken.append(f"{name}, {'right' if verdict else 'wrong'}: {text}")
        y += 34 + LINE * lines
    alt = "; ".join([f"{task.world}, {task.prompt}", *spoken[:-1]]) + "."
    return svg.picture(WIDTH, y, alt, *parts)


def _wrapped(text: str, lines: int, letters: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), letters, max_lines=lines, placeholder=" …")


def _shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
