"""Where two networks look: attention as lines between words, activation maps as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from distill_lab.course.figures import plots, svg

WIDTH, PANEL, TOP, STEP = 800, 392, 74, 27  # of the picture, one panel, its first row, its rows
LEAST = 0.02  # fainter lines are not drawn
MOST_WORDS = 24


def render_attention(
    words: Sequence[str],
    teacher: ArrayLike,
    student: ArrayLike,
    *,
    layer: int,
    head: int,
    focus: int | None = None,
    names: tuple[str, str] = ("teacher", "student"),
) -> svg.Svg:
    """Draw one head's attention, teacher beside student, from each word to those it reads.

    A student of fewer layers shows the one that stands for the teacher's, as in TinyBERT; one of
    fewer heads shows the mean of its own.

    Args:
        words: L of them.
        teacher: (layers, heads, L, L), rows summing to one.
        student: the same, perhaps of fewer layers and heads.
        layer: the teacher's, from 1.
        head: the teacher's, from 1.
        focus: the word drawn in its role's colour with its shares written out; the last by default.
        names: of the two.

    Returns:
        The picture.

    Raises:
        ValueError: for other shapes, or a layer, head or focus that is not there.
    """
    words = [str(word) for word in words]
    maps = [_checked(x, len(words), who) for x, who in ((teacher, "teacher"), (student, "student"))]
    layers, heads = maps[0].shape[:2]
    focus = len(words) - 1 if focus is None else focus
    for what, value, low, high in (
        ("layer", layer, 1, layers),
        ("head", head, 1, heads),
        ("focus", focus, 0, len(words) - 1),
    ):
        if not low <= value <= high:
            raise ValueError(f"{what} must lie between {low} and {high}, got {value}.")
    beside = math.ceil(layer * maps[1].shape[0] / layers)
    same = maps[1].shape[1] == heads
    rows = [
        maps[0][layer - 1, head - 1],
        maps[1][beside - 1, head - 1] if same else maps[1][beside - 1].mean(0),
    ]
    titles = [
        f"{names[0]}, layer {layer}, head {head}",
        f"{names[1]}, layer {beside}, "
        + (f"head {head}" if same else f"mean of {maps[1].shape[1]} heads"),
    ]
    apart = float(np.abs(rows[0] - rows[1]).sum(-1).mean() / 2)
    height = TOP + STEP * len(words) + 34
    spoken = [_spoken(words, row, focus) for row in rows]
    return svg.picture(
        WIDTH,
        height,
        f"Layer {layer}, head {head}. {words[focus]} reads: {names[0]} {spoken[0]}; {names[1]} "
        f"{spoken[1]}. The two maps differ by {apart:.2f} of 1.",
        *(
            _panel(0.5 + i * (WIDTH - PANEL - 1), height, titles[i], words, row, focus, colour)
            for i, (row, colour) in enumerate(zip(rows, (svg.TEACHER, svg.STUDENT), strict=True))
        ),
        svg.text(
            WIDTH / 2,
            height - 11,
            f"the two maps differ by {apart:.2f} (0 alike, 1 elsewhere)",
            anchor="middle",
            size=11,
            color=svg.MUTED,
        ),
    )


def _panel(
    x: float,
    height: float,
    title: str,
    words: Sequence[str],
    row: np.ndarray,
    focus: int,
    colour: str,
) -> str:
    """One network's map as lines from the words on the left to the words on the right."""
    left, right = x + 128, x + PANEL - 150
    ys = [TOP + STEP * (i + 0.5) for i in range(len(words))]
    parts = [
        svg.panel(x, 0.5, PANEL - 0.5, height - 32, title),
        svg.text(left - 8, TOP - 8, "from", size=11, color=svg.MUTED, anchor="end"),
        svg.text(right + 8, TOP - 8, "reads", size=11, color=svg.MUTED),
        svg.rect(x + 6, TOP + STEP * focus + 1, left - x - 6, STEP - 2, svg.BAND),
    ]
    order = [i for i in range(len(words)) if i != focus] + [focus]  # the chosen one on top
    for i in order:
        for j in np.flatnonzero(row[i] >= LEAST).tolist():
            share = float(row[i, j])
            parts.append(
                svg.line(
                    [(left, ys[i]), (right, ys[j])],
                    colour if i == focus else svg.HARD,
                    width=0.6 + 5.4 * share if i == focus else 0.4 + 1.6 * share,
                    dash=None if i == focus else "",
                    opacity=1 if i == focus else 0.12 + 0.3 * share,
                )
            )
    for i, word in enumerate(words):
        shown = word if len(word) <= 16 else word[:15] + "…"
        share = float(row[focus, i])
        strong = share >= 0.1
        parts += [
            svg.text(left - 8, ys[i] + 4, shown, anchor="end", bold=i == focus),
            svg.text(
                right + 8, ys[i] + 4, shown, bold=strong, color=svg.INK if strong else svg.MUTED
            ),
            svg.text(
                x + PANEL - 12,
                ys[i] + 4,
                f"{100 * share:.0f} %",
                anchor="end",
                color=svg.INK if strong else svg.MUTED,
                bold=strong,
            ),
        ]
    return "".join(parts)


def _spoken(words: Sequence[str], row: np.ndarray, focus: int) -> str:
    best = int(row[focus].argmax())
    return f"mostly {words[best]!r}, {100 * float(row[focus, best]):.0f} %"


def _checked(attention: ArrayLike, length: int, who: str) -> np.ndarray:
    shares = np.asarray(attention, dtype=np.float64)
    if not 2 <= length <= MOST_WORDS:
        raise ValueError(f"expected 2 to {MOST_WORDS} words, got {length}: pick a shorter text.")
    if shares.ndim != 4 or 0 in shares.shape or shares.shape[2:] != (length, length):
        raise ValueError(
            f"the {who}'s attention must be (layers, heads, {length}, {length}) for these "
            f"{length} words, got {shares.shape}."
        )
    if not np.isfinite(shares).all() or np.abs(shares.sum(-1) - 1).max() > 1e-3 or shares.min() < 0:
        raise ValueError(
            f"the {who}'s attention must be shares that sum to one in each row: take the softmax "
            "of the scores, over the keys, once."
        )
    return shares


def activation_figure(
    pictures: ArrayLike, maps: Sequence[tuple[str, Sequence[ArrayLike]]]
) -> Figure:
    """Draw pictures in the first row, below them one row of maps a name and stage.

    Args:
        pictures: (N, 1, H, W).
        maps: (name, [(N, h, w), ...]); each map is scaled to its own largest value.

    Returns:
        The figure.
    """
    shown = np.asarray(pictures, dtype=float).reshape(len(np.asarray(pictures)), -1)
    side = math.isqrt(shown.shape[1])
    rows = [("picture", shown.reshape(-1, side, side))]
    for name, stages in maps:
        rows += [(f"{name}\nstage {i + 1}", np.asarray(m)) for i, m in enumerate(stages)]
    figure, axes = plots.new_figure(
        0.95 * len(shown) + 1.1, 0.95 * len(rows), rows=len(rows), columns=len(shown)
    )
    axes = np.atleast_2d(axes)
    for line, (name, images) in zip(axes, rows, strict=True):
        for panel, image in zip(line, images, strict=True):
            ink = name == "picture"
            top = 1.0 if ink else max(float(image.max()), 1e-12)
            panel.imshow(image, cmap="gray_r" if ink else "cividis", vmin=0, vmax=top)
            panel.set(xticks=[], yticks=[])
            panel.grid(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    figure.supxlabel(
        "Each map has its own scale: yellow is its own largest value, dark blue is 0.", fontsize=10
    )
    return figure
