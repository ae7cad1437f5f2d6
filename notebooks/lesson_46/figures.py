"""Lesson 46's own pictures: what hints teach (live), new against old, rounds of feedback, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from distill_lab.course.figures import plots, svg
from distill_lab.course.figures.style import new_figure, style
from lesson_46 import hints

__all__ = ["cost_curves", "group_curves", "new_and_old", "render_hints", "two_views"]

WIDTH, HEIGHT = 470, 372
PLACES = ("first", "second", "third", "fourth", "fifth")


def render_hints(first: float, slip: float, attempts: int) -> svg.Svg:
    """Draw what hints for single questions teach: the average, and the geometric mean.

    Args:
        first: How often the first place is right.
        slip: What the teacher gives to the places that its hint does not name.
        attempts: k of pass@k.

    Returns:
        The picture.
    """
    share, teachers = hints.find_hints(first, slip)
    uniform = torch.full_like(share, 0.2)
    students = {
        "before": uniform,
        "forward KL": hints.average(share, teachers),
        "reverse KL": hints.geometric(share, teachers),
    }
    left = hints.left_over(share, teachers)
    title = f"first place right in {100 * first:.0f} %, slip {slip:g}"
    parts, words = [], []
    for i, (name, q) in enumerate(students.items()):
        y = 60.0 + 88 * i
        one, many = hints.pass_at(1, share, q), hints.pass_at(attempts, share, q)
        parts.append(svg.text(14, y + 10, name, size=13, bold=True))
        for j, (place, value) in enumerate(zip(PLACES, q.tolist(), strict=True)):
            row = y + 16 + 12 * j
            parts += [
                svg.text(64, row + 9, place, size=11, anchor="end", color=svg.MUTED),
                svg.bar(70, row, 150 * value, 9, svg.STUDENT),
                svg.text(76 + 150 * value, row + 9, f"{100 * value:.0f}", size=11),
            ]
        for j, (label, value, base) in enumerate(
            (
                ("pass@1", one, hints.pass_at(1, share, uniform)),
                (f"pass@{attempts}", many, hints.pass_at(attempts, share, uniform)),
            )
        ):
            if j and attempts == 1:
                continue
            row = y + 24 + 28 * j
            change = value - base
            sign = "" if i == 0 else f" ({_signed(change)})"
            parts += [
                svg.text(254, row + 11, label, size=12),
                svg.rect(308, row, 80, 14, svg.BAND),
                svg.bar(308, row, 0.8 * value, 14, svg.STUDENT),
                svg.text(394, row + 11, f"{value:.0f}{sign}", size=12, bold=True),
            ]
        words.append(f"{name}: first place {100 * q[0]:.0f} %, pass@1 {one:.0f} %")
        if attempts > 1:
            words[-1] += f", pass@{attempts} {many:.0f} %"
    note = f"forward KL that no student removes: {left:.2f} nats"
    return svg.picture(
        WIDTH,
        HEIGHT,
        f"Hints, {title}. " + "; ".join(words) + f". {note}.",
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        svg.text(14, 24, title, size=14, bold=True),
        svg.text(14, 44, "the student's probabilities and its attempts, in %", color=svg.MUTED),
        *parts,
        svg.text(14, HEIGHT - 22, note, size=12),
    )


def _signed(change: float) -> str:
    """Write a change in whole points: +3, −3, ±0."""
    points = round(change)
    return f"{points:+d}".replace("-", "−") if points else "±0"


@style()
def two_views(words: Sequence[str], student: ArrayLike, teacher: ArrayLike) -> Figure:
    """Draw how probable each token of one answer is for student and teacher.

    Args:
        words: The tokens of the answer, (L,).
        student: Its probabilities of them, in percent.
        teacher: The teacher's, which reads more.

    Returns:
        The figure.
    """
    return plots.grouped_bars(
        list(words), {"teacher": teacher, "student": student}, ylabel="probability, %", digits=0
    )


@style()
def new_and_old(paths: Mapping[str, ArrayLike], start: Sequence[float]) -> Figure:
    """Draw what was learned against what was kept, step by step.

    Args:
        paths: Name of the variant to its points (steps, 2): percent right of new and of old tasks.
        start: The base's point.

    Returns:
        The figure.
    """
    figure, axes = new_figure(6.0, 3.8)
    looks = (plots.HARD, plots.EXTRA[1], plots.STUDENT)
    for (name, points), look in zip(paths.items(), looks, strict=True):
        both = np.vstack([np.asarray(start, dtype=float), np.asarray(points, dtype=float)])
        axes.plot(both[:, 0], both[:, 1], label=name, fillstyle="none", markersize=8, **look)
    axes.plot(*start, marker="*", markersize=13, color=svg.INK, linestyle="", label="before")
    plots.finish(axes, "new task, % right", "old tasks, % right")
    return figure


@style()
def cost_curves(lengths: Sequence[int], curves: Mapping[str, ArrayLike]) -> Figure:
    """Draw the FLOPs of a request against the length of its prompt, as a multiple of none."""
    figure, axes = new_figure(6.0, 3.2)
    for (name, values), look in zip(curves.items(), plots.EXTRA, strict=False):
        axes.plot(lengths, np.asarray(values, dtype=float), label=name, **look)
    axes.set_xscale("symlog", base=10, linthresh=10)
    axes.set_yscale("log")
    plots.finish(axes, "tokens of the system prompt", "times the FLOPs without it")
    return figure


@style()
def group_curves(accuracy: float, groups: Sequence[int]) -> Figure:
    """Draw the next share of direct answers against the present one, for some sizes of group."""
    figure, axes = new_figure(4.8, 3.8)
    share = np.linspace(0, 1, 101)
    axes.plot(100 * share, 100 * share, color=svg.HARD, linestyle=":", label="no change")
    looks = (*plots.EXTRA, plots.STUDENT)
    for group, look in zip(groups, looks, strict=True):
        after = [100 * hints.next_direct(p, accuracy, group) for p in share]
        axes.plot(100 * share, after, label=f"groups of {group}", markevery=20, **look)
    plots.finish(axes, "direct answers now, %", "direct hints in the next round, %")
    return figure
