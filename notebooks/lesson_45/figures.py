"""The pictures of lesson 45: one request, optimised for a reward, and how far answers moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill_lab.course.figures import svg
from distill_lab.course.figures.drawing import Panel, row
from distill_lab.course.figures.layout import text_width
from lesson_45 import reward_models, shop

__all__ = ["Curve", "curve_of", "render_bars", "render_moves", "render_optimised"]

WIDTH, HEIGHT, TOP = 470, 372, 5
LEFT, RIGHT, HIGH, LOW = 46.0, 452.0, 222.0, 330.0  # of the plane below the bars
REWARDS = (-8.0, 6.0)  # points on the axis: no answer is worth less, or more


@dataclass(frozen=True)
class Curve:
    """What the best policy of each beta is like, for one request and one reward.

    Args:
        betas: largest first.
        kl: to the reference, in nats.
        gold: mean gold reward.
        best: of each beta the five most probable answers: (words, probability, gold reward).
        start: mean gold reward of the reference.
    """

    betas: tuple[float, ...]
    kl: tuple[float, ...]
    gold: tuple[float, ...]
    best: tuple[tuple[tuple[str, float, float], ...], ...]
    start: float


def curve_of(request: int, reference: Tensor, rewards: Tensor, betas: Sequence[float]) -> Curve:
    """Work out the curve of a request.

    Args:
        request: its number.
        reference: log-probabilities of all answers (2800,).
        rewards: what is optimised (2800,).
        betas: largest first.

    Returns:
        The curve.
    """
    gold = shop.gold_rewards(torch.tensor([request]))[0]
    kls, golds, bests = [], [], []
    for beta in betas:
        log_p = reward_models.optimum(reference, rewards, beta)
        p = log_p.exp()
        kls.append(float((p * (log_p - reference)).sum()))
        golds.append(float((p * gold).sum()))
        top = p.topk(TOP)
        bests.append(
            tuple(
                (shop.text_of(request, int(a)), float(share), float(gold[a]))
                for share, a in zip(top.values, top.indices, strict=True)
            )
        )
    start = float((reference.exp() * gold).sum())
    return Curve(tuple(betas), tuple(kls), tuple(golds), tuple(bests), start)


def render_optimised(request: int, reward: str, curve: Curve, beta: float) -> svg.Svg:
    """Draw the five most probable answers at a beta, and the gold reward at all of them.

    Args:
        request: its number.
        reward: the name of what is optimised.
        curve: of this request and reward.
        beta: one of the curve's.

    Returns:
        The picture, of one size whatever the values.

    Raises:
        ValueError: for a beta that the curve does not have.
    """
    if beta not in curve.betas:
        raise ValueError(f"beta must be one of {curve.betas}, got {beta!r}.")
    at = curve.betas.index(beta)
    gain = curve.gold[at] - curve.start
    verdict = "better" if gain > 0.005 else "worse" if gain < -0.005 else "equal"
    title = f"{shop.text_of(request)} | {reward}, β = {beta:g}"
    parts = [
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        svg.text(14, 24, title, size=14, bold=True),
        svg.text(WIDTH - 14, 44, "worth to people", size=11, color=svg.MUTED, anchor="end"),
        *_answers(curve.best[at]),
        *_plane(curve, at),
        svg.text(
            14,
            HEIGHT - 10,
            f"{_signed(gain)} points, {curve.kl[at]:.1f} nats from the reference: "
            f"{verdict} for people",
            size=12,
            bold=True,
        ),
    ]
    first, share, worth = curve.best[at][0]
    alt = (
        f"{title}: the most probable answer is “{first}”, {100 * share:.0f} %, worth "
        f"{_signed(worth)}. {curve.kl[at]:.1f} nats from the reference, {_signed(gain)} points "
        f"against it, {verdict} for people."
    )
    return svg.picture(WIDTH, HEIGHT, alt, *parts)


def _answers(best: Sequence[tuple[str, float, float]]) -> list[str]:
    parts = []
    for i, (words, share, worth) in enumerate(best):
        y = 54 + 28 * i
        color = svg.GREEN if worth > 0 else svg.HARD
        parts += [
            svg.bar(14, y, max(1, 300 * share), 8, svg.STUDENT),
            svg.text(14, y + 21, words, size=12),
            svg.text(344, y + 12, f"{100 * share:.0f} %", anchor="end"),
            svg.text(WIDTH - 14, y + 12, _signed(worth), size=13, color=color, anchor="end"),
        ]
    return parts


def _plane(curve: Curve, at: int) -> list[str]:
    step = (RIGHT - LEFT) / len(curve.betas)

    def height(gold: float) -> float:
        low, high = REWARDS
        return LOW - (LOW - HIGH) * (gold - low) / (high - low)

    golds = (curve.start, *curve.gold)
    points = [(LEFT + i * step, height(gold)) for i, gold in enumerate(golds)]
    ticks = [(points[i + 1][0], f"{beta:g}") for i, beta in enumerate(curve.betas)]
    levels = [(height(value), _signed(value, 0) if value else "0") for value in (-8, -4, 0, 4)]
    return [
        svg.text(14, HIGH - 8, "gold reward by β; dotted: the reference", size=11, color=svg.MUTED),
        svg.axis(ticks, LOW, (HIGH, LOW), side="bottom"),
        svg.axis(levels, LEFT, (LEFT, RIGHT), side="left"),
        svg.line([points[0], (RIGHT, points[0][1])], svg.HARD, width=1),
        svg.line(points, svg.STUDENT),
        svg.dot(*points[at + 1], 6, svg.STUDENT),
    ]


def render_bars(
    request: int, answers: Sequence[tuple[str, float, float]], *, title: str
) -> svg.Svg:
    """Draw some answers to a request with their probabilities and worths.

    Args:
        request: its number.
        answers: (words, probability, gold reward) each.
        title: above them.

    Returns:
        The picture.
    """
    words = "; ".join(f"{w}: {100 * p:.1f} %, worth {_signed(g)}" for w, p, g in answers)
    longest = max(text_width(w, 12) for w, _, _ in answers)
    parts = [svg.text(14, 22, title, size=13, bold=True)]
    for i, (name, share, worth) in enumerate(answers):
        y = 36 + 24 * i
        parts += [
            svg.text(14, y + 13, name),
            svg.bar(26 + longest, y + 2, max(1, 200 * share), 14, svg.STUDENT),
            svg.text(34 + longest + 200 * share, y + 13, f"{100 * share:.1f} %"),
            svg.text(WIDTH - 14, y + 13, _signed(worth), anchor="end", bold=True),
        ]
    alt = f"{title}. {shop.text_of(request)}: {words}."
    return svg.picture(WIDTH, 44 + 24 * len(answers), alt, *parts)


def render_moves(chosen: float, rejected: float) -> svg.Svg:
    """Draw how far the log-probabilities of both answers moved, in nats."""
    sign = "positive" if chosen > rejected else "not positive"
    panel = Panel(
        "How far both answers moved",
        250,
        alt=f"Two bars from a line at 0, changes of the log-probability. The chosen answers moved "
        f"{_signed(chosen, 2)} nats, the rejected ones {_signed(rejected, 2)}. "
        f"The margin is {sign}.",
    )
    panel.write(20, 62, "change of the log-probability, nats", size=12, quiet=True)
    up, down = max(0.0, chosen, rejected), -min(0.0, chosen, rejected)
    scale = 112 / max(up + down, 0.01)
    base = 92 + up * scale
    panel.parts.append(svg.line([(40, base), (312, base)], svg.MUTED, width=1, dash=""))
    for x, move, name in ((70, chosen, "chosen"), (220, rejected, "rejected")):
        top, height, rises = base - max(0.0, move) * scale, abs(move) * scale, move > 0
        panel.parts.append(svg.rect(x, top, 44, height, svg.STUDENT))
        above, below = (_signed(move, 2), name) if rises else (name, _signed(move, 2))
        panel.write(x + 22, top - 8, above, size=12, anchor="middle")
        panel.write(x + 22, top + height + 18, below, size=12, anchor="middle")
    panel.write(124, 222, f"margin {'>' if chosen > rejected else '≤'} 0", bold=True)
    return row(panel)


def _signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")
