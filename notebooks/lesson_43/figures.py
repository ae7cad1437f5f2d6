"""The two-stage pipeline in pictures: what the filters leave, answers, errors and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill_lab.course.figures import svg
from distill_lab.course.figures.layout import text_width, wrap
from distill_lab.course.worlds import Task
from distill_lab.synthesis.pipeline import FilterResult
from lesson_43.experiments import right_rows

WIDTH, NAME, ROW = 470, 130, 34
LINE = 17  # height of a line of text
PROMPT_LINES = 5
FILTERS_HEIGHT, ERRORS_HEIGHT = 346, 318
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
    scale = (WIDTH - NAME - 170) / max(1, stages[0][1])
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


def render_answers(task: Task, answers: Mapping[str, str], *, lines: int = 2) -> svg.Svg:
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
    parts = [
        svg.panel(
            0.5,
            0.5,
            WIDTH - 1,
            55 + LINE * PROMPT_LINES + (41 + LINE * lines) * (len(answers) + 1) - 1,
        ),
        svg.text(14, 20, f"{task.world}: the prompt", color=svg.MUTED),
    ]
    prompt = _lines(task.prompt, PROMPT_LINES, WIDTH - 28)
    parts += [svg.text(14, 40 + LINE * i, line) for i, line in enumerate(prompt)]
    y, spoken = 48.0 + LINE * PROMPT_LINES, []
    for name, text in {**answers, "gold answer": task.target}.items():
        verdict = task.check.verdict(text)
        colour = next((c for part, c in COLOURS.items() if part in name), svg.HARD)
        mark = "✓" if verdict else "✗"
        title = f"{mark} {name}"
        room = WIDTH - 48 - text_width(title, 13, bold=True)
        remark = "" if verdict else _lines(verdict.reason, 1, room)[0]
        parts += [
            svg.bar(8, y, 6, 20 + LINE * lines, colour),
            svg.text(22, y + 13, title, size=13, bold=True),
            svg.text(WIDTH - 14, y + 13, remark, color=svg.MUTED, anchor="end"),
        ]
        shown = _lines(text or "(nothing)", lines, WIDTH - 36)
        parts += [svg.text(22, y + 31 + LINE * i, line) for i, line in enumerate(shown)]
        spoken.append(f"{name}, {'right' if verdict else 'wrong'}: {text}")
        y += 41 + LINE * lines
    alt = "; ".join([f"{task.world}, {task.prompt}", *spoken[:-1]]).removesuffix(".") + "."
    return svg.picture(WIDTH, y + 7, alt, *parts)


def render_filters(
    result: FilterResult,
    answers: Sequence[Mapping[str, Any]],
    tasks: Sequence[Task],
    *,
    T: float,
    score: float | None,
) -> svg.Svg:
    """Draw what each filter keeps, an answer that it removes, and what students learned from it.

    Args:
        result: The rows that are kept, and what each filter did.
        answers: The rows before all filters.
        tasks: Their tasks, by number.
        T: The temperature of the answers.
        score: Percent right of students trained on this setting; None where none were trained.

    Returns:
        The picture, of one size whatever the setting.
    """
    n_in, right = len(answers), right_rows(result.rows, tasks)
    scale = 170 / max(1, n_in)
    title = f"T = {T:g}: {n_in} answers, {len(result.rows)} kept"
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, FILTERS_HEIGHT - 1),
        svg.text(14, 24, title, size=14, bold=True),
        *_stage(38, "answers", n_in, scale, ""),
    ]
    spoken = []
    for i, step in enumerate(result.steps):
        _, answer, why = step.examples[0] if step.examples else ("", "", "")
        words = f"removes “{answer}”: {why.partition(':')[0]}" if why else "removes nothing"
        parts += _stage(72 + 52 * i, step.name, step.n_kept, scale, f"−{step.n_removed}")
        parts.append(
            svg.text(24, 72 + 52 * i + 36, _lines(words, 1, WIDTH - 40)[0], color=svg.MUTED)
        )
        spoken.append(f"{step.name} removes {step.n_removed}")
    trained = (
        "No student was trained on this setting."
        if score is None
        else f"Students trained on this setting: {score:.1f} % right."
    )
    kept = f"{right:.1f} % of the kept answers are right." if result.rows else "No answer is kept."
    parts += [
        svg.line([(14, 286), (WIDTH - 14, 286)], svg.RULE, width=1, dash=""),
        svg.text(14, 308, kept, size=13),
        svg.text(14, 330, trained, size=13, bold=score is not None),
    ]
    filters = "; ".join(spoken) if spoken else "no filter"
    return svg.picture(WIDTH, FILTERS_HEIGHT, f"{title}: {filters}. {kept} {trained}", *parts)


def _stage(y: float, name: str, rows: int, scale: float, remark: str) -> list[str]:
    return [
        svg.text(14, y + 16, name, size=13),
        svg.bar(NAME, y + 2, max(1, scale * rows), 20, svg.TEACHER),
        svg.text(NAME + scale * rows + 8, y + 17, rows, size=13, bold=True),
        svg.text(WIDTH - 14, y + 17, remark, size=13, color=svg.MUTED, anchor="end"),
    ]


def render_errors(kind: str, share: float, *, filtered: bool, score: float | None) -> svg.Svg:
    """Draw 100 answers to 7 + 8 modulo 10 as bars, and what is learned from them.

    Args:
        kind: "random" (nine wrong digits, equally often) or "systematic" (always 4).
        share: The share of wrong answers, 0 to 1.
        filtered: Whether wrong answers are removed.
        score: Percent right of the students stored for this setting; None where there are none.

    Returns:
        The picture, of one size whatever the setting.

    Raises:
        ValueError: For another kind, or a share outside [0, 1].

    >>> render_errors("systematic", 0.6, filtered=False, score=None).alt[-64:]
    'most frequent: 4, which is wrong. No student is stored for this.'
    """
    if kind not in ("random", "systematic") or not 0 <= share <= 1:
        raise ValueError(
            f"errors are random or systematic, their share 0 to 1; got {kind!r}, {share!r}."
        )
    wrong = {"random": {d: share / 9 for d in range(10) if d != 5}, "systematic": {4: share}}[kind]
    counts = {d: 0.0 if filtered else 100 * wrong.get(d, 0.0) for d in range(10)}
    counts[5] = 100 * (1 - share)
    most = max(counts.values())
    winners = [d for d, n in counts.items() if n > most - 1e-9]
    if most < 1e-9:
        learned = "No answer is left: a hole."
    elif len(winners) > 1:
        learned = f"Equally frequent: {', '.join(map(str, winners))}."
    else:
        learned = f"most frequent: {winners[0]}, which is {'right' if winners == [5] else 'wrong'}."
    title = f"{kind} errors, {100 * share:.0f} % of the answers wrong"
    title += ", filtered" if filtered else ", no filter"
    stored = (
        "No student is stored for this."
        if score is None
        else f"Stored students: {score:.1f} % of their sums right."
    )
    base, tall = 236, 164
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, ERRORS_HEIGHT - 1),
        svg.text(14, 24, title, size=14, bold=True),
        svg.text(14, 46, "100 answers to 7 + 8, modulo 10", color=svg.MUTED),
        svg.line([(24, base), (WIDTH - 24, base)], svg.HARD, width=1, dash=""),
    ]
    for digit, count in counts.items():
        x, height = 36 + 41 * digit, tall * count / 100
        colour = svg.TEACHER if digit == 5 else svg.HARD
        parts += [
            svg.rect(x, base - height, 28, height, colour),
            svg.text(x + 14, base - height - 5, f"{count:.0f}", anchor="middle"),
            svg.text(x + 14, base + 18, digit, size=14, anchor="middle", bold=digit == 5),
        ]
    parts += [
        svg.text(14, base + 44, learned[0].upper() + learned[1:], size=13),
        svg.text(14, base + 66, stored, size=13, bold=score is not None),
    ]
    alt = f"{title}. 100 answers to 7 + 8 modulo 10, {learned} {stored}"
    return svg.picture(WIDTH, ERRORS_HEIGHT, alt, *parts)


def _lines(text: str, lines: int, room: float) -> list[str]:
    """Wrap a text to a width in pixels; what is longer than these lines ends in dots."""
    fits = int(room / 12)  # no letter is wider than the size of the text
    words = [w[i : i + fits] for w in text.split() for i in range(0, len(w), fits)]
    wrapped = wrap(" ".join(words), room, 12)
    if len(wrapped) <= lines:
        return wrapped
    last = wrapped[lines - 1]
    while last and text_width(f"{last} …", 12) > room:
        last = last[:-1]
    return [*wrapped[: lines - 1], f"{last} …"]
