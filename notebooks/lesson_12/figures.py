"""The pictures of lesson 12's workbench: runs as a table and as curves; no widgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from distill_lab.course.figures import svg
from lesson_12.sweep_slice import nice_ticks

WIDTH, HEIGHT = 800, 250
LEFT, RIGHT, TOP, BOTTOM = 64, 560, 40, 204


@dataclass(frozen=True)
class Settings:
    """What the learner chose for one run; `labels` is the number of labelled examples."""

    teacher: str
    width: int
    T: float
    alpha: float
    labels: int
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """The result of a run, in percent of the test set: a student and its hard-label twin.

    The twin has the same start, the same labelled examples and the same number of steps, and no
    teacher. `curve` and `baseline_curve` are accuracies along the way, one point an epoch.

    Raises:
        ValueError: For accuracies that are no percentages.
    """

    accuracy: float
    baseline: float
    curve: Sequence[float] = ()
    baseline_curve: Sequence[float] = ()
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("accuracy", "baseline", "curve", "baseline_curve"):
            given = getattr(self, name)
            values = [given] if name in ("accuracy", "baseline") else list(given)
            if not all(math.isfinite(v) and 0 <= v <= 100 for v in values):
                raise ValueError(
                    f"Run.{name}: expected accuracies in percent, from 0 to 100, got {given}"
                )

    @property
    def difference(self) -> float:
        """Student less twin, in points."""
        return self.accuracy - self.baseline


Row = tuple[Settings, Run]
HEADS = (
    "run",
    "teacher",
    "width",
    "T",
    "alpha",
    "labels",
    "seed",
    "distilled, %",
    "hard labels, %",
    "difference, points",
    "seconds",
    "curve",
)


def render_table(rows: Sequence[Row]) -> str:
    """Render the runs as an HTML table, the newest first, the best accuracy in bold."""
    if not rows:
        return '<p style="margin:8px 2px">No run yet. Choose, then press <b>Train</b>.</p>'
    best = max(run.accuracy for _, run in rows)
    cell = 'style="padding:2px 10px;text-align:right;white-space:nowrap"'
    body = ""
    for number, (chosen, run) in reversed(list(enumerate(rows, start=1))):
        accuracy = f"{run.accuracy:.1f}"
        row = [
            str(number),
            chosen.teacher,
            str(chosen.width),
            f"{chosen.T:g}",
            f"{chosen.alpha:g}",
            str(chosen.labels),
            str(chosen.seed),
            accuracy,
            f"{run.baseline:.1f}",
            f"{run.difference:+.1f}".replace("-", "−"),
            "" if run.seconds is None else f"{run.seconds:.1f}",
        ]
        cells = [f"<td {cell}>{escape(text)}</td>" for text in row]
        if run.accuracy == best:
            cells[7] = f"<td {cell}><b>{accuracy}</b></td>"
        body += f"<tr>{''.join(cells)}<td {cell}>{spark(run)}</td></tr>"
    top = "".join(f'<th scope="col" {cell}>{escape(head)}</th>' for head in HEADS)
    return (
        f'<table style="border-collapse:collapse;line-height:1.5"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
        '<p style="margin:6px 2px">One seed a run: a small difference may be chance. '
        "Train the same settings again for the next seed.</p>"
    )


def spark(run: Run, width: int = 96, height: int = 22) -> str:
    """Draw a curve small enough for a table, student and twin; empty without one."""
    if len(run.curve) < 2:
        return ""
    low, high = _span([run.curve, run.baseline_curve])
    lines = [
        _line(curve, color, (1, width - 1), (height - 2, 2), (low, high), len(curve), 1.5)
        for curve, color in ((run.baseline_curve, svg.HARD), (run.curve, svg.STUDENT))
        if len(curve) > 1
    ]
    alt = f"from {run.curve[0]:.1f} to {run.curve[-1]:.1f} percent"
    return svg.picture(width, height, alt, *lines)


def render_curves(rows: Sequence[Row]) -> svg.Svg:
    """Draw the newest run's learning curve beside its twin's, older students thin behind."""
    card = svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1, "test accuracy along the way, in percent")
    drawn = [run for _, run in rows if len(run.curve) > 1]
    if not drawn:
        hint = svg.text(WIDTH / 2, HEIGHT / 2, "the curves appear here", anchor="middle")
        return svg.picture(WIDTH, HEIGHT, "No learning curve yet.", card, hint)
    newest, older = drawn[-1], drawn[:-1]
    bounds = _span([c for run in drawn for c in (run.curve, run.baseline_curve)])
    points = max(len(c) for run in drawn for c in (run.curve, run.baseline_curve))

    def line(curve: Sequence[float], color: str, width: float, opacity: float = 1) -> str:
        if len(curve) < 2:
            return ""
        return _line(curve, color, (LEFT, RIGHT), (BOTTOM, TOP), bounds, points, width, opacity)

    low, high = bounds
    scale = (BOTTOM - TOP) / (high - low)
    across = [(LEFT + (RIGHT - LEFT) * (e - 1) / (points - 1), f"{e}") for e in _epochs(points)]
    levels = [(BOTTOM - (v - low) * scale, f"{v:g}") for v in nice_ticks(low, high)]
    keys = [(svg.STUDENT, f"newest, distilled: {newest.accuracy:.1f} %")]
    keys += [(svg.HARD, f"its hard-label twin: {newest.baseline:.1f} %")]
    return svg.picture(
        WIDTH,
        HEIGHT,
        f"Learning curves, {len(drawn)} so far. Newest: distilled {newest.accuracy:.1f} percent, "
        f"hard labels {newest.baseline:.1f} percent, difference {newest.difference:+.1f} points.",
        card,
        svg.axis(levels, LEFT, (LEFT, RIGHT), side="left"),
        svg.axis(across, BOTTOM, (BOTTOM, BOTTOM + 4), side="bottom"),
        svg.text((LEFT + RIGHT) / 2, BOTTOM + 34, "epoch", anchor="middle"),
        *(line(run.curve, svg.STUDENT, 1, 0.35) for run in older),
        line(newest.baseline_curve, svg.HARD, 2.5),
        line(newest.curve, svg.STUDENT, 2.5),
        *(
            svg.line([(RIGHT + 20, 60 + 22 * i), (RIGHT + 46, 60 + 22 * i)], color)
            + svg.text(RIGHT + 54, 64 + 22 * i, label, size=11)
            for i, (color, label) in enumerate(keys)
        ),
        svg.text(RIGHT + 20, 112, "thin: earlier runs", size=11, color=svg.MUTED) if older else "",
    )


def _line(
    curve: Sequence[float],
    color: str,
    across: tuple[float, float],
    up: tuple[float, float],
    bounds: tuple[float, float],
    points: int,
    width: float,
    opacity: float = 1,
) -> str:
    """A curve in the box from (across[0], up[0]) to (across[1], up[1])."""
    step = (across[1] - across[0]) / (points - 1)
    scale = (up[1] - up[0]) / (bounds[1] - bounds[0])
    places = [(across[0] + i * step, up[0] + (v - bounds[0]) * scale) for i, v in enumerate(curve)]
    return svg.line(places, color, width=width, opacity=opacity)


def _span(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    values = [value for curve in curves for value in curve]
    low, high = min(values), max(values)
    room = max(0.05 * (high - low), 0.5)
    return low - room, high + room


def _epochs(points: int) -> list[int]:
    """At most eight whole numbers from 1 to `points` for the axis."""
    step = max(1, -(-points // 7))
    return list(range(step, points + 1, step)) if step > 1 else list(range(1, points + 1))
