"""A slice of a stored sweep: what distillation gains over hard labels, against T."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distill_lab.course.figures import svg
from distill_lab.evaluation.statistics import Interval, paired_interval

WIDTH, HEIGHT = 470, 430
LEFT, RIGHT, TOP, BOTTOM = 56, 454, 62, 286  # the plot's edges; words stand below it
KEYS = ("widths", "temperatures", "alphas", "kd", "hard")


def render_sweep(
    sweep: Mapping[str, Any], *, width: int, T: float, alpha: float, name: str = "student"
) -> svg.Svg:
    """Paired gain of distillation over hard labels against T, at one width and alpha.

    `sweep` maps "widths" (W), "temperatures" (K) and "alphas" (A) to the grid, "kd" to the
    distilled students' test accuracies in percent, (W, K, A, S) with S seeds, and "hard" to those
    of the hard-label twins, (W, S), same seed, same start. Each point is the mean of kd - hard with
    its paired 95 % interval; thin grey lines are the other widths. The axis is that of the
    whole sweep, so that pictures of different slices compare.

    Raises ValueError for a sweep of other keys or shapes and for values that were not run.
    """
    kd, hard, (w, k, a) = _checked(sweep, width, T, alpha)
    temperatures = [float(t) for t in sweep["temperatures"]]
    differences = kd - hard[:, None, None, :]  # (W, K, A, S)
    intervals = [paired_interval(kd[w, i, a], hard[w]) for i in range(len(temperatures))]
    here = intervals[k]

    low, high = _range(differences)
    step = (RIGHT - LEFT) / len(temperatures)
    xs = [LEFT + step * (i + 0.5) for i in range(len(temperatures))]

    def y(value: float) -> float:
        return BOTTOM - (min(max(value, low), high) - low) / (high - low) * (BOTTOM - TOP)

    others = [
        svg.line(zip(xs, map(y, row), strict=True), svg.MUTED, width=1, dash="", opacity=0.4)
        for i, row in enumerate(differences[:, :, a].mean(-1).tolist())
        if i != w
    ]
    means = [interval.mean for interval in intervals]
    whiskers = [
        svg.line([(x, y(i.low)), (x, y(i.high))], svg.STUDENT, dash="")
        for x, i in zip(xs, intervals, strict=True)
    ]
    dots = [
        svg.dot(x, y(m), 6 if i == k else 4, svg.STUDENT, hollow=i != k)
        for i, (x, m) in enumerate(zip(xs, means, strict=True))
    ]
    ticks = [(y(v), f"{v:+g}".replace("-", "−") if v else "0") for v in nice_ticks(low, high)]
    return svg.picture(
        WIDTH,
        HEIGHT,
        f"Gain of distillation over hard labels against T for the {name} of width {width} "
        f"at alpha = {alpha:g}. {_verdict(here, T)}",
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        svg.text(16, 24, f"{name} of width {width}, alpha = {alpha:g}", size=13, bold=True),
        svg.text(16, 42, "accuracy: distilled − hard labels, in points", size=11, color=svg.MUTED),
        svg.rect(xs[k] - step / 2, TOP, step, BOTTOM - TOP, svg.BAND),
        svg.axis(ticks, LEFT, (LEFT, RIGHT), side="left"),
        svg.axis(
            [(x, f"{t:g}") for x, t in zip(xs, temperatures, strict=True)],
            BOTTOM,
            (BOTTOM, BOTTOM + 4),
            side="bottom",
        ),
        svg.text((LEFT + RIGHT) / 2, BOTTOM + 34, "temperature T", anchor="middle"),
        svg.line([(LEFT, y(0)), (RIGHT, y(0))], svg.HARD),
        *others,
        svg.line(zip(xs, map(y, means), strict=True), svg.STUDENT),
        *whiskers,
        *dots,
        _words(here, T, kd[w, k, a], hard[w], others=len(others) > 0),
    )


def _words(here: Interval, T: float, kd: np.ndarray, hard: np.ndarray, *, others: bool) -> str:
    """The chosen point as text, and the key, below the plot."""
    facts = (
        (f"T = {T:g}: distilled {kd.mean():.2f} %, hard labels {hard.mean():.2f} %", svg.INK),
        (f"difference {_signed(here.mean)} points", svg.INK),
        (f"95 %: {_signed(here.low)} to {_signed(here.high)}, {here.n} paired seeds", svg.MUTED),
    )
    parts = [
        svg.text(16, BOTTOM + 62 + 20 * i, words, size=13, color=color, bold=i == 1)
        for i, (words, color) in enumerate(facts)
    ]
    parts.append(svg.text(220, BOTTOM + 82, _judged(here), size=13, bold=True))
    keys = [(svg.STUDENT, 2.0, "this width"), (svg.HARD, 2.0, "no difference")]
    keys += [(svg.MUTED, 1.0, "other widths")] if others else []
    for i, (color, thick, words) in enumerate(keys):
        x, y = 16 + 145 * i, HEIGHT - 14
        mark = svg.line([(x, y - 4), (x + 26, y - 4)], color, width=thick)
        parts.append(mark + svg.text(x + 34, y, words, size=11, color=svg.MUTED))
    return "".join(parts)


def _judged(interval: Interval) -> str:
    if interval.low > 0:
        return "✓ distillation helps"
    return "✗ distillation hurts" if interval.high < 0 else "? cannot be resolved"


def _verdict(interval: Interval, T: float) -> str:
    bounds = f"{_signed(interval.low)} to {_signed(interval.high)}"
    words = _judged(interval)[2:]
    return f"At T = {T:g}: {_signed(interval.mean)} points, 95 % interval {bounds}; {words}."


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _range(differences: np.ndarray) -> tuple[float, float]:
    """Ends of the axis: every mean of the sweep with about its interval, and 0."""
    half = 2.3 * differences.std(-1, ddof=1) / np.sqrt(differences.shape[-1])
    low = min(0.0, float((differences.mean(-1) - half).min()))
    high = max(0.0, float((differences.mean(-1) + half).max()))
    room = 0.06 * max(high - low, 0.1)
    return low - room, high + room


def nice_ticks(low: float, high: float) -> list[float]:
    """About five round values between `low` and `high`, 0 among them."""
    raw = (high - low) / 5
    unit = 10 ** np.floor(np.log10(raw))
    step = next(float(m * unit) for m in (1, 2, 5, 10) if m * unit >= raw)
    return [round(i * step, 6) for i in range(int(np.ceil(low / step)), int(high / step) + 1)]


def _checked(
    sweep: Mapping[str, Any], width: int, T: float, alpha: float
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
    """The arrays of a sweep and the place of one slice in them, or a sentence."""
    missing = [key for key in KEYS if key not in sweep]
    if missing:
        raise ValueError(
            f"a sweep needs the keys {', '.join(KEYS)}; {', '.join(missing)} missing: "
            "load it from the data folder with its own loader"
        )
    kd, hard = (np.asarray(sweep[key], dtype=np.float64) for key in ("kd", "hard"))
    grid = tuple(len(sweep[key]) for key in KEYS[:3])
    if kd.shape[:-1] != grid or hard.shape != (grid[0], kd.shape[-1]):
        raise ValueError(
            f"expected kd of shape {(*grid, 'seeds')} and hard of shape {(grid[0], 'seeds')}, "
            f"got {kd.shape} and {hard.shape}: the last axis of both is the seed"
        )
    place = (
        _place("width", width, sweep["widths"]),
        _place("T", T, sweep["temperatures"]),
        _place("alpha", alpha, sweep["alphas"]),
    )
    return kd, hard, place


def _place(name: str, value: float, values: Sequence[float]) -> int:
    for i, known in enumerate(values):
        if abs(float(known) - float(value)) < 1e-9:
            return i
    run = ", ".join(f"{float(v):g}" for v in values)
    raise ValueError(f"{name} = {value:g} was not run in this sweep: choose one of {run}")
