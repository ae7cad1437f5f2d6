"""The pictures of lesson 00: add a seed, pairs of one seed, and intervals that cover or miss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distill_lab.course import stored
from distill_lab.course.claim import CANNOT, FAILS, HOLDS, judge
from distill_lab.course.figures import svg
from distill_lab.evaluation.statistics import Interval, mean_interval, paired_interval

__all__ = ["Stored", "render_coverage", "render_pairs", "render_seeds"]

LOOKS = {HOLDS: ("✓", svg.GREEN), FAILS: ("✗", svg.PURPLE), CANNOT: ("?", svg.YELLOW)}
WIDTH, HEIGHT = 470, 346
LEFT, RIGHT, TOP, BOTTOM = 52, 452, 62, 258  # the plot inside the picture


class Stored:
    """Twenty stored pairs of students at each number of labels; accuracies in percent."""

    def __init__(self, folder: Path | None = None) -> None:
        data: dict[str, Any] = stored.load(
            "seeds_and_labels.json", folder=folder, remake="python -m lesson_00.make"
        )
        self.labels: list[int] = data["labels"]
        self.alone = dict(zip(self.labels, map(np.array, data["alone"]), strict=True))
        self.taught = dict(zip(self.labels, map(np.array, data["taught"]), strict=True))

    def interval(self, labels: int, seeds: int) -> Interval:
        """The paired interval of the gain over the first `seeds` seeds."""
        return paired_interval(self.taught[labels][:seeds], self.alone[labels][:seeds])

    def verdict(self, labels: int, seeds: int) -> str:
        """The verdict on "the teacher helps" after that many seeds."""
        return verdict(self.interval(labels, seeds))

    def gain(self, labels: int) -> np.ndarray:
        """Taught minus alone, (seeds,), in points."""
        return self.taught[labels] - self.alone[labels]

    def settled(self, labels: int) -> int:
        """The number of seeds from which the verdict stays what it is with all of them."""
        total = len(self.gain(labels))
        last = self.verdict(labels, total)
        others = [n for n in range(2, total) if self.verdict(labels, n) != last]
        return max(others, default=1) + 1

    def gain_from_pairs(self, labels: int) -> float:
        """The unpaired standard error of the mean gain over the paired one."""
        alone, taught = self.alone[labels], self.taught[labels]
        unpaired = np.sqrt(taught.var(ddof=1) + alone.var(ddof=1))
        return float(unpaired / self.gain(labels).std(ddof=1))


def verdict(interval: Interval) -> str:
    """The verdict on "above 0" that this interval gives."""
    return judge(interval.low, interval.high, expected="above", threshold=0.0, margin=None)


def render_seeds(gains: ArrayLike, *, labels: int, seeds: int) -> svg.Svg:
    """Draw the first seeds' gains one by one, and the interval after each of them.

    Args:
        gains: Every seed's gain in points, (seeds,); they fix the scale.
        labels: The number of labels, for the title.
        seeds: How many of the seeds have been run, 2 or more.

    Returns:
        The picture, of one size whatever the values.
    """
    values = np.asarray(gains, dtype=float)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    pad = 0.45 * (high - low)
    place = _Scale(low - pad, high + pad)
    step = (RIGHT - LEFT) / (len(values) + 1)
    spans = {n: mean_interval(values[:n]) for n in range(2, seeds + 1)}
    now = spans[seeds]
    word = verdict(now)
    sign, colour = LOOKS[word]
    facts = (
        f"mean gain {_signed(now.mean)} points, 95 % interval "
        f"[{_signed(now.low)}, {_signed(now.high)}]"
    )
    x = [LEFT + (i + 1) * step for i in range(len(values))]
    return svg.picture(
        WIDTH,
        HEIGHT,
        f"{labels:,} labels, {seeds} seeds: {facts}. Verdict: {word}.",
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        svg.text(14, 24, f"{labels:,} labels, {seeds} seeds", size=14, bold=True),
        svg.rect(206, 9, 250, 22, svg.BAND, stroke=colour, round_=4),
        svg.text(331, 25, f"{sign} {word}", size=13, anchor="middle", bold=True),
        svg.text(14, 50, "gain of the taught student, in points", color=svg.MUTED),
        svg.axis(place.ticks(), LEFT, (LEFT, RIGHT), side="left"),
        svg.line([(LEFT, place(0)), (RIGHT, place(0))], svg.HARD, width=2),
        *(_span(x[n - 1], place, span, svg.SKY, 2) for n, span in spans.items()),
        _span(x[seeds - 1], place, now, colour, 8),
        *(svg.dot(x[i], place(value), 4, svg.INK) for i, value in enumerate(values[:seeds])),
        *(
            svg.text(x[n - 1], BOTTOM + 16, n, size=11, color=svg.MUTED, anchor="middle")
            for n in (1, 5, 10, 15, 20)
            if n <= len(values)
        ),
        svg.text((LEFT + RIGHT) / 2, BOTTOM + 32, "seed", color=svg.MUTED, anchor="middle"),
        svg.dot(20, BOTTOM + 50, 4, svg.INK),
        svg.text(30, BOTTOM + 54, "the gain of one seed", color=svg.MUTED),
        svg.line([(176, BOTTOM + 44), (176, BOTTOM + 56)], svg.SKY, dash=""),
        svg.text(184, BOTTOM + 54, "the interval of the mean up to there", color=svg.MUTED),
        svg.text(14, BOTTOM + 75, facts, size=13),
    )


def render_pairs(alone: ArrayLike, taught: ArrayLike, *, labels: int) -> svg.Svg:
    """Draw each seed's two students as two dots with a line between them.

    Args:
        alone: Accuracy of the students with labels alone, (seeds,), in percent.
        taught: Accuracy of the taught ones, in the same order.
        labels: The number of labels, for the title.

    Returns:
        The picture.
    """
    first, second = np.asarray(alone, dtype=float), np.asarray(taught, dtype=float)
    everything = np.concatenate((first, second))
    place = _Scale(float(everything.min()) - 3, float(everything.max()) + 3, top=48, bottom=226)
    x, y = 150, 330
    rises = int((second > first).sum())
    spread, gain_spread = float(first.std(ddof=1)), float((second - first).std(ddof=1))
    words = (
        f"{labels} labels: the student is better with the teacher in {rises} of {len(first)} "
        f"seeds. The standard deviation is {spread:.1f} points with labels alone, "
        f"{gain_spread:.1f} points for the gains."
    )
    return svg.picture(
        WIDTH,
        264,
        words,
        svg.panel(0.5, 0.5, WIDTH - 1, 263),
        svg.text(14, 24, f"{labels} labels: each line is one seed", size=14, bold=True),
        svg.text(14, 42, "test accuracy, %", color=svg.MUTED),
        svg.axis(place.ticks(), LEFT, (LEFT, RIGHT), side="left"),
        *(
            svg.line([(x, place(a)), (y, place(b))], svg.SKY, width=1.5)
            for a, b in zip(first, second, strict=True)
        ),
        *(svg.dot(x, place(a), 4, svg.HARD, hollow=True) for a in first),
        *(svg.dot(y, place(b), 4, svg.STUDENT) for b in second),
        svg.text(x, 246, "labels alone", size=13, anchor="middle"),
        svg.text(y, 246, "labels and teacher", size=13, anchor="middle"),
    )


def render_coverage(intervals: Sequence[Interval], truth: float) -> svg.Svg:
    """Draw simulated intervals as bars, those that miss the truth in another colour and thicker.

    Args:
        intervals: The intervals.
        truth: The true mean, drawn as a dotted line.

    Returns:
        The picture.
    """
    missed = [i for i, span in enumerate(intervals) if not span.low <= truth <= span.high]
    ends = [truth, *(e for span in intervals for e in (span.low, span.high))]
    place = _Scale(min(ends), max(ends), top=44, bottom=226)
    step = (RIGHT - LEFT) / (len(intervals) + 1)
    words = (
        f"{len(intervals)} simulated experiments: {len(intervals) - len(missed)} of the intervals "
        f"contain the true mean, {len(missed)} miss it."
    )
    bars = [
        _span(
            LEFT + (i + 1) * step,
            place,
            span,
            svg.PURPLE if i in missed else svg.SKY,
            5 if i in missed else 2,
        )
        for i, span in enumerate(intervals)
    ]
    return svg.picture(
        WIDTH,
        252,
        words,
        svg.panel(0.5, 0.5, WIDTH - 1, 251),
        svg.text(
            14,
            24,
            f"{len(missed)} of {len(intervals)} intervals miss the true mean",
            size=14,
            bold=True,
        ),
        svg.text(RIGHT, 24, "dotted: the true mean", color=svg.MUTED, anchor="end"),
        svg.axis(place.ticks(), LEFT, (LEFT, RIGHT), side="left"),
        *bars,
        svg.line([(LEFT, place(truth)), (RIGHT, place(truth))], svg.HARD, width=2),
        svg.text(
            RIGHT, 244, "one simulated experiment after another", color=svg.MUTED, anchor="end"
        ),
    )


class _Scale:
    """From a value to its y; `low` lies at the bottom of the plot and `high` at its top."""

    def __init__(self, low: float, high: float, *, top: int = TOP, bottom: int = BOTTOM) -> None:
        self.low, self.high, self.top, self.bottom = low, high, top, bottom

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - self.top)

    def inside(self, value: float) -> bool:
        """Whether a value lies in the plot."""
        return self.low <= value <= self.high

    def ticks(self) -> list[tuple[float, str]]:
        """Four to eight round values with their places."""
        sizes = [m * 10.0**e for e in range(-2, 3) for m in (1, 2, 5)]
        size = next(s for s in sizes if (self.high - self.low) / s <= 8)
        first, last = int(np.ceil(self.low / size)), int(np.floor(self.high / size))
        return [(self(k * size), f"{k * size:g}".replace("-", "−")) for k in range(first, last + 1)]


def _span(x: float, place: _Scale, span: Interval, colour: str, width: float) -> str:
    """One interval as an upright bar; an arrow head where it leaves the plot."""
    low, high = place(span.low), place(span.high)
    heads = [
        svg.line([(x - 4, end - 6 * way), (x, end), (x + 4, end - 6 * way)], colour, width=2)
        for value, end, way in ((span.high, high, -1), (span.low, low, 1))
        if not place.inside(value)
    ]
    return svg.line([(x, low), (x, high)], colour, width=width, dash="") + "".join(heads)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
