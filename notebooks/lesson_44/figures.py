"""Lesson 44's own pictures: a group's advantages, a benchmark's uncertainty, answers to read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from distill_lab.course.figures import plots, svg
from lesson_44.problems import Problem, as_text, read

WIDTH = 470
GROUP_HEIGHT, BENCHMARK_HEIGHT = 300, 214


def render_group(right: int, group: int, *, scale: bool) -> svg.Svg:
    """Draw a group's rewards and the advantages that follow from them.

    Args:
        right: how many answers of the group are right; more than the group counts as all.
        group: answers in the group.
        scale: whether advantages are divided by the group's standard deviation.

    Returns:
        The picture, of one size whatever the setting.

    Raises:
        ValueError: for a negative number of right answers, or a group below 2.

    >>> render_group(0, 4, scale=True).alt[:44]
    '0 of 4 answers right: every advantage is 0. '
    """
    if right < 0 or group < 2:
        raise ValueError(f"expected right >= 0 and a group of 2 or more, got {right}, {group}.")
    right = min(right, group)
    values = advantages(right, group, scale=scale)
    title = f"{right} of {group} answers right"
    best, worst = values[0], values[-1]
    if right in (0, group):
        finding = "every advantage is 0"
        weight = "This prompt changes no weight."
    else:
        finding = f"a right answer gets {best:+.2f}, a wrong one {worst:+.2f}".replace("-", "−")
        total = sum(abs(v) for v in values)
        weight = f"All absolute advantages together: {total:.1f}."
    middle, unit = 168, 26.0  # px a unit of advantage: ±4 fits, the most that 16 answers reach
    step = (WIDTH - 60) / group
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, GROUP_HEIGHT - 1),
        svg.text(14, 24, title, size=14, bold=True),
        svg.text(14, 46, finding[0].upper() + finding[1:], size=13),
        svg.line([(30, middle), (WIDTH - 30, middle)], svg.HARD, width=1, dash=""),
    ]
    for i, value in enumerate(values):
        x, good = 30 + step * i + 0.15 * step, i < right
        tall = unit * abs(value)
        y = middle - tall if value > 0 else middle
        parts += [
            svg.rect(x, y, 0.7 * step, max(tall, 0.5), svg.GREEN if good else svg.HARD),
            svg.text(x + 0.35 * step, 286, "✓" if good else "✗", size=13, anchor="middle"),
        ]
    parts += [
        svg.text(14, 66, "bars: the advantage of each answer", size=11, color=svg.MUTED),
        svg.text(WIDTH - 14, 24, weight, size=11, color=svg.MUTED, anchor="end"),
    ]
    divided = "divided by the standard deviation" if scale else "not divided"
    return svg.picture(
        WIDTH, GROUP_HEIGHT, f"{title}: {finding}. {weight} Advantages {divided}.", *parts
    )


def advantages(right: int, group: int, *, scale: bool) -> list[float]:
    """The advantages of a group, right answers first: reward minus mean, over std + 1e-4."""
    if right in (0, group):
        return [0.0] * group
    mean = right / group
    std = math.sqrt(right * (1 - mean) ** 2 / (group - 1) + (group - right) * mean**2 / (group - 1))
    divisor = std + 1e-4 if scale else 1.0
    return [(1 - mean) / divisor] * right + [-mean / divisor] * (group - right)


def half_width(share: float, questions: int) -> float:
    """How far a score may lie from the true share, in points: 1.96 standard errors.

    Formula: 100 * 1.96 * sqrt(p (1 - p) / n). More answers to each question do not make it
    smaller: it is the noise of having drawn these questions.

    >>> round(half_width(0.5, 30))
    18
    """
    return 196 * math.sqrt(share * (1 - share) / questions)


def render_benchmark(questions: int, percent: int) -> svg.Svg:
    """Draw a score on so many questions with its uncertainty, and what one question is worth.

    Args:
        questions: of the benchmark.
        percent: the score, 0 to 100.

    Returns:
        The picture, of one size whatever the setting.

    Raises:
        ValueError: without questions, or for a score outside 0 to 100.

    >>> "± 18 points" in render_benchmark(30, 50)
    True
    """
    if questions < 1 or not 0 <= percent <= 100:
        raise ValueError(f"expected questions and a percentage, got {questions}, {percent}.")
    reach = half_width(percent / 100, questions)
    one = 100 / questions
    left, scale = 30.0, (WIDTH - 60) / 100
    low, high = max(0.0, percent - reach), min(100.0, percent + reach)
    title = f"{percent} % on {questions} questions: ± {reach:.0f} points"
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, BENCHMARK_HEIGHT - 1),
        svg.text(14, 26, title, size=14, bold=True),
        svg.text(14, 48, f"One question more or less: {one:.1f} points", size=13),
        svg.axis(
            [(left + scale * x, f"{x} %") for x in (0, 25, 50, 75, 100)],
            150,
            (150, 74),
            side="bottom",
        ),
        svg.rect(
            left + scale * low,
            96,
            max(1.0, scale * (high - low)),
            30,
            "#CFE5F2",
            stroke=svg.STUDENT,
        ),
        svg.rect(left + scale * (percent - one / 2), 96, max(1.0, scale * one), 30, svg.STUDENT),
        svg.text(14, 186, "pale: where the true share may lie (95 %)", size=12, color=svg.MUTED),
        svg.text(14, 203, "dark: the width of one question", size=12, color=svg.MUTED),
    ]
    alt = f"{title}; one question is {one:.1f} points."
    return svg.picture(WIDTH, BENCHMARK_HEIGHT, alt, *parts)


def render_answers(problem: Problem, answers: Mapping[str, Sequence[int]]) -> svg.Svg:
    """Draw a problem, the right steps, and what each model wrote, with both verdicts.

    Args:
        problem: what was asked.
        answers: name of the model to the tokens of its answer.

    Returns:
        The picture.

    Raises:
        ValueError: without answers.
    """
    if not answers:
        raise ValueError("there are no answers to show: pass {name: tokens}.")
    right = " ".join(map(str, problem.sums))
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, 57 + 46 * len(answers)),
        svg.text(14, 24, f"{problem} right steps {right}", size=14, bold=True),
    ]
    spoken = []
    for i, (name, tokens) in enumerate(answers.items()):
        answer, y = read(tokens), 44 + 46 * i
        number = answer.number == problem.answer
        steps = answer.steps == problem.sums
        mark = f"{'✓' if number else '✗'} answer"
        mark += "" if answer.steps is None else f" · {'✓' if steps else '✗'} steps"
        colour = svg.TEACHER if "teacher" in name else svg.STUDENT
        text = as_text(tokens) or "(nothing)"
        parts += [
            svg.bar(8, y, 6, 36, colour),
            svg.text(22, y + 13, name, size=13, bold=True),
            svg.text(WIDTH - 14, y + 13, mark, size=12, anchor="end"),
            svg.text(22, y + 32, text, size=13),
        ]
        spoken.append(f"{name}, {mark}: {text}")
    alt = f"{problem} right steps {right}; " + "; ".join(spoken) + "."
    return svg.picture(WIDTH, 58 + 46 * len(answers), alt, *parts)


def compute_curves(
    courses: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]], *, ylabel: str
) -> object:
    """Draw answers against compute, each variant with the interval over its seeds.

    Args:
        courses: name to the FLOPs at each measurement, and a row a seed of what was measured.
        ylabel: what was measured, with its unit.

    Returns:
        A matplotlib figure.
    """
    import torch

    from distill_lab.evaluation.statistics import mean_interval

    figure, axes = plots.new_figure(6.4, 3.4)
    for i, (name, (flops, seeds)) in enumerate(courses.items()):
        look = dict(plots.STUDENT if i == 0 else plots.EXTRA[i - 1])
        values = torch.tensor(seeds)  # (seeds, points)
        each = [mean_interval(values[:, j]) for j in range(values.shape[1])]
        x = [f / 1e9 for f in flops]
        axes.fill_between(
            x,
            [e.low for e in each],
            [e.high for e in each],
            alpha=0.18,
            color=look["color"],
            linewidth=0,
        )
        axes.plot(x, [e.mean for e in each], label=name, **look)
    axes.set_ylim(0, 102)
    plots.finish(axes, "GFLOPs, writing and learning", ylabel)
    return figure
