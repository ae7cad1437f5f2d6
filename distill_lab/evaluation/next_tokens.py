"""Language models: what is kept of each token, so that no scores of a large vocabulary are.

Speculative decoding lets a draft write and a target check. A drafted token is accepted with
probability sum_y min(q(y), p(y)) = 1 - TV(q, p): that is how a draft is judged, not by its KL.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from distill_lab._util.checks import positive_int
from distill_lab._util.tensors import IGNORE

DRAFTS = 4  # tokens drafted for one pass of the target, in a report


class TokenFigures(NamedTuple):
    """The columns of what is kept of a token: (..., 5)."""

    right: Tensor
    nll: Tensor
    same: Tensor
    kl: Tensor
    accepted: Tensor


def token_figures(logits: Tensor, teacher: Tensor | None, labels: Tensor) -> Tensor:
    """What a language model's scores say of each next token, alone and beside the teacher's.

    Args:
        logits: scores (B, L, C), position i of token i + 1.
        teacher: the teacher's (B, L, C); None: NaN in the columns that need it.
        labels: those of `next_tokens`, (B, L).

    Returns:
        The columns of `TokenFigures`, (B, L, 5): right 0 or 1, NLL in nats, the same likeliest
        token 0 or 1, KL(teacher || model) in nats, and the probability of acceptance; 0 where
        there is no label.

    Raises:
        ValueError: for scores of other positions, labels that are no classes, or a teacher of
            another vocabulary.

    >>> z = torch.tensor([[[0.0, 0.0], [0.0, 0.0]]])
    >>> token_figures(z, z, torch.tensor([[1, IGNORE]]))[0].tolist()[1]
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"scores {tuple(logits.shape)} beside labels {tuple(labels.shape)}: expected one row "
            "of scores for each token, (B, L, classes)."
        )
    kept = labels != IGNORE
    target = labels[kept]
    if len(target) and int(target.min()) < 0:
        raise ValueError(
            f"labels hold {int(target.min())}, which is no token: what is not scored is {IGNORE}, "
            f"or say ignore={int(target.min())}."
        )
    if len(target) and int(target.max()) >= logits.shape[-1]:
        raise ValueError(
            f"token ids reach {int(target.max())} and the scores have {logits.shape[-1]} classes: "
            "this model has another tokenizer than the data."
        )
    log_q = logits[kept].float().log_softmax(-1)  # (n, C)
    columns = [log_q.argmax(-1) == target, -log_q.gather(-1, target[:, None]).squeeze(-1)]
    if teacher is None:
        columns += [torch.full_like(columns[1], torch.nan)] * 3
    else:
        log_p = _cut(teacher[kept].float(), logits.shape[-1]).log_softmax(-1)
        p = log_p.exp()
        kl = torch.where(p > 0, p * (log_p - log_q), 0.0).sum(-1).clamp_min(0)
        accepted = torch.minimum(p, log_q.exp()).sum(-1).clamp_max(1)
        columns += [log_q.argmax(-1) == log_p.argmax(-1), kl, accepted]
    figures = torch.zeros(*labels.shape, len(columns))
    figures[kept] = torch.stack([column.float() for column in columns], -1)
    return figures


ALONE = 2  # of the columns, those that need no teacher


def one_beside_many(figures: Sequence[Tensor]) -> Tensor:
    """What is kept of one network beside a teacher of S seeds: the columns that differ, S times.

    Args:
        figures: beside each of them (B, L, 5).

    Returns:
        (B, L, 2 + 3 S).
    """
    return torch.cat([figures[0], *(each[..., ALONE:] for each in figures[1:])], -1)


def beside_each(kept: Tensor) -> Tensor:
    """What `one_beside_many` put together, apart again.

    Args:
        kept: (N, L, 2 + 3 S).

    Returns:
        The columns of `TokenFigures`, (S, N, L, 5).
    """
    alone, beside = kept[..., :ALONE], kept[..., ALONE:]
    width = len(TokenFigures._fields) - ALONE
    return torch.stack([torch.cat([alone, each], -1) for each in beside.split(width, -1)])


def tokens_per_pass(acceptance: float, drafts: int = DRAFTS) -> float:
    """How many tokens one pass of the target yields, on average, with a draft before it.

    Formula: (1 - a^(n + 1)) / (1 - a), a the mean acceptance, n the tokens drafted; where one
    token's acceptance does not depend on that of the others. Without a draft it is 1.

    Args:
        acceptance: the mean probability that a drafted token is accepted, 0 to 1.
        drafts: how many tokens are drafted for one pass.

    Returns:
        Tokens a pass, from 1 to drafts + 1.

    Raises:
        ValueError: for an acceptance outside [0, 1], or no draft.

    Source: Leviathan et al. 2023, section 3.1, eq. 1.

    >>> tokens_per_pass(0.5, drafts=2), tokens_per_pass(1.0, drafts=2)
    (1.75, 3.0)
    """
    if not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance must lie between 0 and 1, a probability; got {acceptance!r}.")
    drafts = positive_int("drafts", drafts)
    return float(sum(acceptance**i for i in range(drafts + 1)))


def _cut(teacher: Tensor, classes: int) -> Tensor:
    """The teacher's scores where its vocabulary is padded to a rounder size."""
    if teacher.shape[-1] < classes:
        raise ValueError(
            f"the teacher scores {teacher.shape[-1]} tokens and the model {classes}: they need the "
            "same vocabulary to be compared token by token."
        )
    return teacher[:, :classes]
