"""The pictures of lesson 33: what a maker dreams, and the neighbours of what it made."""

from __future__ import annotations

from torch import Tensor

from distill_lab.course.figures import svg
from lesson_33.experiments import nearest

__all__ = ["render_dream", "render_neighbours"]

SIDE, GAP, COLUMNS = 34, 6, 5
WIDTH, HEIGHT = 340, 236


def render_dream(pictures: Tensor, logits: Tensor, *, title: str) -> svg.Svg:
    """Draw twenty made pictures, and how often the teacher assigns each class to them.

    Args:
        pictures: Made pictures in [0, 1], (20, 64).
        logits: The teacher's answers, (20, 10).
        title: What is shown.

    Returns:
        The picture, with the counts in its alt text.

    Raises:
        ValueError: If there are not twenty pictures with an answer each.
    """
    if pictures.shape != (20, 64) or logits.shape != (20, 10):
        raise ValueError(
            f"expected 20 pictures of 64 pixels with 10 logits each, got {tuple(pictures.shape)} "
            f"and {tuple(logits.shape)}"
        )
    counts = logits.argmax(-1).bincount(minlength=10).tolist()
    sure = logits.softmax(-1).amax(-1).mean().item()
    grid = [
        svg.pixels(
            picture.reshape(8, 8).numpy(),
            14 + (SIDE + GAP) * (i % COLUMNS),
            38 + (SIDE + GAP) * (i // COLUMNS),
            SIDE,
        )
        for i, picture in enumerate(pictures)
    ]
    left, base, step = 222, 38, 17
    rows = [
        svg.text(left, base + 12 + step * k, k, size=12) + _count(left + 16, base + step * k, n)
        for k, n in enumerate(counts)
    ]
    words = ", ".join(f"{n} times {k}" for k, n in enumerate(counts) if n)
    alt = (
        f"{title}. Twenty made pictures. The teacher's classes: {words}. "
        f"Mean confidence {100 * sure:.0f} percent."
    )
    return svg.picture(
        WIDTH,
        HEIGHT,
        alt,
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1, title),
        *grid,
        *rows,
        svg.text(left, 224, f"confidence {100 * sure:.0f} %", size=12),
    )


def _count(x: float, y: float, count: int) -> str:
    return svg.bar(x, y + 2, 3.6 * count, 12) + svg.text(x + 3.6 * count + 6, y + 12, count)


def render_neighbours(made: Tensor, private: Tensor, unseen: Tensor, *, rows: int) -> svg.Svg:
    """Draw the made pictures that are nearest to a private one, each with its two neighbours.

    Args:
        made: (N, 64).
        private: (M, 64).
        unseen: (M, 64).
        rows: How many made pictures.

    Returns:
        The picture, with the distances in its alt text.

    Raises:
        ValueError: For more rows than made pictures.
    """
    if not 1 <= rows <= len(made):
        raise ValueError(f"rows must lie between 1 and {len(made)}, got {rows}")
    (near, own), (far, other) = nearest(made, private), nearest(made, unseen)
    chosen = near.argsort()[:rows].tolist()
    width, side = 96 + 58 * rows, 48
    names = ("made", "private", "unseen")
    parts = [svg.text(14, 68 + 62 * i, name, bold=True) for i, name in enumerate(names)]
    distances = []
    for column, i in enumerate(chosen):
        x = 84 + 58 * column
        shown = (made[i], private[own[i]], unseen[other[i]])
        for line, picture in enumerate(shown):
            parts.append(svg.pixels(picture.reshape(8, 8).numpy(), x, 40 + 62 * line, side))
        for line, distance in ((1, near[i]), (2, far[i])):
            parts.append(
                svg.text(x + side / 2, 100 + 62 * line, f"{distance:.2f}", size=11, anchor="middle")
            )
        distances.append(f"private {near[i]:.2f}, unseen {far[i]:.2f}")
    alt = (
        f"{rows} made pictures, each above its nearest private and its nearest unseen picture. "
        f"Distances: {'; '.join(distances)}."
    )
    title = "Made pictures and their nearest neighbours"
    return svg.picture(width, 236, alt, svg.panel(0.5, 0.5, width - 1, 235, title), *parts)
