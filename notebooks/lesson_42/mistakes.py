"""What people get wrong in the exercises of lesson 42, and the right functions beside it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Mistake

__all__ = ["ERRORS", "NUCLEUS", "SAMPLED", "chain", "nucleus", "sampled"]

Step = Callable[[float, float, float], float]


def chain(length: int, eps: float, r: float, step: Step | None = None, first: float = 0.0) -> float:
    wrong, total = first, 0.0
    for _ in range(length):
        wrong = wrong * (1 - r) + (1 - wrong) * eps if step is None else step(wrong, eps, r)
        total += wrong
    return total


def _last(length: int, eps: float, r: float) -> float:
    wrong = 0.0
    for _ in range(length):
        wrong = wrong * (1 - r) + (1 - wrong) * eps
    return wrong


def sampled(log_q: Tensor, log_p: Tensor, mask: Tensor) -> Tensor:
    return ((log_q - log_p).detach() * log_q)[mask].mean()


def nucleus(
    logits: Tensor,
    T: float,
    top_p: float,
    *,
    keep: Callable[[Tensor, float], Tensor] = lambda p, top_p: p.cumsum(-1) - p < top_p,
    descending: bool = True,
    normalise: bool = True,
    back: bool = True,
) -> Tensor:
    p, order = (logits / T).softmax(-1).sort(-1, descending=descending)
    p = torch.where(keep(p, top_p), p, 0.0)
    if normalise:
        p = p / p.sum(-1, keepdim=True).clamp_min(1e-12)
    return torch.zeros_like(p).scatter(-1, order, p) if back else p


def _cut_first(logits: Tensor, T: float, top_p: float) -> Tensor:
    """The cut is made at T = 1, the temperature acts on what is left."""
    kept = nucleus(logits, 1.0, top_p) > 0
    return (logits / T).masked_fill(~kept, -torch.inf).softmax(-1)


ERRORS = (
    Mistake(
        "The way back is missing. An error goes on with probability 1 - r.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w + (1 - w) * e),
    ),
    Mistake(
        "The error goes on with probability r. It is right again with r, so it goes on with 1 - r.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w * r + (1 - w) * e),
    ),
    Mistake(
        "A new error begins even after an error. Multiply eps by 1 - wrong.",
        lambda n, e, r: chain(n, e, r, lambda w, e, r: w * (1 - r) + e),
    ),
    Mistake("Only the last token is counted. Return the sum over all tokens.", _last),
    Mistake(
        "The sum begins before the first token's step. First change the probability, then add it.",
        lambda n, e, r: chain(n - 1, e, r),
    ),
    Mistake(
        "The sum was divided by the length. Return the number of errors, not their share.",
        lambda n, e, r: chain(n, e, r) / n,
    ),
    Mistake(
        "Tokens are taken as independent. This is eps times the length: an error does not "
        "change the next token.",
        lambda n, e, r: n * e,
    ),
    Mistake(
        "The first token already stands after an error. Begin with a probability of 0.",
        lambda n, e, r: chain(n, e, r, first=1.0),
    ),
)

SAMPLED = (
    Mistake(
        "This is the log-ratio alone. Its mean gradient does not depend on the teacher: "
        "multiply the fixed ratio by log q.",
        lambda q, p, m: (q - p)[m].mean(),
    ),
    Mistake(
        "The sign is reversed. A token that the teacher likes more gets more probable: the "
        "bracket is log q - log p.",
        lambda q, p, m: ((p - q).detach() * q)[m].mean(),
    ),
    Mistake(
        "The mask is missing. Only tokens of the answer count.",
        lambda q, p, m: ((q - p).detach() * q).mean(),
    ),
    Mistake(
        "Masked tokens count in the mean as zeros. Divide by the number of tokens that count.",
        lambda q, p, m: ((q - p).detach() * q * m).mean(),
    ),
    Mistake(
        "Each text is averaged first. Take one mean over all tokens.",
        lambda q, p, m: (((q - p).detach() * q * m).sum(1) / m.sum(1)).mean(),
    ),
    Mistake(
        "The tokens are summed. Divide by their number.",
        lambda q, p, m: ((q - p).detach() * q)[m].sum(),
    ),
    Mistake(
        "The bracket is multiplied by q in place of log q. The gradient of log q is needed: "
        "the draw has already weighed the token by q.",
        lambda q, p, m: ((q - p).detach() * q.exp())[m].mean(),
    ),
    Mistake(
        "The bracket has probabilities. It is a difference of logarithms.",
        lambda q, p, m: ((q.exp() - p.exp()).detach() * q)[m].mean(),
    ),
    Mistake(
        "The bracket is multiplied by the teacher's log p. The gradient has to reach the "
        "student: multiply by log q.",
        lambda q, p, m: ((q - p).detach() * p)[m].mean(),
    ),
)

NUCLEUS = (
    Mistake(
        "The token that crosses top_p is cut too. Look at the sum before each token: cumsum - p.",
        lambda z, T, t: nucleus(z, T, t, keep=lambda p, top: p.cumsum(-1) <= top),
    ),
    Mistake(
        "The kept probabilities do not sum to 1. Divide them by their sum.",
        lambda z, T, t: nucleus(z, T, t, normalise=False),
    ),
    Mistake(
        "The result is in sorted order. Bring it back with scatter.",
        lambda z, T, t: nucleus(z, T, t, back=False),
    ),
    Mistake(
        "The least probable tokens are kept. Sort with descending=True.",
        lambda z, T, t: nucleus(z, T, t, descending=False),
    ),
    Mistake(
        "The temperature is missing. Divide the logits by T.", lambda z, T, t: nucleus(z, 1.0, t)
    ),
    Mistake("The logits are multiplied by T. Divide by it.", lambda z, T, t: nucleus(z, 1 / T, t)),
    Mistake("The cut is made before the temperature. Divide by T first.", _cut_first),
    Mistake(
        "Each probability is compared with top_p. It is their sum, from the largest on, that "
        "is compared.",
        lambda z, T, t: nucleus(z, T, t, keep=lambda p, top: p >= 1 - top),
    ),
    Mistake(
        "Nothing is cut. Tokens after the sum has reached top_p get 0.",
        lambda z, T, t: (z / T).softmax(-1),
    ),
)
