"""The two live figures of lesson 41: the student's bell curve, and a story under the pointer.

Both are pure functions to SVG of one size, fast enough for a slider.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from distill_lab.course.figures import svg
from lesson_41.figures import STEP, X, fit_gaussian, hills, log_normal
from lesson_41.pointer import PointerStory

__all__ = ["NAMES", "bell_minimum", "divergence", "render_bell", "render_story"]

NAMES = {0.0: "forward KL", 1.0: "reverse KL", 0.5: "JSD"}
WIDTH, BELL_HEIGHT, STORY_HEIGHT = 470, 352, 392
FULL = 3.0  # nats at the end of the bars' scale
NEAR = 0.02  # nats above the minimum that still count as reached
COLORS = (svg.TEACHER, svg.YELLOW, svg.STUDENT)
SERIES = ("teacher", "kept target", "student (5 seeds)")
LEFT, RIGHT, BASE, TOP = 20.0, 450.0, 196.0, 56.0
HIGHEST = 0.55  # the density at the top of the plot


def divergence(beta: float, mean: float, width: float) -> float:
    """Measure a Gaussian student against the teacher with two peaks, in nats.

    Args:
        beta: 0 for forward KL, 1 for reverse KL, between them the Jensen-Shannon family.
        mean: Of the student.
        width: Its standard deviation.

    Returns:
        The divergence.

    >>> round(divergence(1.0, -3.0, 1.0), 2)  # one peak of 60 %: log(1 / 0.6)
    0.51
    """
    p = hills(3.0) * STEP
    log_q = log_normal(mean, width)
    q, log_p = np.exp(log_q), np.log(p)
    if beta == 0:
        return float((p * (log_p - log_q)).sum())
    if beta == 1:
        return float((q * (log_q - log_p)).sum())
    log_m = np.log(beta * p + (1 - beta) * q)
    return float((beta * p * (log_p - log_m) + (1 - beta) * q * (log_q - log_m)).sum())


@lru_cache(maxsize=8)
def bell_minimum(beta: float) -> tuple[float, float, float]:
    """The smallest value that a Gaussian can reach, and its mean and width."""
    mean, width = fit_gaussian(beta, 3.0)
    return divergence(beta, mean, width), mean, width


def render_bell(mean: float, width: float) -> svg.Svg:
    """Draw the teacher's two peaks, the student's bell, and three divergences with their minima.

    Args:
        mean: Of the student.
        width: Its standard deviation.

    Returns:
        The picture.
    """
    p, q = hills(3.0), np.exp(log_normal(mean, width)) / STEP
    shown = (X >= -9) & (X <= 9)

    def points(values: np.ndarray) -> list[tuple[float, float]]:
        x = LEFT + (X[shown][::2] + 9) / 18 * (RIGHT - LEFT)
        y = BASE - values[shown][::2] / HIGHEST * (BASE - TOP)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    ticks = [
        (LEFT + (x + 9) / 18 * (RIGHT - LEFT), _signed(x, 0)) for x in (-9, -6, -3, 0, 3, 6, 9)
    ]
    title = f"mean {_signed(mean)}, width {width:.2f}"
    rows, words = [], []
    for i, (beta, name) in enumerate(NAMES.items()):
        value = divergence(beta, mean, width)
        least, best_mean, best_width = bell_minimum(beta)
        reached = value <= least + NEAR
        y = 252.0 + 32 * i
        scale = 150 / FULL
        end = 96 + scale * min(value, FULL)
        mark = 96 + scale * least
        at = f"minimum {least:.2f} at {_signed(best_mean)}, {best_width:.1f}"
        rows += [
            svg.text(14, y + 11, name, size=13),
            svg.rect(96, y, 150, 14, svg.BAND),
            svg.bar(96, y, end - 96, 14, svg.STUDENT),
            svg.line([(mark, y - 4), (mark, y + 18)], svg.INK, width=2.5, dash=""),
            svg.text(250, y + 11, f"{value:.2f}" + (" →" if value > FULL else ""), bold=True),
            svg.text(WIDTH - 12, y + 11, ("✓ " if reached else "") + at, anchor="end", size=11),
        ]
        words.append(f"{name} {value:.2f} nats, {at}" + (", reached" if reached else ""))
    return svg.picture(
        WIDTH,
        BELL_HEIGHT,
        f"Student: {title}. " + "; ".join(words) + ".",
        svg.panel(0.5, 0.5, WIDTH - 1, BELL_HEIGHT - 1),
        svg.text(14, 24, title, size=14, bold=True),
        svg.line([(236, 20), (260, 20)], svg.TEACHER),
        svg.text(266, 24, "teacher p"),
        svg.line([(342, 20), (366, 20)], svg.STUDENT),
        svg.text(372, 24, "student q"),
        svg.axis(ticks, BASE, (BASE, TOP), side="bottom"),
        svg.line([(LEFT, BASE), (RIGHT, BASE)], svg.MUTED, width=1),
        svg.line(points(p), svg.TEACHER),
        svg.line(points(q), svg.STUDENT),
        svg.text(14, 238, "nats; the black line on a bar is the minimum", color=svg.MUTED),
        *rows,
    )


def render_story(story: PointerStory, position: int, k: int, tail: str) -> svg.Svg:
    """Draw a story, and the bars of teacher, kept target and student for one of its words.

    Args:
        story: The stored story.
        position: Of the word that is predicted, from 0.
        k: How many probabilities are kept.
        tail: What is done with the others: "drop", "bucket" or "draw".

    Returns:
        The picture.
    """
    p, q = story.teacher[position], story.student(position, k, tail)
    target, bucket = story.kept(position, k, tail)
    ids = p.argsort(descending=True)[:7]
    rows = [tuple(100 * float(x[i]) for x in (p, target, q)) for i in ids]
    listed = [sum(values) for values in zip(*rows, strict=True)]
    total = (100.0, 100 * (float(target.sum()) + bucket), 100.0)
    rows.append(tuple(max(0.0, a - b) for a, b in zip(total, listed, strict=True)))
    names = [*(story.words[i].strip("<>") for i in ids.tolist()), "all others"]
    title = f"word {position + 1}: {story.tokens[position].strip('<>')}"
    words = "; ".join(
        f"{name}: teacher {t:.0f} %, kept {kept:.0f} %, student {s:.0f} %"
        for name, (t, kept, s) in zip(names, rows, strict=True)
    )
    return svg.picture(
        WIDTH,
        STORY_HEIGHT,
        f"{title}, k = {k}, tail: {tail}. {words}.",
        svg.panel(0.5, 0.5, WIDTH - 1, STORY_HEIGHT - 1),
        svg.text(14, 24, f"{title} (k = {k}, tail: {tail})", size=14, bold=True),
        _text(story.tokens, position),
        svg.legend(14, 120, [(c, n) for c, n in zip(COLORS, SERIES, strict=True)], gap=10),
        svg.text(WIDTH - 12, 120, "in %", color=svg.MUTED, anchor="end"),
        _bars(names, rows),
    )


def _text(tokens: list[str], position: int) -> str:
    """The story in lines; what was read is black, the next word is framed, the rest is grey."""
    parts, x, y = [], 14.0, 52.0
    for i, token in enumerate(tokens):
        word = token.strip("<>")
        wide = _width(word)
        if x + wide > WIDTH - 14:
            x, y = 14.0, y + 26
        if i == position:
            parts.append(svg.rect(x - 2, y - 15, wide, 21, svg.BAND, stroke=svg.INK, round_=4))
        color = svg.INK if i <= position else svg.MUTED
        parts.append(svg.text(x + 2, y, word, size=13, color=color))
        x += wide + 2
    return "".join(parts)


def _width(word: str) -> float:
    """How wide a word is at size 13 in a sans-serif font, with a gap behind it."""
    narrow, broad = sum(c in "ijltfr.,'" for c in word), sum(c in "mwMW" for c in word)
    return 7.9 * len(word) - 3.2 * narrow + 4.2 * broad + 8


def _bars(names: list[str], rows: list[tuple[float, ...]]) -> str:
    """Three bars a word, for teacher, kept target and student, with their values as text."""
    parts = []
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        y = 138.0 + 30 * i
        parts.append(svg.text(92, y + 17, name, size=13, anchor="end"))
        for j, value in enumerate(row):
            parts.append(svg.bar(100, y + 9 * j, 2.6 * value, 8, COLORS[j]))
        values = " · ".join(f"{value:.0f}" for value in row)
        parts.append(svg.text(WIDTH - 12, y + 17, values, anchor="end"))
    return "".join(parts)


def _signed(value: float, decimals: int = 1) -> str:
    return f"{value:.{decimals}f}".replace("-", "−")
