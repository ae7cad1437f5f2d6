"""Lesson 11's own picture: what a teacher believes of each of a few digits."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from distill_lab.course.figures import plots

__all__ = ["beliefs"]


def beliefs(pictures: Tensor, usual: Tensor, soft: Tensor, T: float) -> Figure:
    """Draw pictures above the probabilities that a teacher gives each of them.

    Args:
        pictures: (N, 1, H, W).
        usual: The teacher's probabilities at T = 1, (N, C).
        soft: Its probabilities at `T`, (N, C).
        T: The temperature of `soft`, for the legend.
    """
    columns, classes = usual.shape
    figure, axes = plots.new_figure(2.8 * columns, 3.8, rows=2, columns=columns)
    for i, (top, below) in enumerate(axes.T):
        top.imshow(pictures[i, 0], cmap="gray_r", vmin=0, vmax=1)
        top.set_axis_off()
        first, second = usual[i].topk(2).indices.tolist()
        top.set_title(f"{first}, and something of {second}", fontsize=10, loc="center")
        below.bar(range(classes), soft[i], 0.8, color=plots.TEACHER["color"], label=f"T = {T:g}")
        below.bar(
            range(classes),
            usual[i],
            0.8,
            facecolor="none",
            edgecolor=plots.HARD["color"],
            linewidth=1.2,
            label="T = 1",
        )
        below.set(xticks=range(classes), ylim=(0, 1.02), yticks=(0, 0.5, 1))
    plots.finish(axes[1, 0], "class", "probability")
    axes[1, 0].get_legend().remove()
    for below in axes[1, 1:]:
        plots.finish(below, "class", "")
        below.get_legend().remove()
    axes[1, -1].legend(loc="upper right", frameon=False, fontsize=9)
    return figure
