"""Preference losses: of two answers, make the better one more likely than it was."""

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab._util.checks import positive_finite
from distill_lab._util.tensors import check_temperature, check_tensor, in_float32
from distill_lab.losses._checks import check_fraction, refuse_empty
from distill_lab.losses.sequence import shift_for_next_token


def sequence_log_probability(logits: Tensor, labels: Tensor, *, average: bool = False) -> Tensor:
    """Log-probability of each labelled answer under a causal model, in nats.

    Formula: sum over tokens of log softmax(z_i)_{y_(i+1)}, label -100 left out; with `average`
    per token. A sum is smaller for longer answers whatever they say: ranking answers by it prefers
    short ones.

    Args:
        logits: scores (B, L, C) of a causal model.
        labels: the tokens (B, L), not shifted, -100 where none is scored.
        average: divide by the number of tokens.

    Returns:
        Log-probabilities (B,) in nats, or in nats a token.

    Raises:
        ValueError: as `shift_for_next_token`, and if `average` meets an answer without tokens.

    >>> two_tokens = torch.tensor([[-100, 1, 0]])
    >>> round(sequence_log_probability(torch.zeros(1, 3, 2), two_tokens).item(), 4)  # -2 ln 2
    -1.3863
    """
    pair = shift_for_next_token(logits, labels)
    z = torch.where(pair.mask.unsqueeze(-1), in_float32(pair.student_logits), 0.0)
    target = torch.where(pair.mask, pair.labels, 0).long().unsqueeze(-1)
    chosen = z.log_softmax(-1).gather(-1, target).squeeze(-1)
    total = torch.where(pair.mask, chosen, 0.0).sum(-1)
    if not average:
        return total
    tokens = pair.mask.sum(-1)
    if not tokens.all():
        raise ValueError("an answer has no labelled token: expected one at least in every row.")
    return total / tokens


def dpo_loss(
    student_chosen: Tensor,
    student_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Direct preference optimisation: raise the chosen answer over the rejected one.

    Formula: -(1 - e) log sigmoid(m) - e log sigmoid(-m), m = beta ((s_c - r_c) - (s_r - r_r)), mean
    over pairs; s, r the log-probabilities under the student and its frozen reference, e the share
    of labels thought wrong. It is ln 2 where student and reference agree. With pairs ranked by a
    teacher it is the dDPO of Zephyr.

    Args:
        student_chosen: log-probabilities (B,) of the chosen answers, as from
            `sequence_log_probability`.
        student_rejected: those of the rejected answers (B,).
        reference_chosen: the frozen reference's (B,) of the chosen ones.
        reference_rejected: the frozen reference's (B,) of the rejected ones.
        beta: how strongly the student is held to its reference; larger holds more.
        label_smoothing: the share of labels thought wrong.

    Returns:
        A scalar in nats, the mean over pairs.

    Raises:
        ValueError: for shapes that differ, beta <= 0 or a smoothing outside [0, 1].

    Source: Rafailov et al. 2023, section 4, eq. 7; Tunstall et al. 2023 (Zephyr).

    >>> s = torch.tensor([-3.0])
    >>> round(dpo_loss(s, s - 1, s, s - 1).item(), 4)  # ln 2
    0.6931
    """
    label_smoothing = check_fraction("label_smoothing", label_smoothing)
    margin = _margin(student_chosen, student_rejected, reference_chosen, reference_rejected, beta)
    right, wrong = F.softplus(-margin), F.softplus(margin)
    return ((1 - label_smoothing) * right + label_smoothing * wrong).mean()


def distilled_dpo_loss(
    student_first: Tensor,
    student_second: Tensor,
    reference_first: Tensor,
    reference_second: Tensor,
    teacher_first: Tensor,
    teacher_second: Tensor,
    *,
    beta: float = 0.1,
    T: float = 1.0,
) -> Tensor:
    """DPO from a teacher's scores: match how surely it prefers one answer, not only which.

    Formula: KL(w || v) of two coins, w = sigmoid((t_1 - t_2) / T) the teacher's and v = sigmoid(m)
    the student's, m as in `dpo_loss`; mean over pairs. A divergence: 0 where the student already
    prefers as surely as the teacher, so it stops there, where `dpo_loss` goes on. As T -> 0 it
    becomes `dpo_loss` with pairs ranked by the teacher. Scores that are sums over tokens favour
    short answers; average them.

    Args:
        student_first: log-probabilities (B,) of the first answers.
        student_second: those of the second answers (B,).
        reference_first: the frozen reference's (B,) of the first.
        reference_second: the frozen reference's (B,) of the second.
        teacher_first: the teacher's (B,) of the first.
        teacher_second: the teacher's (B,) of the second.
        beta: scales the student's margin.
        T: softens the teacher's preference.

    Returns:
        A scalar in nats, the mean over pairs.

    Raises:
        ValueError: as `dpo_loss`, and for T <= 0.

    Source: Rafailov et al. 2023, section 4; Fisch et al. 2024, arXiv:2405.19316, for the margin.

    >>> s, r, t = torch.tensor([-1.0]), torch.tensor([-2.0]), torch.tensor([0.1])
    >>> distilled_dpo_loss(s, s - 1, r, r, t, t * 0, beta=0.1) < 1e-9  # 0.1 (1 - 0) = 0.1
    tensor(True)
    """
    T = check_temperature(T)
    margin = _margin(student_first, student_second, reference_first, reference_second, beta)
    _check_pairs(student_first=student_first, teacher_first=teacher_first)
    _check_pairs(student_first=student_first, teacher_second=teacher_second)
    wanted = (in_float32(teacher_first) - in_float32(teacher_second)) / T
    yes, no = F.logsigmoid(wanted), F.logsigmoid(-wanted)
    gap_yes, gap_no = yes - F.logsigmoid(margin), no - F.logsigmoid(-margin)
    return (yes.exp() * gap_yes + no.exp() * gap_no).mean()


def _margin(
    student_first: Tensor,
    student_second: Tensor,
    reference_first: Tensor,
    reference_second: Tensor,
    beta: float,
) -> Tensor:
    """beta times how much more than its reference the student prefers the first answer: (B,)."""
    why = ": it says how far the student may move from its reference; 0.1 is usual."
    beta = positive_finite("beta", beta, why=why)
    _check_pairs(student_first=student_first, student_second=student_second)
    _check_pairs(student_first=student_first, reference_first=reference_first)
    _check_pairs(student_first=student_first, reference_second=reference_second)
    s_1, s_2, r_1, r_2 = (
        in_float32(x) for x in (student_first, student_second, reference_first, reference_second)
    )
    return beta * ((s_1 - r_1) - (s_2 - r_2))


def _check_pairs(**sides: Tensor) -> None:
    for name, values in sides.items():
        if isinstance(values, Tensor) and values.dim() == 1:
            refuse_empty(name, values)
        check_tensor(name, values)
    (a, x), (b, y) = sides.items()
    if x.shape != y.shape or x.dim() != 1:
        raise ValueError(
            f"{a} has shape {tuple(x.shape)} and {b} {tuple(y.shape)}: expected one "
            "log-probability an answer, shape (B,). sequence_log_probability makes them."
        )
