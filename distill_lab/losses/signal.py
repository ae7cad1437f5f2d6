"""Score a student against any signal of a teacher."""

import math

from torch import Tensor

from distill_lab._util.tensors import in_float32
from distill_lab.losses._checks import check_mask, mean_over
from distill_lab.losses.divergences import forward_kl
from distill_lab.losses.response import cross_entropy
from distill_lab.losses.sparse import sampled_cross_entropy, topk_kl
from distill_lab.signals import Dense, Sampled, Signal, Text, TopK


def divergence(
    student_logits: Tensor, said: Tensor | Signal, *, T: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """How far the student is from what the teacher said: KL(teacher || student), in nats.

    Formula: Dense or a plain tensor of logits: ``forward_kl``. TopK: ``topk_kl`` with its tail
    bucket, a lower bound. Sampled: the unbiased estimate own - sum_j w_j log q_j. Text: the
    cross-entropy -log q_y, which is KL to what was written. No factor T squared.
    Shapes: student_logits (..., C), mask (...) -> scalar, a mean over the positions where the
    teacher spoke and the mask is True.
    Raises ValueError for a signal that was recorded at another T, and as those losses.
    Hinton, Vinyals & Dean 2015, section 2.

    >>> from distill_lab.signals import top_k
    >>> z_s, z_t = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]])
    >>> dense = divergence(z_s, z_t, T=2.0)
    >>> torch.isclose(dense, divergence(z_s, top_k(z_t, 2, T=2.0), T=2.0), atol=1e-4).item()
    True
    """
    if isinstance(said, Tensor):
        return forward_kl(student_logits, said, T=T, mask=mask)
    if isinstance(said, Text):
        _check_same_temperature("text was written", 1.0, T)
        return cross_entropy(student_logits, said.labels, mask=mask)
    if not isinstance(said, (Dense, TopK, Sampled)):
        raise TypeError(
            "the teacher must have said a tensor of logits or a Dense, TopK, Sampled or Text, not "
            f"{type(said).__name__}. Hugging Face outputs keep their logits in `.logits`."
        )
    if said.mask is not None:
        mask = said.mask if mask is None else mask.bool() & said.mask
    if isinstance(said, Dense):
        return forward_kl(student_logits, said.logits, T=T, mask=mask)
    _check_same_temperature("the signal was recorded", said.T, T)
    if isinstance(said, TopK):
        return topk_kl(student_logits, said.ids, said.log_probs, T=T, mask=mask)
    scored = sampled_cross_entropy(student_logits, said.ids, said.weights, T=T, mask=mask)
    kept = None if mask is None else check_mask(mask, student_logits)
    return scored + mean_over(in_float32(said.own), kept)


def _check_same_temperature(what: str, recorded: float, asked: float) -> None:
    if not math.isclose(recorded, asked, rel_tol=1e-6):
        raise ValueError(
            f"{what} at T = {recorded} and cannot be scored at T = {asked}: the classes that were "
            f"left out are not known at another temperature. Use T = {recorded}, or record the "
            f"teacher again at T = {asked}."
        )
