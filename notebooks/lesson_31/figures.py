"""Lesson 31's live picture: two specialists' answers, and the target made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distill_lab.course.figures import bars, svg
from distill_lab.course.figures.formulas import soften

__all__ = ["RULES", "mix", "render_target"]

RULES = ("mean of probabilities", "mean of logits", "by confidence", "route")
WIDTH, HEIGHT, TOP, ROWS = 470, 430, 132, 250
COLUMNS = (34.0, 184.0, 334.0)  # where the three distributions begin
LENGTH = 92.0  # of probability 1


def mix(
    low_logits: ArrayLike, high_logits: ArrayLike, label: int, rule: str, T: float
) -> np.ndarray:
    """Compute the target of one picture.

    Args:
        low_logits: Of the specialist for 0 to 4, (C,).
        high_logits: Of the specialist for 5 to 9, (C,).
        label: The right class: it decides the route.
        rule: One of `RULES`.
        T: The temperature.

    Returns:
        Probabilities at T, (C,).

    Raises:
        ValueError: For another rule.
    """
    z = np.stack([np.asarray(low_logits, float), np.asarray(high_logits, float)])
    p = np.stack([soften(row, T) for row in z])
    if rule == "route":
        return p[int(label >= 5)]
    if rule == "mean of logits":
        return soften(z.mean(0), T)
    if rule == "mean of probabilities":
        return p.mean(0)
    if rule == "by confidence":
        sure = p.max(1)
        return (p * (sure / sure.sum())[:, None]).sum(0)
    raise ValueError(f"expected one of {RULES}, got {rule!r}")


def render_target(
    image: ArrayLike,
    low_logits: ArrayLike,
    high_logits: ArrayLike,
    label: int,
    *,
    rule: str,
    T: float,
) -> svg.Svg:
    """Draw both specialists' distributions at T, and the target that the rule makes of them.

    Args:
        image: The picture, (H, W) in [0, 1].
        low_logits: Of the specialist for 0 to 4, (C,).
        high_logits: Of the specialist for 5 to 9, (C,).
        label: The right class.
        rule: One of `RULES`.
        T: The temperature.

    Returns:
        The picture, of one size whatever the values.
    """
    target = mix(low_logits, high_logits, label, rule, T)
    rows = bars.Rows(len(target), top=TOP, height=ROWS)
    first, share = int(target.argmax()), float(target[label])
    sign, color = ("✓ right", svg.GREEN) if first == label else ("✗ wrong", svg.TEACHER)
    facts = (
        f"the target gives label {label} a probability of {share:.2f}",
        f"its first choice is {first}: {sign}",
    )
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        svg.pixels(image, 14, 12, 80),
        svg.text(108, 30, f"{rule}, T = {T:g}", size=15, bold=True),
        svg.text(108, 54, facts[0]),
        svg.text(108, 76, facts[1], color=svg.TEXT[color], bold=True),
        svg.rect(8, rows.y(label), WIDTH - 16, rows.step, svg.BAND),
        rows.names(COLUMNS[0] - 8, [str(i) for i in range(len(target))], label),
    ]
    answers = (
        ("knows 0 to 4", soften(low_logits, T), svg.TEACHER),
        ("knows 5 to 9", soften(high_logits, T), svg.TEACHER),
        ("the target", target, svg.PURPLE),
    )
    for x, (name, p, ink) in zip(COLUMNS, answers, strict=True):
        parts.append(svg.text(x, TOP - 14, name, size=12, bold=True))
        parts.append(bars.distribution(rows, x, LENGTH, p, ink))
    parts.append(svg.text(COLUMNS[0], HEIGHT - 18, "grey row: the label", size=11, color=svg.MUTED))
    alt = f"{rule}, T = {T:g}, a picture with label {label}: {facts[0]}, {facts[1]}."
    return svg.picture(WIDTH, HEIGHT, alt, *parts)
