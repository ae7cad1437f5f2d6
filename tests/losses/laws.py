# ruff: noqa: E501 - a table is read row by row
"""Every loss of the package in one table, with the laws that it claims; test_laws.py holds it to them.

A row says how to call the loss on a student's and a teacher's tensor, which axes these have, and
which laws do not apply, with the reason in words. Axes are letters: b examples, l tokens, c
classes or channels, h and w space, v a width that six divides, 2 a pair. Capital letters are axes
on which the teacher may have another size.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from distill_lab import losses
from distill_lab.models.projections import Regressor, VariationalRegressor

Call = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Law:
    name: str  # begins with the function's name
    call: Call  # (student, teacher, mask)
    student: str
    teacher: str
    mask: str = ""  # the leading axes that the mask covers; padding grows along the last of them
    divergence: bool = True  # 0 on equal inputs, never negative
    zero: float = 1e-6  # what float32 may leave of that 0
    surrogate: str = ""  # why its gradient is not that of its value
    together: str = ""  # why a batch of four is not two of two
    hopeless: tuple[float, ...] = ()  # logits of a class nobody believes in, which change nothing


def on_logits(name: str, loss: Callable[..., Tensor], **changes: object) -> list[Law]:
    """A loss between two rows of logits: images at T = 4 and sequences of tokens at T = 1."""
    result = []
    for layout, T in (("bc", 4.0), ("blc", 1.0)):
        call = lambda s, t, m, T=T: loss(s, t, T=T, mask=m)  # noqa: E731
        label = f"{name} {layout} T={T:g}"
        row = Law(label, call, layout, layout, layout[:-1], hopeless=(-1e9, -torch.inf))
        result.append(replace(row, **({"zero": 1e-6 * T**2} | changes)))
    return result


def first(logits: Tensor) -> Tensor:
    """Class 0 as every label."""
    return torch.zeros(logits.shape[:-1], dtype=torch.int64, device=logits.device)


def no_T(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda s, t, T, mask: loss(s, t, mask=mask)


def top(
    s: Tensor,
    t: Tensor,
    T: float,
    mask: Tensor | None,
    loss: Callable[..., Tensor] = losses.topk_kl,
    **options: object,
) -> Tensor:
    """A teacher of whom the two likeliest classes are known."""
    log_p, ids = (t.to(torch.promote_types(t.dtype, torch.float32)) / T).log_softmax(-1).topk(2)
    return loss(s, ids, log_p, T=T, mask=mask, **options)


def drawn(s: Tensor, t: Tensor, T: float, mask: Tensor | None) -> Tensor:
    log_p = (t.to(torch.promote_types(t.dtype, torch.float32)) / T).log_softmax(-1)
    ids = torch.arange(6).remainder(2).expand(*s.shape[:-1], 6)
    return losses.sampled_kl(s, ids, log_p.gather(-1, ids), T=T, mask=mask)


def weighed(s: Tensor, t: Tensor, T: float, mask: Tensor | None) -> Tensor:
    """Draws that weigh what the teacher says of them."""
    log_p = (t.to(torch.promote_types(t.dtype, torch.float32)) / T).log_softmax(-1)
    ids = torch.arange(6).remainder(2).expand(*s.shape[:-1], 6)
    return losses.sampled_cross_entropy(s, ids, log_p.gather(-1, ids).exp(), T=T, mask=mask)


def qkv(x: Tensor) -> tuple[Tensor, ...]:
    return x, 2 * x.flip(-1), x.roll(1, -1)


def like(module: nn.Module, features: Tensor) -> nn.Module:
    """The module in the precision that a loss computes in."""
    dtype = torch.promote_types(features.dtype, torch.float32)
    return module if dtype == torch.float32 else copy.deepcopy(module).to(dtype)


def every(values: Tensor, mask: Tensor | None) -> Tensor:
    """A mask of every position where there is none."""
    return torch.ones_like(values, dtype=torch.bool) if mask is None else mask


def to_reference(s: Tensor, t: Tensor, m: Tensor | None) -> Tensor:
    """GRPO of equal rewards: only the distance to the reference is left."""
    return losses.grpo_loss(
        s,
        torch.zeros(len(s), device=s.device),
        mask=every(s, m),
        reference_log_probs=t.detach(),
        beta=1.0,
        average="token",
    )


def from_heads(name: str, loss: Callable[..., Tensor], **options: object) -> Law:
    """A chunked loss between what two heads say of hidden states; both sides share it."""

    def call(s: Tensor, t: Tensor, m: Tensor | None) -> Tensor:
        dtype = torch.promote_types(s.dtype, torch.float32)
        weight, bias = HEAD_WEIGHT.to(dtype), HEAD_BIAS.to(dtype)
        student, teacher = losses.Head(s, weight, bias), losses.Head(t, weight, bias)
        return loss(student, teacher, mask=m, **options)

    return Law(f"{name} heads", call, "bl6", "bl6", "bl")


def on_rows(name: str, loss: Callable[..., Tensor], together: str, **changes: object) -> Law:
    call = lambda s, t, m: loss(s, t, mask=m)  # noqa: E731
    return replace(Law(name, call, "bcd", "bCD", "b", together=together), **changes)


COMPARES = "compares the examples of the batch with each other"
NOT_ZERO = {"divergence": False}
LINEAR = Regressor(6, 6, seed=0).requires_grad_(False)
CONV = Regressor(2, 3, kind="conv1x1", seed=0).requires_grad_(False)
HEAD_WEIGHT = torch.sin(torch.arange(54.0)).reshape(9, 6)
HEAD_BIAS = torch.cos(torch.arange(9.0))
PREDICT = VariationalRegressor(6, 6, seed=0).requires_grad_(False)

LAWS = [
    *on_logits("forward_kl", losses.forward_kl),
    *on_logits("reverse_kl", losses.reverse_kl),
    *on_logits("jsd beta=0.5", losses.jsd),
    *on_logits("jsd beta=0.1", lambda s, t, **k: losses.jsd(s, t, beta=0.1, **k)),
    *on_logits(
        "generalised_jsd beta=0", lambda s, t, **k: losses.generalised_jsd(s, t, beta=0, **k)
    ),
    *on_logits(
        "generalised_jsd beta=0.3", lambda s, t, **k: losses.generalised_jsd(s, t, beta=0.3, **k)
    ),
    *on_logits(
        "generalised_jsd beta=1", lambda s, t, **k: losses.generalised_jsd(s, t, beta=1, **k)
    ),
    *on_logits("chunked_forward_kl", losses.chunked_forward_kl),
    *on_logits("chunked_reverse_kl", losses.chunked_reverse_kl),
    *on_logits("chunked_jsd", losses.chunked_jsd),
    *on_logits("chunked_jsd beta=0.1", lambda s, t, **k: losses.chunked_jsd(s, t, beta=0.1, **k)),
    from_heads("chunked_forward_kl", losses.chunked_forward_kl, T=4.0),
    from_heads("chunked_reverse_kl", losses.chunked_reverse_kl, T=0.5),
    from_heads("chunked_jsd", losses.chunked_jsd, beta=0.3),
    *on_logits("skew_kl", losses.skew_kl),
    *on_logits("skew_kl reverse", lambda s, t, **k: losses.skew_kl(s, t, direction="reverse", **k)),
    *on_logits("total_variation", losses.total_variation),
    *on_logits("uld_loss", losses.uld_loss),
    *on_logits("logit_mse", no_T(losses.logit_mse), hopeless=(-1e9,)),  # inf - inf is no distance
    *on_logits("kd_loss alpha=1", lambda s, t, **k: losses.kd_loss(s, t, alpha=1.0, **k)),
    *on_logits("dkd_loss", lambda s, t, **k: losses.dkd_loss(s, t, first(s), **k)),
    *on_logits("topk_kl", top, zero=1e-5),
    *on_logits(
        "topk_reverse_kl", lambda s, t, **k: top(s, t, loss=losses.topk_reverse_kl, **k), zero=1e-5
    ),
    *on_logits("topk_jsd", lambda s, t, **k: top(s, t, loss=losses.topk_jsd, **k), zero=1e-5),
    *on_logits("topk_kl both", lambda s, t, **k: top(s, t, tail="renormalise both", **k)),
    *on_logits(
        "topk_kl teacher", lambda s, t, **k: top(s, t, tail="renormalise teacher", **k), **NOT_ZERO
    ),
    *on_logits("sampled_kl", drawn, **NOT_ZERO),  # an estimate may be negative
    *on_logits("sampled_cross_entropy", weighed, **NOT_ZERO),
    *on_logits("soft_cross_entropy", losses.soft_cross_entropy, **NOT_ZERO),
    *on_logits(
        "kd_loss", lambda s, t, **k: losses.kd_loss(s, t, first(s), alpha=0.7, **k), **NOT_ZERO
    ),
    *on_logits(
        "cross_entropy",
        lambda s, t, T, mask: losses.cross_entropy(s, first(s), mask=mask),
        **NOT_ZERO,
    ),
    *on_logits(
        "hard_distillation_loss",
        lambda s, t, T, mask: losses.hard_distillation_loss(s, t, first(s), mask=mask),
        **NOT_ZERO,
    ),
    *on_logits(
        "dist_loss", losses.dist_loss, zero=1e-4, together="its intra term " + COMPARES, hopeless=()
    ),  # another class, even a hopeless one, moves the mean of every row
    Law(
        "uld_loss other vocabulary",
        lambda s, t, m: losses.uld_loss(s, t, mask=m),
        "blc",
        "blC",
        "bl",
    ),
    *on_logits(
        "binary_kd_loss alpha=1", lambda s, t, **k: losses.binary_kd_loss(s, t, alpha=1.0, **k)
    ),
    *on_logits(
        "binary_kd_loss",
        lambda s, t, **k: losses.binary_kd_loss(s, t, (t > 0).float(), alpha=0.7, **k),
        **NOT_ZERO,
        hopeless=(-1e9,),
    ),
    *on_logits(
        "binary_cross_entropy",
        lambda s, t, T, mask: losses.binary_cross_entropy(s, (t > 0).float(), mask=mask),
        **NOT_ZERO,
    ),
    Law("squared_error", lambda s, t, m: losses.squared_error(s, t, mask=m), "bd", "bd", "b"),
    Law(
        "squared_error tokens",
        lambda s, t, m: losses.squared_error(s, t, mask=m),
        "bld",
        "bld",
        "bl",
    ),
    Law("gaussian_kl", lambda s, t, m: losses.gaussian_kl(s, t, mask=m), "b6", "b6", "b"),
    Law("gaussian_kl tokens", lambda s, t, m: losses.gaussian_kl(s, t, mask=m), "bl2", "bl2", "bl"),
    Law(
        "gaussian_nll",
        lambda s, t, m: losses.gaussian_nll(s, t, mask=m),
        "b6",
        "b3",
        "b",
        **NOT_ZERO,
    ),
    # features
    Law("hint_loss", lambda s, t, m: losses.hint_loss(s, t, mask=m), "bchw", "bchw", "b"),
    Law("hint_loss tokens", lambda s, t, m: losses.hint_loss(s, t, mask=m), "blc", "blc", "bl"),
    Law(
        "hint_loss regressor",
        lambda s, t, m: losses.hint_loss(s, t, regressor=like(LINEAR, s), mask=m),
        "bl6",
        "bl6",
        "bl",
        **NOT_ZERO,
    ),
    Law(
        "hint_loss conv",
        lambda s, t, m: losses.hint_loss(s, t, regressor=like(CONV, s), mask=m),
        "b2hw",
        "b3hw",
        "b",
        **NOT_ZERO,
    ),
    Law("cosine_loss", lambda s, t, m: losses.cosine_loss(s, t, mask=m), "blv", "blv", "bl"),
    Law("nst_loss", lambda s, t, m: losses.nst_loss(s, t, mask=m), "bchw", "bChw", "b"),
    Law(
        "vid_loss",
        lambda s, t, m: losses.vid_loss(s, t, like(PREDICT, s), mask=m),
        "bl6",
        "bl6",
        "bl",
        **NOT_ZERO,
    ),
    # attention
    Law(
        "attention_transfer_loss code",
        lambda s, t, m: losses.attention_transfer_loss(s, t, mask=m),
        "bc3w",
        "bC3w",
        "b",
    ),
    Law(
        "attention_transfer_loss paper",
        lambda s, t, m: losses.attention_transfer_loss(s, t, form="paper", mask=m),
        "bc3w",
        "bC3w",
        "b",
    ),
    Law(
        "tinybert_attention_loss",
        lambda s, t, m: losses.tinybert_attention_loss(s, t, mask=m),
        "bcll",
        "bcll",
        "bl",
    ),
    Law(
        "minilm_relation_loss v2",
        lambda s, t, m: losses.minilm_relation_loss(qkv(s), qkv(t), relation_heads=3, mask=m),
        "btv",
        "btV",
        "bt",
    ),
    Law(
        "minilm_relation_loss v1",
        lambda s, t, m: losses.minilm_relation_loss(
            qkv(s), qkv(t), relation_heads=2, version=1, mask=m
        ),
        "btv",
        "btV",
        "bt",
    ),
    # relations
    on_rows("similarity_preserving_loss", losses.similarity_preserving_loss, COMPARES),
    on_rows("similarity_loss", losses.similarity_loss, COMPARES, zero=1e-5),
    on_rows("rkd_distance_loss", losses.rkd_distance_loss, COMPARES),
    on_rows("rkd_angle_loss", losses.rkd_angle_loss, COMPARES, student="bv", teacher="bV"),
    on_rows("correlation_congruence_loss", losses.correlation_congruence_loss, COMPARES),
    on_rows("pkt_loss", losses.pkt_loss, COMPARES, zero=1e-5),
    on_rows(
        "crd_loss",
        lambda s, t, mask: losses.crd_loss(s, t, T=0.5, mask=mask),
        COMPARES,
        student="bv",
        teacher="bv",
        **NOT_ZERO,
    ),
    # rankings; the columns are candidates, and may be missing
    Law("margin_mse", lambda s, t, m: losses.margin_mse(s, t, mask=m), "bc", "bc", "bc"),
    Law(
        "listwise_kl",
        lambda s, t, m: losses.listwise_kl(s, t, T=2.0, mask=m),
        "bc",
        "bc",
        "bc",
        hopeless=(-1e9, -torch.inf),
    ),
    # preferences; the two columns are the two answers
    Law(
        "dpo_loss",
        lambda s, t, m: losses.dpo_loss(*s.unbind(1), *t.unbind(1)),
        "b2",
        "b2",
        **NOT_ZERO,
    ),
    Law(
        "distilled_dpo_loss",
        lambda s, t, m: losses.distilled_dpo_loss(
            *s.unbind(1), *(0 * s).unbind(1), *t.unbind(1), beta=1.0
        ),
        "b2",
        "b2",
    ),
    # policy gradients; the values are log-probabilities of sampled tokens
    Law("grpo_loss", to_reference, "bl", "bl", "bl", zero=1e-5),
    Law(
        "sampled_reverse_kl",
        lambda s, t, m: losses.sampled_reverse_kl(s, t.detach(), mask=every(s, m)),
        "bl",
        "bl",
        "bl",
        surrogate="a policy gradient; test_policy.py holds its mean to the exact one",
        **NOT_ZERO,
    ),
    Law(
        "sequence_log_probability",
        lambda s, t, m: -losses.sequence_log_probability(s, first(s)).mean(),
        "btc",
        "btc",
        **NOT_ZERO,
    ),
]

NOT_LOSSES = {
    "soften": "returns probabilities",
    "standardize_logits": "returns logits",
    "shift_for_next_token": "returns aligned tensors",
    "pair_by_order": "returns aligned tensors",
    "group_advantages": "returns advantages",
    "NextToken": "what shift_for_next_token returns",
    "Head": "what the chunked losses take",
    "IGNORE": "the label of a position that has none",
    "MemoryBank": "crd_loss with a memory; test_memory_bank.py",
    "reference": "a module: the readable form of three losses that are in the table",
}
