"""A student on its way through training: its outputs at a few steps, and their live picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from distill_lab.course.figures import bars, svg
from distill_lab.course.figures.formulas import entropy, soften, student_gradient
from distill_lab.data.batches import epoch_order
from distill_lab.data.datasets import Examples
from distill_lab.losses import cross_entropy, forward_kl
from distill_lab.models import MLP

__all__ = ["STEPS", "pictures_in_doubt", "render_training", "trace"]

STEPS = (0, 10, 30, 60, 120, 200, 400, 600)  # after which the outputs are kept
WIDTH, HEIGHT, TOP, ROWS = 470, 472, 132, 290  # the picture; first row's y; height of all rows
BARS, LENGTH = 34.0, 178.0  # where the distributions begin, and the length of probability 1
ZERO, REACH = 364.0, 52.0  # of the arrows: no change, and the longest one
LIMIT = 1.5  # the gradient that fills an arrow's room, the same for every T and step


def pictures_in_doubt(logits: Tensor, labels: Tensor) -> list[int]:
    """Find, for each digit, the picture that the teacher classifies right with the least certainty.

    Args:
        logits: The teacher's, (N, C).
        labels: The right classes, (N,).

    Returns:
        The index of one picture a class, in the order of the classes.

    Raises:
        ValueError: If the teacher classifies no picture of some class right.
    """
    p = logits.softmax(-1)
    confidence, answer = p.max(-1)
    chosen = []
    for digit in range(p.shape[-1]):
        candidates = (answer == digit) & (labels == digit)
        if not candidates.any():
            raise ValueError(
                f"expected at least one picture of each class that the teacher classifies right; "
                f"there is none of class {digit}: give more pictures"
            )
        chosen.append(int(confidence.masked_fill(~candidates, 2.0).argmin()))
    return chosen


def trace(
    train: Examples,
    teacher_logits: Tensor,
    watched: Tensor,
    *,
    T: float,
    alpha: float = 0.9,
    width: int = 32,
    steps: Sequence[int] = STEPS,
    seed: int = 0,
) -> Tensor:
    """Train one student and keep its logits for a few pictures on the way.

    Args:
        train: The labelled pictures, (N, ...).
        teacher_logits: The teacher's logits for them, (N, C).
        watched: The pictures to look at, (M, ...).
        T: The temperature of the training.
        alpha: The weight of the teacher's term.
        width: Units in each of the student's two hidden layers.
        steps: The numbers of steps after which the logits are kept, in rising order.
        seed: Of the first weights and of the order of the pictures.

    Returns:
        The logits, (len(steps), M, C).
    """
    student = MLP(64, width, width, teacher_logits.shape[-1], seed=seed)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.0)
    kept: list[Tensor] = []
    done = epoch = 0
    while len(kept) < len(steps):
        for index in epoch_order(len(train), seed, epoch).split(50):
            if done in steps:
                with torch.no_grad():
                    kept.append(student(watched))
            logits = student(train.inputs[index])
            soft = T**2 * forward_kl(logits, teacher_logits[index], T=T)
            loss = alpha * soft + (1 - alpha) * cross_entropy(logits, train.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
        epoch += 1
    return torch.stack(kept)


def render_training(
    image: ArrayLike,
    teacher_logits: ArrayLike,
    student_logits: ArrayLike,
    label: int,
    *,
    T: float,
    step: int,
    alpha: float = 0.9,
) -> svg.Svg:
    """Draw what teacher and student give for one picture after some steps, and the next push.

    An arrow is minus the gradient of the loss on a logit of the student: to the right, a step of
    training raises this logit; to the left, it lowers it.

    Args:
        image: The picture, (H, W) in [0, 1].
        teacher_logits: The teacher's logits for it, (C,).
        student_logits: The student's, after `step` steps, (C,).
        label: The right class.
        T: The temperature of the training.
        step: How many steps of training the student has had.
        alpha: The weight of the teacher's term.

    Returns:
        The picture, of one size whatever the values.
    """
    p, q = soften(teacher_logits, T), soften(student_logits, T)
    push = -student_gradient(student_logits, teacher_logits, label, T=T, alpha=alpha)
    rows = bars.Rows(len(p), top=TOP, height=ROWS)
    up, down = int(push.argmax()), int(push.argmin())
    facts = (
        f"entropy at T: teacher {entropy(p):.2f}, student {entropy(q):.2f} nats",
        f"P(label {label}) at T = 1: teacher {soften(teacher_logits, 1.0)[label]:.2f}, "
        f"student {soften(student_logits, 1.0)[label]:.2f}",
    )
    alt = (
        f"T = {T:g}, step {step}, a picture with label {label}. {facts[0]}. {facts[1]}. The next "
        f"step raises the logit of {up} most ({_signed(push[up])}) and lowers that of {down} most "
        f"({_signed(push[down])})."
    )
    return svg.picture(
        WIDTH,
        HEIGHT,
        alt,
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        svg.pixels(image, 14, 12, 80),
        svg.text(108, 28, f"step {step}, T = {T:g}", size=15, bold=True),
        *(svg.text(108, 50 + 19 * i, fact) for i, fact in enumerate(facts)),
        svg.text(BARS, TOP - 18, "softmax(logits / T)", size=12, bold=True),
        svg.text(ZERO, TOP - 18, "push on the student's logit", anchor="middle", bold=True),
        svg.rect(8, rows.y(label), WIDTH - 16, rows.step, svg.BAND),
        rows.names(BARS - 8, [str(i) for i in range(len(p))], label),
        bars.distribution(rows, BARS, LENGTH, p, svg.TEACHER, half=0),
        bars.distribution(rows, BARS, LENGTH, q, svg.STUDENT, half=1),
        svg.line([(ZERO, TOP), (ZERO, TOP + ROWS)], svg.MUTED, width=1),
        *(_arrow(rows.y(i) + rows.step / 2, float(value)) for i, value in enumerate(push.tolist())),
        svg.text(ZERO - 6, TOP + ROWS + 16, "← lowers", size=11, color=svg.MUTED, anchor="end"),
        svg.text(ZERO + 6, TOP + ROWS + 16, "raises →", size=11, color=svg.MUTED),
        svg.legend(BARS, HEIGHT - 14, [(svg.TEACHER, "teacher"), (svg.STUDENT, "student")]),
        svg.text(200, HEIGHT - 14, "grey row: the label", size=11, color=svg.MUTED),
    )


def _arrow(y: float, value: float) -> str:
    """One push as an arrow from zero with its value beyond the tip."""
    length = max(-1.0, min(1.0, value / LIMIT)) * REACH
    end, way = ZERO + length, 1 if value >= 0 else -1
    drawn = svg.line([(ZERO, y), (end, y)], svg.STUDENT, width=3, dash="")
    if abs(length) > 3:
        tip = [(end - 5 * way, y - 4), (end, y), (end - 5 * way, y + 4)]
        drawn += svg.line(tip, svg.STUDENT, width=2, dash="")
    anchor = "start" if value >= 0 else "end"
    return drawn + svg.text(end + 6 * way, y + 4, _signed(value), size=11, anchor=anchor)


def _signed(value: float) -> str:
    written = f"{value:+.2f}".replace("-", "−")
    return "0" if written[1:] == "0.00" else written
