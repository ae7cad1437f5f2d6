"""Pure functions on tensors, one family a file.

Sum over classes, mean over positions, float32 inside, T squared visible.
"""

from distill_lab._util.tensors import IGNORE
from distill_lab.losses import reference
from distill_lab.losses.attention import (
    attention_transfer_loss,
    minilm_relation_loss,
    tinybert_attention_loss,
)
from distill_lab.losses.binary import binary_cross_entropy, binary_kd_loss
from distill_lab.losses.chunked import Head, chunked_forward_kl, chunked_jsd, chunked_reverse_kl
from distill_lab.losses.contrastive import MemoryBank, crd_loss
from distill_lab.losses.divergences import (
    forward_kl,
    generalised_jsd,
    jsd,
    reverse_kl,
    skew_kl,
    total_variation,
)
from distill_lab.losses.feature import cosine_loss, hint_loss, nst_loss, vid_loss
from distill_lab.losses.policy import group_advantages, grpo_loss, sampled_reverse_kl
from distill_lab.losses.preference import distilled_dpo_loss, dpo_loss, sequence_log_probability
from distill_lab.losses.quantities import gaussian_kl, gaussian_nll, squared_error
from distill_lab.losses.ranking import listwise_kl, margin_mse
from distill_lab.losses.relation import (
    correlation_congruence_loss,
    dist_loss,
    pkt_loss,
    rkd_angle_loss,
    rkd_distance_loss,
    similarity_loss,
    similarity_preserving_loss,
)
from distill_lab.losses.response import (
    cross_entropy,
    dkd_loss,
    hard_distillation_loss,
    kd_loss,
    logit_mse,
    soft_cross_entropy,
    soften,
    standardize_logits,
)
from distill_lab.losses.sequence import NextToken, pair_by_order, shift_for_next_token, uld_loss
from distill_lab.losses.sparse import (
    sampled_cross_entropy,
    sampled_kl,
    topk_jsd,
    topk_kl,
    topk_reverse_kl,
)

__all__ = [
    "IGNORE",
    "Head",
    "MemoryBank",
    "NextToken",
    "attention_transfer_loss",
    "binary_cross_entropy",
    "binary_kd_loss",
    "chunked_forward_kl",
    "chunked_jsd",
    "chunked_reverse_kl",
    "correlation_congruence_loss",
    "cosine_loss",
    "crd_loss",
    "cross_entropy",
    "dist_loss",
    "distilled_dpo_loss",
    "dkd_loss",
    "dpo_loss",
    "forward_kl",
    "gaussian_kl",
    "gaussian_nll",
    "generalised_jsd",
    "group_advantages",
    "grpo_loss",
    "hard_distillation_loss",
    "hint_loss",
    "jsd",
    "kd_loss",
    "listwise_kl",
    "logit_mse",
    "margin_mse",
    "minilm_relation_loss",
    "nst_loss",
    "pair_by_order",
    "pkt_loss",
    "reference",
    "reverse_kl",
    "rkd_angle_loss",
    "rkd_distance_loss",
    "sampled_cross_entropy",
    "sampled_kl",
    "sampled_reverse_kl",
    "sequence_log_probability",
    "shift_for_next_token",
    "similarity_loss",
    "similarity_preserving_loss",
    "skew_kl",
    "soft_cross_entropy",
    "soften",
    "squared_error",
    "standardize_logits",
    "tinybert_attention_loss",
    "topk_jsd",
    "topk_kl",
    "topk_reverse_kl",
    "total_variation",
    "uld_loss",
    "vid_loss",
]
