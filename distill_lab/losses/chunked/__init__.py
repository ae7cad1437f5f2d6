"""Divergences over large vocabularies: the same values in a fraction of the memory and time.

`forward_kl`, `reverse_kl` and `jsd` are the ones to read; autograd keeps two to seven arrays
of tokens x classes for them. These keep one, the gradient, worked out by hand along with the value;
and from a `Head` they keep none, since the logits are made and forgotten a few tokens at a time:

    student = Head(student_hidden, student.lm_head.weight)
    with torch.no_grad():
        teacher = Head(teacher_hidden, teacher.lm_head.weight)
    chunked_jsd(student, teacher, mask=answer_tokens).backward()

Either side may be logits or a head. To leave tokens out, use the mask: unlike a slice it copies
nothing. On a GPU each chunk's steps are compiled into one kernel, and the scores of a head are not
rounded to half precision: benchmarks/RESULTS.md has time, memory and error beside the others'.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from distill_lab._util.checks import fraction, positive_int
from distill_lab._util.tensors import Head as Head  # part of what this module offers
from distill_lab._util.tensors import check_temperature, check_tensor, values_at_hand
from distill_lab.losses import reference
from distill_lab.losses._checks import ONE_CLASS, check_mask_shape, kept_by, refuse_empty
from distill_lab.losses.chunked import kernels
from distill_lab.losses.chunked.autograd import Analytic, Work


def chunked_forward_kl(
    student: Tensor | Head,
    teacher: Tensor | Head,
    *,
    T: float = 1.0,
    mask: Tensor | None = None,
    denominator: float | Tensor | None = None,
    vocabulary: int | None = None,
) -> Tensor:
    """`forward_kl` for large vocabularies, from logits or from heads.

    Formula: sum_k p_k (log p_k - log q_k), summed over positions and divided by `denominator`, or
    by the number of unmasked positions; no factor T squared. Gradient for z_s: (q - p) / T.
    With `vocabulary` only the first so many classes count on both sides: p and q are softmaxes
    over these, probability beyond them is neither taught nor punished, and logits there get no
    gradient. Sides of different size are refused without it.

    Args:
        student: the student's logits (..., C), or a `Head`.
        teacher: the teacher's, of the same positions; it needs no gradient.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count, or what each weighs; None for all.
        denominator: what the sum over positions is divided by; None for how many count, or what
            they weigh.
        vocabulary: how many classes count, from the first; None for all.

    Returns:
        A scalar in nats; no factor T squared.

    Raises:
        ValueError: for shapes that differ, a teacher that asks for gradients, T <= 0, a denominator
            that is not positive, or a mask that keeps nothing where none is given.
        RuntimeError: when it is differentiated twice.

    Source: Hinton, Vinyals & Dean 2015, section 2.

    >>> p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    >>> round(chunked_forward_kl(q, p).item(), 6)
    0.368064
    """
    options = (T, mask, denominator, vocabulary)
    return by_hand(student, teacher, kernels.forward_kl, reference.forward_kl, *options)


def chunked_reverse_kl(
    student: Tensor | Head,
    teacher: Tensor | Head,
    *,
    T: float = 1.0,
    mask: Tensor | None = None,
    denominator: float | Tensor | None = None,
    vocabulary: int | None = None,
) -> Tensor:
    """`reverse_kl` for large vocabularies, from logits or from heads.

    Formula: sum_k q_k (log q_k - log p_k). Gradient for z_s: q (d - <q, d>) / T, d = log q - log p.

    Args:
        student: the student's logits (..., C), or a `Head`.
        teacher: the teacher's, of the same positions; it needs no gradient.
        T: temperature of both softmaxes.
        mask: True (...) at the positions that count, or what each weighs; None for all.
        denominator: what the sum over positions is divided by; None for how many count, or what
            they weigh.
        vocabulary: how many classes count, from the first; None for all.

    Returns:
        A scalar in nats; no factor T squared.

    Raises:
        ValueError, RuntimeError: as `chunked_forward_kl`.

    Source: Gu et al. 2023 (MiniLLM), section 2.

    >>> p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    >>> round(chunked_reverse_kl(q, p).item(), 6)
    0.510826
    """
    options = (T, mask, denominator, vocabulary)
    return by_hand(student, teacher, kernels.reverse_kl, reference.reverse_kl, *options)


def chunked_jsd(
    student: Tensor | Head,
    teacher: Tensor | Head,
    *,
    T: float = 1.0,
    beta: float = 0.5,
    mask: Tensor | None = None,
    denominator: float | Tensor | None = None,
    vocabulary: int | None = None,
) -> Tensor:
    """`jsd` for large vocabularies, from logits or from heads.

    Formula: beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q. Gradient for
    z_s: (1 - beta) q (d - <q, d>) / T, d = log q - log m. This is TRL's generalised JSD for
    0 < beta < 1; at its beta = 0 and 1 TRL has the forward and the reverse KL, as
    `generalised_jsd` of this package, and here the ends are refused as in `jsd`.

    Args:
        student: the student's logits (..., C), or a `Head`.
        teacher: the teacher's, of the same positions; it needs no gradient.
        T: temperature of both softmaxes.
        beta: the teacher's share of the mixture.
        mask: True (...) at the positions that count, or what each weighs; None for all.
        denominator: what the sum over positions is divided by; None for how many count, or what
            they weigh.
        vocabulary: how many classes count, from the first; None for all.

    Returns:
        A scalar in nats; no factor T squared.

    Raises:
        ValueError, RuntimeError: as `chunked_forward_kl`, and for beta outside (0, 1).

    Source: Agarwal et al. 2023 (GKD), section 2.

    >>> far = chunked_jsd(torch.tensor([[0.0, 99.0]]), torch.tensor([[99.0, 0.0]]))
    >>> round(far.item(), 4)  # ln 2
    0.6931
    """
    why = ": at the ends the divergence is zero for every student. Use chunked_forward_kl or "
    beta = fraction("beta", beta, ends=False, why=f"{why}chunked_reverse_kl there.")
    options = (T, mask, denominator, vocabulary)
    plain = partial(reference.jsd, beta=beta)
    return by_hand(student, teacher, partial(kernels.jsd, beta=beta), plain, *options)


def by_hand(
    student: Tensor | Head,
    teacher: Tensor | Head,
    divergence: kernels.Divergence,
    plain: Callable[..., Tensor],
    T: float = 1.0,
    mask: Tensor | None = None,
    denominator: float | Tensor | None = None,
    vocabulary: int | None = None,
    *,
    twice: bool = False,
) -> Tensor:
    """A divergence whose gradient is made along with its value.

    Args:
        student: logits or a head.
        teacher: of the same positions.
        divergence: a kernel.
        plain: the same in readable form.
        T: temperature of both softmaxes.
        mask: which positions count, or what each weighs.
        denominator: what the sum is divided by.
        vocabulary: how many classes count.
        twice: whether a second derivative is taken from the readable form, and not refused.

    Returns:
        A scalar in nats.
    """
    s, t = _tensors("student", student), _tensors("teacher", teacher)
    classes = _shared_classes(student, teacher, vocabulary)
    T = check_temperature(T)
    positions = s[0].shape[:-1]
    if mask is not None:
        # told what to divide by, one process may well have nothing to add
        may_be_empty = denominator is not None and isinstance(mask, Tensor)
        shown = torch.ones_like(mask) if may_be_empty else mask
        beside = f"the student has positions {tuple(positions)}"
        check_mask_shape(shown, positions, beside, weights=True)
    elif denominator is None:
        refuse_empty("the student's side", s[0])
    masks = () if mask is None else (mask,)
    if not all(values_at_hand(tensor) for tensor in (*s, *t, *masks)):
        # inside torch.vmap or torch.func, where a tensor stands for many: models are small there
        sides = (_plain_logits(side)[..., :classes] for side in (student, teacher))
        mean = plain(*sides, T=T, mask=mask)
        count = positions.numel() if mask is None else mask.sum()
        return mean if denominator is None else mean * count / denominator
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in t):
        raise ValueError(
            "the teacher's tensors require gradients, and this loss gives them none: expected a "
            "frozen teacher. Use freeze(model), compute its side under torch.no_grad(), or detach."
        )
    # (rows,)
    rows = None if mask is None else kept_by(mask).flatten().nonzero().squeeze(-1)
    weights = None
    if mask is not None and mask.is_floating_point():
        weights = mask.detach().flatten()[rows]  # (rows,)
    if denominator is None:
        # where no mask could be read before, it may keep nothing: the mean is 0 then
        count = positions.numel() if rows is None else max(1, len(rows))
        denominator = count if weights is None else weights.sum()
        if weights is not None and not len(weights):
            denominator = 1
    device = s[0].device.type
    work = Work(
        divergence=divergence,
        teacher=t,
        rows=rows,
        classes=classes,
        T=T,
        denominator=_checked_denominator(denominator),
        autocast=torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None,
        weights=weights,
        plain=partial(plain, T=T, mask=mask) if twice else None,
    )
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in s):
        value: Tensor = Analytic.apply(work, *s)  # type: ignore[no-untyped-call]
        reference.refuse_infinite(value, "the KL")
        return value
    return work.with_student(s)[0]


def _plain_logits(side: Tensor | Head) -> Tensor:
    return torch.nn.functional.linear(*side) if isinstance(side, Head) else side


def _tensors(name: str, side: Tensor | Head) -> tuple[Tensor, ...]:
    """The checked tensors of a side: logits alone, or hidden, weight and perhaps bias."""
    if not isinstance(side, Head):
        check_tensor(f"{name}_logits", side)
        return (side,)
    hidden, weight, bias = side
    check_tensor(f"the {name}'s hidden states", hidden)
    check_tensor(f"the {name}'s weight", weight)
    if weight.dim() != 2 or weight.shape[1] != hidden.shape[-1]:
        raise ValueError(
            f"the {name}'s hidden states have shape {tuple(hidden.shape)} and its weight "
            f"{tuple(weight.shape)}: expected (..., H) and (classes, H), as nn.Linear has them."
        )
    if bias is None:
        return hidden, weight
    check_tensor(f"the {name}'s bias", bias)
    if bias.shape != weight.shape[:1]:
        raise ValueError(
            f"the {name}'s bias has shape {tuple(bias.shape)}: expected one number a class, "
            f"({weight.shape[0]},)."
        )
    return hidden, weight, bias


def _shared_classes(student: Tensor | Head, teacher: Tensor | Head, vocabulary: int | None) -> int:
    """How many classes count, refusing sides that cannot be compared."""
    (*here, ours), (*there, theirs) = (
        (*side.hidden.shape[:-1], side.weight.shape[0]) if isinstance(side, Head) else side.shape
        for side in (student, teacher)
    )
    if here != there:
        raise ValueError(
            f"the student has positions {tuple(here)} and the teacher {tuple(there)}: expected the "
            "same. Give both models the same batch."
        )
    if ours < 2 or theirs < 2:
        raise ValueError(f"one side scores {min(ours, theirs)} class: {ONE_CLASS}")
    if vocabulary is None:
        if ours == theirs:
            return ours
        raise ValueError(
            f"the student scores {ours} classes and the teacher {theirs}: if the first of them "
            f"are the same tokens, say how many, as vocabulary={min(ours, theirs)}; the rest is "
            "then cut from both. For other tokenisers use uld_loss."
        )
    what = f"a whole number of classes from 2 to {min(ours, theirs)}, which both sides score"
    count = positive_int("vocabulary", vocabulary, what=what)
    if not 2 <= count <= min(ours, theirs):
        raise ValueError(f"vocabulary must be {what}, got {vocabulary!r}.")
    return count


def _checked_denominator(denominator: float | Tensor) -> float:
    number = float(denominator)
    if not 0 < number < float("inf"):
        raise ValueError(
            f"denominator must be a positive finite number, got {number:g}: expected how many "
            "tokens to divide by, for example those of all processes."
        )
    return number
