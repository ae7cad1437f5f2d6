"""Sparse teachers: what it said of a few classes, without pretending to know the rest."""

import math
from typing import Literal

import torch
from torch import Tensor

from distill_lab._util.tensors import check_temperature, check_tensor, in_float32, kl, readable
from distill_lab.losses._checks import check_mask, check_some, kept_by, mean_over
from distill_lab.losses.reference import check_inner_fraction, mixture_divergence, refuse_infinite

Tail = Literal["bucket", "renormalise teacher", "renormalise both"]
NO_TAIL = 1e-6  # a smaller rest is what float32 rounds
_NOTHING = -1e30  # the logarithm of a probability of 0, with a slope
TAILS = ("bucket", "renormalise teacher", "renormalise both")


def topk_kl(
    student_logits: Tensor,
    ids: Tensor,
    log_probs: Tensor,
    *,
    tail: Tail = "bucket",
    T: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Forward KL to a teacher of whom only the k largest probabilities were kept, in nats.

    Formula: "bucket": KL over k + 1 outcomes, the k classes and all others as one, sum_k p_k log
    (p_k / q_k) + p_rest log (p_rest / q_rest): a lower bound of the full KL that leaves the student
    free only inside the tail. "renormalise teacher" treats the rest as impossible, and "renormalise
    both" compares shapes among the k alone and lets the student put any mass outside; both have
    another minimum than the teacher and must be asked for by name.

    Args:
        student_logits: the student's scores (..., C).
        ids: classes (..., k) of the teacher, none of them twice.
        log_probs: their log-probabilities (..., k) in the whole distribution at the same T, in
            nats.
        tail: what becomes of the other classes.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: for ids out of range or repeated, log_probs above 0 or summing beyond 1, another
            tail, T <= 0 or a mask that keeps nothing.

    Source: Hinton, Vinyals & Dean 2015, section 2, for the KL.

    >>> p = torch.tensor([[0.5, 0.3, 0.1, 0.1]])
    >>> ids = torch.tensor([[0, 1]])
    >>> round(topk_kl(torch.zeros(1, 4), ids, p.gather(-1, ids).log()).item(), 4)
    0.218
    """
    if tail not in TAILS:
        raise ValueError(
            f"tail must be one of {TAILS}, got {tail!r}. 'bucket' keeps the teacher's own minimum; "
            "renormalising does not."
        )
    if tail == "bucket":
        log_q, log_p, mask = _outcomes(student_logits, ids, log_probs, T, mask)
        return _mean_kl(log_p, log_q, mask)
    T = check_temperature(T)
    z, ids, log_p, mask = _checked(student_logits, ids, log_probs, mask)
    _refuse_repeats(ids, mask)
    log_q = (z / T).log_softmax(-1).gather(-1, ids)  # (..., k)
    if tail == "renormalise both":
        log_q = log_q.log_softmax(-1)
    return _mean_kl(log_p.log_softmax(-1), log_q, mask)


def topk_reverse_kl(
    student_logits: Tensor,
    ids: Tensor,
    log_probs: Tensor,
    *,
    T: float = 1.0,
    mask: Tensor | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """Reverse KL to a teacher of whom only the k largest probabilities were kept, in nats.

    Formula: sum_k q_k log (q_k / p_k) + q_rest log (q_rest / p_rest), over k + 1 outcomes: a lower
    bound of the full reverse KL, and equal to it for k = C. The bucket is what keeps the student
    from leaving the k classes; where rounding has left nothing for the teacher's tail, 1e-6 is
    taken, the most it can have been, so the loss stays a finite lower bound. A class that is named
    with -inf belongs to the tail too: the loss is the same for each k beyond what the teacher finds
    possible, where the dense one is infinite.

    Args:
        student_logits: scores (..., C) of every class.
        ids: the k most probable classes of the teacher (..., k), none of them twice.
        log_probs: their log-probabilities (..., k) in the whole distribution at the same T.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count.
        known: True (..., k) at the classes of `ids` that count, where positions have more or fewer
            of them; what is named at the others is nothing, and they belong to the rest. None: all.

    Returns:
        A scalar, the mean over positions in nats; no factor T squared.

    Raises:
        ValueError: as `topk_kl`.

    Source: Gu et al. 2023 (MiniLLM), section 2, for the reverse KL.

    >>> p = torch.tensor([[0.5, 0.3, 0.1, 0.1]])
    >>> ids = torch.tensor([[0, 1]])
    >>> round(topk_reverse_kl(torch.zeros(1, 4), ids, p.gather(-1, ids).log()).item(), 4)
    0.2393
    """
    if isinstance(log_probs, Tensor):  # another is refused below, in words
        possible = log_probs != -math.inf  # a NaN is no answer and stays in sight
        known = possible if known is None else known & possible
    log_q, log_p, mask = _outcomes(student_logits, ids, log_probs, T, mask, known)
    floor = log_p[..., -1:].clamp_min(math.log(NO_TAIL))
    # no class is left, or the student gives none of them anything
    rest = torch.where(log_q[..., -1:] > _NOTHING / 2, floor, log_p[..., -1:])
    log_p = torch.cat((log_p[..., :-1], rest), -1).log_softmax(-1)
    return mean_over(kl(log_q, log_p), mask)


def topk_jsd(
    student_logits: Tensor,
    ids: Tensor,
    log_probs: Tensor,
    *,
    beta: float = 0.5,
    T: float = 1.0,
    mask: Tensor | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """Generalised JSD to a teacher of whom only the k largest probabilities were kept, in nats.

    Formula: beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q, over the k
    classes and all others as one: a lower bound of `jsd`, and equal to it for k = C.

    Args:
        student_logits: scores (..., C) of every class.
        ids: the k most probable classes of the teacher (..., k), none of them twice.
        log_probs: their log-probabilities (..., k) in the whole distribution at the same T.
        beta: the teacher's share of the mixture, strictly between 0 and 1.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count.
        known: True (..., k) at the classes of `ids` that count, where positions have more or fewer
            of them; what is named at the others is nothing, and they belong to the rest. None: all.

    Returns:
        A scalar, the mean over positions in nats; no factor T squared.

    Raises:
        ValueError: as `topk_kl`, and for beta outside (0, 1).

    Source: Agarwal et al. 2023 (GKD), section 2, for the JSD.

    >>> p = torch.tensor([[0.5, 0.3, 0.1, 0.1]])
    >>> ids = torch.tensor([[0, 1]])
    >>> round(topk_jsd(torch.zeros(1, 4), ids, p.gather(-1, ids).log()).item(), 4)
    0.0556
    """
    check_inner_fraction("beta", beta)
    log_q, log_p, mask = _outcomes(student_logits, ids, log_probs, T, mask, known)
    return mean_over(mixture_divergence(log_p, log_q, beta), mask)


def sampled_kl(
    student_logits: Tensor,
    ids: Tensor,
    log_probs: Tensor,
    *,
    weights: Tensor | None = None,
    T: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Unbiased estimate of the forward KL from classes that were drawn from the teacher.

    Formula: sum_j w_j (log p_j - log q_j), w_j = 1 / n for n draws from p. Its mean over draws is
    KL(p || q), and so is its gradient's; a single estimate may be negative. Give `weights` for
    counts (count / n beside distinct ids) or importance weights (p / (n r) for draws from r); they
    are taken as they are, since scaling them to sum 1 would bias the estimate.

    Args:
        student_logits: the student's scores (..., C).
        ids: classes (..., n) drawn from the teacher.
        log_probs: the teacher's log-probabilities (..., n) of them at the same T, in nats.
        weights: what each draw weighs (..., n); None for 1 / n.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: as `topk_kl`, but the same class may be drawn again.

    Source: Anshumann et al. 2025 (random sampling KD), arXiv:2503.16870.

    >>> draws = torch.tensor([[0, 0, 1, 0]])
    >>> p = torch.tensor([[0.75, 0.25]]).log()
    >>> round(sampled_kl(torch.zeros(1, 2), draws, p.gather(-1, draws)).item(), 4)
    0.1308
    """
    T = check_temperature(T)
    if weights is not None and weights.shape != ids.shape:
        raise ValueError(
            f"weights have shape {tuple(weights.shape)} and ids {tuple(ids.shape)}: expected one "
            "weight a draw."
        )
    z, ids, log_p, mask = _checked(student_logits, ids, log_probs, mask)
    log_q = (z / T).log_softmax(-1).gather(-1, ids)
    counts = log_p > -math.inf
    if weights is not None:
        if mask is not None:
            weights = torch.where(kept_by(mask).unsqueeze(-1), weights, 0.0)
        counts = counts & (weights != 0)  # 0 times the log of a class that is ruled out is NaN
    gap = torch.where(counts, log_p - log_q, 0.0)
    each = gap.mean(-1) if weights is None else (gap * in_float32(weights)).sum(-1)
    value = mean_over(each, mask)
    refuse_infinite(value, "the KL")
    return value


def sampled_cross_entropy(
    student_logits: Tensor,
    ids: Tensor,
    weights: Tensor,
    *,
    T: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """The student's part of `sampled_kl`, and all of its gradient: no log p is needed.

    Formula: -sum_j w_j log q_j; with sum_j w_j log p_j added it is `sampled_kl`.

    Args:
        student_logits: the student's scores (..., C).
        ids: classes (..., n) drawn from the teacher.
        weights: what each draw weighs (..., n).
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count; None for all.

    Returns:
        A scalar in nats, the mean over positions; no factor T squared.

    Raises:
        ValueError: as `sampled_kl`.

    Source: Anshumann et al. 2025 (random sampling KD), arXiv:2503.16870.

    >>> sure = torch.tensor([[2]]), torch.tensor([[1.0]])
    >>> round(sampled_cross_entropy(torch.zeros(1, 4), *sure).item(), 4)  # ln 4
    1.3863
    """
    nothing = torch.zeros_like(weights)  # log p = 0 adds nothing
    return sampled_kl(student_logits, ids, nothing, weights=weights, T=T, mask=mask)


def _outcomes(
    student_logits: Tensor,
    ids: Tensor,
    log_probs: Tensor,
    T: float,
    mask: Tensor | None,
    known: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Checked log q, log p (..., k + 1) of the k classes and of all others as one, and the mask.

    A class that is not known is an outcome that neither side ever gives, and part of the others.
    """
    T = check_temperature(T)
    z, ids, log_p, mask = _checked(student_logits, ids, log_probs, mask)
    classes, every = z.shape[-1], known is None
    known = torch.ones_like(ids, dtype=torch.bool) if known is None else known
    if known.shape != ids.shape or known.dtype != torch.bool:
        raise ValueError(
            f"known must be booleans of shape {tuple(ids.shape)}, one for each class named, got "
            f"{known.dtype} of shape {tuple(known.shape)}."
        )
    # what is not known gets a column of its own behind the classes
    places = torch.where(known, ids, classes + torch.arange(ids.shape[-1], device=ids.device))
    _refuse_repeats(places, mask)
    log_q = (z / T).log_softmax(-1)  # (..., C)
    top_q = torch.where(known, log_q.gather(-1, ids), -math.inf)  # (..., k)
    log_p = torch.where(known, log_p, -math.inf)
    if every and ids.shape[-1] == classes:
        return top_q, log_p, mask  # every class is listed: rounding's rest belongs to nobody
    listed = torch.zeros_like(torch.cat((z, top_q), -1), dtype=torch.bool)
    listed = listed.scatter(-1, places, True)[..., :classes]
    rest_q = _floor(log_q.masked_fill(listed, -math.inf)).logsumexp(-1, keepdim=True)  # (..., 1)
    return torch.cat((top_q, rest_q), -1), torch.cat((log_p, _log_rest(log_p)), -1), mask


def _checked(
    student_logits: Tensor, ids: Tensor, log_probs: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Refuse what is not a sparse teacher; blank what the mask leaves out."""
    check_some("student_logits", student_logits)
    check_tensor("log_probs", log_probs)
    if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.dtype == torch.bool:
        raise TypeError("ids must be a tensor of class indices (int64), one for each of log_probs.")
    if ids.shape != log_probs.shape or ids.shape[:-1] != student_logits.shape[:-1]:
        raise ValueError(
            f"ids have shape {tuple(ids.shape)}, log_probs {tuple(log_probs.shape)} and the "
            f"student's logits {tuple(student_logits.shape)}: expected (..., k), (..., k) and "
            "(..., C)."
        )
    z, log_p = in_float32(student_logits), in_float32(log_probs)
    if mask is not None:
        mask = check_mask(mask, student_logits)
        kept = kept_by(mask).unsqueeze(-1)
        z, ids = torch.where(kept, z, 0.0), ids * kept
        log_p = torch.where(kept, log_p, -math.log(log_p.shape[-1]))  # anything that sums to 1
    if readable(ids):
        classes = z.shape[-1]
        if ids.min() < 0 or ids.max() >= classes:
            raise ValueError(
                f"ids must lie between 0 and {classes - 1}, got {int(ids.min())} to "
                f"{int(ids.max())}: the teacher's vocabulary is another one."
            )
    if readable(log_p) and not (log_p <= 1e-3).all():
        raise ValueError(
            f"log_probs must be logarithms of probabilities, at most 0, got "
            f"{log_p.max().item():.3g}: take log_softmax of the teacher's logits first."
        )
    return z, ids.long(), log_p, mask


def _refuse_repeats(ids: Tensor, mask: Tensor | None) -> None:
    if not readable(ids):
        return
    ordered = ids.sort(-1).values
    repeated = (ordered.diff(dim=-1) == 0).any(-1)
    if (repeated if mask is None else repeated & kept_by(mask)).any():
        raise ValueError(
            "ids name a class twice in one position, so its probability would count twice: "
            "expected distinct classes. For draws with repeats use sampled_kl."
        )


def _log_rest(log_p: Tensor) -> Tensor:
    """log(1 - sum p), -inf where the k classes hold everything: (..., k) -> (..., 1)."""
    mass = log_p.exp().sum(-1, keepdim=True)
    if readable(mass) and mass.max() > 1.01:
        raise ValueError(
            f"log_probs sum to a probability of {mass.max().item():.3g}: expected at most 1, those "
            "of the whole distribution and not renormalised."
        )
    rest = (1 - mass).clamp_min(0)
    # below rounding there is no tail to speak of
    return torch.where(rest > NO_TAIL, rest, 0.0).log()


def _mean_kl(log_p: Tensor, log_q: Tensor, mask: Tensor | None) -> Tensor:
    value = mean_over(kl(log_p, log_q), mask)
    refuse_infinite(value, "the KL")
    return value


def _floor(log_q: Tensor) -> Tensor:
    return log_q.clamp_min(_NOTHING)  # logsumexp over nothing but -inf has no gradient
