"""A claim's interval as a small drawing: where it lies against what was expected."""

from __future__ import annotations

import math
from html import escape
from typing import Any

WIDTH, HEIGHT, EDGE = 180.0, 30.0, 10.0
SHADE = "#E7EEF3"
LOOKS = {"holds": " holds", "does not hold here": " fails"}  # their colours stand in style.css


def interval_plot(claim: dict[str, Any]) -> str:
    """SVG: the mean a dot, the interval a line, the expected side shaded; empty without figures."""
    values = [claim.get(name) for name in ("low", "mean", "high")]
    figures = [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    if len(figures) < 3:
        return ""
    low, mean, high = figures
    expected = claim.get("expected")
    bound = float((claim.get("margin") if expected == "within" else claim.get("threshold")) or 0.0)
    ends = [low, high, 0.0, bound, *([-bound] if expected == "within" else [])]
    span = (max(ends) - min(ends)) or 1.0
    start, stop = min(ends) - 0.08 * span, max(ends) + 0.08 * span

    def x(value: float) -> float:
        return EDGE + (value - start) / (stop - start) * (WIDTH - 2 * EDGE)

    left, right = {
        "above": (x(bound), WIDTH - EDGE),
        "below": (EDGE, x(bound)),
        "within": (x(-bound), x(bound)),
    }.get(str(expected), (0.0, 0.0))
    look = LOOKS.get(str(claim.get("verdict")), "")
    label = f"mean difference {mean:.3g}, interval {low:.3g} to {high:.3g}; expected side shaded"
    return (
        f'<svg class="interval{look}" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" '
        f'height="{HEIGHT:g}" role="img" aria-label="{escape(label)}">'
        f'<rect x="{left:.1f}" y="3" width="{max(0.0, right - left):.1f}" height="24" '
        f'fill="{SHADE}"/>'
        f'<path d="M{x(0):.1f} 3v24" stroke="#8A8F98" stroke-dasharray="2 2"/>'
        f'<path d="M{x(low):.1f} 15H{x(high):.1f}M{x(low):.1f} 10v10M{x(high):.1f} 10v10" '
        f'stroke="currentColor" stroke-width="2"/>'
        f'<circle cx="{x(mean):.1f}" cy="15" r="4" fill="currentColor"/></svg>'
    )
