"""Lesson 26: a BERT of any shape against the published ones; one curve of accuracy and latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from distill_lab.course.figures import plots, svg

WIDTH, HEIGHT = 460, 300
VOCABULARY, PLACES, SEGMENTS = 30_522, 512, 2  # of BERT
LEFT, RIGHT = 120, 440
MOST = 112.0  # millions of parameters that fill the bar's room
SHADES = {"word embeddings": svg.SKY, "layers": svg.STUDENT, "other": svg.HARD}


def parts_of(layers: int, width: int, inner: int) -> dict[str, float]:
    """Count a BERT's parameters by part, in millions.

    >>> round(sum(parts_of(12, 768, 3072).values()), 2)
    109.48
    """
    layer = 4 * (width**2 + width) + 2 * width * inner + inner + width + 4 * width
    other = (PLACES + SEGMENTS + 2) * width + width**2 + width  # places, a norm, the pooler
    parts = {"word embeddings": VOCABULARY * width, "layers": layers * layer, "other": other}
    return {name: count / 1e6 for name, count in parts.items()}


def operations(layers: int, width: int, inner: int, tokens: int = 128) -> float:
    """Count a BERT's additions and multiplications for one text, in billions.

    >>> round(operations(12, 768, 3072), 1)
    22.3
    """
    a_token = 2 * (4 * width**2 + 2 * width * inner) + 4 * tokens * width
    return (layers * tokens * a_token + 2 * width**2) / 1e9


def render_shape(layers: int, width: int) -> svg.Svg:
    """Draw what a BERT of this shape is made of, beside BERT-base.

    Args:
        layers: How many.
        width: Numbers a token; the inner layer is four times as wide.

    Returns:
        The picture.
    """
    rows = [("BERT-base", 12, 768), ("this one", layers, width)]
    body = []
    for number, (name, n, d) in enumerate(rows):
        parts, y, x = parts_of(n, d, 4 * d), 84 + 92 * number, float(LEFT)
        total, work = sum(parts.values()), operations(n, d, 4 * d)
        body.append(svg.text(LEFT - 10, y + 19, name, anchor="end", size=13, bold=number == 1))
        for part, value in parts.items():
            long = (RIGHT - LEFT) * value / MOST
            body.append(svg.rect(x, y, long, 28, SHADES[part]))
            x += long
        words = f"{total:.1f} million parameters · {work:.2f} billion operations"
        body.append(svg.text(LEFT, y + 46, words, size=12))
    small, large = sum(parts_of(layers, width, 4 * width).values()), 109.48
    share = parts_of(layers, width, 4 * width)["word embeddings"] / small
    faster = operations(12, 768, 3072) / operations(layers, width, 4 * width)
    lines = (
        f"{large / small:.1f} times fewer parameters, {faster:.1f} times fewer operations",
        f"word embeddings are {100 * share:.0f} % of its parameters",
    )
    body += [svg.text(20, 252 + 20 * i, line, size=12, bold=True) for i, line in enumerate(lines)]
    x = 120.0
    for part, shade in SHADES.items():
        body += [svg.rect(x, 44, 14, 14, shade), svg.text(x + 19, 56, part, size=12)]
        x += 34 + 7.4 * len(part)
    return svg.picture(
        WIDTH,
        HEIGHT,
        f"A BERT of {layers} layers and width {width}: {'; '.join(lines)}.",
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1, f"{layers} layers, width {width}"),
        *body,
    )


def render_student(
    names: Sequence[str],
    accuracy: Sequence[float],
    milliseconds: Sequence[float],
    classes: Sequence[Sequence[float]],
    *,
    chosen: int,
) -> svg.Svg:
    """Draw the curve of accuracy against latency, and the classes of one chosen model.

    Args:
        names: Of the models.
        accuracy: Of each, in percent.
        milliseconds: Of each, for one question.
        classes: Of each, the accuracy on every class in percent.
        chosen: The number of the model whose classes are drawn.

    Returns:
        The picture.
    """
    top, base, x0, x1 = 60.0, 176.0, 56.0, 440.0
    slow = max(milliseconds) * 1.08

    def at(i: int) -> tuple[float, float]:
        x = x0 + (x1 - x0) * milliseconds[i] / slow
        return x, base - (base - top) * accuracy[i] / 100

    ticks = [(base - (base - top) * v / 100, f"{v} %") for v in (0, 50, 100)]
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if slow / s <= 6)
    marks = [step * k for k in range(int(slow / step) + 1)]
    along = [(x0 + (x1 - x0) * v / slow, f"{v}") for v in marks]
    parts = [
        svg.axis(ticks, x0, (x0, x1), side="left"),
        svg.axis(along, base, (top, base), side="bottom"),
        svg.text(x1, base + 30, "milliseconds a question", size=11, anchor="end"),
        svg.line(
            [at(i) for i, name in enumerate(names) if "labels" not in name], svg.STUDENT, width=2
        ),
    ]
    for i in range(len(names)):
        colour = svg.TEACHER if i == 0 else svg.STUDENT
        parts.append(svg.dot(*at(i), 8 if i == chosen else 4, colour, hollow=i == chosen))
    ordered = sorted(classes[chosen])
    wide = (x1 - x0) / len(ordered)
    floor, room = 336.0, 84.0
    for k, value in enumerate(ordered):
        tall = room * value / 100
        shade = svg.PURPLE if value < 50 else svg.SKY
        parts.append(svg.rect(x0 + k * wide, floor - tall, max(wide - 0.8, 1), tall, shade))
    low = sum(value < 50 for value in ordered)
    parts += [
        svg.line([(x0, floor), (x1, floor)], svg.MUTED, width=1, dash=""),
        svg.text(x0, 238, f"each bar a class; worst {ordered[0]:.0f} %, {low} below 50 %", size=12),
        svg.text(x0 - 6, floor - room + 8, "100 %", size=11, anchor="end", color=svg.MUTED),
        svg.text(x0 - 6, floor, "0 %", size=11, anchor="end", color=svg.MUTED),
    ]
    title = f"{names[chosen]}: {accuracy[chosen]:.1f} %, {milliseconds[chosen]:.1f} ms"
    return svg.picture(
        WIDTH,
        352,
        f"{title}. The worst class has {ordered[0]:.0f} %, {low} classes are below 50 %.",
        svg.panel(0.5, 0.5, WIDTH - 1, 351, title),
        *parts,
    )


def compression_curve(points: Mapping[str, tuple[float, float, float]]) -> Figure:
    """Draw models by latency and accuracy; the area of a point is the model's size.

    Args:
        points: Name to milliseconds, percent and megabytes.

    Returns:
        The figure.
    """
    figure, axes = plots.new_figure(6.4, 3.6)
    fastest = min((ms, name) for name, (ms, _, _) in points.items() if "labels" not in name)[1]
    for name, (ms, percent, size) in points.items():
        role = plots.TEACHER if "teacher" in name else plots.STUDENT
        alone = "labels" in name
        axes.scatter(
            ms,
            percent,
            s=2.4 * size,
            color="none" if alone else role["color"],
            edgecolor=role["color"],
            zorder=3,
        )
        place, side = ((22, -40), "center") if alone else ((0, 12), "center")
        if name == fastest:
            place, side = (-12, -10), "right"
        axes.annotate(
            f"{name.removesuffix(', distilled')}\n{percent:.1f} %",
            (ms, percent),
            xytext=place,
            textcoords="offset points",
            ha=side,
            fontsize=9,
        )
    axes.set_xlim(0, 1.15 * max(ms for ms, _, _ in points.values()))
    values = [percent for _, percent, _ in points.values()]
    axes.set_ylim(min(values) - 8, max(values) + 6)
    plots.finish(axes, "milliseconds for one question", "accuracy, %")
    return figure
