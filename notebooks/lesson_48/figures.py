"""The live figures of lesson 48: a draft over its target, and what a draft saves.

Both are pure functions to SVG of one size, fast enough for a slider.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from distill_lab.course.figures import svg
from lesson_48.experiments import speed

__all__ = ["FIVE", "draft_of", "measures", "render_overlap", "render_speed"]

FIVE = ("the", "a", "his", "red", "old")
P = (0.5, 0.3, 0.1, 0.06, 0.04)
WIDTH = 460.0
MOST_DRAFTS = 10
LOW, HIGH = -3.0, 3.0  # of the scale of speed, in powers of 2


def draft_of(moved: float, rare: float) -> Tensor:
    """Make a draft of the target `P`: flattened, or without its rarest token.

    Args:
        moved: probability taken from the first token and spread evenly over the other four.
        rare: what the last token's probability is multiplied by; the rest goes to the first token.

    Returns:
        Probabilities (5,), in float64.

    >>> [round(x, 3) for x in draft_of(0.2, 1.0).tolist()]
    [0.3, 0.35, 0.15, 0.11, 0.09]
    """
    q = torch.tensor(P, dtype=torch.float64)
    q += moved / 4
    q[0] -= moved + moved / 4
    lost = (1 - rare) * q[-1].clone()
    q[-1] -= lost
    q[0] += lost
    return q


def measures(q: Tensor) -> tuple[float, float, float]:
    """Return acceptance, forward KL and reverse KL (nats) of a draft of `P`."""
    p = torch.tensor(P, dtype=torch.float64)
    gap = (p / q).log()
    kls = (float((p * gap).sum()), float(-(q * gap).sum()))
    return float(torch.minimum(p, q).sum()), *(max(kl, 0.0) + 0.0 for kl in kls)


def render_overlap(moved: float, rare: float) -> svg.Svg:
    """Draw the target's bars, the draft's over them, and acceptance beside both KLs."""
    q = draft_of(moved, rare)
    accepted, forward, reverse = measures(q)
    title = f"moved {moved:.2f}, rarest token × {rare:g}"
    words = "; ".join(
        f"{name}: target {100 * p:.0f} %, draft {_percent(x)}"
        for name, p, x in zip(FIVE, P, q.tolist(), strict=True)
    )
    parts = []
    for i, (name, p, x) in enumerate(zip(FIVE, P, q.tolist(), strict=True)):
        y = 58.0 + 34 * i
        parts += [
            svg.text(54, y + 15, name, size=13, anchor="end"),
            svg.bar(62, y, 440 * p, 10, svg.TEACHER),
            svg.bar(62, y + 11, 440 * x, 10, svg.STUDENT),
            svg.text(WIDTH - 12, y + 15, f"{100 * p:.0f} · {_percent(x)}", anchor="end"),
        ]
    rows = (
        ("accepted", 100 * accepted, 100.0, f"{100 * accepted:.0f} %"),
        ("forward KL", forward, 0.4, f"{forward:.3f} nats"),
        ("reverse KL", reverse, 0.4, f"{reverse:.3f} nats"),
    )
    for i, (name, value, full, text) in enumerate(rows):
        y = 254.0 + 26 * i
        parts += [
            svg.text(14, y + 11, name, size=13, bold=i == 0),
            svg.rect(100, y, 240, 14, svg.BAND),
            svg.bar(100, y, 240 * min(value / full, 1.0), 14, svg.GREEN if i == 0 else svg.YELLOW),
            svg.text(WIDTH - 12, y + 11, text, anchor="end", bold=True),
        ]
    alt = (
        f"{title}: {100 * accepted:.0f} % of the drafted tokens are accepted, forward KL "
        f"{forward:.3f} nats, reverse KL {reverse:.3f} nats. {words}."
    )
    return svg.picture(
        WIDTH,
        340,
        alt,
        svg.panel(0.5, 0.5, WIDTH - 1, 339),
        svg.text(14, 24, title, size=14, bold=True),
        svg.legend(14, 46, [(svg.TEACHER, "target p"), (svg.STUDENT, "draft q")]),
        svg.text(WIDTH - 12, 46, "in %", color=svg.MUTED, anchor="end"),
        *parts,
    )


def render_speed(acceptance: float, cost: float, drafts: int) -> svg.Svg:
    """Draw tokens and cost of a pass, and the speed for 1 to 10 drafted tokens.

    Args:
        acceptance: a, from 0 to 1.
        cost: c, a call of the draft over a call of the target.
        drafts: tokens drafted for a pass.

    Returns:
        The picture.
    """
    tokens = float(sum(acceptance**i for i in range(drafts + 1)))
    price, here = drafts * cost + 1, speed(acceptance, cost, drafts)
    verdict, color = _verdict(here)
    title = f"acceptance {acceptance:.1f}, cost {cost:g}, {drafts} drafted"
    left, right, base, top = 56.0, 444.0, 296.0, 138.0

    def at(n: int, value: float) -> tuple[float, float]:
        x = left + (right - left) * (n - 1) / (MOST_DRAFTS - 1)
        share = (min(max(math.log2(value), LOW), HIGH) - LOW) / (HIGH - LOW)
        return x, base - share * (base - top)

    curve = [at(n, speed(acceptance, cost, n)) for n in range(1, MOST_DRAFTS + 1)]
    ticks_x = [(at(n, 1)[0], str(n)) for n in (1, 2, 4, 6, 8, 10)]
    ticks_y = [(at(1, 2.0**e)[1], f"{2.0**e:g}×") for e in (-3, -2, -1, 0, 1, 2, 3)]
    level = at(1, 1.0)[1]
    rows = []
    for i, (name, value, look) in enumerate(
        (("tokens a pass", tokens, svg.STUDENT), ("cost of a pass", price, svg.TEACHER))
    ):
        y = 42.0 + 26 * i
        rows += [
            svg.text(14, y + 11, name, size=13),
            svg.bar(120, y, 24 * min(value, 11), 14, look),
            svg.text(WIDTH - 12, y + 11, f"{value:.2f}", anchor="end", bold=True),
        ]
    best = max(range(1, MOST_DRAFTS + 1), key=lambda n: speed(acceptance, cost, n))
    alt = (
        f"{title}: {tokens:.2f} tokens a pass for the cost of {price:.2f} target calls: "
        f"{here:.2f} times as fast, {verdict}. The best of 1 to {MOST_DRAFTS} is {best} drafted, "
        f"{speed(acceptance, cost, best):.2f} times."
    )
    x, y = at(drafts, here)
    return svg.picture(
        WIDTH,
        340,
        alt,
        svg.panel(0.5, 0.5, WIDTH - 1, 339),
        svg.text(14, 24, title, size=14, bold=True),
        *rows,
        svg.text(14, 118, f"{here:.2f} times as fast: {verdict}", size=14, bold=True, color=color),
        svg.axis(ticks_x, base, (base, top), side="bottom"),
        svg.axis(ticks_y, left, (left, right), side="left"),
        svg.line([(left, level), (right, level)], svg.INK, width=1.5, dash=""),
        svg.line(curve, svg.STUDENT),
        svg.dot(x, y, 7, color),
        svg.text(right, 330, "drafted tokens a pass", size=11, color=svg.MUTED, anchor="end"),
    )


def _verdict(value: float) -> tuple[str, str]:
    if value > 1.005:
        return "+ saves time", svg.GREEN
    if value < 0.995:
        return "− costs time", svg.TEACHER
    return "= no difference", svg.MUTED


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.005 else f"{100 * value:.3f} %"
