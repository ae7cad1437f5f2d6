"""The table with six guests: what the question reads, what it should read, and the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from distill_lab.course.figures import svg
from lesson_22.experiments import DRINKS

__all__ = ["render_table"]

WIDTH, HEIGHT = 470, 396
TOP, STEP, BOX = 56, 34, 28  # of the guests' boxes
LEAST = 0.02  # fainter lines are not drawn
SHADES = {svg.TEACHER: (213, 94, 0), svg.STUDENT: (0, 114, 178)}


def render_table(
    words: Sequence[str],
    path: tuple[int, int],
    attention: ArrayLike,
    probabilities: ArrayLike,
    right: int,
    *,
    table: int,
    network: str,
    layer: int,
    head: int,
) -> svg.Svg:
    """Draw what the question reads in one head, with the right path marked, and the answer.

    Args:
        words: Six guests and the question, as `experiments.as_words` writes them.
        path: Places of the guest asked about and of the guest that one follows.
        attention: (layers, heads, 7, 7), rows sum to one.
        probabilities: The network's answer, (6,), one a drink.
        right: Number of the right drink.
        table: Number of the table, for the title.
        network: Its name; "teacher" has the teacher's colour.
        layer: From 1; layer 1 should read the first guest of the path, layer 2 the second.
        head: From 1.

    Returns:
        The picture, of one size whatever the values.

    Raises:
        ValueError: For other shapes, or a layer or head that is not there.
    """
    maps, answers = np.asarray(attention, dtype=float), np.asarray(probabilities, dtype=float)
    count = len(words)
    if maps.ndim != 4 or maps.shape[0] != len(path) or maps.shape[2:] != (count, count):
        raise ValueError(
            f"attention must be (2, heads, {count}, {count}) for these {count} tokens, got "
            f"{maps.shape}."
        )
    for what, value, most in (("layer", layer, maps.shape[0]), ("head", head, maps.shape[1])):
        if not 1 <= value <= most:
            raise ValueError(f"{what} must be from 1 to {most}, got {value}.")
    colour = svg.TEACHER if network == "teacher" else svg.STUDENT
    shares, target = maps[layer - 1, head - 1, -1], path[layer - 1]
    given = int(answers.argmax())
    verdict = "✓ right" if given == right else f"✗ wrong, right is {DRINKS[right]}"
    answer = f"answer: {DRINKS[given]}, {100 * answers[given]:.0f} %"
    alt = (
        f"Table {table}, {words[-1]} {network}, layer {layer}, head {head}: the question reads "
        f"mostly “{words[int(shares.argmax())]}”, {100 * shares.max():.0f} %. The right one here "
        f"is “{words[target]}”, {100 * shares[target]:.0f} %. {answer}, {verdict}."
    )
    name = words[-1].removesuffix("?")
    return svg.picture(
        WIDTH,
        HEIGHT,
        alt,
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        svg.text(14, 24, f"Table {table}: what does {name} get?", size=14, bold=True),
        svg.text(14, 44, f"{network}: layer {layer}, head {head}", color=colour, bold=True),
        svg.text(WIDTH - 14, 44, "hop 1, hop 2: the right path", color=svg.GREEN, anchor="end"),
        _lines(shares, target, colour),
        "".join(_guest(i, words[i], shares[i], path, target) for i in range(count - 1)),
        _question(words[-1], float(shares[-1])),
        _heads(maps, words, path, colour, layer, head),
        svg.text(14, HEIGHT - 14, f"{answer}   {verdict}", size=14, bold=True),
    )


def _middle(i: int) -> float:
    return TOP + STEP * i + BOX / 2


def _lines(shares: np.ndarray, target: int, colour: str) -> str:
    """From the question to each guest, as wide as its share; green behind the right one."""
    start, parts = (350.0, TOP + 2.5 * STEP + BOX / 2), []
    for i, share in enumerate(shares[:-1].tolist()):
        ends, wide = [start, (212.0, _middle(i))], 0.8 + 7 * share
        if i == target:
            parts.insert(0, svg.line(ends, svg.GREEN, width=wide + 9, dash="", opacity=0.3))
        if share >= LEAST:
            parts.append(svg.line(ends, colour, width=wide))
    return "".join(parts)


def _guest(i: int, word: str, share: float, path: tuple[int, int], target: int) -> str:
    y, hop = TOP + STEP * i, path.index(i) + 1 if i in path else 0
    edge = svg.GREEN if hop else svg.RULE
    fill = "#DDF3EA" if i == target else svg.BAND
    parts = [
        svg.rect(14, y, 144, BOX, fill, stroke=edge, round_=5),
        svg.text(22, y + 18, word, bold=i == target),
        svg.text(
            206,
            y + 18,
            f"{100 * share:.0f} %",
            anchor="end",
            bold=share >= 0.1,
            color=svg.INK if share >= 0.1 else svg.MUTED,
        ),
    ]
    if hop:
        parts.append(svg.text(152, y + 18, f"hop {hop}", size=11, color=svg.GREEN, anchor="end"))
    return "".join(parts)


def _question(word: str, itself: float) -> str:
    y = TOP + 2.5 * STEP + BOX / 2
    return "".join(
        (
            svg.rect(352, y - 24, 104, 48, svg.BAND, stroke=svg.RULE, round_=5),
            svg.text(404, y - 5, word, size=14, anchor="middle", bold=True),
            svg.text(404, y + 14, f"itself: {100 * itself:.0f} %", size=11, anchor="middle"),
        )
    )


def _heads(
    maps: np.ndarray,
    words: Sequence[str],
    path: tuple[int, int],
    colour: str,
    layer: int,
    head: int,
) -> str:
    """How much each head of each layer reads of the guest that its layer should read."""
    top, heads = TOP + STEP * 6 + 12, maps.shape[1]
    wide = 268 / heads
    parts = [
        svg.text(14, top + 12, "share of the right guest:", size=11, color=svg.MUTED),
        *(
            svg.text(188 + wide * (h + 0.5), top + 12, f"head {h + 1}", size=11, anchor="middle")
            for h in range(heads)
        ),
    ]
    for row, place in enumerate(path):
        y, guest = top + 20 + 28 * row, words[place].split(":")[0]
        parts.append(svg.text(14, y + 16, f"layer {row + 1}, hop {row + 1}: {guest}"))
        for h in range(heads):
            share = float(maps[row, h, -1, place])
            shade = _shade(colour, share)
            here = (row + 1, h + 1) == (layer, head)
            x = 188 + wide * h
            parts += [
                svg.rect(x + 3, y, wide - 6, 24, shade, stroke=svg.INK if here else svg.RULE),
                svg.rect(x + 1, y - 2, wide - 2, 28, "none", stroke=svg.INK) if here else "",
                svg.text(
                    x + wide / 2,
                    y + 16,
                    f"{100 * share:.0f} %",
                    anchor="middle",
                    bold=here,
                    color=svg.ink_on(shade),
                ),
            ]
    return "".join(parts)


def _shade(colour: str, share: float) -> str:
    return "#" + "".join(f"{round(255 + (part - 255) * share):02X}" for part in SHADES[colour])
