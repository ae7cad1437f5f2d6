"""What learners get wrong on two views and on hints, each with the cure."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["LEFT_OVER", "VIEW_KL", "left_over", "view_kl"]


def kl_of_logs(log_q: Tensor, log_p: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def kl(student: Tensor, teacher: Tensor) -> Tensor:
    log_q, log_p = student.log_softmax(-1), teacher.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def view_kl(a: Tensor, b: Tensor, s: int, t: int, n: int) -> Tensor:
    return kl(a[s - 1 : s - 1 + n], b[t - 1 : t - 1 + n]).mean()


def rows_to(teachers: Tensor, q: Tensor) -> Tensor:
    return (teachers * (teachers.log() - q.log())).sum(-1)


def left_over(share: Tensor, teachers: Tensor) -> Tensor:
    return (share * rows_to(teachers, share @ teachers)).sum()


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


VIEW_KL = (
    Mistake(
        "The rows begin one too late. The last token of the prompt predicts the first token of "
        "the answer: begin at s - 1 and t - 1.",
        lambda a, b, s, t, n: kl(a[s : s + n], b[t : t + n]).mean(),
    ),
    Mistake(
        "The first token of the answer is left out. It is predicted at s - 1 and t - 1.",
        lambda a, b, s, t, n: kl(a[s : s - 1 + n], b[t : t - 1 + n]).sum() / max(1, n - 1),
    ),
    Mistake(
        "Both are cut at the student's positions. The teacher's answer stands behind its own "
        "prompt: begin at t - 1.",
        lambda a, b, s, t, n: kl(a[s - 1 : s - 1 + n], b[s - 1 : s - 1 + n]).mean(),
    ),
    Mistake(
        "Only one side is shifted. The last token of each prompt predicts the answer's first: "
        "s - 1 and t - 1.",
        lambda a, b, s, t, n: kl(a[s : s + n], b[t - 1 : t - 1 + n]).mean(),
    ),
    Mistake(
        "Only one side is shifted. The last token of each prompt predicts the answer's first: "
        "s - 1 and t - 1.",
        lambda a, b, s, t, n: kl(a[s - 1 : s - 1 + n], b[t : t + n]).mean(),
    ),
    Mistake(
        "The direction is reversed. It is log p - log q with the weights p, the teacher's.",
        lambda a, b, s, t, n: view_kl(b, a, t, s, n),
    ),
    Mistake(
        "The tokens are summed. Divide by their number n.",
        lambda a, b, s, t, n: n * view_kl(a, b, s, t, n),
    ),
    Mistake(
        "There is a mean over the classes. A divergence sums over them.",
        lambda a, b, s, t, n: view_kl(a, b, s, t, n) / a.shape[-1],
    ),
    Mistake(
        "The division is by the length of the whole text. Only the n tokens of the answer count.",
        lambda a, b, s, t, n: n * view_kl(a, b, s, t, n) / (s + n),
    ),
    Mistake(
        "This is the cross-entropy -sum p log q. The teacher's entropy is still in it: use "
        "log p - log q.",
        lambda a, b, s, t, n: (
            -(b[t - 1 : t - 1 + n].softmax(-1) * a[s - 1 : s - 1 + n].log_softmax(-1))
            .sum(-1)
            .mean()
        ),
    ),
    Mistake(
        "The division is by the length of the whole text. Only the n tokens of the answer count.",
        lambda a, b, s, t, n: n * view_kl(a, b, s, t, n) / (t + n),
    ),
    Mistake(
        "There is a row too many. The last logits predict what follows the answer: take n rows.",
        lambda a, b, s, t, n: kl(a[s - 1 : s + n], b[t - 1 : t + n]).mean(),
    ),
    Mistake(
        "The rows begin one too early. In Python the first is s - 1 and t - 1.",
        lambda a, b, s, t, n: kl(a[s - 2 : s - 2 + n], b[t - 2 : t - 2 + n]).mean(),
    ),
    Mistake(
        "The first rows are compared. They belong to the prompts: begin at s - 1 and t - 1.",
        lambda a, b, s, t, n: kl(a[:n], b[:n]).mean(),
    ),
    Mistake(
        "The softmax runs down the tokens. Classes are on the last axis: `log_softmax(-1)`.",
        lambda a, b, s, t, n: kl_of_logs(
            a[s - 1 : s - 1 + n].log_softmax(0), b[t - 1 : t - 1 + n].log_softmax(0)
        ).mean(),
    ),
    Mistake(
        "Logits are subtracted. Take the log_softmax of both first.",
        lambda a, b, s, t, n: (
            (b[t - 1 : t - 1 + n].softmax(-1) * (b[t - 1 : t - 1 + n] - a[s - 1 : s - 1 + n]))
            .sum(-1)
            .mean()
        ),
    ),
    Mistake(
        "The weights are missing. Multiply log p - log q by p, then sum over the classes.",
        lambda a, b, s, t, n: (
            (b[t - 1 : t - 1 + n].log_softmax(-1) - a[s - 1 : s - 1 + n].log_softmax(-1))
            .sum(-1)
            .mean()
        ),
    ),
    Mistake(
        "`kl_div` gets probabilities of the student. Its first argument is log q: `log_softmax`.",
        lambda a, b, s, t, n: F.kl_div(
            a[s - 1 : s - 1 + n].softmax(-1),
            b[t - 1 : t - 1 + n].softmax(-1),
            reduction="batchmean",
        ),
    ),
    Mistake(
        "`kl_div` gets logarithms of the teacher. Give it p, or set `log_target=True`.",
        lambda a, b, s, t, n: F.kl_div(
            a[s - 1 : s - 1 + n].log_softmax(-1),
            b[t - 1 : t - 1 + n].log_softmax(-1),
            reduction="batchmean",
        ),
    ),
)


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
        "This is the total variation. Take the KL.",
        lambda w, p: 0.5 * (w * (p - w @ p).abs().sum(-1)).sum(),
    ),
)
