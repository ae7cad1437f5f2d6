"""The ways people get a KL divergence wrong, each as a function and a sentence."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

__all__ = ["Soft", "kl", "kl_errors", "log_soft", "soft_ce"]

Soft = Callable[[Tensor, Tensor, float], Tensor]


def kl(
    a: Tensor, b: Tensor, Ta: float, Tb: float, *, dim: int = -1, reduce: str = "batchmean"
) -> Tensor:
    """KL(a ‖ b) with a temperature each, over any axis, reduced any way: right and wrong ones."""
    log_a, log_b = (a / Ta).log_softmax(dim), (b / Tb).log_softmax(dim)
    terms = log_a.exp() * (log_a - log_b)
    if reduce == "mean":  # by hand: F.kl_div warns, and a warning fails a lesson
        return terms.mean()
    return terms.sum() if reduce == "sum" else terms.sum() / len(a)


def log_soft(s: Tensor, T: float) -> Tensor:
    return (s / T).log_softmax(-1)


def soft_ce(s: Tensor, t: Tensor, T: float) -> Tensor:
    return -((t / T).softmax(-1) * log_soft(s, T)).sum(-1).mean()


def kl_errors(first: str, second: str, weight: str) -> tuple[tuple[str, Soft], ...]:
    """What goes wrong in KL(a ‖ b), as sentences with functions (a, b, T).

    `first` and `second` say who a and b are; `weight` is the letter of a's probabilities.
    """
    other = "q" if weight == "p" else "p"
    return (
        (
            f"the direction is turned round. Weigh by the {first}'s {weight}: "
            f"sum {weight} (log {weight} - log {other}). Yours weighs by the {second}'s {other}.",
            lambda a, b, T: kl(b, a, T, T),
        ),
        (
            "it averages over the classes as well. `F.kl_div(..., reduction='mean')` does that; "
            "`reduction='batchmean'` sums over classes and averages over the batch.",
            lambda a, b, T: kl(a, b, T, T, reduce="mean"),
        ),
        (
            "it adds up over the batch. Divide by the number of rows: `.sum(-1).mean()`.",
            lambda a, b, T: kl(a, b, T, T, reduce="sum"),
        ),
        (
            f"T is on the {second} only. The {first}'s logits are divided by T too.",
            lambda a, b, T: kl(a, b, 1, T),
        ),
        (
            f"T is on the {first} only. The {second}'s logits are divided by T too.",
            lambda a, b, T: kl(a, b, T, 1),
        ),
        (
            "the temperature does not reach the softmax: divide both logits by T first.",
            lambda a, b, T: kl(a, b, 1, 1),
        ),
        (
            "the logits are multiplied by T. Divide: a high temperature makes things softer.",
            lambda a, b, T: kl(a, b, 1 / T, 1 / T),
        ),
        (
            "the softmax runs down the batch (axis 0). Classes lie along the last axis: `dim=-1`.",
            lambda a, b, T: kl(a, b, T, T, dim=0),
        ),
        (
            "probabilities where logs are due: `F.kl_div` wants *log*-probabilities of the "
            f"{second} as its first argument.",
            lambda a, b, T: F.kl_div(
                (b / T).softmax(-1), (a / T).softmax(-1), reduction="batchmean"
            ),
        ),
        (
            f"log-probabilities where probabilities are due: for the {first} give `F.kl_div` "
            "probabilities, or say `log_target=True`.",
            lambda a, b, T: F.kl_div(log_soft(b, T), log_soft(a, T), reduction="batchmean"),
        ),
        (
            f"this is the cross-entropy -sum {weight} log {other}: the {first}'s own entropy is "
            "still in it, so equal logits do not give 0.",
            lambda a, b, T: soft_ce(b, a, T),
        ),
        (
            "the softmax is applied twice: `log_softmax` wants logits, not probabilities.",
            lambda a, b, T: kl((a / T).softmax(-1), (b / T).softmax(-1), 1, 1),
        ),
        (
            "the sign is turned round: a divergence is never negative.",
            lambda a, b, T: -kl(a, b, T, T),
        ),
    )
