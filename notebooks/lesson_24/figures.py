"""The live figures of lesson 24: where pictures leave a network, and a curve after t rounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from distill_lab.course.figures import svg

WIDTH = 460.0


def render_exits(
    curve: ArrayLike,
    here: tuple[float, float],
    fixed: ArrayLike,
    shares: Sequence[float],
    *,
    right: Sequence[float],
    bounds: tuple[float, float],
    title: str,
) -> svg.Svg:
    """Draw the latency/accuracy curve of all thresholds, the chosen point, and who leaves where.

    Args:
        curve: Points (cost in ms, accuracy in percent), one a threshold, (N, 2).
        here: The point of the chosen threshold.
        fixed: Points of the exits taken alone, (K, 2).
        shares: Percent of the pictures that leave at each exit, K numbers.
        right: Percent of those that are right, K numbers; NaN where none leaves.
        bounds: Lowest and highest accuracy of the scale, the same for all states.
        title: The threshold and the way of training.

    Returns:
        The picture, with the point and the shares in its alt text.

    Raises:
        ValueError: For shares that do not sum to 100.

    >>> view = render_exits([[1, 80], [2, 90]], (1, 80), [[1, 80], [2, 90]], [100, 0],
    ...                     right=[80, float("nan")], bounds=(70, 100), title="threshold 0")
    >>> view.alt
    'Threshold 0: 1.000 ms a picture, 80.0 % right. Leave at exit 1: 100 %, at exit 2: 0 %.'
    """
    path, marks = np.asarray(curve, float), np.asarray(fixed, float)
    if abs(sum(shares) - 100) > 0.1:
        raise ValueError(f"the shares of all exits sum to 100 percent, got {sum(shares):.1f}")
    low, high = bounds
    longest = 1.08 * max(path[:, 0].max(), marks[:, 0].max())
    left, top, wide, tall = 48.0, 62.0, WIDTH - 66, 170.0
    height = 309.0 + 22 * len(shares)

    def at(point: Sequence[float]) -> tuple[float, float]:
        share = (point[1] - low) / (high - low)
        return left + wide * point[0] / longest, top + tall * (1 - share)

    # the scale of the time: at most five steps of 1, 2 or 5
    step = next(
        s for s in 10.0 ** np.arange(-5, 4)[:, None] @ [[1, 2, 5]] for s in s if longest / s <= 5
    )
    xs = [(left + wide * t / longest, f"{t:.3g}") for t in np.arange(0, longest, step)]
    ys = [(at((0, a))[1], f"{a:g}") for a in np.linspace(low, high, 4)]
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, height - 1),
        svg.text(14, 23, title, size=13, bold=True),
        svg.text(14, 46, "accuracy, %", size=11, color=svg.MUTED),
        svg.axis(xs, top + tall, (top, top + tall), side="bottom"),
        svg.axis(ys, left, (left, left + wide), side="left"),
        svg.text(
            left + wide,
            top + tall + 31,
            "mean latency of a picture, ms",
            size=11,
            color=svg.MUTED,
            anchor="end",
        ),
        svg.line([at(p) for p in path], svg.STUDENT),
    ]
    for k, mark in enumerate(marks):
        x, y = at(mark)
        parts += [
            svg.dot(x, y, 5, svg.HARD, hollow=True),
            svg.text(x, y + 19, f"exit {k + 1}", size=11, anchor="middle"),
        ]
    x, y = at(here)
    parts.append(svg.dot(x, y, 7, svg.TEACHER))
    parts.append(svg.text(14, 288, "pictures that leave there", size=11, bold=True))
    for k, (share, good) in enumerate(zip(shares, right, strict=True)):
        y = 300.0 + 22 * k
        sure = "" if np.isnan(good) else f", {good:.0f} % right"
        parts += [
            svg.text(14, y + 12, f"exit {k + 1}"),
            svg.bar(62, y, 2.2 * share, 14, svg.STUDENT),
            svg.text(70 + 2.2 * share, y + 12, f"{share:.0f} %{sure}", size=11),
        ]
    who = ", ".join(f"at exit {k + 1}: {share:.0f} %" for k, share in enumerate(shares))
    alt = (
        f"{title[:1].upper() + title[1:]}: {here[0]:.3f} ms a picture, {here[1]:.1f} % right. "
        f"Leave {who}."
    )
    return svg.picture(WIDTH, height, alt, *parts)


def render_rounds(
    x: ArrayLike,
    truth: ArrayLike,
    fit: ArrayLike,
    points: tuple[ArrayLike, ArrayLike],
    errors: Sequence[float],
    rounds: int,
    *,
    title: str,
) -> svg.Svg:
    """Draw the curve after some rounds, the points it began from, and the error of each round.

    Args:
        x: Where the curves are drawn, (N,), in [0, 1].
        truth: The curve without noise, (N,).
        fit: The curve after `rounds` rounds, (N,).
        points: The data, x and y.
        errors: The test error after each round, the first after round 1.
        rounds: Which round is shown, from 1.
        title: The penalty and the round.

    Returns:
        The picture, with the error in its alt text.

    Raises:
        ValueError: For a round that has no error.

    >>> render_rounds([0, 1], [0, 0], [0, 1], ([0], [1]), [0.5], 1, title="λ = 1, round 1").alt
    'λ = 1, round 1: test error 0.5000; the lowest of 1 rounds is 0.5000, in round 1.'
    """
    if not 1 <= rounds <= len(errors):
        raise ValueError(f"there are errors of rounds 1 to {len(errors)}, got round {rounds}")
    left, top, wide, tall = 14.0, 36.0, WIDTH - 28, 196.0

    def at(px: float, py: float) -> tuple[float, float]:
        return left + wide * px, top + tall / 2 * (1 - float(np.clip(py, -2, 2)) / 2)

    xs = np.asarray(x, float)
    lowest = int(np.argmin(errors))
    parts = [svg.panel(0.5, 0.5, WIDTH - 1, 376), svg.text(14, 23, title, size=13, bold=True)]
    parts.append(svg.line([at(a, b) for a, b in zip(xs, np.asarray(truth), strict=True)], svg.HARD))
    parts.append(
        svg.line(
            [at(a, b) for a, b in zip(xs, np.asarray(fit), strict=True)], svg.STUDENT, width=2.5
        )
    )
    parts += [
        svg.dot(*at(a, b), 3.5, svg.TEACHER) for a, b in zip(*map(np.asarray, points), strict=True)
    ]
    parts += [
        svg.dot(23, 247, 3.5, svg.TEACHER),
        svg.text(36, 252, "noisy points", size=11, color=svg.MUTED),
        svg.line([(128, 247), (150, 247)], svg.HARD),
        svg.text(156, 252, "true curve", size=11, color=svg.MUTED),
        svg.line([(236, 247), (258, 247)], svg.STUDENT, width=2.5),
        svg.text(264, 252, "fit", size=11, color=svg.MUTED),
    ]
    slot, top_error = wide / len(errors), max(errors)
    parts.append(svg.text(14, 280, "test error after each round", size=11, bold=True))
    parts.append(
        svg.text(
            WIDTH - 14,
            280,
            f"highest {top_error:.3g}, here {errors[rounds - 1]:.3g}",
            size=11,
            color=svg.MUTED,
            anchor="end",
        )
    )
    for k, error in enumerate(errors):
        height = 54 * error / top_error
        colour = svg.STUDENT if k + 1 == rounds else svg.HARD
        x0 = left + slot * k + 3
        parts.append(
            svg.rect(
                x0,
                350 - height,
                slot - 6,
                height,
                colour if k + 1 == rounds else svg.RULE,
                stroke=colour,
            )
        )
        parts.append(svg.text(x0 + slot / 2 - 3, 366, k + 1, size=11, anchor="middle"))
    alt = (
        f"{title}: test error {errors[rounds - 1]:.4f}; the lowest of {len(errors)} rounds is "
        f"{errors[lowest]:.4f}, in round {lowest + 1}."
    )
    return svg.picture(WIDTH, 377, alt, *parts)
