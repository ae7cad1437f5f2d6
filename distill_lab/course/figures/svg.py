"""Pictures as text: a few pure functions that return SVG strings.

A slider must answer in well under a tenth of a second. Building a string of SVG takes a fraction
of a millisecond, where redrawing a matplotlib figure takes more than a hundred, so every live
picture of the course is drawn with this kit. Nothing here knows about widgets or kernels.

Teacher, student and hard labels keep one colour and one texture each through the whole course:
the teacher is solid vermillion, the student is blue and striped (as its lines are dashed), hard
labels are grey. No texture needs an `id`, so any number of pictures can share one page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

TEACHER, STUDENT, HARD = "#D55E00", "#0072B2", "#5A5A5A"
GREEN, PURPLE, YELLOW, SKY = "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, MUTED, RULE, PAPER = "#1F2328", "#57606A", "#D0D7DE", "#FFFFFF"
BAND = "#F3F5F7"  # behind the row that a picture speaks of
DASHES = {TEACHER: "", STUDENT: "7 4", HARD: "2 4"}
FONT = "system-ui,-apple-system,'Segoe UI','Liberation Sans',Arial,sans-serif"
# The same colours as text: dark enough on white and on a band, 4.5 to 1 and more.
TEXT = {TEACHER: "#B04A00", GREEN: "#00714F", PURPLE: "#A0457A", YELLOW: "#8A5A00", SKY: "#1F6F9E"}
SMALLEST = 0.7  # of its size a picture may shrink to: what is written in it stays readable
INK_LEVELS = 16  # grey levels of a pixel image: one path a level, whatever the number of pixels


class Svg(str):
    """An SVG string that shows itself as a picture when it is the last value of a cell.

    >>> picture(20, 10, "an empty picture").alt
    'an empty picture'
    """

    alt: str

    def __new__(cls, source: str, alt: str) -> Svg:
        """Keep the alternative text beside the source."""
        self = super().__new__(cls, source)
        self.alt = alt
        return self

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": str(self), "text/plain": self.alt}


def number(value: float) -> str:
    """Write one coordinate with at most one decimal; raises ValueError unless it is finite.

    >>> number(12.0), number(3.14159)
    ('12', '3.1')
    """
    if not math.isfinite(value):
        raise ValueError(
            f"a picture needs finite coordinates, got {value}: "
            "look for a NaN or an infinity in the numbers you draw"
        )
    written = f"{value:.1f}"
    return written[:-2] if written.endswith(".0") else written


def ink_on(colour: str) -> str:
    """Black or white, whichever is easier to read on a colour: 4.58 to 1 at the least.

    >>> ink_on("#FFFFFF"), ink_on(STUDENT), ink_on("#777777")
    ('#000000', '#FFFFFF', '#000000')
    """
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (light + 0.05) ** 2 > 1.05 * 0.05 else PAPER


def picture(width: float, height: float, alt: str, *parts: str) -> Svg:
    """Wrap `parts` in one `<svg>` with a fixed view box and `alt` as its accessible name.

    It lies on white paper, whatever the page's theme, and shrinks with a narrow page to `SMALLEST`
    of its size; from there on its box scrolls. Raises ValueError where `alt` is empty.

    >>> picture(20, 10, "a dot", rect(0, 0, 2, 2, GREEN)).count("<rect")
    1
    """
    if not alt.strip():
        raise ValueError("a picture needs alt text, got none: say in words what it shows")
    name = escape(alt)
    w, h, least = number(width), number(height), number(SMALLEST * width)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
        f'role="img" aria-label="{name}" style="max-width:100%;min-width:{least}px;'
        f'height:auto;display:block;background:{PAPER};border-radius:6px" '
        f'font-family="{FONT}" font-size="12" fill="{INK}"><title>{name}</title>'
    )
    return Svg(head + "".join(parts) + "</svg>", alt)


def text(
    x: float,
    y: float,
    content: object,
    *,
    size: float = 12,
    color: str = INK,
    anchor: str = "start",
    bold: bool = False,
    rotate: float = 0,
) -> str:
    """One line of text with its baseline at `y`; `anchor` is start, middle or end.

    A role's colour is written in its darker shade, since letters are thinner than bars.

    >>> text(0, 0, "p < q")
    '<text x="0" y="0">p &lt; q</text>'
    """
    extra = "" if size == 12 else f' font-size="{number(size)}"'
    extra += "" if color == INK else f' fill="{TEXT.get(color, color)}"'
    extra += "" if anchor == "start" else f' text-anchor="{anchor}"'
    extra += ' font-weight="600"' if bold else ""
    extra += f' transform="rotate({number(rotate)} {number(x)} {number(y)})"' if rotate else ""
    return f'<text x="{number(x)}" y="{number(y)}"{extra}>{escape(str(content))}</text>'


def rect(
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    *,
    stroke: str = "",
    round_: float = 0,
) -> str:
    """A filled rectangle; `stroke` is the colour of its outline, none when empty."""
    extra = f' stroke="{stroke}"' if stroke else ""
    extra += f' rx="{number(round_)}"' if round_ else ""
    size = f'width="{number(width)}" height="{number(height)}"'
    return f'<rect x="{number(x)}" y="{number(y)}" {size} fill="{fill}"{extra}/>'


def bar(x: float, y: float, length: float, thickness: float, color: str = TEACHER) -> str:
    """A horizontal bar from `x`, to the left when `length` is negative."""
    return bars([(x, y, length)], thickness, color)


def bars(
    places: Iterable[tuple[float, float, float]], thickness: float, color: str = TEACHER
) -> str:
    """Horizontal bars of one thickness and colour, each from (x, y) over its signed length.

    The student's are striped, so that the two can be told apart without their colour. All bars
    share one path (two when striped): a browser draws that much faster than one element a bar.
    """
    full, middle = [], []
    for x, y, length in places:
        left, width = number(min(x, x + length)), number(abs(length))
        full.append(f"M{left} {number(y)}h{width}v{number(thickness)}h-{width}z")
        middle.append(f"M{left} {number(y + thickness / 2)}h{width}")
    if not full:
        return ""
    if color != STUDENT:
        return f'<path fill="{color}" d="{"".join(full)}"/>'
    return (
        f'<path fill="#CFE5F2" stroke="{color}" d="{"".join(full)}"/>'
        f'<path stroke="{color}" stroke-width="{number(thickness)}" stroke-dasharray="3 2" '
        f'd="{"".join(middle)}"/>'
    )


def line(
    points: Iterable[tuple[float, float]],
    color: str = INK,
    *,
    width: float = 2,
    dash: str | None = None,
    opacity: float = 1,
) -> str:
    """A line through `points`; the dashes follow the colour's role unless `dash` is given."""
    path = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    dash = DASHES.get(color, "") if dash is None else dash
    extra = f' stroke-dasharray="{dash}"' if dash else ""
    extra += f' opacity="{opacity:g}"' if opacity < 1 else ""
    return (
        f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="{number(width)}" '
        f'stroke-linejoin="round"{extra}/>'
    )


def dot(x: float, y: float, radius: float, color: str, *, hollow: bool = False) -> str:
    """A round marker, filled or `hollow`."""
    fill = f'fill="{PAPER}" stroke="{color}" stroke-width="2"' if hollow else f'fill="{color}"'
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" {fill}/>'


def as_image(image: ArrayLike) -> np.ndarray:
    """Return one grey image as a float array (H, W) in [0, 1]; a leading axis of 1 is dropped.

    Raises ValueError for any other shape and for values that are not finite.

    >>> as_image(np.ones((1, 8, 8))).shape
    (8, 8)
    """
    pixels_ = np.asarray(image, dtype=np.float64)
    while pixels_.ndim > 2 and pixels_.shape[0] == 1:
        pixels_ = pixels_[0]
    if pixels_.ndim != 2 or pixels_.size == 0:
        raise ValueError(
            f"expected one grey image of shape (H, W) or (1, H, W), got {np.shape(image)}: "
            "pick one with images[i]"
        )
    if not np.isfinite(pixels_).all():
        raise ValueError("expected an image of finite numbers, got NaN or infinity among them")
    return np.clip(pixels_, 0, 1)


def pixels(image: ArrayLike, x: float, y: float, size: float) -> str:
    """Draw a grey image (H, W) in [0, 1] as dark ink on white, `size` wide.

    Pixels of one grey level share one path, so a 28 x 28 digit is at most 16 elements.
    """
    grid = as_image(image)
    rows, columns = grid.shape
    levels = np.rint(grid * (INK_LEVELS - 1)).astype(int)
    scale = size / columns
    paths = []
    for level in range(1, INK_LEVELS):
        steps = "".join(f"M{c} {r}h1v1h-1z" for r, c in np.argwhere(levels == level).tolist())
        if steps:
            grey = round(255 * (1 - level / (INK_LEVELS - 1)))
            paths.append(f'<path fill="#{grey:02x}{grey:02x}{grey:02x}" d="{steps}"/>')
    back = rect(x, y, size, rows * scale, PAPER)
    frame = rect(x, y, size, rows * scale, "none", stroke=RULE)
    move = f'transform="translate({number(x)} {number(y)}) scale({scale:.4g})"'
    return f'{back}<g {move} shape-rendering="crispEdges">{"".join(paths)}</g>{frame}'


def panel(x: float, y: float, width: float, height: float, title: str = "") -> str:
    """A white card with a thin border and a bold title in its upper left corner."""
    head = text(x + 14, y + 23, title, size=13, bold=True) if title else ""
    return rect(x, y, width, height, PAPER, stroke=RULE, round_=6) + head


def axis(
    ticks: Sequence[tuple[float, str]], position: float, extent: tuple[float, float], *, side: str
) -> str:
    """Grid lines with labels: `ticks` are (coordinate, label), `side` is "bottom" or "left".

    `position` is where the labelled end of each grid line lies (its y for "bottom", its x for
    "left") and `extent` the two ends of the grid lines across the axis.
    """
    if side not in ("bottom", "left"):
        raise ValueError(f'expected side "bottom" or "left", got {side!r}')
    low, high = extent
    if side == "bottom":
        grid = "".join(f"M{number(at)} {number(low)}V{number(high)}" for at, _ in ticks)
        labels = "".join(
            text(at, position + 15, name, size=11, color=MUTED, anchor="middle")
            for at, name in ticks
        )
    else:
        grid = "".join(f"M{number(low)} {number(at)}H{number(high)}" for at, _ in ticks)
        labels = "".join(
            text(position - 6, at + 4, name, size=11, color=MUTED, anchor="end")
            for at, name in ticks
        )
    return f'<path d="{grid}" stroke="{RULE}" fill="none"/>{labels}'


def legend(
    x: float, y: float, items: Sequence[tuple[str, str]], *, gap: float = 14, lines: bool = False
) -> str:
    """A row of (colour, name), each with a short bar of its role, or its line where lines are."""
    parts = []
    for color, name in items:
        mark = line([(x, y - 4), (x + 18, y - 4)], color) if lines else bar(x, y - 9, 18, 10, color)
        parts.append(mark + text(x + 24, y, name, size=11, color=MUTED))
        x += 24 + 6.1 * len(name) + gap
    return "".join(parts)
