"""Policy gradients: learn from sampled answers and a number for each, without the whole softmax.

Both losses ask for log-probabilities (B, L) of the tokens that were sampled, and both hold what the
gradient is weighed by fixed. A weight with a gradient of its own is refused: differentiated, the
sampled log-ratio loses its teacher altogether, since the teacher's log-probability is a constant.
"""

import math

import torch
from torch import Tensor

from distill_lab._util.checks import fraction, plain_number
from distill_lab._util.tensors import check_tensor, in_float32
from distill_lab.losses._checks import check_mask_shape, check_some, kept_by, mean_over, narrowed

_LARGEST = 60.0  # exp of it, and sums of such, are finite in float32


def group_advantages(rewards: Tensor, *, scale: bool = True) -> Tensor:
    """How much better each answer is than the other answers to the same prompt.

    Formula: (r - mean(r)) / (std(r) + 1e-4) within a group, std with n - 1; without `scale` the
    difference alone. A group whose rewards are all equal teaches nothing: exactly 0.

    Args:
        rewards: one number for each of G answers to each of P prompts, (P, G); booleans are 1 and
            0.
        scale: divide by the group's standard deviation. It makes prompts that are nearly always
            or nearly never solved weigh as much as those solved half the time.

    Returns:
        Advantages (P, G), without a gradient.

    Raises:
        ValueError: for another shape than (P, G) with two answers at least, or a reward that is
            not finite.

    Source: Shao et al. 2024 (GRPO), section 4.1.2; Liu et al. 2025 (Dr. GRPO) for scale=False.

    >>> group_advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]), scale=False)
    tensor([[ 0.7500, -0.2500, -0.2500, -0.2500],
            [ 0.0000,  0.0000,  0.0000,  0.0000]])
    """
    rewards = _numbers(rewards)
    check_some("rewards", rewards)
    if rewards.dim() != 2 or rewards.shape[1] < 2:
        raise ValueError(
            f"rewards have shape {tuple(rewards.shape)}: expected (P, G), the rewards of at least "
            "two answers to each prompt, since an answer is held against its own group."
        )
    r = in_float32(rewards.detach())
    if not r.isfinite().all():
        raise ValueError(
            "a reward is not finite: give every answer a number, for example 0 where the verifier "
            "cannot decide."
        )
    difference = r - r.mean(1, keepdim=True)
    if scale:
        difference = difference / (r.std(1, keepdim=True) + 1e-4)
    # the mean of equal numbers may be off by a rounding, and a tiny std would blow that up
    equal = (r == r[:, :1]).all(1, keepdim=True)
    return torch.where(equal, 0.0, difference)


def grpo_loss(
    log_probs: Tensor,
    advantages: Tensor,
    *,
    mask: Tensor,
    old_log_probs: Tensor | None = None,
    reference_log_probs: Tensor | None = None,
    beta: float = 0.0,
    clip: float | tuple[float, float] = 0.2,
    average: str | int = "answer",
    weights: Tensor | None = None,
) -> Tensor:
    """Group relative policy optimisation: raise what did better than its group.

    Formula: mean over tokens of -min(r A, clip(r, 1 - e_low, 1 + e_high) A) + beta k3. r is the
    token's q / q_old, A the answer's advantage, and k3 = p_ref / q - log(p_ref / q) - 1: never
    negative, and over samples of q its mean is KL(q || p_ref). Ratios end at e^60.

    Args:
        log_probs: the student's log-probabilities (B, L) of the sampled tokens, in nats.
        advantages: one number an answer (B,), or a token (B, L), as from `group_advantages`.
        mask: True (B, L) at the tokens of the answers, their ends included.
        old_log_probs: those of the model that sampled (B, L); None: this very student, now.
        reference_log_probs: a frozen reference's (B, L); needed where beta > 0.
        beta: what the distance to the reference weighs.
        clip: e, or (e_low, e_high): how far one sample may move a token's ratio.
        average: "answer": over the tokens of each answer, then over answers, as in the paper. Then
            a token of a long wrong answer weighs less than one of a short wrong answer, so long
            wrong answers are punished too little. "token": over all tokens alike (DAPO). A number
            N: the sum over tokens divided by B N (Dr. GRPO, N the longest answer allowed).
        weights: what each answer, and each of its tokens, counts for in that mean (B,), where B
            becomes their sum; None: all alike.

    Returns:
        A scalar; at ratio 1 its value says nothing (minus the mean advantage), its gradient does.

    Raises:
        ValueError: for shapes that differ, beta > 0 without a reference, `weights` of which none
            is above 0, or a weight that carries a gradient.

    Source: Shao et al. 2024, eq. 3 and 4; Yu et al. 2025 (DAPO), section 3; Liu et al. 2025
    (Dr. GRPO), section 3.

    >>> q = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    >>> loss = grpo_loss(q, torch.tensor([1.0]), mask=torch.tensor([[True, True]]))
    >>> loss.item(), torch.autograd.grad(loss, q)[0].tolist()  # both tokens are raised
    (-1.0, [[-0.5, -0.5]])
    """
    low, high = _clip(clip)
    kept = _sampled(log_probs, mask)
    advantages = _numbers(advantages)
    fixed = {"old_log_probs": old_log_probs, "reference_log_probs": reference_log_probs}
    _check_fixed(log_probs, advantages=advantages, **fixed)
    if isinstance(beta, bool) or not 0 <= beta < math.inf:
        raise ValueError(f"beta must be a finite number of at least 0, got {beta!r}.")
    if beta > 0 and reference_log_probs is None:
        raise ValueError(
            f"beta = {beta} weighs the distance to a reference and there is none: pass "
            "reference_log_probs, or beta=0."
        )
    log_q = torch.where(kept, in_float32(log_probs), 0.0)
    old = log_q.detach() if old_log_probs is None else _blank(old_log_probs, kept)
    advantage = in_float32(advantages)
    advantage = advantage.unsqueeze(1) if advantage.dim() == 1 else _blank(advantage, kept)
    ratio = (log_q - old).clamp_max(_LARGEST).exp()
    loss = -torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)
    if beta > 0 and reference_log_probs is not None:
        loss = loss + beta * _k3(log_q, _blank(reference_log_probs, kept))
    return _averaged(loss, kept, average, weights)


def sampled_reverse_kl(
    student_log_probs: Tensor,
    teacher_log_probs: Tensor,
    *,
    mask: Tensor,
    discount: float = 0.0,
    old_log_probs: Tensor | None = None,
    clip: float = math.inf,
) -> Tensor:
    """Estimate the reverse KL and its gradient from the one token that was sampled at each place.

    Formula: the value is k1, mean of log q(y_i) - log p(y_i); the gradient is that of
    -mean w_i A_i log q(y_i), A_i = sum_{j >= i} discount^(j - i) (log p(y_j) - log q(y_j)) held
    fixed, w_i = min(q / q_old, clip) held fixed. Unbiased where y comes from q: with discount 0
    for the mean KL of each next-token distribution on the student's own text, with discount 1 for
    the KL of whole answers. A server has to give one number a token; `reverse_kl`, from the whole
    distribution, has the same mean gradient with far less noise.

    Args:
        student_log_probs: log-probabilities (B, L) of the sampled tokens, in nats.
        teacher_log_probs: the teacher's (B, L) of the same tokens.
        mask: True (B, L) at the tokens that were sampled, or what each weighs.
        discount: how much of the later tokens' log-ratio a token answers for, 0 to 1.
        old_log_probs: those of the model that sampled (B, L), where it was another one.
        clip: the largest importance weight q / q_old.

    Returns:
        A scalar in nats, the mean over tokens.

    Raises:
        ValueError: for shapes that differ, a discount outside [0, 1], clip <= 0, or teacher
            values that carry a gradient.

    Source: Lu & Thinking Machines Lab 2025 (On-Policy Distillation); Schulman 2020 for k1; Gu et
    al. 2023 (MiniLLM), section 2.2, for the sum over later tokens.

    >>> q = torch.tensor([[-1.0]], requires_grad=True)
    >>> loss = sampled_reverse_kl(q, torch.tensor([[-3.0]]), mask=torch.tensor([[True]]))
    >>> loss.item(), torch.autograd.grad(loss, q)[0].item()  # the teacher doubts it: lower it
    (2.0, 2.0)
    """
    discount = fraction("discount", discount)
    if not clip > 0:
        raise ValueError(f"clip must be positive, got {clip!r}: it bounds q / q_old.")
    mask = _sampled(student_log_probs, mask, weights=True)
    kept = kept_by(mask)
    fixed = {"teacher_log_probs": teacher_log_probs, "old_log_probs": old_log_probs}
    _check_fixed(student_log_probs, **fixed)
    log_q = torch.where(kept, in_float32(student_log_probs), 0.0)
    log_p = _blank(teacher_log_probs, kept)
    gap = (log_p - log_q).detach()
    weight = torch.ones_like(gap)
    if old_log_probs is not None:
        weight = (log_q.detach() - _blank(old_log_probs, kept)).exp().clamp_max(clip)
    surrogate = -weight * _discounted(gap, discount) * log_q
    # k1's value with the policy gradient's gradient: its own gradient does not know the teacher
    return mean_over(surrogate - surrogate.detach() - gap, mask)


def _discounted(gap: Tensor, discount: float) -> Tensor:
    """sum_{j >= i} discount^(j - i) gap_j, along the last axis of (B, L)."""
    if discount == 0:
        return gap
    columns, later = [], torch.zeros_like(gap[:, 0])
    for column in reversed(gap.unbind(1)):
        later = column + discount * later
        columns.append(later)
    return torch.stack(columns[::-1], 1)


def _k3(log_q: Tensor, log_p: Tensor) -> Tensor:
    log_ratio = (log_p - log_q).clamp_max(_LARGEST)
    return log_ratio.exp() - log_ratio - 1


def _averaged(loss: Tensor, kept: Tensor, average: str | int, weights: Tensor | None) -> Tensor:
    tokens, answers = kept, kept.any(1)
    if weights is not None:
        beside = f"log_probs have shape {tuple(loss.shape)}, and weights are one an answer"
        weights = in_float32(_numbers(weights))
        weights = check_mask_shape(weights, loss.shape[:1], beside, weights=True)
        tokens, answers = narrowed(weights[:, None], kept), narrowed(weights, answers)
    if average == "token":
        return mean_over(loss, tokens)
    if average == "answer":
        of_each = torch.where(kept, loss, 0.0).sum(1) / kept.sum(1).clamp_min(1)
        return mean_over(of_each, answers)
    average = plain_number(average)
    if isinstance(average, int) and not isinstance(average, bool) and average > 0:
        of_each = torch.where(kept, loss, 0.0).sum(1) / average
        return mean_over(of_each, weights)
    raise ValueError(
        f'average must be "answer", "token" or a number of tokens, got {average!r}: it says over '
        "what the loss of the tokens is a mean."
    )


def _clip(clip: float | tuple[float, float]) -> tuple[float, float]:
    bounds = clip if isinstance(clip, tuple) else (clip, clip)
    if len(bounds) != 2 or not all(0 < bound < math.inf for bound in bounds) or bounds[0] >= 1:
        raise ValueError(
            f"clip must be a number between 0 and 1, or (low, high), got {clip!r}: the ratio is "
            "held between 1 - low and 1 + high."
        )
    return bounds


def _sampled(log_probs: Tensor, mask: Tensor, *, weights: bool = False) -> Tensor:
    """The mask of the sampled tokens, checked beside their log-probabilities (B, L)."""
    check_some("log_probs", log_probs)
    if log_probs.dim() != 2:
        raise ValueError(
            f"log_probs have shape {tuple(log_probs.shape)}: expected (B, L), one log-probability "
            "for each sampled token."
        )
    beside = f"log_probs have shape {tuple(log_probs.shape)}"
    return check_mask_shape(mask, log_probs.shape, beside, weights=weights)


def _check_fixed(log_probs: Tensor, **fixed: Tensor | None) -> None:
    """Refuse what weighs a policy gradient where it has another shape, or a gradient."""
    for name, values in fixed.items():
        if values is None:
            continue
        check_tensor(name, values)
        allowed = (
            [log_probs.shape, log_probs.shape[:1]] if name == "advantages" else [log_probs.shape]
        )
        if values.shape not in allowed:
            raise ValueError(
                f"{name} have shape {tuple(values.shape)} beside log-probabilities "
                f"{tuple(log_probs.shape)}: expected one for each sampled token"
                f"{' or each answer' if name == 'advantages' else ''}."
            )
        if values.requires_grad:
            raise ValueError(
                f"{name} carry a gradient: a policy gradient weighs by fixed numbers, and through "
                "this one the student would learn something else, without the teacher or the "
                f"reward. Pass {name}.detach()."
            )


def _numbers(values: Tensor) -> Tensor:
    """Rewards as a verifier gives them, right or wrong, 0 or 1, as numbers to reckon with."""
    whole_numbers = isinstance(values, Tensor) and not values.is_floating_point()
    return values.float() if whole_numbers and not values.is_complex() else values


def _blank(values: Tensor, kept: Tensor) -> Tensor:
    return torch.where(kept, in_float32(values), 0.0)
