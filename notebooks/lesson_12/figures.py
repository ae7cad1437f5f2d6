"""The pictures of lesson 12: calibration over the sweep; the workbench's runs. No widgets."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from distill_lab.course.figures import plots, svg
from distill_lab.evaluation.statistics import Interval, paired_interval
from lesson_12.sweep_slice import nice_ticks

WIDTH, HEIGHT = 720, 292  # the height with all that it shows; the widget keeps that room
LEFT, RIGHT, TOP, STEP = 316, 690, 58, 34
SHOWN = 6  # the newest runs of the picture; the table has them all


@dataclass(frozen=True)
class Settings:
    """What the learner chose for one run; `labels` is the number of labelled examples."""

    teacher: str
    width: int
    T: float
    alpha: float
    labels: int


@dataclass(frozen=True)
class Run:
    """The result of a run, in percent of the test set: a student and its twin, seed by seed.

    The twin has the same first weights, the same labelled examples and the same number of steps,
    and no teacher.

    Args:
        accuracy: Of the distilled students, one a seed.
        baseline: Of their twins, in the same order.
        seconds: How long it took; None where nobody looked.

    Raises:
        ValueError: For accuracies that are no percentages, or fewer than two seeds.
    """

    accuracy: Sequence[float]
    baseline: Sequence[float]
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("accuracy", "baseline"):
            values = list(getattr(self, name))
            if not all(math.isfinite(value) and 0 <= value <= 100 for value in values):
                raise ValueError(
                    f"Run.{name}: expected accuracies in percent, from 0 to 100, got {values}"
                )
        if len(self.accuracy) != len(self.baseline) or len(self.accuracy) < 2:
            raise ValueError(
                "a run needs two seeds or more, each with its twin, got "
                f"{len(self.accuracy)} accuracies and {len(self.baseline)} of twins"
            )

    @property
    def mean(self) -> float:
        """Of the distilled students."""
        return sum(self.accuracy) / len(self.accuracy)

    @property
    def baseline_mean(self) -> float:
        """Of their twins."""
        return sum(self.baseline) / len(self.baseline)

    @property
    def difference(self) -> Interval:
        """Student less twin, in points, with its 95 % interval over the seeds."""
        return paired_interval(list(self.accuracy), list(self.baseline))


def calibration_panels(sweep: Mapping[str, Any], *, alpha: float = 0.9) -> tuple[Figure, str]:
    """Draw the calibration error of a stored sweep against T, a panel a width.

    Args:
        sweep: With "kd_ece" (widths, temperatures, alphas, seeds) and "hard_ece" (widths, seeds).
        alpha: Which of the sweep's values.

    Returns:
        The figure, and what it shows in words, with its figures.
    """
    place = list(sweep["alphas"]).index(alpha)
    taught = np.asarray(sweep["kd_ece"])[:, :, place].mean(-1)  # (widths, temperatures)
    alone = np.asarray(sweep["hard_ece"]).mean(-1)
    names = [f"{T:g}" for T in sweep["temperatures"]]
    figure, panels = plots.new_figure(8.4, 3.0, columns=len(alone))
    top = 1.07 * max(taught.max(), alone.max())
    for axes, width, row, level in zip(panels, sweep["widths"], taught, alone, strict=True):
        axes.plot(range(len(names)), row, label="distilled", **plots.STUDENT)
        axes.axhline(level, label="hard labels", **{**plots.HARD, "marker": ""})
        axes.set(xticks=range(len(names)), xticklabels=names, ylim=(0, top), xlabel="temperature T")
        axes.set_title(f"width {width}", loc="left", weight="bold")
    panels[0].set_ylabel("ECE in use, points")
    panels[-1].legend(frameon=False)
    words = "; ".join(
        f"width {width}: {level:.1f} with hard labels, then {', '.join(f'{x:.1f}' for x in row)}"
        for width, level, row in zip(sweep["widths"], alone, taught, strict=True)
    )
    return figure, (
        "Mean calibration error in the stored sweep (in use, at T = 1), in points. Students learn "
        f"with hard labels or with T = {', '.join(names)} in training. "
        f"{words[0].upper()}{words[1:]}."
    )


Row = tuple[Settings, Run]
HEADS = ("run", "labels", "teacher", "width", "T", "alpha")
RESULTS = ("distilled, %", "labels alone, %", "difference, points")


def render_table(rows: Sequence[Row]) -> str:
    """Render the runs as an HTML table, the newest first.

    The best accuracy is bold among runs with one number of labels: others do not compare.
    """
    if not rows:
        return '<p style="margin:8px 2px">No run yet. Choose, then press <b>Train</b>.</p>'
    same = defaultdict(list)
    for chosen, run in rows:
        same[chosen.labels].append(run.mean)
    cell = 'style="padding:2px 8px;text-align:right"'
    body = ""
    for number, (chosen, run) in reversed(list(enumerate(rows, start=1))):
        runs, accuracy = same[chosen.labels], f"{run.mean:.1f}"
        row = [number, chosen.labels, chosen.teacher, chosen.width, f"{chosen.T:g}"]
        cells = [escape(str(value)) for value in (*row, f"{chosen.alpha:g}")]
        cells.append(f"<b>{accuracy}</b>" if len(runs) > 1 and run.mean == max(runs) else accuracy)
        cells += [f"{run.baseline_mean:.1f}", _difference(run)]
        body += f"<tr>{''.join(f'<td {cell}>{text}</td>' for text in cells)}</tr>"
    top = "".join(f'<th scope="col" {cell}>{escape(head)}</th>' for head in (*HEADS, *RESULTS))
    return (
        '<table style="border-collapse:collapse;line-height:1.5;width:100%"><thead>'
        f"<tr>{top}</tr></thead><tbody>{body}</tbody></table>"
        '<p style="margin:6px 2px">In brackets, the 95 % interval of the mean difference. '
        "Bold: the best accuracy among runs with the same number of labels.</p>"
    )


def render_runs(rows: Sequence[Row]) -> svg.Svg:
    """Draw the newest runs, one a line: the mean difference, its interval and a dot a seed."""
    shown = list(enumerate(rows, start=1))[-SHOWN:][::-1]
    height = HEIGHT - STEP * (SHOWN - max(1, len(shown)))
    card = svg.panel(0.5, 0.5, WIDTH - 1, height - 1, "distilled − labels alone, in points")
    if not rows:
        hint = svg.text(WIDTH / 2, height / 2 + 14, "the runs appear here", anchor="middle")
        return svg.picture(WIDTH, height, "No run yet.", card, hint)
    gaps = [np.subtract(run.accuracy, run.baseline) for _, (_, run) in shown]
    ends = [e for _, (_, run) in shown for e in (run.difference.low, run.difference.high)]
    low = min(-1.0, *ends, *(gap.min() for gap in gaps))
    high = max(1.0, *ends, *(gap.max() for gap in gaps))

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (RIGHT - LEFT)

    base = TOP + STEP * len(shown)
    ticks = [(x(v), f"{v:+g}".replace("-", "−") if v else "0") for v in nice_ticks(low, high)]
    parts = [
        svg.axis(ticks, base, (TOP - 10, base), side="bottom"),
        svg.line([(x(0), TOP - 10), (x(0), base)], svg.HARD, width=1.5),
    ]
    for i, ((number, (chosen, run)), gap) in enumerate(zip(shown, gaps, strict=True)):
        y, interval = TOP + STEP * (i + 0.4), run.difference
        name = f"run {number}: {chosen.labels} labels, width {chosen.width}, T = {chosen.T:g}"
        parts.append(svg.text(14, y + 4, f"{name}, α = {chosen.alpha:g}", bold=i == 0))
        parts += [svg.dot(x(g), y + 8, 2, svg.SKY) for g in gap.tolist()]
        ends_at = [(x(interval.low), y), (x(interval.high), y)]
        parts.append(svg.line(ends_at, svg.STUDENT, width=2.5, dash=""))
        parts.append(svg.rect(x(interval.mean) - 4, y - 4, 8, 8, svg.STUDENT))
    newest = rows[-1][1]
    alt = (
        f"{len(rows)} {'run' if len(rows) == 1 else 'runs'}. Newest: distilled {newest.mean:.1f} "
        f"percent, labels alone {newest.baseline_mean:.1f} percent, difference "
        f"{_difference(newest)} points."
    )
    return svg.picture(WIDTH, height, alt, card, *parts)


def _difference(run: Run) -> str:
    """The mean difference and its interval, in few characters."""
    of = run.difference
    return f"{of.mean:+.1f} [{of.low:.1f}, {of.high:.1f}]".replace("-", "−")
