"""The live picture of lesson 32: which answers a threshold keeps, and how many are right."""

from __future__ import annotations

from distill_lab.course.figures import svg

__all__ = ["render_kept"]

WIDTH, HEIGHT = 470, 330
LEFT, RIGHT, TOP, BASE = 46, 454, 96, 262
EDGES = 10  # bars, each a tenth of confidence wide


def render_kept(
    right: list[int],
    wrong: list[int],
    *,
    threshold: float,
    n: int,
    teacher: float,
    rows: dict[str, tuple[float, float]],
) -> svg.Svg:
    """Draw a teacher's answers by confidence, right ones below, wrong ones on top of them.

    Args:
        right: right answers in each tenth of confidence, from 0 to 1.
        wrong: wrong answers, likewise.
        threshold: answers with a confidence above it are kept.
        n: labels the teacher was trained on.
        teacher: its accuracy in percent.
        rows: name -> (share kept, share of these that is right), both in percent; NaN where
            nothing is kept.

    Returns:
        The picture, of one size whatever the values.
    """
    most = max(1, *(a + b for a, b in zip(right, wrong, strict=True)))
    step = (RIGHT - LEFT) / EDGES
    parts = [svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1)]
    facts = []
    for i, (name, (kept, good)) in enumerate(rows.items()):
        words = f"{name}: keeps {kept:.0f} %, " + (
            "none right or wrong" if good != good else f"{good:.1f} % of them right"
        )
        facts.append(words)
        parts.append(svg.text(14, 46 + 18 * i, words, size=12))
    title = f"teacher of {n} labels ({teacher:.0f} % right), confidence above {threshold:g}"
    parts.append(svg.text(14, 24, title, size=14, bold=True))
    for i, (good, bad) in enumerate(zip(right, wrong, strict=True)):
        x, kept = LEFT + step * i, (i + 0.5) / EDGES > threshold
        tall, top = (BASE - TOP) * good / most, (BASE - TOP) * bad / most
        for y, height, color in (
            (BASE - tall, tall, svg.GREEN),
            (BASE - tall - top, top, svg.PURPLE),
        ):
            if height > 0:
                parts.append(svg.rect(x + 2, y, step - 4, height, color if kept else svg.RULE))
        parts.append(svg.text(x, BASE + 16, f"{i / EDGES:.1f}", size=11, anchor="middle"))
    cut = LEFT + (RIGHT - LEFT) * threshold
    parts += [
        svg.text(RIGHT, BASE + 16, "1.0", size=11, anchor="middle"),
        svg.line([(LEFT, BASE), (RIGHT, BASE)], svg.MUTED, width=1),
        svg.line([(cut, TOP - 6), (cut, BASE)], svg.INK, width=2, dash="4 3"),
        svg.text(LEFT, TOP + 8, f"{most} pictures", size=11, color=svg.MUTED),
        svg.text(LEFT, HEIGHT - 30, "confidence of the answer", size=12),
        svg.legend(
            LEFT,
            HEIGHT - 12,
            [(svg.GREEN, "kept, right"), (svg.PURPLE, "kept, wrong"), (svg.RULE, "not kept")],
        ),
    ]
    return svg.picture(WIDTH, HEIGHT, f"{title}. " + ". ".join(facts) + ".", *parts)
