"""On-policy distillation: the student writes, the teacher scores what it wrote."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from distill_lab._util.checks import fraction, one_of
from distill_lab._util.tensors import IGNORE, Batch
from distill_lab.methods.method import Method
from distill_lab.methods.policy import sampled_tokens
from distill_lab.methods.tokens import tokens
from distill_lab.methods.writing import Writing


def on_policy(
    kind: str = "reverse_kl",
    *,
    T: float = 1.0,
    beta: float = 0.5,
    temperature: float = 1.0,
    max_new_tokens: int = 64,
    student_share: float = 1.0,
    estimator: str = "exact",
    discount: float = 0.0,
    end: int | Sequence[int] | None = None,
    pad: int | None = None,
) -> Method:
    """Let the student answer, and match the teacher on the student's own tokens.

    There is no gradient through the sampling, and the student is in eval mode while it writes.

    Formula: T^2 D(p_i, q_i), mean over the tokens i that the student sampled, its end included.
    With estimator "sampled" the reverse KL is estimated from the sampled tokens alone, as
    `sampled_reverse_kl` does: the same gradient on average, with far more noise.

    Args:
        kind: D, as in `tokens`.
        T: the temperature of both softmaxes.
        beta: the teacher's share in "jsd".
        temperature: that of the sampling; 0 takes the likeliest token.
        max_new_tokens: how long an answer may be.
        student_share: lambda of GKD: the share of batches on the student's own text; the others
            are scored on the answers of the data. Which it is follows from the run's randomness,
            batch by batch (piece by piece, where a batch is cut).
        estimator: "exact" compares whole distributions and follows their gradient; "sampled" is
            a policy gradient on the one token that was sampled. Two losses go by one name.
        discount: with "sampled", how much of the later tokens' log-ratio a token answers for.
        end: the token an answer ends with, or several; None: the model's own.
        pad: the token that fills the room after it; None: the model's own, else its end, else 0.

    Returns:
        A method. Its batches hold prompts padded on the left, as `Texts(..., prompts_only=True)`
        gives them, or prompts with answers: then the answers are put aside where the student
        writes.

    Raises:
        ValueError: as `tokens`, for a temperature below 0, no room to write, a share outside
            [0, 1], or an estimator that would be biased: of another divergence, on answers of the
            data, or drawn at one temperature and scored at another; when it runs, for a student
            that cannot generate, and for data without answers where some are needed.

    Source: Agarwal et al. 2023 (GKD), algorithm 1; Lu & Thinking Machines Lab 2025 for "sampled".

    >>> on_policy(max_new_tokens=16).needs_teacher
    True
    """
    student_share = fraction("student_share", student_share)
    one_of("estimator", estimator, ("exact", "sampled"))
    writing = Writing(temperature, max_new_tokens, end, pad)
    if estimator == "sampled":
        _check_unbiased(kind, T, temperature, student_share)
    elif discount:
        raise ValueError(
            f"discount = {discount} says how much of the later tokens a sampled token answers for, "
            'and the exact estimator follows no sample: say estimator="sampled".'
        )

    def prepare(batch: Batch, student: Any) -> Batch:
        # algorithm 1 draws u ~ U(0, 1) for each batch; at the ends there is nothing to draw
        u = torch.rand(()).item() if 0 < student_share < 1 else 0.5
        return _with_answers(batch) if u >= student_share else writing(batch, student)

    exact = estimator == "exact"
    base = tokens(kind, T=T, beta=beta) if exact else sampled_tokens(T=T, discount=discount)
    settings = (
        f"temperature={temperature}, max_new_tokens={max_new_tokens}, "
        f"student_share={student_share}, end={end}, pad={pad}"
    )
    return replace(base, name=f"on_policy({base.name}, {settings})", prepare=prepare)


def _check_unbiased(kind: str, T: float, temperature: float, student_share: float) -> None:
    """Refuse what one sampled token would estimate wrongly."""
    if kind != "reverse_kl":
        raise ValueError(
            f'estimator="sampled" estimates the reverse KL, from tokens of the student, and {kind} '
            'asks for another mean: use kind="reverse_kl", or the exact estimator.'
        )
    if student_share < 1:
        raise ValueError(
            f"student_share = {student_share} scores answers of the data too, and these were not "
            "sampled from the student: a policy gradient on them is biased. Use student_share=1, "
            "or the exact estimator."
        )
    if temperature != T:
        raise ValueError(
            f"tokens drawn at temperature = {temperature} and scored at T = {T} do not estimate "
            "the reverse KL at either: give both the same, or use the exact estimator."
        )


def _with_answers(batch: Batch) -> Batch:
    if batch.labels is None or bool((batch.labels == IGNORE).all()):
        raise ValueError(
            "with student_share < 1 some batches are scored on the answers of the data, and these "
            "have none: give texts with answers (Texts without prompts_only), or leave "
            "student_share at 1."
        )
    return batch
