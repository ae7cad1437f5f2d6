"""The temperature explorer: what a teacher says about one image, at any T and alpha.

Pure functions from numbers to an SVG string, in NumPy alone and in well under a millisecond each,
so that a slider can call them on every key press. The package's tensors are welcome as arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distill_lab.course.figures import bars, svg
from distill_lab.course.figures.formulas import (
    entropy,
    loss_terms,
    one_hot,
    soften,
    student_gradient,
)

__all__ = ["render_softened", "render_temperature"]

WIDTH, HEIGHT, TOP, ROWS = 800, 444, 58, 340  # the whole picture; first row's y; height of all rows
MOST_CLASSES = 20


def render_softened(
    image: ArrayLike,
    teacher_logits: ArrayLike,
    *,
    T: float,
    label: int | None = None,
    classes: Sequence[object] | None = None,
) -> svg.Svg:
    """A small picture for static twins: the image and the teacher's softened distribution."""
    logits, _, names = _checked(teacher_logits, None, label, T, 1.0, classes)
    p = soften(logits, T)
    rows = bars.Rows(len(p), top=34, height=200)
    parts = [
        svg.panel(0.5, 0.5, 379, 251),
        svg.text(14, 23, f"T = {T:g}", size=14, bold=True),
        svg.text(366, 23, f"entropy {entropy(p):.2f} nats", color=svg.MUTED, anchor="end"),
        svg.pixels(image, 14, 38, 104),
        "" if label is None else svg.text(66, 164, f"label {names[label]}", anchor="middle"),
        bars.distribution(rows, 160, 160, p, svg.TEACHER),
        rows.names(152, names, label),
    ]
    description = f"The teacher at T = {T:g}: {_top(p, names)}. Entropy {entropy(p):.2f} nats."
    return svg.picture(380, 252, description, *parts)


def render_temperature(
    image: ArrayLike,
    teacher_logits: ArrayLike,
    student_logits: ArrayLike | None = None,
    label: int | None = None,
    *,
    T: float = 4.0,
    alpha: float = 0.9,
    classes: Sequence[object] | None = None,
) -> svg.Svg:
    """One image, what the teacher says about it at T, the target it makes, the push it gives.

    Panels, one row a class: the distributions softmax(z / T) of the teacher (solid) and the student
    (striped); the target alpha * softened + (1 - alpha) * one-hot; the gradient of the loss on the
    student's logits (see `student_gradient`). `image` (H, W) in [0, 1], logits (C,) with C from
    2 to 20. Without `student_logits` the first and last panel show the teacher alone; without
    `label` the target is the softened teacher. The picture has one size whatever the values.

    Raises ValueError for logits of other shapes or not finite, T <= 0, alpha outside [0, 1], or a
    label that is no class.

    >>> render_temperature(np.eye(8), [2.0, 1.0, 0.0], label=0, T=2.0).alt.split(".")[0]
    'T = 2, 0'
    """
    teacher, student, names = _checked(teacher_logits, student_logits, label, T, alpha, classes)
    rows = bars.Rows(len(teacher), top=TOP, height=ROWS)
    share = 1.0 if label is None else float(alpha)  # of the teacher in the target
    p = soften(teacher, T)
    hard = np.zeros_like(p) if label is None else (1 - share) * one_hot(label, len(p))
    rest = f"{1 - share:.4g}"
    mix = "no label: teacher alone" if label is None else f"{share:g} teacher + {rest} label"
    nats = f"{entropy(p):.2f}"
    description = f"T = {T:g}, {mix}. Teacher: {_top(p, names)}, entropy {nats} nats."
    facts = [("entropy, in nats", ""), ("teacher", nats)]
    items = [(svg.TEACHER, "teacher")]

    if student is None:  # the room of the gradient goes to the other two panels
        columns = [(190.0, 250.0), (500.0, 240.0)]
        drawn = [bars.distribution(rows, *columns[0], p, svg.TEACHER)]
    else:
        columns = [(190.0, 160.0), (412.0, 128.0), (594.0, 190.0)]
        q = soften(student, T)
        gradient = student_gradient(student, teacher, label, T=T, alpha=share)
        kl, ce = loss_terms(student, teacher, label, T=T)
        facts += [("student", f"{entropy(q):.2f}")]
        facts += [("loss, in nats", ""), (f"{share:g} × T² KL", f"{share * kl:.2f}")]
        facts += [] if ce is None else [(f"{rest} × CE", f"{(1 - share) * ce:.2f}")]
        items.append((svg.STUDENT, "student"))
        limit = _gradient_limit(student, teacher, label, T)
        drawn = [
            bars.distribution(rows, *columns[0], p, svg.TEACHER, half=0),
            bars.distribution(rows, *columns[0], q, svg.STUDENT, half=1),
            bars.signed(rows, *columns[2], gradient, limit),
            _heading(columns[2][0], "gradient on student", "← lifts · lowers →, sum 0"),
        ]
        up, down = int(gradient.argmin()), int(gradient.argmax())
        description += (
            f" Student: {_top(q, names)}. The gradient lifts {names[up]} most "
            f"({gradient[up]:+.2f}) and lowers {names[down]} most ({gradient[down]:+.2f})."
        )
    band = ""
    if label is not None:
        items.append((svg.HARD, "label"))
        band = svg.rect(164, rows.y(label), WIDTH - 176, rows.step, svg.BAND)
    return svg.picture(
        WIDTH,
        HEIGHT,
        description,
        svg.panel(0.5, 0.5, WIDTH - 1, HEIGHT - 1),
        band,
        _left(image, facts, "one image" if label is None else f"label {names[label]}", T),
        _heading(columns[0][0], "softened at T", "softmax(logits / T)"),
        _heading(columns[1][0], "the target", mix),
        bars.stacked(rows, *columns[1], share * p, hard),
        *drawn,
        rows.names(180, names, label),
        svg.legend(columns[0][0], HEIGHT - 18, items),
    )


def _heading(x: float, title: str, formula: str) -> str:
    return svg.text(x, 24, title, size=13, bold=True) + svg.text(
        x, 42, formula, size=11, color=svg.MUTED
    )


def _left(image: ArrayLike, facts: Sequence[tuple[str, str]], title: str, T: float) -> str:
    """The image, T, and the sizes that belong to the whole distribution."""
    parts = [svg.text(16, 24, title, size=13, bold=True), svg.pixels(image, 16, 38, 122)]
    y = 188.0
    parts.append(svg.text(16, y, f"T = {T:g}", size=16, bold=True))
    for name, value in facts:
        y += 20 if value else 27
        parts.append(svg.text(16, y, name, size=12 if value else 11, color=svg.MUTED))
        parts.append(svg.text(138, y, value, anchor="end") if value else "")
    return "".join(parts)


def _gradient_limit(student: np.ndarray, teacher: np.ndarray, label: int | None, T: float) -> float:
    """The largest gradient over T = 1 … 20 and every alpha, so that the axis does not move.

    The gradient is linear in alpha: its largest values lie at alpha 0 or 1.
    """
    grid = np.append(np.arange(1.0, 21.0), T)[:, None]
    limit = np.abs(grid * (soften(student, grid) - soften(teacher, grid))).max()
    if label is not None:
        limit = max(limit, np.abs(soften(student, 1.0) - one_hot(label, len(student))).max())
    return max(float(limit), 1e-3)


def _top(p: np.ndarray, names: Sequence[str]) -> str:
    """The three largest in words: 'class 3 0.61, class 8 0.12, class 5 0.10'."""
    first = np.argsort(-p)[:3].tolist()
    return ", ".join(f"class {names[i]} {bars.probability(float(p[i]))}" for i in first)


def _checked(
    teacher_logits: Any,
    student_logits: Any,
    label: int | None,
    T: float,
    alpha: float,
    classes: Sequence[object] | None,
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """The arguments as arrays, or a sentence that says what is wrong with them."""
    vectors: list[np.ndarray | None] = []
    for name, given in (("teacher_logits", teacher_logits), ("student_logits", student_logits)):
        if given is None:
            vectors.append(None)
            continue
        vector = np.asarray(given, dtype=np.float64)
        if vector.ndim != 1 or not 2 <= len(vector) <= MOST_CLASSES:
            raise ValueError(
                f"{name}: expected the logits of one image, shape (C,) with C from 2 to "
                f"{MOST_CLASSES}, got {vector.shape}: pick one row, logits[i]"
            )
        if not np.isfinite(vector).all():
            raise ValueError(f"{name}: expected finite logits, got NaN or infinity among them")
        vectors.append(vector)
    teacher, student = vectors
    if teacher is None:
        raise ValueError("teacher_logits: expected the teacher's logits (C,), got None")
    if student is not None and len(student) != len(teacher):
        raise ValueError(
            f"teacher and student must know the same classes, got {len(teacher)} and "
            f"{len(student)} logits: take both from the same data set"
        )
    if not (np.isfinite(T) and T > 0):
        raise ValueError(f"T must be a finite number above 0, got {T}: T = 1 leaves logits alone")
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha must lie between 0 (label alone) and 1 (teacher alone), got {alpha}"
        )
    if label is not None and not 0 <= label < len(teacher):
        raise ValueError(f"label must be a class from 0 to {len(teacher) - 1}, got {label}")
    names = [str(c) for c in (range(len(teacher)) if classes is None else classes)]
    if len(names) != len(teacher):
        raise ValueError(f"expected {len(teacher)} names in classes, got {len(names)}")
    return teacher, student, names
