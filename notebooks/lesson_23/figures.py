"""Lesson 23's own picture: every cell of a published table, less that of plain KD."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from distill_lab.course.figures import plots, svg

__all__ = ["cells_figure"]


@plots.style()
def cells_figure(minus_kd: ArrayLike, names: Sequence[str], same_family: int) -> Figure:
    """Draw one row a loss and one dot a pair of networks, with a line at plain KD.

    Args:
        minus_kd: Points over plain KD (losses, pairs); NaN where nothing was measured.
        names: Of the losses.
        same_family: How many of the pairs, from the left, are of one family: they are filled.

    Returns:
        The figure.

    Raises:
        ValueError: If the table does not fit its names.
    """
    table = np.asarray(minus_kd, dtype=float)
    if table.ndim != 2 or len(table) != len(names):
        raise ValueError(f"expected {len(names)} rows, one a name, got {table.shape}.")
    figure, axes = plots.new_figure(6.2, 1.2 + 0.32 * len(names))
    axes.axvline(0, color=svg.HARD, linestyle=":", linewidth=1.5, zorder=1)
    kinds = (
        ("one family", slice(None, same_family), "o", svg.STUDENT),
        ("across families", slice(same_family, None), "D", "none"),
    )
    for label, part, marker, fill in kinds:
        values = table[:, part]
        rows = np.broadcast_to(np.arange(len(names))[:, None], values.shape)
        axes.plot(
            values.ravel(),
            rows.ravel() + (0.12 if fill == "none" else -0.12),
            marker,
            color=svg.STUDENT,
            markerfacecolor=fill,
            markersize=5,
            label=label,
            zorder=3,
        )
    for row, values in enumerate(table):
        known = values[~np.isnan(values)]
        axes.annotate(
            f"{(known > 0).sum()} of {len(known)}",
            (1.01, row),
            xycoords=("axes fraction", "data"),
            va="center",
        )
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("points over plain KD; at the right: cells above it")
    axes.legend(loc="center left")
    return figure
