"""The live pictures of lesson 13: loss against FLOPs, and the decision chart. No widgets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from distill_lab.course.figures import svg

__all__ = ["ADVICE", "QUESTIONS", "decide", "render_chart", "render_costs"]

WIDTH, HEIGHT = 470, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 450, 66, 300

POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

QUESTIONS = (  # in the order in which they are cheap to answer; the word is the advice after a no
    ("Is the student tuned without a teacher?", "tune the student first"),
    ("Does the headroom favour the teacher?", "do not distil"),
    ("Does it know more than the labels?", "find other data or another teacher"),
    ("Does it exist, or do many share it?", "train the student on labels"),
)
YES = "distil"
# the options of a prediction: answers that were recorded before keep their words
ADVICE = (YES, "do not distil", "tune the student first", "train the student on labels")


def decide(answers: Sequence[bool]) -> str:
    """The advice of the chart: the first question that is answered with no decides.

    Args:
        answers: one truth value for each of `QUESTIONS`.

    Returns:
        The advice.

    Raises:
        ValueError: for another number of answers.

    >>> decide([True, True, True, True]), decide([True, False, True, True])
    ('distil', 'do not distil')
    """
    for (_, advice), answer in zip(QUESTIONS, answers, strict=True):
        if not answer:
            return advice
    return YES


def render_chart(answers: Sequence[bool]) -> svg.Svg:
    """Draw the four questions, the way through them, and the advice at its end."""
    advice, row, box = decide(answers), 74, 44
    stop = next((i for i, answer in enumerate(answers) if not answer), len(QUESTIONS))
    parts = [svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1)]
    for i, (question, other) in enumerate(QUESTIONS):
        y, reached, ends = 16 + row * i, i <= stop, i == stop
        color = svg.INK if reached else svg.RULE
        text_color = svg.INK if reached else svg.MUTED
        parts.append(_box(12, y, 286, box, color, svg.BAND if reached else svg.PAPER))
        parts.append(svg.text(22, y + 27, f"{i + 1}. {question}", size=12, color=text_color))
        parts.append(svg.line([(155, y + box), (155, y + row)], _way(i < stop), width=_w(i < stop)))
        parts.append(svg.text(163, y + box + 20, "yes", size=11, color=svg.MUTED))
        parts.append(svg.line([(298, y + 22), (326, y + 22)], _way(ends), width=_w(ends)))
        parts.append(svg.text(303, y + 16, "no", size=11, color=svg.MUTED))
        parts += _advice(326, y, 134, box, other, chosen=ends)
    parts += _advice(60, 16 + row * len(QUESTIONS), 190, box, YES, chosen=stop == len(QUESTIONS))
    answered = ", ".join("yes" if answer else "no" for answer in answers)
    alt = f"Four questions, answered {answered}. The advice is: {advice}."
    return svg.picture(WIDTH, HEIGHT, alt, *parts)


def _way(taken: bool) -> str:
    return svg.TEACHER if taken else svg.RULE


def _w(taken: bool) -> float:
    return 3.0 if taken else 1.5


def _box(x: float, y: float, w: float, h: float, color: str, fill: str) -> str:
    return svg.rect(x, y, w, h, fill, stroke=color, round_=6)


def _advice(x: float, y: float, w: float, h: float, words: str, *, chosen: bool) -> list[str]:
    color, weight = (svg.TEACHER, "✓ ") if chosen else (svg.RULE, "")
    lines = _halves(weight + words)
    parts = [_box(x, y, w, h, color, "#FCE8DA" if chosen else svg.PAPER)]
    top = y + h / 2 + 4 - 8 * (len(lines) - 1)
    for i, line in enumerate(lines):
        ink = svg.INK if chosen else svg.MUTED
        parts.append(
            svg.text(x + w / 2, top + 16 * i, line, anchor="middle", bold=chosen, color=ink)
        )
    return parts


def _halves(words: str, room: int = 20) -> list[str]:
    """One line, or two of about equal length."""
    if len(words) <= room:
        return [words]
    cuts = [i for i, letter in enumerate(words) if letter == " "]
    cut = min(cuts, key=lambda i: abs(i - len(words) / 2))
    return [words[:cut], words[cut + 1 :]]


def render_costs(
    labels: Sequence[tuple[float, float]],
    distilled: Sequence[tuple[float, float]],
    *,
    extent: tuple[float, float],
    words: str,
) -> svg.Svg:
    """Draw loss against all FLOPs that a student pays for, on labels alone and distilled.

    Args:
        labels: (FLOPs, loss in nats) of the students without a teacher.
        distilled: the same of the distilled ones, their part of the teacher included.
        extent: ends of the axis of FLOPs, the same for every state.
        words: what the teacher's part is, in a few words.

    Returns:
        The picture.
    """
    low, high = (math.log10(end) for end in extent)
    everyone = [loss for _, loss in (*labels, *distilled)]
    floor, ceiling = min(everyone) - 0.04, max(everyone) + 0.04

    def x(cost: float) -> float:
        return LEFT + (math.log10(cost) - low) / (high - low) * (RIGHT - LEFT)

    def y(loss: float) -> float:
        return BOTTOM - (loss - floor) / (ceiling - floor) * (BOTTOM - TOP)

    decades = [
        (x(10.0**d), f"10{str(d).translate(POWERS)}")
        for d in range(math.ceil(low), math.floor(high) + 1)
    ]
    marks = [round(0.25 * i, 2) for i in range(1, 12) if floor < 0.25 * i < ceiling]
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        svg.text(16, 24, words, size=13, bold=True),
        svg.text(16, 44, "loss on new examples, in nats (lower is better)", size=11),
        svg.axis([(y(v), f"{v:g}") for v in marks], LEFT, (LEFT, RIGHT), side="left"),
        svg.axis(decades, BOTTOM, (BOTTOM, BOTTOM + 4), side="bottom"),
        svg.text((LEFT + RIGHT) / 2, BOTTOM + 34, "FLOPs for one student", anchor="middle"),
    ]
    for points, color in ((labels, svg.HARD), (distilled, svg.STUDENT)):
        places = [(x(cost), y(loss)) for cost, loss in points]
        parts.append(svg.line(places, color))
        parts += [svg.dot(*place, 4, color) for place in places]
    last = [points[-1] for points in (labels, distilled)]
    names = [(svg.HARD, "labels"), (svg.STUDENT, "distilled")]
    parts.append(svg.legend(16, BOTTOM + 62, names, lines=True))
    cheap = _cheaper(labels, distilled)
    parts.append(svg.text(16, BOTTOM + 86, cheap, bold=True, size=13))
    alt = f"{words}. {cheap}. " + "; ".join(
        f"{name} ends at {loss:.3f} nats for {cost:.1e} FLOPs"
        for name, (cost, loss) in zip(("labels", "distilled"), last, strict=True)
    )
    return svg.picture(WIDTH, HEIGHT, alt + ".", *parts)


def _cheaper(
    labels: Sequence[tuple[float, float]], distilled: Sequence[tuple[float, float]]
) -> str:
    """Whether some distilled student is better than all that labels give for as many FLOPs."""
    wins = [
        loss < min((other for c, other in labels if c <= cost), default=math.inf)
        for cost, loss in distilled
    ]
    if all(wins):
        return "✓ the distilled student wins at every budget"
    if not any(wins):
        return "✗ at no budget does the distilled student win"
    return f"the distilled student wins at {sum(wins)} of {len(wins)} budgets"
