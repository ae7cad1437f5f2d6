"""Score a student against any signal of a teacher."""

import math
from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor

from distill_lab._util.checks import one_of
from distill_lab._util.tensors import in_float32
from distill_lab.losses._checks import check_mask, mean_over, narrowed
from distill_lab.losses.divergences import forward_kl, jsd, reverse_kl
from distill_lab.losses.response import cross_entropy
from distill_lab.losses.sparse import sampled_cross_entropy, topk_jsd, topk_kl, topk_reverse_kl
from distill_lab.signals import Dense, Sampled, Signal, Text, TopK

Kind = Literal["forward_kl", "reverse_kl", "jsd"]
DENSE = {"forward_kl": forward_kl, "reverse_kl": reverse_kl, "jsd": jsd}
TOP_K: dict[str, Callable[..., Tensor]] = {
    "forward_kl": topk_kl,
    "reverse_kl": topk_reverse_kl,
    "jsd": topk_jsd,
}


def divergence(
    student_logits: Tensor,
    signal: Tensor | Signal,
    kind: Kind = "forward_kl",
    *,
    T: float = 1.0,
    beta: float = 0.5,
    mask: Tensor | None = None,
) -> Tensor:
    """How far the student is from what a signal says of the teacher, in nats.

    Formula: for `Dense` or a plain tensor of logits, the loss of that name. For `TopK`, the same
    over k + 1 outcomes, the tail being one of them: a lower bound. For `Sampled`, the unbiased
    estimate neg_entropy_est - sum_j w_j log q_j of the forward KL. Reverse KL and JSD ask how
    probable the teacher finds each class that the student would choose. A draw does not say it, a
    class that was kept for certain does: with `Sampled` they run over the certain classes and all
    others as one, a lower bound like that of `TopK`, and 0 where no class is certain; a single
    draw a position never is, and is refused. For `Text`, the cross-entropy -log q_y, the forward
    KL to what was written, and no other.

    Args:
        student_logits: scores (..., C) of every class.
        signal: the teacher's logits (..., C), or a signal of the same positions.
        kind: "forward_kl", "reverse_kl" or "jsd".
        T: temperature of both softmaxes; a sparse signal must have been recorded at it.
        beta: the teacher's share of the mixture in "jsd".
        mask: True (...) at the positions that count, beside the signal's own mask.

    Returns:
        A scalar, the mean in nats over the positions that both masks keep; no factor T squared.

    Raises:
        TypeError: for anything that is no signal.
        ValueError: for a signal recorded at another T, another kind, or a kind that the signal
            does not determine; and as the loss of that kind.

    Source: Hinton, Vinyals & Dean 2015, section 2; Agarwal et al. 2023 (GKD), section 2.

    >>> import torch
    >>> from distill_lab.signals import top_k
    >>> z_s, z_t = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]])
    >>> dense = divergence(z_s, z_t, "reverse_kl", T=2.0)
    >>> kept = divergence(z_s, top_k(z_t, 2, T=2.0), "reverse_kl", T=2.0)
    >>> torch.isclose(dense, kept, atol=1e-4).item()
    True
    """
    one_of("kind", kind, DENSE)
    options: dict[str, Any] = {"beta": beta} if kind == "jsd" else {}
    if isinstance(signal, Tensor):
        return DENSE[kind](student_logits, signal, T=T, mask=mask, **options)
    if not isinstance(signal, (Dense, TopK, Sampled, Text)):
        raise TypeError(
            "the teacher must give a tensor of logits or a Dense, TopK, Sampled or Text, not "
            f"{type(signal).__name__}. Hugging Face outputs keep their logits in `.logits`."
        )
    known = signal.known if isinstance(signal, Sampled) and kind != "forward_kl" else None
    if kind != "forward_kl" and isinstance(signal, (Sampled, Text)) and known is None:
        raise ValueError(
            f"{kind} cannot be scored against {type(signal).__name__}: it asks how probable the "
            "teacher finds each class that the student would choose, and this signal does not say "
            "it of any. Use forward_kl, a teacher that gives logits or top_k, or draws that say "
            "how many classes are certain, as signals.sample makes them."
        )
    if isinstance(signal, Text):
        _check_same_temperature("text was written", 1.0, T)
        return cross_entropy(student_logits, signal.labels, mask=mask)
    if signal.mask is not None:
        mask = narrowed(mask, signal.mask)
    if isinstance(signal, Dense):
        return DENSE[kind](student_logits, signal.logits, T=T, mask=mask, **options)
    _check_same_temperature("the signal was recorded", signal.T, T)
    if isinstance(signal, TopK):
        log_probs = signal.log_probs
        return TOP_K[kind](student_logits, signal.ids, log_probs, T=T, mask=mask, **options)
    if known is not None:
        _check_several(kind, known)
        log_probs = in_float32(signal.weights).log()
        options["known"] = known
        return TOP_K[kind](student_logits, signal.ids, log_probs, T=T, mask=mask, **options)
    scored = sampled_cross_entropy(student_logits, signal.ids, signal.weights, T=T, mask=mask)
    kept = None if mask is None else check_mask(mask, student_logits)
    return scored + mean_over(in_float32(signal.neg_entropy_est), kept)


def _check_several(kind: str, known: Tensor) -> None:
    """Refuse a single draw a position, which is never for certain: the loss would be just 0."""
    # several may all be uncertain in a batch as well, and the next one goes on: a run goes through
    if known.shape[-1] < 2:
        raise ValueError(
            f"{kind} of draws compares the classes that were kept for certain, and of a single "
            "draw a position none is: the loss would be 0 for every student. Draw more classes a "
            "position, as many as the teacher has at most, keep its top_k, or use forward_kl, "
            "which any draws estimate."
        )


def _check_same_temperature(what: str, recorded: float, wanted: float) -> None:
    if not math.isclose(recorded, wanted, rel_tol=1e-6):
        raise ValueError(
            f"{what} at T = {recorded} and cannot be scored at T = {wanted}: the classes that were "
            f"left out are not known at another temperature. Use T = {recorded}, or record the "
            f"teacher again at T = {wanted}."
        )
