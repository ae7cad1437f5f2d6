"""Recipes for language models: next-token distributions, token by token."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from distill_lab._util.checks import fraction, one_of
from distill_lab._util.tensors import Batch, check_temperature, values_at_hand
from distill_lab._util.tensors import next_tokens as next_tokens  # part of what this module offers
from distill_lab.losses import cross_entropy, skew_kl, total_variation
from distill_lab.losses._checks import narrowed
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.scoring import divergence
from distill_lab.models.networks import logits_of
from distill_lab.signals import Dense

KINDS: dict[str, Callable[..., Tensor]] = {
    "forward_kl": divergence,
    "reverse_kl": partial(divergence, kind="reverse_kl"),
    "jsd": partial(divergence, kind="jsd"),
    "skew_kl": skew_kl,
    "total_variation": total_variation,
}


def tokens(
    kind: str = "forward_kl", *, T: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> Method:
    """Distil a causal language model: a divergence at each answer token, beside the tokens.

    Formula: alpha T^2 D(p_i, q_i) + (1 - alpha) CE(q_i, token i + 1), each a mean over the tokens
    that count, whatever pieces or processes they are spread over.

    Args:
        kind: D: one of forward_kl (from any signal of a cache), reverse_kl or jsd (from logits or
            top-k), skew_kl or total_variation (from logits).
        T: the temperature of both softmaxes.
        alpha: what the teacher's term weighs; with 0 the teacher is not asked: supervised
            fine-tuning.
        beta: the teacher's share in "jsd".

    Returns:
        A method. Its batches hold inputs (B, L), or a dict with input_ids, and labels (B, L) with
        -100 where nothing is to be learned.

    Raises:
        ValueError: for another kind, T <= 0 or alpha outside [0, 1]; when it runs, for data without
            labels.

    Source: Hinton et al. 2015; Agarwal et al. 2023 (GKD), section 3.

    >>> tokens("reverse_kl", alpha=0.5).weights
    {'reverse_kl': 0.5, 'ce': 0.5}
    """
    one_of("kind", kind, KINDS)
    check_temperature(T)
    fraction("alpha", alpha, why=": it mixes two terms.")
    loss = partial(KINDS[kind], beta=beta) if kind == "jsd" else KINDS[kind]

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        targets, mask = next_tokens(_labels(batch), batch.inputs)
        weighed = _weighed(batch, mask)
        logits = logits_of(student, batch.inputs)
        result: Terms = {}
        if alpha > 0:
            teacher_output = teacher(batch)
            if isinstance(teacher_output, Dense):
                teacher_output = teacher_output.logits
            result[kind] = T**2 * loss(logits, teacher_output, T=T, mask=weighed)
        if alpha < 1:
            # only what counts: prompts are often four fifths of a batch. Elsewhere than on a CPU
            # that would wait for the device; and inside torch.vmap each seed has another number of
            # such tokens. The loss leaves the others out by itself
            weights = None if weighed is mask else weighed
            if mask.is_cpu and values_at_hand(mask) and mask.any():
                logits, targets = logits[mask], targets[mask]
                weights = None if weights is None else weights[mask]
            result["ce"] = cross_entropy(logits, targets, mask=weights)
        return result

    weights = {kind: alpha, "ce": 1.0 - alpha}
    used = {term: weight for term, weight in weights.items() if weight > 0}
    name = f"tokens({kind}, T={T}, alpha={alpha}, beta={beta})"
    each = (kind,) if alpha > 0 else ()
    return Method(name, terms, used, alpha > 0, count=tokens_in, each_teacher=each)


def tokens_in(batch: Batch) -> float:
    """How many tokens of a batch are to be predicted, by weight: what the terms are a mean over."""
    mask = next_tokens(_labels(batch), batch.inputs)[1]
    if batch.weights is None:
        return int(mask.sum())
    return float(_weighed(batch, mask).sum())


def _weighed(batch: Batch, mask: Tensor) -> Tensor:
    """What each token weighs (B, L): its text's weight, where the batch has weights."""
    if batch.weights is None:
        return mask
    return narrowed(batch.weights.float().unsqueeze(-1).expand(mask.shape), mask)


def _labels(batch: Batch) -> Tensor:
    if batch.labels is None or batch.labels.dim() != 2:
        shape = "none" if batch.labels is None else f"shape {tuple(batch.labels.shape)}"
        raise ValueError(
            f"a language model learns from labels (B, L), one a token, and got {shape}: pass the "
            "input tokens, with -100 where nothing is to be learned."
        )
    return batch.labels
