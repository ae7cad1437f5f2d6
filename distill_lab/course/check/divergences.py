"""Exercises on divergences: forward and reverse KL, soft cross-entropy, Jensen-Shannon."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits, same, shared_by_losses
from distill_lab.course.check.wrong_kl import Soft, kl, kl_errors, log_soft, soft_ce
from distill_lab.losses import response

__all__ = ["EXERCISES"]

_S, _T = logits(4, 5, 1), logits(4, 5, 2)
_S2, _T2 = logits(6, 3, 3), logits(6, 3, 4)
_Y, _Y2 = torch.tensor([0, 4, 2, 1]), torch.tensor([2, 0, 0, 1, 2, 1])
_Z = torch.randn(4, 5, generator=torch.Generator().manual_seed(5))


def _pairs(*rest: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The two pairs of logits, each with every combination of further arguments given."""
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
    reference=lambda s, t, T: response.forward_kl(s, t, T=T),
    cases=_pairs({"T": 1.0}, {"T": 2.0}, {"T": 5.0}),
    defaults={"T": 1.0},
    invariances=(_EQUAL, *shared_by_losses((1.0,))),
    mistakes=_mistakes(kl_errors("teacher", "student", "p"), swap=True),
)

reverse_kl = Exercise(
    name="reverse_kl",
    formula="KL(q ‖ p) = sum over classes of q (log q - log p), mean over the batch, "
    "with p = softmax(teacher / T) and q = softmax(student / T)",
    reference=lambda s, t, T: response.reverse_kl(s, t, T=T),
    cases=_pairs({"T": 1.0}, {"T": 2.0}, {"T": 5.0}),
    defaults={"T": 1.0},
    invariances=(_EQUAL, *shared_by_losses((1.0,))),
    mistakes=_mistakes(kl_errors("student", "teacher", "q"), swap=False),
)

soft_cross_entropy = Exercise(
    name="soft_cross_entropy",
    formula="-sum over classes of p log q, mean over the batch, with p = softmax(teacher / T) "
    "and q = softmax(student / T)",
    reference=lambda s, t, T: response.soft_cross_entropy(s, t, T=T),
    cases=_pairs({"T": 1.0}, {"T": 2.0}, {"T": 5.0}),
    defaults={"T": 1.0},
    invariances=(
        Invariance(
            "on equal logits it is the entropy of the teacher, not 0",
            lambda f: same(f(_T, _T, 1.0), soft_ce(_T, _T, 1.0)),
        ),
        *shared_by_losses((1.0,)),
    ),
    mistakes=(
        Mistake(
            "This is the divergence KL(p ‖ q). The cross-entropy keeps the teacher's entropy: "
            "leave log p out.",
            lambda s, t, T: kl(t, s, T, T),
        ),
        Mistake(
            "Student and teacher have changed places: it is -sum p log q, with p the teacher's.",
            lambda s, t, T: soft_ce(t, s, T),
        ),
        Mistake(
            "It averages over the classes as well. Sum over classes, then average over the batch.",
            lambda s, t, T: -((t / T).softmax(-1) * log_soft(s, T)).mean(),
        ),
        Mistake(
            "It adds up over the batch. Divide by the number of rows: `.sum(-1).mean()`.",
            lambda s, t, T: -((t / T).softmax(-1) * log_soft(s, T)).sum(),
        ),
        Mistake(
            "T is on the student only. The teacher's logits are divided by T too.",
            lambda s, t, T: -(t.softmax(-1) * log_soft(s, T)).sum(-1).mean(),
        ),
        Mistake(
            "T is on the teacher only. The student's logits are divided by T too.",
            lambda s, t, T: -((t / T).softmax(-1) * s.log_softmax(-1)).sum(-1).mean(),
        ),
        Mistake(
            "The minus sign is missing: a log-probability is never above 0.",
            lambda s, t, T: -soft_ce(s, t, T),
        ),
        Mistake(
            "There is a T² in it. Here we want the plain cross-entropy.",
            lambda s, t, T: T**2 * soft_ce(s, t, T),
        ),
    ),
)


def _jsd(s: Tensor, t: Tensor, T: float, beta: float, mixed: float | None = None) -> Tensor:
    """Jensen-Shannon with the mixture weighed by `mixed` where that differs from beta."""
    q, p = (s / T).softmax(-1), (t / T).softmax(-1)
    w = beta if mixed is None else mixed
    m = w * p + (1 - w) * q
    terms = beta * p * (p / m).log() + (1 - beta) * q * (q / m).log()
    return terms.sum(-1).mean()


def _jsd_of_logs(s: Tensor, t: Tensor, T: float, beta: float) -> Tensor:
    log_q, log_p = log_soft(s, T), log_soft(t, T)
    log_m = beta * log_p + (1 - beta) * log_q
    terms = beta * log_p.exp() * (log_p - log_m) + (1 - beta) * log_q.exp() * (log_q - log_m)
    return terms.sum(-1).mean()


_APART = (torch.tensor([[60.0, 0.0, -60.0]]), torch.tensor([[-60.0, 0.0, 60.0]]))

jsd = Exercise(
    name="jsd",
    formula="beta KL(p ‖ m) + (1 - beta) KL(q ‖ m) with m = beta p + (1 - beta) q, "
    "mean over the batch",
    reference=lambda s, t, T, beta: response.jsd(s, t, T=T, beta=beta),
    cases=_pairs({"T": 1.0, "beta": 0.5}, {"T": 3.0, "beta": 0.5}, {"T": 1.0, "beta": 0.2}),
    defaults={"T": 1.0, "beta": 0.5},
    invariances=(
        Invariance("equal inputs give 0", lambda f: same(f(_S, _S, 1.0, 0.5), 0.0, 1e-5)),
        Invariance(
            "at beta = 0.5 teacher and student may change places",
            lambda f: same(f(_S, _T, 1.0, 0.5), f(_T, _S, 1.0, 0.5)),
        ),
        Invariance(
            "two that share nothing are ln 2 apart",
            lambda f: same(f(*_APART, 1.0, 0.5), math.log(2)),
            "m is the average of the two *probabilities*; its log is taken afterwards.",
        ),
        *shared_by_losses((1.0, 0.5)),
    ),
    mistakes=(
        Mistake(
            "The mixture is made of log-probabilities. Average the probabilities, "
            "then take the log.",
            _jsd_of_logs,
        ),
        Mistake(
            "The mixture's weights are swapped: m = beta p + (1 - beta) q, p the teacher's.",
            lambda s, t, T, beta: _jsd(s, t, T, beta, mixed=1 - beta),
        ),
        Mistake(
            "beta weighs the student instead of the teacher: it is beta KL(p ‖ m), p the "
            "teacher's, and m = beta p + (1 - beta) q.",
            lambda s, t, T, beta: _jsd(s, t, T, 1 - beta),
        ),
        Mistake(
            "The two halves are added without their weights beta and 1 - beta.",
            lambda s, t, T, beta: 2 * _jsd(s, t, T, 0.5) if beta == 0.5 else _jsd(s, t, T, beta),
        ),
        Mistake(
            "It averages over the classes as well. Sum over classes, then average over the batch.",
            lambda s, t, T, beta: _jsd(s, t, T, beta) / s.shape[-1],
        ),
        Mistake(
            "It adds up over the batch. Divide by the number of rows.",
            lambda s, t, T, beta: _jsd(s, t, T, beta) * len(s),
        ),
        Mistake(
            "The temperature does not reach the softmax: divide both logits by T first.",
            lambda s, t, T, beta: _jsd(s, t, 1.0, beta),
        ),
    ),
)

EXERCISES = {e.name: e for e in (forward_kl, reverse_kl, soft_cross_entropy, jsd)}
