"""The exercises that more than one lesson asks, and how people get a KL divergence wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same, shared_by_losses
from distill_lab.losses import divergences, response

__all__ = ["EXERCISES", "Soft", "kl", "kl_errors", "log_soft", "pairs", "soft_ce"]

_Z, _Z2 = logits(4, 5, 21), logits(6, 3, 22)
_FAR = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])


def _softened(*temperatures: float) -> tuple[dict[str, Any], ...]:
    return tuple({"logits": z, "T": T} for T in temperatures for z in (_Z, _Z2))


softmax_with_temperature = Exercise(
    name="softmax_with_temperature",
    formula="exp(z / T) / (sum over classes of exp(z / T))",
    reference=lambda z, T: response.soften(z, T=T),
    cases=_softened(1.0, 2.0, 8.0, 0.5),
    defaults={"T": 1.0},
    invariances=(
        Invariance("each row sums to 1", lambda f: same(f(_Z, 2.0).sum(-1), torch.ones(4))),
        Invariance(
            "a constant added to all logits of a row changes nothing",
            lambda f: same(f(_Z + 7.0, 2.0), f(_Z, 2.0)),
        ),
        Invariance(
            "finite for logits of ±10,000",
            lambda f: all(bool(torch.isfinite(f(_FAR, T)).all()) for T in (1.0, 4.0, 0.5)),
            "exp(10,000) is infinite, and exp(-10,000) is 0. Divide by T, then subtract the "
            "largest logit of each row, or let `softmax` do it.",
            "The exponential overflows or underflows",
        ),
        Invariance(
            "a very high temperature makes all classes equal",
            lambda f: same(f(_Z, 1e6), torch.full((4, 5), 0.2)),
        ),
    ),
    mistakes=(
        Mistake(
            "The logits are multiplied by T. Divide: a high temperature makes things softer.",
            lambda z, T: (z * T).softmax(-1),
        ),
        Mistake("T is not used. Divide the logits by T.", lambda z, T: z.softmax(-1)),
        Mistake(
            "The probabilities are divided by T, after the softmax. Divide the logits, before it.",
            lambda z, T: z.softmax(-1) / T,
        ),
        Mistake(
            "The softmax runs down the batch (axis 0). Classes lie along the last axis: `dim=-1`.",
            lambda z, T: (z / T).softmax(0),
        ),
        Mistake(
            "The sum runs over the whole tensor. Each row sums to 1 by itself: "
            "`sum(-1, keepdim=True)`.",
            lambda z, T: (z / T).exp() / (z / T).exp().sum(),
        ),
        Mistake(
            "These are log-probabilities. Take `softmax`, not `log_softmax`.",
            lambda z, T: (z / T).log_softmax(-1),
        ),
        Mistake(
            "The rows are not normalised. Divide each by its sum: `sum(-1, keepdim=True)`.",
            lambda z, T: (z / T).exp(),
        ),
        Mistake(
            "This is a sigmoid. It treats each class alone; a softmax divides by the row's sum.",
            lambda z, T: (z / T).sigmoid(),
        ),
        Mistake(
            "The softmax is applied twice. Divide the logits by T, not the probabilities.",
            lambda z, T: (z.softmax(-1) / T).softmax(-1),
        ),
        Mistake(
            "The probabilities are raised to the power T. The power would be 1 / T, and then "
            "each row is divided by its sum.",
            lambda z, T: z.softmax(-1) ** T,
        ),
        Mistake(
            "The rows are not normalised again. A power 1 / T of the probabilities is right only "
            "after each row is divided by its new sum.",
            lambda z, T: z.softmax(-1) ** (1 / T),
        ),
    ),
)


Soft = Callable[[Tensor, Tensor, float], Tensor]


def kl(
    a: Tensor, b: Tensor, Ta: float, Tb: float, *, dim: int = -1, reduce: str = "batchmean"
) -> Tensor:
    """Compute KL(a ‖ b), right or wrong: a temperature each, over any axis, reduced any way.

    Args:
        a: Logits of the side that weighs, (N, C).
        b: Logits of the other side, (N, C).
        Ta: The temperature of a.
        Tb: The temperature of b.
        dim: The axis of the softmax.
        reduce: "batchmean", "mean" or "sum".

    Returns:
        The divergence in nats, one number.
    """
    log_a, log_b = (a / Ta).log_softmax(dim), (b / Tb).log_softmax(dim)
    terms = log_a.exp() * (log_a - log_b)
    if reduce == "mean":  # by hand: F.kl_div warns, and a warning fails a lesson
        return terms.mean()
    return terms.sum() if reduce == "sum" else terms.sum() / len(a)


def log_soft(s: Tensor, T: float) -> Tensor:
    """Compute log softmax(s / T), (N, C)."""
    return (s / T).log_softmax(-1)


def soft_ce(s: Tensor, t: Tensor, T: float) -> Tensor:
    """Compute the cross-entropy -sum p log q of softened logits, mean over the batch."""
    return -((t / T).softmax(-1) * log_soft(s, T)).sum(-1).mean()


def kl_errors(first: str, second: str, weight: str) -> tuple[tuple[str, Soft], ...]:
    """List what goes wrong in KL(a ‖ b), as sentences with functions (a, b, T).

    Args:
        first: Who a is, "teacher" or "student".
        second: Who b is.
        weight: The letter of a's probabilities, "p" or "q".

    Returns:
        Pairs of a sentence and a wrong divergence.
    """
    other = "q" if weight == "p" else "p"
    return (
        (
            f"the direction is turned round. Weigh by the {first}'s {weight}: "
            f"sum {weight} (log {weight} - log {other}). Yours weighs by the {second}'s {other}.",
            lambda a, b, T: kl(b, a, T, T),
        ),
        (
            "there is a mean over the classes. `F.kl_div(..., reduction='mean')` does that; "
            "`reduction='batchmean'` sums over classes and averages over the batch.",
            lambda a, b, T: kl(a, b, T, T, reduce="mean"),
        ),
        (
            "the rows are added up. Divide by their number: `.sum(-1).mean()`.",
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
        ("T is not used. Divide both logits by T first.", lambda a, b, T: kl(a, b, 1, 1)),
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


_S, _T = logits(4, 5, 1), logits(4, 5, 2)
_S2, _T2 = logits(6, 3, 3), logits(6, 3, 4)


def pairs(*rest: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Give the two pairs of logits, each with every combination of further arguments given."""
    pairs = ((_S, _T), (_S2, _T2))
    return tuple({"student_logits": s, "teacher_logits": t, **r} for r in rest for s, t in pairs)


def _mistakes(errors: tuple[tuple[str, Soft], ...], *, swap: bool) -> tuple[Mistake, ...]:
    """The same as `Mistake`s of a function (student, teacher, T); `swap` where a is the teacher."""
    squared = (
        "there is a T² in it. Here we want the plain divergence; T² belongs to the KD loss.",
        lambda a, b, T: T**2 * kl(a, b, T, T),
    )

    def ordered(fn: Soft) -> Soft:
        return (lambda s, t, T: fn(t, s, T)) if swap else fn

    return tuple(Mistake(w[0].upper() + w[1:], ordered(fn)) for w, fn in (*errors, squared))


_EQUAL = Invariance(
    "equal inputs give 0",
    lambda f: same(f(_S, _S, 2.0), 0.0, 1e-5) or same(f(_S, _S, 1.0), 0.0, 1e-5),
    "Nothing is left to learn from a teacher one agrees with.",
)


forward_kl = Exercise(
    name="forward_kl",
    formula="KL(p ‖ q) = sum over classes of p (log p - log q), mean over the batch, "
    "with p = softmax(teacher / T) and q = softmax(student / T)",
    reference=lambda s, t, T: divergences.forward_kl(s, t, T=T),
    cases=pairs({"T": 1.0}, {"T": 2.0}, {"T": 5.0}),
    defaults={"T": 1.0},
    trained=("student_logits",),
    invariances=(_EQUAL, *shared_by_losses(lambda s, t, T: kl(t, s, T, T), (1.0,))),
    mistakes=_mistakes(kl_errors("teacher", "student", "p"), swap=True),
)


reverse_kl = Exercise(
    name="reverse_kl",
    formula="KL(q ‖ p) = sum over classes of q (log q - log p), mean over the batch, "
    "with p = softmax(teacher / T) and q = softmax(student / T)",
    reference=lambda s, t, T: divergences.reverse_kl(s, t, T=T),
    cases=pairs({"T": 1.0}, {"T": 2.0}, {"T": 5.0}),
    defaults={"T": 1.0},
    trained=("student_logits",),
    invariances=(_EQUAL, *shared_by_losses(lambda s, t, T: kl(s, t, T, T), (1.0,))),
    mistakes=_mistakes(kl_errors("student", "teacher", "q"), swap=False),
)

EXERCISES = {e.name: e for e in (softmax_with_temperature, forward_kl, reverse_kl)}
EXERCISES["soften"] = softmax_with_temperature  # the package's name for it
