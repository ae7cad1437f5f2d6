"""What learners get wrong on what hints leave over, each with the cure."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["LEFT_OVER", "left_over"]


def rows_to(teachers: Tensor, q: Tensor) -> Tensor:
    return (teachers * (teachers.log() - q.log())).sum(-1)


def left_over(share: Tensor, teachers: Tensor) -> Tensor:
    return (share * rows_to(teachers, share @ teachers)).sum()


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


LEFT_OVER = (
    Mistake(
        "All hints weigh the same. Weigh each with its `share`.",
        lambda w, p: rows_to(p, w @ p).mean(),
    ),
    Mistake(
        "The average has no weights. It is share @ teachers.",
        lambda w, p: (w * rows_to(p, p.mean(0))).sum(),
    ),
    Mistake(
        "Neither average nor mean has weights. Use `share` in both.",
        lambda w, p: rows_to(p, p.mean(0)).mean(),
    ),
    Mistake(
        "The direction is reversed. Take the KL from each teacher to the average.",
        lambda w, p: (w * ((w @ p) * ((w @ p).log() - p.log())).sum(-1)).sum(),
    ),
    Mistake(
        "This is the entropy of the average. Subtract the teachers' mean entropy.",
        lambda w, p: _entropy(w @ p),
    ),
    Mistake(
        "This is the teachers' mean entropy. It has to be subtracted from the average's.",
        lambda w, p: (w * _entropy(p)).sum(),
    ),
    Mistake(
        "The sign is reversed. It is log p - log q, or the average's entropy minus the mean of "
        "the teachers'.",
        lambda w, p: (w * _entropy(p)).sum() - _entropy(w @ p),
    ),
    Mistake(
        "The logarithms are averaged. The best student is the mean of the probabilities.",
        lambda w, p: (w * rows_to(p, (w @ p.log()).softmax(-1))).sum(),
    ),
    Mistake(
        "The hints are summed without weights. Multiply each KL with its `share`.",
        lambda w, p: rows_to(p, w @ p).sum(),
    ),
    Mistake(
        "There is a mean over the classes. A divergence sums over them.",
        lambda w, p: left_over(w, p) / p.shape[-1],
    ),
    Mistake(
        "The result is in bits. Use the natural logarithm, for nats.",
        lambda w, p: left_over(w, p) / torch.log(torch.tensor(2.0)),
    ),
    Mistake(
        "The KL of each hint is returned. Take the mean with the weights `share`.",
        lambda w, p: rows_to(p, w @ p),
    ),
    Mistake(
        "A softmax is taken of the average. It is a distribution already: use it as it is.",
        lambda w, p: (w * rows_to(p, (w @ p).softmax(-1))).sum(),
    ),
    Mistake(
        "The worst hint alone counts. Take the mean with the weights `share`.",
        lambda w, p: rows_to(p, w @ p).max(),
    ),
    Mistake(
        "The student is the most frequent teacher. The best one is the average: share @ teachers.",
        lambda w, p: (w * rows_to(p, p[w.argmax()])).sum(),
    ),
    Mistake(
        "The teacher's weights are missing. Multiply log p - log q by p, then sum over classes.",
        lambda w, p: (w * (p.log() - (w @ p).log()).sum(-1)).sum(),
    ),
    Mistake(
        "`share` stands in the logarithm. It is a weight outside: share times the KL.",
        lambda w, p: (w * (p * (w[:, None] * p / (w @ p)).log()).sum(-1)).sum(),
    ),
    Mistake(
        "Teachers are compared with each other, or with their geometric mean. Compare each with "
        "the average, share @ teachers.",
        lambda w, p: (w * rows_to(p, (w @ p.log()).exp())).sum(),
    ),
    Mistake(
        "The logarithm is missing. Sum p (log p - log q), not p (p - q).",
        lambda w, p: (w * (p * (p - w @ p)).sum(-1)).sum(),
    ),
    Mistake(
        "The student is uniform. The best one is the average: share @ teachers.",
        lambda w, p: (w * rows_to(p, torch.full_like(p, 1 / p.shape[-1]))).sum(),
    ),
    Mistake(
        "`share` is a factor twice. Weigh each KL with it once.",
        lambda w, p: (w**2 * rows_to(p, w @ p)).sum(),
    ),
    Mistake(
        "`kl_div` gets probabilities of the student. Its first argument is log q: `q.log()`.",
        lambda w, p: (w * (p * (p.log() - w @ p)).sum(-1)).sum(),
    ),
    Mistake(
        "There is a mean over hints and classes. Sum both: `share` holds the weights already.",
        lambda w, p: left_over(w, p) / p.numel(),
    ),
    Mistake(
        "The best hint alone counts. Take the mean with the weights `share`.",
        lambda w, p: rows_to(p, w @ p).min(),
    ),
    Mistake(
        "The student is the first teacher. The best one is the average: share @ teachers.",
        lambda w, p: (w * rows_to(p, p[0])).sum(),
    ),
    Mistake(
        "This is the reverse KL, from the geometric mean. The forward KL has the average.",
        lambda w, p: (w * rows_to((w @ p.log()).softmax(-1).expand_as(p), p)).sum(),
    ),
    Mistake(
        "This is the total variation. Take the KL.",
        lambda w, p: 0.5 * (w * (p - w @ p).abs().sum(-1)).sum(),
    ),
)
