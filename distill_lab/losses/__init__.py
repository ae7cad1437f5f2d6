"""Pure functions on tensors, one family a file.

Sum over classes, mean over positions, float32 inside, T squared visible.
"""

from distill_lab.losses.response import (
    cross_entropy,
    dkd_loss,
    forward_kl,
    jsd,
    kd_loss,
    logit_mse,
    reverse_kl,
    soft_cross_entropy,
    soften,
    standardize_logits,
)

__all__ = [
    "cross_entropy",
    "dkd_loss",
    "forward_kl",
    "jsd",
    "kd_loss",
    "logit_mse",
    "reverse_kl",
    "soft_cross_entropy",
    "soften",
    "standardize_logits",
]
