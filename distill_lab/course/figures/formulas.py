"""The temperature explorer's formulas for one image, by hand in NumPy and float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def soften(logits: ArrayLike, T: ArrayLike) -> np.ndarray:
    """softmax(logits / T) over the last axis; the shapes of `logits` and `T` broadcast.

    >>> soften([0.0, 0.0], T=4.0).tolist()
    [0.5, 0.5]
    """
    z = np.asarray(logits, dtype=np.float64)
    exponentials = np.exp((z - z.max(-1, keepdims=True)) / T)
    return exponentials / exponentials.sum(-1, keepdims=True)


def entropy(p: np.ndarray) -> float:
    """Shannon entropy -sum p log p of one distribution (C,), in nats; 0 log 0 is 0.

    >>> round(entropy(np.array([0.5, 0.5, 0.0])), 3)
    0.693
    """
    present = p[p > 0]
    return max(0.0, float(-(present * np.log(present)).sum()))


def student_gradient(
    student_logits: ArrayLike,
    teacher_logits: ArrayLike,
    label: int | None,
    *,
    T: float,
    alpha: float,
) -> np.ndarray:
    """Gradient of the distillation loss of one example with respect to the student's logits.

    d/dz [alpha T^2 KL(p_T || q_T) + (1 - alpha) CE(y, q_1)]
      = alpha T (q_T - p_T) + (1 - alpha) (q_1 - y),
    p the teacher's and q the student's distribution, y one-hot. Without a label the second term
    is left out. Both logits (C,), result (C,). Hinton, Vinyals and Dean 2015, section 2.1.

    >>> student_gradient([0.0, 0.0], [0.0, 0.0], 0, T=2.0, alpha=0.5).tolist()
    [-0.25, 0.25]
    """
    gradient = alpha * T * (soften(student_logits, T) - soften(teacher_logits, T))
    if label is None:
        return gradient
    return gradient + (1 - alpha) * (soften(student_logits, 1.0) - one_hot(label, len(gradient)))


def loss_terms(
    student_logits: ArrayLike, teacher_logits: ArrayLike, label: int | None, *, T: float
) -> tuple[float, float | None]:
    """The terms of one example's distillation loss: T^2 KL(p_T || q_T) and CE(y, q_1), in nats.

    >>> loss_terms([0.0, 0.0], [0.0, 0.0], None, T=4.0)
    (0.0, None)
    """
    log_p, log_q = _log_soften(teacher_logits, T), _log_soften(student_logits, T)
    kl = T**2 * float((np.exp(log_p) * (log_p - log_q)).sum())
    return max(0.0, kl), None if label is None else -float(_log_soften(student_logits, 1.0)[label])


def _log_soften(logits: ArrayLike, T: float) -> np.ndarray:
    z = np.asarray(logits, dtype=np.float64)
    scaled = (z - z.max()) / T
    return scaled - np.log(np.exp(scaled).sum())


def one_hot(label: int, classes: int) -> np.ndarray:
    """The label as a distribution (classes,): 1 at `label`, 0 elsewhere."""
    return (np.arange(classes) == label).astype(np.float64)
