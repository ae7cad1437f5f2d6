"""Pictures of divergences: one Gaussian fitted to two hills, two sentences, tokens and tails.

`fit_gaussian` and `render_fit` are pure and fast, so that a slider can call them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from distill_lab.course.figures import plots, svg

__all__ = [
    "STEP",
    "X",
    "first_words",
    "fit_gaussian",
    "hills",
    "log_normal",
    "render_fit",
    "sentences",
    "token_costs",
]

SHARE = 0.6  # of the left hill
X = np.linspace(-14, 14, 281)
STEP = X[1] - X[0]
MEANS = np.arange(-5.0, 5.01, 0.1)
SPREADS = np.arange(0.5, 5.51, 0.1)


def hills(distance: float) -> np.ndarray:
    """Return the teacher's density at `X`: 0.6 N(-distance, 1) + 0.4 N(distance, 1)."""
    return SHARE * _normal(-distance, 1.0) + (1 - SHARE) * _normal(distance, 1.0)


@lru_cache(maxsize=256)
def fit_gaussian(beta: float, distance: float = 3.0) -> tuple[float, float]:
    """Fit the Gaussian nearest to the two hills, by a grid of 0.1.

    Formula: beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q; forward
    KL(p || q) at beta = 0 and reverse KL(q || p) at 1.

    Args:
        beta: in [0, 1].
        distance: of the hills from 0.

    Returns:
        Mean and standard deviation.

    Raises:
        ValueError: for beta outside [0, 1].

    Source: Agarwal et al. 2023 (GKD), section 2.

    >>> [[round(number, 1) for number in fit_gaussian(beta)] for beta in (0.0, 1.0)]
    [[-0.6, 3.1], [-3.0, 1.0]]
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must lie between 0 (forward) and 1 (reverse), got {beta}.")
    p = hills(distance) * STEP
    log_p = np.log(p)
    lowest, best = np.inf, (0.0, 0.0)
    for spread in SPREADS:
        log_q = log_normal(MEANS[:, None], spread)
        q = np.exp(log_q)
        if beta == 0:
            values = (p * (log_p - log_q)).sum(-1)
        elif beta == 1:
            values = (q * (log_q - log_p)).sum(-1)
        else:
            log_m = np.log(beta * p + (1 - beta) * q)
            values = (beta * p * (log_p - log_m) + (1 - beta) * q * (log_q - log_m)).sum(-1)
        at = int(values.argmin())
        if values[at] < lowest:
            lowest, best = float(values[at]), (float(MEANS[at]), float(spread))
    return best


def render_fit(beta: float = 0.5, distance: float = 3.0) -> svg.Svg:
    """Draw the two hills (solid) and the Gaussian nearest to them (dashed), mean and spread."""
    mean, spread = fit_gaussian(float(beta), float(distance))
    p, q = hills(distance), _normal(mean, spread)
    left, right, base, top = 46.0, 584.0, 232.0, 52.0
    shown = (X >= -9) & (X <= 9)

    def points(values: np.ndarray) -> list[tuple[float, float]]:
        x = left + (X[shown] + 9) / 18 * (right - left)
        y = base - np.minimum(values[shown], 0.45) / 0.45 * (base - top)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    at, name = f"beta = {beta:g}", {0.0: "forward KL", 1.0: "reverse KL"}.get(beta, "")
    empty = 100 * float(q[p < 0.02].sum() * STEP)
    missed = 100 * float(p[q < 0.02].sum() * STEP)
    alt = (
        f"{name or at}: the nearest Gaussian has mean {mean:.1f} and standard deviation "
        f"{spread:.1f}. {empty:.0f} % of it lies where the teacher's density is near 0, and it "
        f"leaves out {missed:.0f} % of the teacher."
    ).replace("-", "−")
    ticks = [
        (left + (x + 9) / 18 * (right - left), f"{x:g}".replace("-", "−"))
        for x in (-9, -6, -3, 0, 3, 6, 9)
    ]
    facts = (
        ("mean", f"{mean:.1f}"),
        ("width", f"{spread:.1f}"),
        ("student, where p is near 0", f"{empty:.0f} %"),
        ("teacher, where q is near 0", f"{missed:.0f} %"),
    )
    column = "".join(
        svg.text(604, 84 + 36 * i, name, size=11, color=svg.MUTED)
        + svg.text(604, 101 + 36 * i, value.replace("-", "−"), size=15, bold=True)
        for i, (name, value) in enumerate(facts)
    )
    return svg.picture(
        760,
        290,
        alt,
        svg.panel(0.5, 0.5, 759, 289),
        svg.text(16, 25, at, size=14, bold=True),
        svg.text(112, 25, name, size=14, color=svg.MUTED) if name else "",
        svg.axis(ticks, base, (base, base - 4), side="bottom"),
        svg.line([(left, base), (right, base)], svg.RULE, width=1),
        svg.line(points(p), svg.TEACHER),
        svg.line(points(q), svg.STUDENT),
        column,
        svg.line([(left, 272), (left + 24, 272)], svg.TEACHER),
        svg.text(left + 30, 276, "teacher", size=11, color=svg.MUTED),
        svg.line([(left + 96, 272), (left + 120, 272)], svg.STUDENT),
        svg.text(left + 126, 276, "student, nearest fit", size=11, color=svg.MUTED),
    )


def token_costs(
    words: Sequence[str], entropy: ArrayLike, cost: ArrayLike, *, ylabel: str = "nats"
) -> Figure:
    """Draw a text, word by word: the teacher's entropy (bar), what the word cost it (mark)."""
    figure, axes = plots.new_figure(8.4, 2.9)
    places = np.arange(len(words))
    axes.bar(
        places,
        entropy,
        0.7,
        color=svg.TEACHER,
        alpha=0.85,
        label="teacher's entropy before the word",
    )
    axes.plot(
        places, cost, "^", color=svg.HARD, markersize=7, label="loss of the next word, −log p"
    )
    axes.set_xticks(places, words, rotation=50, ha="right")
    axes.tick_params(axis="x", length=0)
    plots.finish(axes, "", ylabel)
    _legend_above(axes)
    return figure


def sentences(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw one bar a student, cut into the sentences it says; the invalid ones are hatched."""
    looks = {
        "a x b": {"color": svg.STUDENT},
        "c x d": {"color": svg.SKY},
        "a x d": {"color": "#FFFFFF", "hatch": "xx", "edgecolor": svg.HARD},
        "c x b": {"color": "#FFFFFF", "hatch": "..", "edgecolor": svg.HARD},
    }
    figure, axes = plots.new_figure(8.4, 0.9 + 0.5 * len(rows))
    axes.grid(axis="y", visible=False)
    for row, probabilities in enumerate(rows.values()):
        start = 0.0
        for name, look in looks.items():
            share = 100 * probabilities[name]
            axes.barh(row, share, 0.66, left=start, label=name if row == 0 else None, **look)
            if share > 6:
                axes.text(
                    start + share / 2,
                    row,
                    f"{share:.0f}",
                    ha="center",
                    va="center",
                    color="white" if name == "a x b" else svg.INK,
                    bbox=None
                    if name in ("a x b", "c x d")
                    else {"facecolor": "white", "edgecolor": "none", "pad": 1.5},
                )
            start += share
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the sentences, %")
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4, frameon=False)
    return figure


def first_words(
    words: Sequence[str], series: Mapping[str, ArrayLike], *, ylabel: str = "probability, %"
) -> Figure:
    """Draw what several models give to each of a few words, bar beside bar; the teacher first."""
    figure, axes = plots.new_figure(8.4, 3.0)
    thick = 0.84 / len(series)
    extra = 0
    for i, (name, values) in enumerate(series.items()):
        look = plots.bar_look(name, extra)
        extra += name.lower() not in ("teacher", "student", "distilled", "hard labels")
        places = np.arange(len(words)) + (i - (len(series) - 1) / 2) * thick
        axes.bar(places, np.asarray(values), thick * 0.9, label=name, **look)
    axes.set_xticks(range(len(words)), list(words))
    axes.tick_params(axis="x", length=0)
    plots.finish(axes, "", ylabel)
    _legend_above(axes)
    return figure


def _legend_above(axes: Axes) -> None:
    """Put the names over the words, in one row: those need the full width."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, frameon=False)


def log_normal(mean: ArrayLike, spread: float) -> np.ndarray:
    """Return the log-density at `X`, times the grid's step: probabilities that sum to 1."""
    z = (X - np.asarray(mean)) / spread
    return np.asarray(-0.5 * z**2 - np.log(spread * np.sqrt(2 * np.pi) / STEP))


def _normal(mean: float, spread: float) -> np.ndarray:
    return np.exp(log_normal(mean, spread)) / STEP
