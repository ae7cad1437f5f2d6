"""The course's figures: one matplotlib style, fixed roles, and alt text that cannot be forgotten.

Each ready plot returns a figure; `show(figure, alt="…")` puts it on the page, with its finding in
words for those who cannot see it, and closes it. For a figure of your own start with
`figure, axes = plots.new_figure()`, draw with `axes.plot(x, y, label="…", **plots.TEACHER)`
and end with `plots.finish(axes, "epoch", "accuracy, %")`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from distill_lab.course.figures import svg
from distill_lab.course.figures.style import (
    EXTRA,
    HARD,
    ROLES,
    STUDENT,
    STYLE,
    TEACHER,
    bar_look,
    new_figure,
    role,
    show,
    style,
    to_svg,
)

__all__ = [
    "EXTRA",
    "HARD",
    "STUDENT",
    "STYLE",
    "TEACHER",
    "bar_look",
    "curves",
    "finish",
    "forest",
    "grouped_bars",
    "heat_map",
    "images",
    "new_figure",
    "role",
    "seed_bars",
    "show",
    "style",
    "to_svg",
]

WIDEST = 8.0  # inches of a figure: a wider one is shrunk by the page, and its text with it


@style()
def curves(
    runs: Mapping[str, ArrayLike], *, x: ArrayLike | None = None, xlabel: str, ylabel: str
) -> Figure:
    """Draw learning curves: each seed thin, their mean thick.

    Names "teacher", "student", "distilled" and "hard labels" take their fixed colours and lines.

    Args:
        runs: Name of the run to its values, (seeds, points), or (points,) for one run.
        x: Where the points lie, (points,); None counts them from 1.
        xlabel: The name of x, with its unit.
        ylabel: The name of the values, with their unit.

    Returns:
        The figure.

    Raises:
        ValueError: If a run has another number of points than x.
    """
    figure, axes = new_figure()
    extra = 0
    for name, values in runs.items():
        lines = _matrix(name, values)
        across = np.arange(1, lines.shape[1] + 1) if x is None else np.asarray(x)
        if across.shape != lines.shape[1:]:
            raise ValueError(
                f"{name}: expected as many points as x has, {len(across)}, got {lines.shape[1]}"
            )
        look = role(name, extra)
        extra += name.lower() not in ROLES
        look["marker"] = look["marker"] if len(across) <= 12 else ""
        if len(lines) > 1:
            axes.plot(across, lines.T, color=look["color"], linewidth=0.6, alpha=0.35)
        label = f"{name} (mean of {len(lines)})" if len(lines) > 1 else name
        axes.plot(across, lines.mean(0), label=label, **look)
    if x is None or np.asarray(x).dtype.kind in "iu":  # there is no round 0.5
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    finish(axes, xlabel, ylabel)
    return figure


@style()
def forest(
    intervals: Mapping[str, Any],
    *,
    values: Mapping[str, ArrayLike] | None = None,
    xlabel: str = "difference, in points",
    margin: float | None = None,
) -> Figure:
    """Draw paired differences, one row a comparison, with a line at 0.

    Args:
        intervals: Name to anything with `mean`, `low` and `high` (see `evaluation.statistics`).
        values: Name to the differences seed by seed, (seeds,), drawn as dots.
        xlabel: The name of the difference, with its unit.
        margin: Half the width of the range inside which a difference is too small to matter; it is
            shaded.

    Returns:
        The figure.
    """
    figure, axes = new_figure(6.4, 1.2 + 0.48 * len(intervals))
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    if margin is not None:
        axes.axvspan(-margin, margin, color=svg.BAND, zorder=0)
    axes.axvline(0, color=svg.HARD, linestyle=":", linewidth=1.5, zorder=1)
    for row, (name, interval) in enumerate(intervals.items()):
        if values is not None and name in values:
            seeds = np.asarray(values[name], dtype=float)
            spread = row + 0.24 * np.linspace(-1, 1, len(seeds))
            axes.plot(seeds, spread, ".", color=svg.SKY, markersize=5, zorder=2)
        axes.plot([interval.low, interval.high], [row, row], color=svg.STUDENT, zorder=3)
        axes.plot(interval.mean, row, "s", color=svg.STUDENT, markersize=7, zorder=4)
        label = f"{interval.mean:+.2f}  [{interval.low:+.2f}, {interval.high:+.2f}]"
        axes.annotate(
            label.replace("-", "−"), (1.01, row), xycoords=("axes fraction", "data"), va="center"
        )
    axes.set_yticks(range(len(intervals)), list(intervals))
    axes.set_ylim(len(intervals) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(xlabel)
    return figure


@style()
def grouped_bars(
    groups: Sequence[str],
    series: Mapping[str, ArrayLike],
    *,
    ylabel: str,
    errors: Mapping[str, ArrayLike] | None = None,
    digits: int = 1,
) -> Figure:
    """Draw bars of each series side by side, with their values.

    The teacher's bars are solid and the student's hatched, as everywhere in the course.

    Args:
        groups: The names along the axis.
        series: Name of the series to its values, (groups,).
        ylabel: The name of the values, with their unit.
        errors: Name of the series to the half widths of its error bars, (groups,).
        digits: Decimals of the values beside the bars.

    Returns:
        The figure.

    Raises:
        ValueError: If a series has another number of values than there are groups.
    """
    wide = min(WIDEST, max(4.8, 0.6 + 0.62 * len(groups) * len(series)))  # wider shrinks its text
    figure, axes = new_figure(wide)
    thick, each = 0.8 / len(series), (wide - 1.6) / len(groups)  # `each` in inches
    extra = 0
    for i, (name, given) in enumerate(series.items()):
        heights = np.asarray(given, dtype=float)
        if heights.shape != (len(groups),):
            raise ValueError(
                f"{name}: expected one number for each of the {len(groups)} groups, "
                f"got shape {heights.shape}"
            )
        bars = axes.bar(
            np.arange(len(groups)) + (i - (len(series) - 1) / 2) * thick,
            heights,
            thick * 0.92,
            label=name,
            **bar_look(name, extra),
            yerr=None if errors is None else errors.get(name),
            error_kw={"ecolor": svg.INK, "elinewidth": 1.2},
        )
        extra += name.lower() not in ROLES
        tight = thick * each < 0.08 * (3 + digits)
        axes.bar_label(bars, fmt=f"%.{digits}f", fontsize=9, padding=2, rotation=90 if tight else 0)
    letters = max(6, int(each / 0.085))
    names = [
        "\n".join(textwrap.fill(line, letters) for line in str(group).split("\n"))
        for group in groups
    ]
    axes.set_xticks(range(len(groups)), names)
    axes.tick_params(axis="x", length=0)
    finish(axes, "", ylabel)
    return figure


@style()
def seed_bars(
    scores: Mapping[str, ArrayLike], looks: Sequence[Mapping[str, Any]], *, ylabel: str
) -> Figure:
    """Draw one bar a run, its mean over the seeds, and each seed as a dot.

    Args:
        scores: Name of the run to its scores in percent, (seeds,).
        looks: The role of each run, such as `STUDENT`, in the same order.
        ylabel: The name of the score.

    Returns:
        The figure.
    """
    figure, axes = new_figure(6.4, 3.2)
    for i, ((name, given), look) in enumerate(zip(scores.items(), looks, strict=True)):
        values = np.asarray(given, dtype=float)
        known = any(look is role_ for role_ in ROLES.values())
        own = {"color": "#FFFFFF", "edgecolor": svg.HARD, "hatch": "//"}  # a control: no role
        axes.bar(name, values.mean(), 0.7, **(bar_look(_name_of(look)) if known else own))
        dots = np.linspace(i - 0.2, i + 0.2, len(values))
        axes.plot(dots, values, "o", color="black", markersize=3.5)
        axes.text(i, values.max() + 3, f"{values.mean():.1f}", ha="center")
    axes.set_ylim(0, 110)
    axes.tick_params(axis="x", length=0)
    finish(axes, "", ylabel)
    return figure


@style()
def images(
    pictures: ArrayLike, titles: Sequence[object] | None = None, *, columns: int = 10
) -> Figure:
    """Draw a grid of grey images, dark ink on white.

    Args:
        pictures: The images, (N, H, W) or (N, 1, H, W), in [0, 1].
        titles: One a picture.
        columns: The most that stand beside each other.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no image, or another number of titles.
    """
    grid = [svg.as_image(picture) for picture in np.asarray(pictures)]
    if not grid or (titles is not None and len(titles) != len(grid)):
        raise ValueError(
            f"expected at least one image and as many titles, got {len(grid)} images and "
            f"{'no' if titles is None else len(titles)} titles"
        )
    columns = min(columns, len(grid))
    rows = -(-len(grid) // columns)
    figure, axes = new_figure(
        0.86 * columns, (0.86 if titles is None else 1.06) * rows, rows=rows, columns=columns
    )
    for i, place in enumerate(np.atleast_1d(axes).flat):
        place.set_axis_off()
        if i < len(grid):
            place.imshow(grid[i], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            if titles is not None:
                place.set_title(str(titles[i]), fontsize=9, fontweight="normal", loc="center")
    return figure


@style()
def heat_map(
    values: ArrayLike,
    *,
    rows: Sequence[object],
    columns: Sequence[object],
    ylabel: str,
    xlabel: str,
    title: str = "",
    digits: int = 1,
    centre: float | None = 0.0,
) -> Figure:
    """Draw a table as colours with its numbers written in: a sweep of T and width, say.

    Args:
        values: The table, (rows, columns).
        rows: The names of the rows.
        columns: The names of the columns.
        ylabel: What the rows are.
        xlabel: What the columns are.
        title: A title above.
        digits: Decimals of the numbers.
        centre: The value that is white: blue is above it and vermillion below, equally strong on
            both sides. With None the colours run from the lowest to the highest value.

    Returns:
        The figure.

    Raises:
        ValueError: If the table does not fit its names.
    """
    table = np.asarray(values, dtype=float)
    if table.shape != (len(rows), len(columns)):
        raise ValueError(
            f"expected a table of {len(rows)} rows and {len(columns)} columns, got {table.shape}"
        )
    figure, axes = new_figure(1.6 + 0.78 * len(columns), 1.3 + 0.42 * len(rows))
    axes.grid(visible=False)
    if centre is None:
        image = axes.imshow(table, cmap="cividis", aspect="auto")
    else:
        reach = max(float(np.nanmax(np.abs(table - centre))), 1e-9)
        diverging = LinearSegmentedColormap.from_list(
            "distill", [svg.TEACHER, "#FBE3D2", "#FFFFFF", "#CFE5F2", svg.STUDENT]
        )
        image = axes.imshow(
            table, cmap=diverging, aspect="auto", vmin=centre - reach, vmax=centre + reach
        )
    for (r, c), value in np.ndenumerate(table):
        ink = svg.ink_on(to_hex(image.cmap(image.norm(value))))
        sign = "+" if centre == 0 else ""
        digit = f"{value:{sign}.{digits}f}".replace("-", "−")
        axes.text(c, r, digit, ha="center", va="center", color=ink)
    axes.set_xticks(range(len(columns)), [str(c) for c in columns])
    axes.set_yticks(range(len(rows)), [str(r) for r in rows])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    finish(axes, xlabel, ylabel, title)
    return figure


@style()
def finish(axes: Axes, xlabel: str, ylabel: str, title: str = "") -> None:
    """Name the axes, and put the title and the legend where the course has them."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _name_of(look: Mapping[str, Any]) -> str:
    return next(name for name, known in ROLES.items() if known is look)


def _matrix(name: str, values: ArrayLike) -> np.ndarray:
    lines = np.atleast_2d(np.asarray(values, dtype=float))
    if lines.ndim != 2 or lines.shape[1] < 2:
        raise ValueError(
            f"{name}: expected values of shape (seeds, points) with at least two points, "
            f"got {np.shape(values)}"
        )
    return lines
