"""Exercises on two views: one answer behind two prompts, what hints leave over, pass@k."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import same
from lesson_46.several_attempts import pass_at_k

__all__ = ["EXERCISES"]


def _draw(rows: int, classes: int, seed: int) -> Tensor:
    return 2 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


def _views(s: int, t: int, n: int, classes: int, seed: int) -> dict[str, Any]:
    return {
        "student_logits": _draw(s + n, classes, seed),
        "teacher_logits": _draw(t + n, classes, seed + 1),
        "s": s,
        "t": t,
        "n": n,
    }


_VIEWS = (_views(3, 6, 4, 5, 1), _views(2, 3, 3, 7, 3), _views(4, 9, 1, 4, 5))


def _kl(student: Tensor, teacher: Tensor) -> Tensor:
    log_q, log_p = student.log_softmax(-1), teacher.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _view_kl(a: Tensor, b: Tensor, s: int, t: int, n: int) -> Tensor:
    return _kl(a[s - 1 : s - 1 + n], b[t - 1 : t - 1 + n]).mean()


view_kl = Exercise(
    name="view_kl",
    formula="KL(p ‖ q) of rows t - 1 ... t + n - 2 of the teacher and s - 1 ... s + n - 2 of the "
    "student, mean over the n tokens",
    reference=_view_kl,
    cases=_VIEWS,
    invariances=(
        Invariance(
            "the same logits behind two prompts give 0",
            lambda f: same(
                f(_VIEWS[0]["student_logits"], _VIEWS[0]["student_logits"], 3, 3, 4), 0.0, 1e-5
            ),
        ),
        Invariance(
            "the logits at other tokens of the prompts change nothing",
            lambda f: same(
                f(
                    torch.cat((_draw(2, 5, 8), _VIEWS[0]["student_logits"][2:])),
                    torch.cat((_draw(5, 5, 9), _VIEWS[0]["teacher_logits"][5:])),
                    3,
                    6,
                    4,
                ),
                _view_kl(
                    **{"a": _VIEWS[0]["student_logits"], "b": _VIEWS[0]["teacher_logits"]}
                    | {"s": 3, "t": 6, "n": 4}
                ),
            ),
        ),
    ),
    mistakes=(
        Mistake(
            "The rows begin one too late. The last token of the prompt predicts the first token of "
            "the answer: begin at s - 1 and t - 1.",
            lambda a, b, s, t, n: _kl(a[s : s + n], b[t : t + n]).mean(),
        ),
        Mistake(
            "The first token of the answer is left out. It is predicted at s - 1 and t - 1.",
            lambda a, b, s, t, n: _kl(a[s : s - 1 + n], b[t : t - 1 + n]).sum() / max(1, n - 1),
        ),
        Mistake(
            "Both are cut at the student's positions. The teacher's answer stands behind its own "
            "prompt: begin at t - 1.",
            lambda a, b, s, t, n: _kl(a[s - 1 : s - 1 + n], b[s - 1 : s - 1 + n]).mean(),
        ),
        Mistake(
            "Only one side is shifted. The last token of each prompt predicts the answer's first: "
            "s - 1 and t - 1.",
            lambda a, b, s, t, n: _kl(a[s : s + n], b[t - 1 : t - 1 + n]).mean(),
        ),
        Mistake(
            "Only one side is shifted. The last token of each prompt predicts the answer's first: "
            "s - 1 and t - 1.",
            lambda a, b, s, t, n: _kl(a[s - 1 : s - 1 + n], b[t : t + n]).mean(),
        ),
        Mistake(
            "The direction is reversed. It is log p - log q with the weights p, the teacher's.",
            lambda a, b, s, t, n: _view_kl(b, a, t, s, n),
        ),
        Mistake(
            "The tokens are summed. Divide by their number n.",
            lambda a, b, s, t, n: n * _view_kl(a, b, s, t, n),
        ),
        Mistake(
            "There is a mean over the classes. A divergence sums over them.",
            lambda a, b, s, t, n: _view_kl(a, b, s, t, n) / a.shape[-1],
        ),
        Mistake(
            "The division is by the length of the whole text. Only the n tokens of the answer "
            "count.",
            lambda a, b, s, t, n: n * _view_kl(a, b, s, t, n) / (s + n),
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
    ),
)


def _hints(rows: int, classes: int, seed: int) -> dict[str, Any]:
    share = _draw(1, rows, seed)[0].softmax(-1)
    return {"share": share, "teachers": _draw(rows, classes, seed + 1).softmax(-1)}


_HINTS = (_hints(3, 4, 11), _hints(2, 5, 13), _hints(5, 5, 15))


def _rows_to(teachers: Tensor, q: Tensor) -> Tensor:
    return (teachers * (teachers.log() - q.log())).sum(-1)


def _left_over(share: Tensor, teachers: Tensor) -> Tensor:
    return (share * _rows_to(teachers, share @ teachers)).sum()


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


left_over = Exercise(
    name="left_over",
    formula="sum_z p(z) KL(p_z ‖ q) with q = sum_z p(z) p_z",
    reference=_left_over,
    cases=_HINTS,
    invariances=(
        Invariance(
            "hints that say the same leave nothing over",
            lambda f: same(
                f(_HINTS[0]["share"], _HINTS[0]["teachers"][:1].expand(3, 4)), 0.0, 1e-5
            ),
        ),
        Invariance(
            "two sure and equally frequent hints leave ln 2",
            lambda f: same(
                f(torch.tensor([0.5, 0.5]), torch.eye(2) * (1 - 2e-7) + 1e-7), 0.693147, 1e-4
            ),
        ),
    ),
    mistakes=(
        Mistake(
            "All hints weigh the same. Weigh each with its `share`.",
            lambda w, p: _rows_to(p, w @ p).mean(),
        ),
        Mistake(
            "The average has no weights. It is share @ teachers.",
            lambda w, p: (w * _rows_to(p, p.mean(0))).sum(),
        ),
        Mistake(
            "Neither average nor mean has weights. Use `share` in both.",
            lambda w, p: _rows_to(p, p.mean(0)).mean(),
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
            "The entropies are exchanged. It is the average's minus the teachers' mean.",
            lambda w, p: (w * _entropy(p)).sum() - _entropy(w @ p),
        ),
        Mistake(
            "The logarithms are averaged. The best student is the mean of the probabilities.",
            lambda w, p: (w * _rows_to(p, (w @ p.log()).softmax(-1))).sum(),
        ),
        Mistake(
            "The hints are summed without weights. Multiply each KL with its `share`.",
            lambda w, p: _rows_to(p, w @ p).sum(),
        ),
        Mistake(
            "There is a mean over the classes. A divergence sums over them.",
            lambda w, p: _left_over(w, p) / p.shape[-1],
        ),
        Mistake(
            "The result is in bits. Use the natural logarithm, for nats.",
            lambda w, p: _left_over(w, p) / torch.log(torch.tensor(2.0)),
        ),
    ),
)

EXERCISES = {each.name: each for each in (view_kl, left_over, pass_at_k)}
