"""Peers that no package index has: RepDistiller, mdistiller, DeiT, DistiLLM and others.

Their code is not used. The formulas are those of the repositories at the versions named, as read
for this project, or of the papers; formulas.py has them in NumPy.
"""

import numpy as np

from tests.losses.golden import formulas as f
from tests.losses.golden.case import Case, Tensors
from tests.losses.oracles import feature, relation, response

LOGITS = {
    "student": {"shape": [4, 6], "seed": 41, "scale": 2},
    "teacher": {"shape": [4, 6], "seed": 42, "scale": 2},
}
LABELLED = LOGITS | {"labels": {"shape": [4], "seed": 43, "below": 6}}
RAGGED = {
    "student": {"shape": [3, 4, 5], "seed": 44, "scale": 2},
    "teacher": {"shape": [3, 4, 5], "seed": 45, "scale": 2},
    "mask": {"mask": [4, 1, 3], "of": 4},
}
KEEP = {"mask": "@mask"}
MAPS = {
    "student": {"shape": [2, 3, 2, 3], "seed": 46},
    "teacher": {"shape": [2, 4, 2, 3], "seed": 47},
}
ROWS = {"student": {"shape": [5, 4], "seed": 48}, "teacher": {"shape": [5, 6], "seed": 49}}
SCORES = {
    "student": {"shape": [2, 2, 4, 4], "seed": 50, "scale": 4},
    "teacher": {"shape": [2, 2, 4, 4], "seed": 51, "scale": 4},
}
RELATED = {
    "student": {"shape": [3, 2, 4, 4], "seed": 52, "scale": 1},
    "teacher": {"shape": [3, 2, 4, 6], "seed": 53, "scale": 1},
    "mask": {"mask": [4, 3], "of": 4},
}


def attention_right(x: Tensors) -> float:
    return feature.tinybert(x["student"], x["teacher"], x.get("mask"))


def kd_right(T: float):
    return lambda x: T**2 * response.forward_kl(x["student"], x["teacher"], T, x.get("mask"))


def confident(x: Tensors) -> float:
    """DKD by logarithms that cannot underflow: z - logsumexp, class by class."""
    total = 0.0
    for z_s, z_t, y in zip(x["student"], x["teacher"], x["labels"], strict=True):
        others = np.arange(len(z_s)) != y
        rest = [np.logaddexp.reduce(z[others]) for z in (z_t, z_s)]
        pair = [np.array([z[y], r]) for z, r in zip((z_t, z_s), rest, strict=True)]
        log_p, log_q = (z - np.logaddexp.reduce(z) for z in pair)
        total += response.kl(log_p, log_q)
        total += 8 * response.kl(z_t[others] - rest[0], z_s[others] - rest[1])
    return float(total / len(x["labels"]))


AS_KD = {"T": 4.0, "alpha": 1.0}
CASES = [
    Case(
        "kd at T = 4",
        "kd_loss",
        LOGITS,
        "RepDistiller b84f547 DistillKL(4)",
        "The same: KL summed over everything, times T^2, over the batch.",
        lambda x: 16 * f.forward(x, 4.0).sum() / 4,
        AS_KD,
    ),
    Case(
        "the mean divides by the classes",
        "kd_loss",
        LOGITS,
        "Model-Optimizer LogitsDistillationLoss(4), default reduction; DeiT's soft form",
        "T^2 is there.",
        lambda x: 16 * f.forward(x, 4.0).sum() / 24,
        AS_KD,
        wrong="A mean over every entry divides by the number of classes too: 1/6 here, 1/1000 "
        "on ImageNet.",
        right=kd_right(4.0),
    ),
    Case(
        "squares of probabilities",
        "kd_loss",
        LOGITS,
        "KD_Lib VanillaKD, its soft part at T = 4",
        "T^2 is there.",
        lambda x: 16 * ((np.subtract(*f.both(x, 4.0))) ** 2).mean(),
        AS_KD,
        wrong="The mean squared difference of the two softmaxes stands where the KL should.",
        right=kd_right(4.0),
    ),
    Case(
        "tokens divided by twice",
        "kd_loss",
        RAGGED,
        "EasyDistill 1.0, its token loss",
        "At T = 1; both keep 8 tokens.",
        lambda x: f.forward(x, 1.0).sum() / 8 / 8,
        KEEP | {"T": 1.0, "alpha": 1.0},
        wrong="The sum over valid tokens is divided by their number twice.",
        right=kd_right(1.0),
    ),
    Case(
        "soft cross-entropy",
        "soft_cross_entropy",
        LOGITS,
        "TextBrewer 0.2.1 kd_ce_loss at T = 2",
        "The same: mean over the batch, no T^2, and not zero for equal models.",
        lambda x: f.forward(x, 2.0).mean() + f.entropy(x, 2.0),
        {"T": 2.0},
    ),
    Case(
        "cross-entropy called forward KL",
        "forward_kl",
        RAGGED,
        "torchtune 0.6 ForwardKLLoss; DistiLLM d47e77f forward_kl",
        "At T = 1, mean over valid tokens.",
        lambda x: f.forward(x, 1.0).mean() + f.entropy(x),
        KEEP,
        wrong="The teacher's entropy is left in: it is soft_cross_entropy, and equal models "
        "do not give 0. The gradient is right.",
        right=lambda x: response.forward_kl(x["student"], x["teacher"], 1.0, x["mask"]),
    ),
    Case(
        "reverse KL, unequal lengths",
        "reverse_kl",
        RAGGED,
        "torchtune 0.6 ReverseKLLoss",
        "The same at T = 1.",
        lambda x: (f.both(x)[1] * np.log(f.both(x)[1] / f.both(x)[0])).sum(-1).mean(),
        KEEP,
    ),
    Case(
        "skew forward KL",
        "skew_kl",
        RAGGED,
        "DistiLLM d47e77f skewed_forward_kl(lam=0.1)",
        "Theirs is a cross-entropy; ours has the teacher's entropy taken off. Same gradient.",
        f.skewed,
        KEEP | {"alpha": 0.1},
        offset=lambda x: -f.entropy(x),
    ),
    Case(
        "skew reverse KL",
        "skew_kl",
        RAGGED,
        "DistiLLM d47e77f skewed_reverse_kl(lam=0.1)",
        "The same, a divergence this time.",
        lambda x: f.skewed(x, reverse=True),
        KEEP | {"alpha": 0.1, "direction": "reverse"},
    ),
    Case(
        "jsd seen in a mirror",
        "jsd",
        RAGGED,
        "DistiLLM d47e77f js_distance(lam=0.9)",
        "Their lam is the student's share of the mixture, our beta the teacher's: beta = 0.1.",
        lambda x: f.mirrored_js(x, 0.9),
        KEEP | {"beta": 0.1},
    ),
    Case(
        "total variation",
        "total_variation",
        RAGGED,
        "DistiLLM d47e77f tv_distance",
        "The same at T = 1.",
        lambda x: np.abs(np.subtract(*f.both(x))).sum(-1).mean() / 2,
        KEEP,
    ),
    Case(
        "mean of squared logits",
        "logit_mse",
        LOGITS,
        "TextBrewer 0.2.1 kd_mse_loss",
        "They average over the 6 classes, we sum.",
        f.mean_square,
        factor=6.0,
    ),
    Case(
        "DKD",
        "dkd_loss",
        LABELLED,
        "mdistiller dkd_loss(alpha=1, beta=8, temperature=4)",
        "The same, without the warm-up that its trainer multiplies by.",
        lambda x: f.decoupled(x, 4.0, 1.0, 8.0),
        {"T": 4.0, "alpha": 1.0, "beta": 8.0},
    ),
    Case(
        "DKD of a confident student",
        "dkd_loss",
        {
            "student": {"values": [[1000.0, 0.0, -1.0], [1.0, 0.0, 2.0]]},
            "teacher": {"values": [[0.0, 1.0, 2.0], [2.0, 0.0, 1.0]]},
            "labels": {"values": [0, 2]},
        },
        "mdistiller dkd_loss(alpha=1, beta=8, temperature=1)",
        "The same where it is finite.",
        lambda x: f.decoupled(x, 1.0, 1.0, 8.0),
        {"T": 1.0, "alpha": 1.0, "beta": 8.0},
        wrong="The logarithm is taken of a softmax that has underflowed to 0.",
        right=confident,
    ),
    Case(
        "hard distillation",
        "hard_distillation_loss",
        LABELLED | {"head": {"shape": [4, 6], "seed": 54, "scale": 2}},
        "DeiT DistillationLoss('hard', alpha=0.4)",
        "The same, with the distillation head.",
        lambda x: f.hard_deit(x, 0.4),
        {"alpha": 0.4, "distillation_logits": "@head"},
    ),
    Case(
        "top 2, tail dropped",
        "topk_kl",
        RAGGED,
        "DistillKit missing_probability_handling=zero",
        "The same as our 'renormalise teacher', which has to be asked for by name.",
        lambda x: f.top(x, 2, 2.0),
        KEEP | {"T": 2.0, "k": 2, "of": "teacher", "tail": "renormalise teacher"},
    ),
    Case(
        "random sampling",
        "sampled_kl",
        LOGITS | {"ids": {"shape": [4, 7], "seed": 55, "below": 6}},
        "RS-KD (arXiv:2503.16870), counts over draws as the sparse target",
        "Theirs is the KL from the drawn frequencies f, ours from the teacher: ours is larger by "
        "sum f log(p / f), which no student can change.",
        lambda x: f.sampled(x)[0],
        {"draws": "@ids"},
        offset=lambda x: f.sampled(x)[1],
    ),
    Case(
        "hint over valid tokens",
        "hint_loss",
        RAGGED,
        "TextBrewer 0.2.1 hid_mse_loss with masks",
        "The same.",
        f.hidden_mse,
        KEEP,
    ),
    Case(
        "hint between maps",
        "hint_loss",
        {"student": MAPS["student"], "teacher": {"shape": [2, 3, 2, 3], "seed": 56}},
        "RepDistiller b84f547 HintLoss",
        "The same: a mean over everything.",
        f.mean_square,
    ),
    Case(
        "neuron selectivity",
        "nst_loss",
        MAPS,
        "RepDistiller b84f547 NSTLoss",
        "The same.",
        f.selectivity,
    ),
    Case(
        "similarity preserving",
        "similarity_preserving_loss",
        ROWS,
        "RepDistiller b84f547 Similarity",
        "The same.",
        f.similarity,
    ),
    Case(
        "neighbours in the batch",
        "correlation_congruence_loss",
        {"student": ROWS["student"], "teacher": {"shape": [5, 4], "seed": 49}},
        "RepDistiller b84f547 Correlation",
        "|C_s - C_t|_F^2 / B^2 with gamma 0.4, order 2.",
        f.neighbours_in_a_row,
        {"gamma": 0.4, "order": 2},
        wrong="Only neighbours in the batch's order meet, as products of differences: another "
        "loss than the paper's, and it changes when the batch is shuffled.",
        right=lambda x: relation.correlation_congruence(x["student"], x["teacher"], 0.4, 2),
    ),
    Case(
        "TinyBERT's scores",
        "tinybert_attention_loss",
        SCORES,
        "TinyBERT, scores, no padding",
        "The same: a mean over heads, queries and keys.",
        f.mean_square,
    ),
    Case(
        "padding in the mean",
        "tinybert_attention_loss",
        SCORES | {"mask": {"mask": [2, 3], "of": 4}},
        "TinyBERT, scores with padding set to equal values",
        "Where both sides hold the same at padding, the sum is that of the real pairs.",
        lambda x: float(
            (
                ((x["student"] - x["teacher"]) ** 2)
                * (x["mask"][:, None, :, None] & x["mask"][:, None, None])
            ).mean()
        ),
        KEEP,
        wrong="The mean counts padded pairs, so the value shrinks as padding grows.",
        right=attention_right,
    ),
    Case(
        "attention after the softmax",
        "tinybert_attention_loss",
        SCORES,
        "TextBrewer 0.2.1 att_mse_loss on Hugging Face's `attentions`",
        "Ours wants the scores before the softmax, and refuses probabilities.",
        lambda x: ((f.softmax(x["student"]) - f.softmax(x["teacher"])) ** 2).mean(),
        wrong="What Hugging Face calls attentions comes after the softmax; the loss is another, "
        "and tiny.",
        right=attention_right,
    ),
    Case(
        "MiniLM, unequal lengths",
        "minilm_relation_loss",
        RELATED,
        "MiniLM, section 3",
        "The same; no training code was published, and others reduce in other ways.",
        lambda x: f.relations(x, 1, 2),
        KEEP | {"relation_heads": 2, "version": 1},
    ),
    Case(
        "MiniLM v2, unequal lengths",
        "minilm_relation_loss",
        RELATED,
        "MiniLMv2, section 3",
        "The same, with 2 relation heads for widths 4 and 6.",
        lambda x: f.relations(x, 2, 2),
        KEEP | {"relation_heads": 2, "version": 2},
    ),
    Case(
        "DPO with doubted labels",
        "dpo_loss",
        {
            "student": {"shape": [4, 2], "seed": 57, "scale": 4},
            "reference": {"shape": [4, 2], "seed": 58, "scale": 4},
        },
        "cDPO (Mitchell 2023), label_smoothing=0.1, beta=0.5",
        "The same.",
        lambda x: f.smoothed_preference(x, 0.5, 0.1),
        {"beta": 0.5, "label_smoothing": 0.1},
    ),
]
