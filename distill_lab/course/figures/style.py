"""How the course's figures look, and how they come onto the page with their alt text."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from IPython.display import display
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from distill_lab.course.figures import svg

TEACHER: dict[str, Any] = {"color": svg.TEACHER, "linestyle": "-", "marker": "o"}
STUDENT: dict[str, Any] = {"color": svg.STUDENT, "linestyle": "--", "marker": "s"}
HARD: dict[str, Any] = {"color": svg.HARD, "linestyle": ":", "marker": "^"}
# Green and pink are the colours of verdicts, and mean nothing else anywhere.
EXTRA: list[dict[str, Any]] = [
    {"color": svg.SKY, "linestyle": "-.", "marker": "D"},
    {"color": svg.YELLOW, "linestyle": (0, (8, 2)), "marker": "P"},
    {"color": svg.INK, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
]
# Bars of several students: the student's blue, from hollow to full, with textures between.
_BARS = [("#FFFFFF", ""), ("#CFE5F2", "///"), (svg.SKY, ""), (svg.STUDENT, "")]
ROLES = {"teacher": TEACHER, "student": STUDENT, "distilled": STUDENT, "hard labels": HARD}

DOTS = 96  # pixels a page gives to an inch

STYLE: Any = {  # matplotlib types its keys as literals, one by one
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: one look on every machine
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": svg.MUTED,
    "axes.labelcolor": svg.INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    # Lines without a look of their own: no green beside red, which many readers cannot tell apart.
    "axes.prop_cycle": cycler(color=[look["color"] for look in (*EXTRA, HARD)]),
    "grid.color": svg.RULE,
    "grid.linewidth": 0.7,
    "xtick.color": svg.MUTED,
    "ytick.color": svg.MUTED,
    "xtick.labelcolor": svg.INK,
    "ytick.labelcolor": svg.INK,
    "text.color": svg.INK,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "legend.frameon": False,
    "hatch.linewidth": 1.2,
    "image.cmap": "cividis",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "distill-lab",  # the same figure gives the same bytes
}


@contextmanager
def style() -> Iterator[None]:
    """The course's matplotlib style, for a `with` block or as a decorator.

    >>> with style():
    ...     figure, axes = new_figure()
    >>> axes.spines["top"].get_visible()
    False
    """
    with mpl.rc_context(STYLE):
        yield


def new_figure(
    width: float = 6.4, height: float = 3.4, *, rows: int = 1, columns: int = 1
) -> tuple[Figure, Any]:
    """Make a figure in the course's style.

    It belongs to no global list, so there is nothing to close and nothing shows twice.

    Args:
        width: In inches.
        height: In inches.
        rows: How many axes below each other.
        columns: How many beside each other.

    Returns:
        The figure, and its axes: one, or an array of them, (rows, columns).
    """
    with style():
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        return figure, figure.subplots(rows, columns)


def role(name: str, index: int = 0) -> dict[str, Any]:
    """Give the colour, line and marker of a named role, as matplotlib's keywords.

    Args:
        name: "teacher", "student", "distilled" or "hard labels"; another name takes one of the
            extra looks.
        index: Which of the extra looks.

    Returns:
        The keywords.

    >>> role("teacher")["color"], role("something else")["color"]
    ('#D55E00', '#56B4E9')
    """
    return dict(ROLES.get(name.lower(), EXTRA[index % len(EXTRA)]))


def bar_look(name: str, index: int = 0) -> dict[str, Any]:
    """Give face, edge and texture of the bars of a named role, as matplotlib's keywords.

    Args:
        name: A role, as in `role`; bars of another name are those of one more student.
        index: Which of the further students.

    Returns:
        The keywords.

    >>> bar_look("student")["hatch"], bar_look("raw")["edgecolor"]
    ('|||', '#0072B2')
    """
    known = ROLES.get(name.lower())
    if known is None:
        face, hatch = _BARS[index % len(_BARS)]
        return {"color": face, "edgecolor": svg.STUDENT, "hatch": hatch or None}
    striped = known is STUDENT
    face = "#CFE5F2" if striped else known["color"]
    return {"color": face, "edgecolor": known["color"], "hatch": "|||" if striped else None}


# A dict, a list of texts, a tensor, or a number that nobody rounded.
_RAW = re.compile(r"""[{[]['"]|\btensor\(|\d\.\d{6,}""")


def show(figure: Figure, alt: str) -> None:
    """Show a figure as an SVG image, then close it.

    Text-only readers, and every tool that shows no pictures, get `alt` itself.

    Args:
        figure: The figure.
        alt: What is drawn, and what is to be seen in it, in a sentence or two.

    Raises:
        ValueError: If `alt` says too little, or has values of Python in it, not words.
    """
    text = alt.strip() if isinstance(alt, str) else ""
    if len(text) < 20 or len(text.split()) < 4:
        raise ValueError(
            "every figure needs alt text of a sentence or two: what is drawn, and what is to be "
            f"seen in it; got {alt!r}"
        )
    raw = _RAW.search(text)
    if raw:
        raise ValueError(
            f"alt text is read aloud: expected words and rounded numbers, got {raw[0]!r} in "
            f"{text!r}. Format each value, as in f'{{x:.1f}} %', and join several with '; '."
        )
    image = base64.b64encode(to_svg(figure, text).encode()).decode()
    page = (
        f'<figure style="margin:0"><img alt="{escape(text)}" style="max-width:100%;'
        f'min-width:{svg.SMALLEST * DOTS * figure.get_figwidth():.0f}px" '
        f'src="data:image/svg+xml;base64,{image}"></figure>'
    )
    display({"text/html": page, "text/plain": text}, raw=True)


def to_svg(figure: Figure, alt: str = "") -> str:
    """Draw the figure as an SVG document and close it; the same figure gives the same text.

    Args:
        figure: The figure.
        alt: The document's title.

    Returns:
        The document.
    """
    stream = io.StringIO()
    with style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Title": alt})
    if "matplotlib.pyplot" in sys.modules:  # a figure of pyplot's would be shown a second time
        sys.modules["matplotlib.pyplot"].close(figure)
    return stream.getvalue()
