"""A batch of no rows: the mean over nothing is refused in one sentence, whatever the loss."""

import pytest
import torch

from distill_lab import losses

ROWS, PAIR, ONE = torch.zeros(0, 3), torch.zeros(0, 2), torch.zeros(0)
TEXTS, MAPS, VECTORS = torch.zeros(0, 4, 3), torch.zeros(0, 3, 2, 2), torch.zeros(0, 4, 6)
CLASSES, TOKENS = torch.zeros(0).long(), torch.zeros(0, 4).long()
SCORES, NONE = torch.zeros(0, 2, 4, 4), torch.zeros(0, 4, dtype=torch.bool)
SPARSE = (ROWS, PAIR.long(), PAIR)
EVERY = {
    "attention_transfer_loss": (MAPS, MAPS),
    "binary_cross_entropy": (ROWS, ROWS),
    "binary_kd_loss": (ROWS, ROWS),
    "chunked_forward_kl": (ROWS, ROWS),
    "chunked_jsd": (ROWS, ROWS),
    "chunked_reverse_kl": (ROWS, ROWS),
    "correlation_congruence_loss": (ROWS, ROWS),
    "cosine_loss": (ROWS, ROWS),
    "crd_loss": (ROWS, ROWS, torch.zeros(0, 2, 3)),
    "cross_entropy": (ROWS, CLASSES),
    "dist_loss": (ROWS, ROWS),
    "distilled_dpo_loss": (ONE,) * 6,
    "dkd_loss": (ROWS, ROWS, CLASSES),
    "dpo_loss": (ONE,) * 4,
    "forward_kl": (ROWS, ROWS),
    "gaussian_kl": (VECTORS, VECTORS),
    "gaussian_nll": (VECTORS, VECTORS[..., :3]),
    "generalised_jsd": (ROWS, ROWS),
    "group_advantages": (ROWS,),
    "grpo_loss": (NONE.float(), ONE),
    "hard_distillation_loss": (ROWS, ROWS, CLASSES),
    "hint_loss": (ROWS, ROWS),
    "jsd": (ROWS, ROWS),
    "kd_loss": (ROWS, ROWS),
    "listwise_kl": (ROWS, ROWS),
    "logit_mse": (ROWS, ROWS),
    "margin_mse": (ROWS, ROWS),
    "minilm_relation_loss": ([VECTORS] * 3, [VECTORS] * 3),
    "nst_loss": (MAPS, MAPS),
    "pair_by_order": (TEXTS, NONE, TEXTS, NONE),
    "pkt_loss": (ROWS, ROWS),
    "reverse_kl": (ROWS, ROWS),
    "rkd_angle_loss": (ROWS, ROWS),
    "rkd_distance_loss": (ROWS, ROWS),
    "sampled_cross_entropy": SPARSE,
    "sampled_kl": SPARSE,
    "sampled_reverse_kl": (NONE.float(), NONE.float()),
    "sequence_log_probability": (TEXTS, TOKENS),
    "shift_for_next_token": (TEXTS, TOKENS),
    "similarity_loss": (ROWS, ROWS),
    "similarity_preserving_loss": (ROWS, ROWS),
    "skew_kl": (ROWS, ROWS),
    "soft_cross_entropy": (ROWS, ROWS),
    "squared_error": (ROWS, ROWS),
    "tinybert_attention_loss": (SCORES, SCORES),
    "topk_jsd": SPARSE,
    "topk_kl": SPARSE,
    "topk_reverse_kl": SPARSE,
    "total_variation": (ROWS, ROWS),
    "uld_loss": (ROWS, PAIR),
    "vid_loss": (ROWS, ROWS, ROWS),
}
OPTIONS = {
    "grpo_loss": {"mask": NONE},
    "sampled_reverse_kl": {"mask": NONE},
    "minilm_relation_loss": {"relation_heads": 2},
}
NO_MEAN = {"soften", "standardize_logits"}  # row by row: of none they make none


@pytest.mark.parametrize("name", EVERY)
def test_no_rows_have_no_mean_and_a_sentence_says_so(name):
    with pytest.raises(ValueError, match=r"nothing to average|which holds nothing"):
        getattr(losses, name)(*EVERY[name], **OPTIONS.get(name, {}))


@pytest.mark.parametrize("name", ["uld_loss", "gaussian_kl", "forward_kl", "topk_kl"])
def test_an_empty_mask_beside_no_rows_says_the_same(name):
    mask = torch.zeros(EVERY[name][0].shape[:-1], dtype=torch.bool)
    with pytest.raises(ValueError, match="nothing to average"):
        getattr(losses, name)(*EVERY[name], mask=mask)


def test_every_public_loss_is_here():
    public = {name for name in losses.__all__ if callable(getattr(losses, name))}
    classes = {"Head", "MemoryBank", "NextToken"}
    assert public == set(EVERY) | NO_MEAN | classes
