"""Ranking distillation: how a teacher orders the candidates of a query, by margins or as a list.

Scores are (B, K): K candidates for each of B queries, on any scale. Only their differences within
a query count, so a teacher may add what it likes to all candidates of one query.
"""

import torch
from torch import Tensor

from distill_lab._util.tensors import check_temperature, in_float32, kl
from distill_lab.losses._checks import check_features, check_mask_shape, mean_over, narrowed

NOTHING = -1e30  # a score whose softmax is exactly 0, with no infinity to subtract


def margin_mse(
    student_scores: Tensor,
    teacher_scores: Tensor,
    *,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Match by how much the teacher puts the first candidate above each of the others.

    Formula: mean ((s_0 - s_j) - (t_0 - t_j))^2 over queries and j = 1 .. K - 1; candidate 0 is the
    positive, the others are negatives.

    Args:
        student_scores: (B, K), the positive's first.
        teacher_scores: (B, K) likewise; or its margins t_0 - t_j (B, K - 1), or (B,) where K = 2.
        mask: True (B, K) at the candidates that there are; None for all.
        weights: what each query (B,) weighs in the mean; None where all weigh 1.

    Returns:
        A scalar in squared units of the scores.

    Raises:
        ValueError: for fewer than two candidates, teacher's scores of another shape, or a mask
            that keeps no margin.

    Source: Hofstaetter et al. 2020 (MarginMSE), arXiv:2010.02666, section 3.2.

    >>> scores = torch.tensor([[5.0, 3.0]])  # a margin of 2
    >>> margin_mse(scores, torch.tensor([[9.0, 8.0]])), margin_mse(scores, torch.tensor([1.0]))
    (tensor(1.), tensor(1.))
    """
    s = _scores(student_scores)
    t, shape = teacher_scores, tuple(s.shape)
    if isinstance(t, Tensor) and t.shape == shape[:1] and shape[1] == 2:
        t = t.unsqueeze(1)
    if not isinstance(t, Tensor) or tuple(t.shape) not in (shape, (shape[0], shape[1] - 1)):
        raise ValueError(
            f"the teacher's scores are {_shown(teacher_scores)} beside the student's {shape}: "
            f"expected a score of each candidate {shape}, the positive's first, or the margins "
            f"{(shape[0], shape[1] - 1)} of the positive above each other one."
        )
    s, t = in_float32(s), in_float32(t)
    kept = None if mask is None else _kept(mask, shape)
    if kept is not None:  # before any arithmetic: not even a NaN may leak out
        s = torch.where(kept, s, 0.0)
    margins = t if t.shape[1] < shape[1] else t[:, :1] - t[:, 1:]
    pairs = None if kept is None else kept[:, :1] & kept[:, 1:]
    if pairs is not None:
        pairs = check_mask_shape(pairs, pairs.shape, "a margin needs the positive and another one")
        margins = torch.where(pairs, margins, 0.0)
    squares = ((s[:, :1] - s[:, 1:]) - margins).square()
    return mean_over(squares, _weighed(pairs, weights, squares))


def listwise_kl(
    student_scores: Tensor,
    teacher_scores: Tensor,
    *,
    T: float = 1.0,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Match the teacher's probability that each candidate of a list is the best one.

    Formula: KL(p || q) over the K candidates, mean over lists; p, q = softmax(scores / T) of
    teacher and student: ListNet's top-one probabilities, whose cross-entropy has the same gradient.
    A list of fewer than two candidates orders nothing and is left out.

    Args:
        student_scores: (B, K).
        teacher_scores: (B, K) of the same candidates.
        T: temperature of both softmaxes.
        mask: True (B, K) at the candidates that there are; None for all.
        weights: what each query (B,) weighs in the mean; None where all weigh 1.

    Returns:
        A scalar in nats, the mean over lists; no factor T squared.

    Raises:
        ValueError: for shapes that differ, fewer than two candidates, T <= 0, or a mask that
            leaves no list of two.

    Source: Cao et al. 2007 (ListNet), section 4; Reddi et al. 2021 (RankDistil), section 3.

    >>> s = torch.tensor([[2.0, 0.0, 1.0]])
    >>> listwise_kl(s, s + 7).item()  # what all candidates share does not matter
    0.0
    """
    T = check_temperature(T)
    s = _scores(student_scores)
    check_features(s, teacher_scores, "B K", mend="Score the same candidates with both models.")
    s, t = (in_float32(scores) / T for scores in (s, teacher_scores))
    lists = None
    if mask is not None:
        kept = _kept(mask, tuple(s.shape))
        s, t = (torch.where(kept, scores, NOTHING) for scores in (s, t))
        lists = kept.sum(1) > 1
        lists = check_mask_shape(lists, lists.shape, "a list needs two candidates")
    values = kl(t.log_softmax(-1), s.log_softmax(-1))
    return mean_over(values, _weighed(lists, weights, values))


def _scores(scores: Tensor) -> Tensor:
    """The student's scores, refused unless each query has two candidates or more."""
    mend = "A models.Ranker gives (B, K) from queries and candidates."
    check_features(scores, scores, "B K", mend=mend)
    if scores.shape[1] < 2:
        raise ValueError(
            f"the student's scores have shape {tuple(scores.shape)}: one candidate a query has "
            f"nothing to be ranked against; expected (B, K) with K of at least 2. {mend}"
        )
    return scores


def _kept(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    return check_mask_shape(mask, shape, f"the scores have shape {shape}")


def _weighed(kept: Tensor | None, weights: Tensor | None, values: Tensor) -> Tensor | None:
    """What counts, booleans or None for all, with what each query weighs."""
    if weights is None:
        return kept
    beside = f"the scores are of {len(values)} queries"
    weights = check_mask_shape(weights.float(), values.shape[:1], beside, weights=True)
    weights = weights.reshape(-1, *[1] * (values.dim() - 1)).expand_as(values)
    return weights if kept is None else narrowed(weights, kept)


def _shown(scores: object) -> str:
    if not isinstance(scores, Tensor):
        return type(scores).__name__
    return f"{str(scores.dtype).removeprefix('torch.')} {tuple(scores.shape)}"
