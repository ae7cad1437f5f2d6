"""Pictures of walks: the grid with what a student does on it, and curves with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from distill_lab.course.figures import plots, svg
from distill_lab.evaluation.statistics import mean_interval
from lesson_42.grid import CELLS, END, SIDE, nearer_cells, outcome

__all__ = ["arrive", "dashboard", "intervals", "listed", "of_goal", "render_map"]

WIDE, HIGH, LEFT, TOP, SIZE = 460.0, 356.0, 20.0, 52.0, 54.0


def arrive(**groups: Tensor) -> str:
    """Name the share of walks that arrive in each group, a mean over seeds.

    >>> arrive(own_walks=torch.tensor([90.0, 92.0]), new=torch.tensor([93.0]))
    'arrive: own walks 91.0 %, new 93.0 %'
    """
    means = (f"{name.replace('_', ' ')} {v.mean():.1f} %" for name, v in groups.items())
    return f"arrive: {', '.join(means)}"


def listed(values: Mapping[str, str | float | Sequence[float]], digits: int = 0) -> str:
    """Name the values of a figure in words, to be read aloud: rounded, without Python's marks.

    >>> listed({"own walks": [91.44, 83.73], "new walks": [92.97, 94.67]})
    'own walks 91, 84; new walks 93, 95'
    >>> listed({"exact": 1.5327}, 2), listed({"at 1": "58 %"})
    ('exact 1.53', 'at 1 58 %')
    """

    def word(value: str | float) -> str:
        return value if isinstance(value, str) else f"{value:.{digits}f}"

    parts = {
        name: [value] if isinstance(value, (str, float)) else value
        for name, value in values.items()
    }
    return "; ".join(f"{name} {', '.join(map(word, each))}" for name, each in parts.items())


def render_map(p: Tensor, goal: int, title: str) -> svg.Svg:
    """Draw the grid for one goal: how often each cell is visited, and the likeliest next cell.

    Args:
        p: a student's probabilities (CELLS, CELLS, VOCABULARY).
        goal: its cell.
        title: who is shown.

    Returns:
        The picture: the darker a cell, the more visits; a dashed arrow goes to the student's most
        probable next cell, in grey where the teacher would never go there.
    """
    walked = outcome(p[None])
    visits = (CELLS * walked.visits[0, goal]).tolist()  # the goals have 1 / CELLS each
    best = p[goal].argmax(-1).tolist()
    alone = of_goal(p, goal)
    parts = [svg.panel(0.5, 0.5, WIDE - 1, HIGH - 1), svg.text(20, 26, title, size=14, bold=True)]
    for cell in range(CELLS):
        x, y = _corner(cell)
        parts.append(svg.rect(x, y, SIZE, SIZE, _shade(visits[cell]), stroke=svg.RULE))
    parts += [_arrow(cell, best[cell], goal) for cell in range(CELLS)]
    x, y = _centre(goal)
    parts.append(svg.dot(x, y, 9, svg.TEACHER, hollow=True))
    wrong = sum(_is_wrong(cell, best[cell], goal) for cell in range(CELLS))
    facts = (
        ("arrive here", f"{alone[0]:.0f} %"),
        ("tokens a walk", f"{alone[1]:.1f}"),
        ("wrong lines", f"{wrong} of {CELLS}"),
    )
    for i, (name, value) in enumerate(facts):
        parts.append(svg.text(310, 84 + 46 * i, name, size=12, color=svg.MUTED))
        parts.append(svg.text(310, 103 + 46 * i, value, size=16, bold=True))
    alt = (
        f"{title}: {alone[0]:.0f} % of the walks to cell {goal} arrive, with {alone[1]:.1f} tokens "
        f"a walk. At {wrong} of {CELLS} cells the most probable token is wrong."
    )
    return svg.picture(WIDE, HIGH, alt, *parts)


def of_goal(p: Tensor, goal: int) -> tuple[float, float]:
    """Arrivals in percent and tokens a walk for one goal alone."""
    only = p[goal].expand(CELLS, -1, -1).clone()
    # the other goals' walks end at once, so that the mean over goals is this one's share
    others = torch.arange(CELLS) != goal
    only[others] = 0.0
    only[others, :, END] = 1.0
    walked = outcome(only[None])
    start = 100.0 if goal != 0 else 0.0  # goal 0's walks end where they begin, and so arrive
    arrived = CELLS * walked.arrived[0].item() - start
    return arrived, CELLS * walked.visits[0, goal].sum().item()


def _is_wrong(cell: int, token: int, goal: int) -> bool:
    """Tell whether the teacher would not write this token here."""
    return token not in (nearer_cells(cell, goal) or [END])


def _corner(cell: int) -> tuple[float, float]:
    r, c = divmod(cell, SIDE)
    return LEFT + SIZE * c, TOP + SIZE * r


def _centre(cell: int) -> tuple[float, float]:
    x, y = _corner(cell)
    return x + SIZE / 2, y + SIZE / 2


def _shade(visits: float) -> str:
    """White for a cell that is never visited, blue for one that every walk visits."""
    share = min(visits, 1.0)
    low, high = (255, 255, 255), (150, 200, 230)
    return "#" + "".join(
        f"{round(a + (b - a) * share):02X}" for a, b in zip(low, high, strict=True)
    )


def _arrow(cell: int, token: int, goal: int) -> str:
    """A short line with a dot at its head, a dot alone at an end; wrong ones dotted and hollow."""
    wrong = _is_wrong(cell, token, goal)
    color, dash = (svg.HARD, "2 3") if wrong else (svg.STUDENT, "")
    x, y = _centre(cell)
    if token == END:
        return svg.dot(x, y, 4, color, hollow=wrong)
    to_x, to_y = _centre(token)
    far = max(abs(to_x - x), abs(to_y - y)) or 1.0
    dx, dy = 20 * (to_x - x) / far, 20 * (to_y - y) / far
    head = svg.dot(x + dx, y + dy, 3.2, color, hollow=wrong)
    return svg.line([(x, y), (x + dx, y + dy)], color, width=2, dash=dash) + head


def intervals(
    x: Sequence[float],
    runs: Mapping[str, Sequence[ArrayLike]],
    *,
    start: float,
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Draw means with 95 % intervals over seeds, x on a scale of powers of two, and the start."""
    figure, axes = plots.new_figure(6.8, 3.4)
    for i, (name, values) in enumerate(runs.items()):
        bands = [mean_interval(torch.as_tensor(np.asarray(each))) for each in values]
        look = plots.role(name, i)
        means = [band.mean for band in bands]
        errors = [[b.mean - b.low for b in bands], [b.high - b.mean for b in bands]]
        axes.errorbar(x, means, errors, label=name, capsize=3, **look)
    axes.axhline(start, color=svg.MUTED, linestyle=":", label="at the start")
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(x), [f"{value:g}" for value in x])
    plots.finish(axes, xlabel, ylabel)
    return figure


def dashboard(runs: Mapping[str, Sequence[tuple[int, object]]], *, change: int) -> Figure:
    """Draw four figures of a run beside its step: arrivals, length, entropy, own KL.

    Args:
        runs: what was measured of each, beside its step.
        change: the step at which the runs part; a dotted line.
    """
    names = {
        "arrived": "arrive, %",
        "length": "tokens a walk",
        "entropy": "entropy, nats",
        "own": "KL on own text, nats",
    }
    figure, grid = plots.new_figure(7.8, 4.6, rows=2, columns=2)
    for place, (field, label) in enumerate(names.items()):
        axes = grid.flat[place]
        for i, (name, history) in enumerate(runs.items()):
            steps = [step for step, _ in history]
            values = torch.stack([getattr(figures, field) for _, figures in history], 1)
            look = plots.role(name, i - 1) if i else plots.STUDENT  # the run that goes well
            shown = name if place == 1 else None  # one legend for all four
            axes.plot(steps, values.mean(0), label=shown, **(look | {"marker": ""}))
        axes.axvline(change, color=svg.MUTED, linestyle=":")
        axes.set_ylim(bottom=0)
        plots.finish(axes, "step" if place > 1 else "", label)
    return figure
