"""What learners get wrong on one answer behind two prompts, each with the cure."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["VIEW_KL", "view_kl"]


def kl_of_logs(log_q: Tensor, log_p: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def kl(student: Tensor, teacher: Tensor) -> Tensor:
    log_q, log_p = student.log_softmax(-1), teacher.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def view_kl(a: Tensor, b: Tensor, s: int, t: int, n: int) -> Tensor:
    return kl(a[s - 1 : s - 1 + n], b[t - 1 : t - 1 + n]).mean()


def _of_rows(
    a: Tensor, b: Tensor, s: int, t: int, n: int, each: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The mean over the answer of a sum over the classes, of probabilities q and p."""
    q, p = a[s - 1 : s - 1 + n].softmax(-1), b[t - 1 : t - 1 + n].softmax(-1)
    return each(q, p).sum(-1).mean()


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
        "The last token of the answer is left out. Take n rows: up to s - 1 + n and t - 1 + n.",
        lambda a, b, s, t, n: kl(a[s - 1 : s - 2 + n], b[t - 1 : t - 2 + n]).mean(),
    ),
    Mistake(
        "Only the last token of the answer counts here. Take all n rows.",
        lambda a, b, s, t, n: kl(a[s + n - 2 : s + n - 1], b[t + n - 2 : t + n - 1]).mean(),
    ),
    Mistake(
        "The student's probabilities are the weights. They are the teacher's, p.",
        lambda a, b, s, t, n: -view_kl(b, a, t, s, n),
    ),
    Mistake(
        "Probabilities are subtracted. Subtract their logarithms: log p - log q.",
        lambda a, b, s, t, n: _of_rows(a, b, s, t, n, lambda x, y: y * (y - x)),
    ),
    Mistake(
        "The weights are log p. They are the probabilities p.",
        lambda a, b, s, t, n: _of_rows(a, b, s, t, n, lambda x, y: y.log() * (y / x).log()),
    ),
    Mistake(
        "This is the Jensen-Shannon divergence. Compare p with q, not with their mean.",
        lambda a, b, s, t, n: _of_rows(
            a,
            b,
            s,
            t,
            n,
            lambda x, y: (y * (2 * y / (x + y)).log() + x * (2 * x / (x + y)).log()) / 2,
        ),
    ),
    Mistake(
        "This is the mean squared error of the logits. Compare probabilities, by the KL.",
        lambda a, b, s, t, n: (a[s - 1 : s - 1 + n] - b[t - 1 : t - 1 + n]).square().mean(),
    ),
    Mistake(
        "The sum runs down the tokens. Sum over the classes, `sum(-1)`, then take the mean.",
        lambda a, b, s, t, n: n * view_kl(a, b, s, t, n) / a.shape[-1],
    ),
    Mistake(
        "The division is by the length of the prompt. Divide by the n tokens of the answer.",
        lambda a, b, s, t, n: n * view_kl(a, b, s, t, n) / s,
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
        "`kl_div` gets no probabilities of the teacher. Give it p; for log p set "
        "`log_target=True`.",
        lambda a, b, s, t, n: F.kl_div(
            a[s - 1 : s - 1 + n].log_softmax(-1),
            b[t - 1 : t - 1 + n].log_softmax(-1),
            reduction="batchmean",
        ),
    ),
)
