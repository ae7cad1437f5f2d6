"""Bad input to every public function of the engine: one table, each answer a sentence.

A case names the function, a call that cannot work, the error, and the words that must be in the
message: what was expected, what came, or how to mend it. The last test makes sure that no public
function is missing from the table.
"""

import importlib
import inspect
import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR

from distill_lab import (
    data,
    evaluation,
    losses,
    methods,
    models,
    seeds,
    signals,
    synthesis,
    teachers,
    training,
)
from distill_lab._util import runtime
from distill_lab.data import batches, datasets, fingerprints
from distill_lab.evaluation import statistics
from distill_lab.models import MLP, hooks, projections
from distill_lab.synthesis import (
    budget,
    cards,
    filters,
    licences,
    pipeline,
    prompts,
    requests,
    verifiers,
)
from distill_lab.teachers.text import protocol
from distill_lab.training import (
    callbacks,
    checkpoint,
    config,
    distributed,
    gradients,
    groups,
    history,
    known_again,
    loop,
    muon,
    nonfinite,
    optim,
    run_state,
)

Z = torch.zeros(4, 3)
Y = torch.tensor([0, 1, 2, 0])
NET = MLP(4, 3)
SGD = torch.optim.SGD
DATA = (torch.zeros(4, 4), Y)
NONE_KEPT = torch.zeros(4, dtype=torch.bool)
IGNORED = torch.full((4,), -100)
IMAGES = datasets.ImageSet  # only to name it in the table


TWO = (torch.zeros(2, 6, 4), torch.zeros(2, 6, dtype=torch.long))  # two seeds' own examples
EXITS = models.EarlyExits([nn.Linear(3, 4), nn.Identity()], [nn.Linear(4, 3), nn.Linear(4, 3)])
INSIDE = methods.match_features("hint", losses.hint_loss, [("hidden.0", "net")], weight=1.0)


class Tokens:
    """A tokenizer of which nothing is asked."""

    pad_token_id = eos_token_id = 0


class Pair(torch.nn.Module):
    """Its one module returns two tensors, as a recurrent network's do."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.GRU(4, 3, batch_first=True)

    def forward(self, x):
        return self.net(x[:, None])[0][:, -1]


def frozen():
    return teachers.freeze(MLP(4, 3, seed=1))


def distil(**given):
    return training.distill(MLP(4, 3), DATA, progress=False, **given)


def examples():
    return datasets.Examples(torch.zeros(4, 4), Y)


MAPS = torch.ones(4, 3, 2, 2)
TOKENS = torch.ones(4, 3, 6)
SERVED = synthesis.OpenAIGenerator("http://127.0.0.1:1/v1", "m")
SAID = {"id": "1", "prompt": [{"role": "user", "content": "q"}], "answer": "a", "about": {}}
IDS = torch.tensor([[0, 1]] * 4)
LOG_P = torch.full((4, 2), 0.4).log()
ONE = torch.zeros(4)

WITH_T = [
    "forward_kl",
    "reverse_kl",
    "jsd",
    "soft_cross_entropy",
    "kd_loss",
    "generalised_jsd",
    "skew_kl",
    "total_variation",
    "dist_loss",
]
PAIRS = [*WITH_T, "logit_mse"]
ROWS = [
    "similarity_preserving_loss",
    "rkd_distance_loss",
    "rkd_angle_loss",
    "correlation_congruence_loss",
    "pkt_loss",
    "similarity_loss",
    "crd_loss",
]
FEATURES = [*ROWS, "hint_loss", "cosine_loss"]
CHUNKED = ["chunked_forward_kl", "chunked_reverse_kl", "chunked_jsd"]
HEAD = losses.Head(torch.zeros(4, 2), torch.zeros(3, 2), torch.zeros(3))

CASES = [
    # every loss between two rows of logits
    *[
        (n, lambda f: f(Z, torch.zeros(4, 5)), ValueError, "3 classes and teacher_logits 5")
        for n in PAIRS
    ],
    *[(n, lambda f: f(Z, torch.zeros(2, 3)), ValueError, "the same shape") for n in PAIRS],
    *[(n, lambda f: f([0.0], Z), TypeError, "keep theirs in `.logits`") for n in PAIRS],
    *[(n, lambda f: f(Z, Z.long()), TypeError, "floating-point logits") for n in PAIRS],
    *[(n, lambda f: f(Z, Z, mask=NONE_KEPT), ValueError, "at least one True") for n in PAIRS],
    *[(n, lambda f: f(Z, Z, mask=Z > 0), ValueError, "one entry a position") for n in PAIRS],
    *[
        (n, lambda f: f(Z, Z, T=0.0), ValueError, "T must be a positive finite number")
        for n in WITH_T
    ],
    *[(n, lambda f: f(Z, Z, T=math.inf), ValueError, "T must be a positive") for n in WITH_T],
    ("jsd", lambda f: f(Z, Z, beta=1.0), ValueError, "Use forward_kl or reverse_kl"),
    ("kd_loss", lambda f: f(Z, Z, Y, alpha=1.5), ValueError, "alpha must lie between 0 and 1"),
    ("kd_loss", lambda f: f(Z, Z, alpha=0.0), ValueError, "pass labels"),
    ("kd_loss", lambda f: f(Z, Z, Y + 9), ValueError, "between 0 and 2"),
    ("kd_loss", lambda f: f(Z, Z, IGNORED), ValueError, "Labels that are all -100"),
    ("kd_loss", lambda f: f(Z, Z, Y.float()), TypeError, "soft_cross_entropy"),
    ("dkd_loss", lambda f: f(Z, Z, Y[:2]), ValueError, "one label a position"),
    ("dkd_loss", lambda f: f(Z, Z, IGNORED), ValueError, "keeps no position"),
    ("dkd_loss", lambda f: f(Z, Z, Y, T=-1), ValueError, "T must be a positive"),
    ("hard_distillation_loss", lambda f: f(Z, Z, IGNORED), ValueError, "at least one True"),
    ("hard_distillation_loss", lambda f: f(Z, Z, Y, alpha=2), ValueError, "alpha must lie between"),
    (
        "hard_distillation_loss",
        lambda f: f(Z, Z, Y, distillation_logits=Z[:2]),
        ValueError,
        "the same shape",
    ),
    ("generalised_jsd", lambda f: f(Z, Z, beta=1.1), ValueError, "beta must lie between 0 and 1"),
    ("skew_kl", lambda f: f(Z, Z, alpha=1.0), ValueError, "strictly between 0 and 1"),
    ("skew_kl", lambda f: f(Z, Z, direction="back"), ValueError, "'forward' or 'reverse'"),
    ("dist_loss", lambda f: f(Z[:1], Z[:1]), ValueError, "Use a larger batch, or gamma = 0"),
    (
        "pair_by_order",
        lambda f: f(TOKENS, TOKENS[..., 0] > 0, TOKENS[:2], TOKENS[:2, :, 0] > 0),
        ValueError,
        "the same texts",
    ),
    (
        "pair_by_order",
        lambda f: f(TOKENS, TOKENS[..., 0] > 0, TOKENS, TOKENS[..., 0] < 0),
        ValueError,
        "at least one True",
    ),
    (
        "pair_by_order",
        lambda f: f(TOKENS, TOKENS[..., :2] > 0, TOKENS, TOKENS[..., 0] > 0),
        ValueError,
        "one entry a position",
    ),
    ("uld_loss", lambda f: f(Z, torch.zeros(5, 9)), ValueError, "Align the two tokenisations"),
    ("uld_loss", lambda f: f(Z, torch.zeros(4, 9), T=0), ValueError, "T must be a positive"),
    ("uld_loss", lambda f: f(Z, Z, mask=NONE_KEPT), ValueError, "at least one True"),
    ("shift_for_next_token", lambda f: f(Z, Y), ValueError, r"expected \(B, L, C\)"),
    (
        "shift_for_next_token",
        lambda f: f(TOKENS[:, :1], Y[:, None]),
        ValueError,
        "at least two tokens",
    ),
    (
        "shift_for_next_token",
        lambda f: f(TOKENS, torch.full((4, 3), -100)),
        ValueError,
        "keeps no position",
    ),
    (
        "shift_for_next_token",
        lambda f: f(TOKENS, torch.zeros(4, 2).long()),
        ValueError,
        "one label a position",
    ),
    (
        "shift_for_next_token",
        lambda f: f(TOKENS, torch.zeros(4, 3).long(), TOKENS[:2]),
        ValueError,
        "the same tokens",
    ),
    # a teacher of whom little is known
    ("topk_kl", lambda f: f(Z, IDS, LOG_P, tail="drop"), ValueError, "'bucket' keeps"),
    ("topk_kl", lambda f: f(Z, IDS + 2, LOG_P), ValueError, "between 0 and 2"),
    ("topk_kl", lambda f: f(Z, IDS * 0, LOG_P), ValueError, "a class twice"),
    ("topk_kl", lambda f: f(Z, IDS, LOG_P.exp()), ValueError, "take log_softmax"),
    ("topk_kl", lambda f: f(Z, IDS, LOG_P * 0), ValueError, "not renormalised"),
    ("topk_kl", lambda f: f(Z, IDS.float(), LOG_P), TypeError, "class indices"),
    ("topk_kl", lambda f: f(Z, IDS[:2], LOG_P), ValueError, r"expected \(..., k\)"),
    ("topk_reverse_kl", lambda f: f(Z, IDS, LOG_P, T=0), ValueError, "T must be a positive"),
    ("topk_jsd", lambda f: f(Z, IDS, LOG_P, T=0), ValueError, "T must be a positive"),
    ("topk_kl", lambda f: f(Z, IDS, LOG_P, T=0), ValueError, "T must be a positive"),
    ("topk_kl", lambda f: f(Z, IDS, LOG_P, mask=NONE_KEPT), ValueError, "at least one True"),
    ("sampled_kl", lambda f: f(Z, IDS, LOG_P, weights=Z), ValueError, "one weight a draw"),
    ("sampled_kl", lambda f: f(Z, IDS - 1, LOG_P), ValueError, "another one"),
    ("sampled_cross_entropy", lambda f: f(Z, IDS - 1, LOG_P.exp()), ValueError, "another one"),
    ("sampled_cross_entropy", lambda f: f(Z, IDS, LOG_P[..., :1]), ValueError, "one weight a draw"),
    ("sampled_kl", lambda f: f(Z, IDS, IDS), TypeError, "floating-point"),
    # signals
    ("Dense", lambda f: f(Z, mask=Z > 0), ValueError, "one entry a position"),
    ("TopK", lambda f: f(IDS, LOG_P[:2]), ValueError, "one for each class named"),
    ("Sampled", lambda f: f(IDS, LOG_P, LOG_P), ValueError, "neg_entropy_est has shape"),
    ("Text", lambda f: f(LOG_P), TypeError, "whole numbers"),
    ("divergence", lambda f: f(Z, {"logits": Z}), TypeError, "keep their logits in"),
    (
        "divergence",
        lambda f: f(Z, signals.top_k(Z, 2), T=4.0),
        ValueError,
        "record the teacher again",
    ),
    ("divergence", lambda f: f(Z, signals.Text(Y), T=4.0), ValueError, "Use T = 1.0"),
    ("top_k", lambda f: f(Z, 4), ValueError, "only 3 classes"),
    ("sample", lambda f: f(Z, 0), ValueError, "n must be a positive integer"),
    ("sample", lambda f: f(Z, 2, ids=Y[:2]), ValueError, "one number an example"),
    ("systematic_sample", lambda f: f(Z, ONE, [2, 1]), ValueError, "leave a place"),
    ("systematic_sample", lambda f: f(Z, ONE[:2], 2), ValueError, "one a position"),
    # large vocabularies
    *[
        (n, lambda f: f(Z, torch.zeros(4, 5)), ValueError, "say how many, as vocabulary=3")
        for n in CHUNKED
    ],
    *[
        (n, lambda f: f(Z, torch.zeros(4, 5), vocabulary=4), ValueError, "from 2 to 3")
        for n in CHUNKED
    ],
    *[
        (n, lambda f: f(Z, Z, vocabulary=True), ValueError, "a whole number of classes")
        for n in CHUNKED
    ],
    *[(n, lambda f: f(Z, Z[:2]), ValueError, "Give both models the same batch") for n in CHUNKED],
    *[(n, lambda f: f([0.0], Z), TypeError, "keep theirs in `.logits`") for n in CHUNKED],
    *[(n, lambda f: f(Z, Z.long()), TypeError, "floating-point logits") for n in CHUNKED],
    *[
        (n, lambda f: f(Z, Z.clone().requires_grad_()), ValueError, r"Use freeze\(model\)")
        for n in CHUNKED
    ],
    *[(n, lambda f: f(Z, Z, mask=NONE_KEPT), ValueError, "at least one True") for n in CHUNKED],
    *[(n, lambda f: f(Z, Z, mask=Z > 0), ValueError, "one entry a position") for n in CHUNKED],
    *[
        (n, lambda f: f(Z, Z, mask=[True] * 4), TypeError, "a torch tensor of booleans")
        for n in CHUNKED
    ],
    *[(n, lambda f: f(Z, Z, T=0), ValueError, "T must be a positive") for n in CHUNKED],
    *[(n, lambda f: f(Z, Z, denominator=0), ValueError, "tokens to divide by") for n in CHUNKED],
    *[
        (
            n,
            lambda f: f(Z, Z, denominator=torch.tensor(math.nan)),
            ValueError,
            "tokens to divide by",
        )
        for n in CHUNKED
    ],
    (
        "chunked_jsd",
        lambda f: f(Z, Z, beta=0),
        ValueError,
        "Use chunked_forward_kl or chunked_reverse_kl",
    ),
    (
        "Head",
        lambda f: losses.chunked_jsd(HEAD, f(HEAD.hidden, HEAD.weight.T)),
        ValueError,
        r"expected \(..., H\) and \(classes, H\)",
    ),
    (
        "Head",
        lambda f: losses.chunked_jsd(HEAD, f(HEAD.hidden, HEAD.weight, Z)),
        ValueError,
        "one number a class",
    ),
    (
        "Head",
        lambda f: losses.chunked_jsd(HEAD, f(HEAD.hidden, None)),
        TypeError,
        "the teacher's weight must be a torch tensor",
    ),
    # independent labels and quantities
    ("binary_kd_loss", lambda f: f(Z, Z[:2]), ValueError, "the same shape"),
    ("binary_kd_loss", lambda f: f(Z, Z, alpha=0), ValueError, "none were given"),
    ("binary_kd_loss", lambda f: f(Z, Z, alpha=2), ValueError, "alpha must lie"),
    ("binary_kd_loss", lambda f: f(Z, Z, T=0), ValueError, "T must be a positive"),
    ("binary_kd_loss", lambda f: f(Z, Z, mask=NONE_KEPT), ValueError, "at least one True"),
    ("binary_cross_entropy", lambda f: f(Z, Y), ValueError, "expected 0 or 1 for each"),
    ("binary_cross_entropy", lambda f: f(Z, [1.0]), TypeError, "labels must be a torch tensor"),
    ("binary_cross_entropy", lambda f: f(Z, Z + 2), ValueError, "between 0 and 1"),
    ("binary_cross_entropy", lambda f: f(Z, Z - math.inf), ValueError, "between 0 and 1"),
    ("binary_cross_entropy", lambda f: f(Z, Z * math.nan), ValueError, "no label is known"),
    ("binary_cross_entropy", lambda f: f(Z, Z, pos_weight=Z), ValueError, "pos_weight must be"),
    ("squared_error", lambda f: f(Z, Z[:, :1]), ValueError, "that broadcast"),
    ("squared_error", lambda f: f(Z, [1.0]), TypeError, "target must be a torch tensor"),
    ("squared_error", lambda f: f(Y, Y), TypeError, "floating-point"),
    ("squared_error", lambda f: f(Z, Z * math.nan), ValueError, "no number has a label"),
    ("squared_error", lambda f: f(Z, Z, mask=Z > 0), ValueError, "one entry a position"),
    ("gaussian_nll", lambda f: f(Z, Z), ValueError, "an even number on the last axis"),
    ("gaussian_nll", lambda f: f(torch.zeros(4, 2), Z), ValueError, "expected the same"),
    ("gaussian_kl", lambda f: f(Z, Z), ValueError, "an even number on the last axis"),
    ("gaussian_kl", lambda f: f(Z, Z[:2]), ValueError, "expected the same"),
    # features
    *[(n, lambda f: f([1.0], Z), TypeError, "A Tap gives") for n in FEATURES],
    *[(n, lambda f: f(Z, Z.long()), TypeError, "not indices") for n in FEATURES],
    *[(n, lambda f: f(Z, Z[:0]), ValueError, "holds nothing") for n in FEATURES],
    *[
        (n, lambda f: f(Z, Z[:2]), ValueError, r"with the same|as the mask covers")
        for n in FEATURES
    ],
    *[(n, lambda f: f(Z, Z, mask=NONE_KEPT), ValueError, "at least one True") for n in FEATURES],
    *[(n, lambda f: f(Z, Z, mask=Y[:2] > 0), ValueError, "one entry a position") for n in FEATURES],
    *[(n, lambda f: f(Z[:1], Z[:1]), ValueError, "Use a larger batch") for n in ROWS],
    (
        "hint_loss",
        lambda f: f(Z, torch.ones(4, 5)),
        ValueError,
        "Pass regressor=projections.Regressor",
    ),
    (
        "hint_loss",
        lambda f: f(Z, torch.ones(4, 5), regressor=lambda z: z),
        ValueError,
        "the same B, ...",
    ),
    ("vid_loss", lambda f: f(Z, Z, lambda z: z), TypeError, r"must return \(mean, variance\)"),
    ("vid_loss", lambda f: f(Z, Z, lambda z: (z[:, :2], z)), ValueError, "VariationalRegressor"),
    ("nst_loss", lambda f: f(MAPS, MAPS[..., :1]), ValueError, "Resize one map"),
    ("nst_loss", lambda f: f(Z, Z), ValueError, r"expected \(B, C, H, ...\)"),
    ("attention_transfer_loss", lambda f: f(MAPS, MAPS[..., :1]), ValueError, "Resize one map"),
    ("attention_transfer_loss", lambda f: f(MAPS, MAPS, form="sum"), ValueError, "'code'"),
    (
        "attention_transfer_loss",
        lambda f: f(MAPS, MAPS, mask=MAPS[:, 0] > 0),
        ValueError,
        "one entry a position",
    ),
    ("tinybert_attention_loss", lambda f: f(MAPS, MAPS[:, :1]), ValueError, "minilm_relation_loss"),
    ("tinybert_attention_loss", lambda f: f(MAPS, MAPS / 2), ValueError, "before the softmax"),
    (
        "tinybert_attention_loss",
        lambda f: f(MAPS, MAPS, mask=NONE_KEPT),
        ValueError,
        "one entry a position",
    ),
    (
        "minilm_relation_loss",
        lambda f: f(TOKENS, [TOKENS] * 3, relation_heads=2),
        TypeError,
        "queries, keys, values",
    ),
    (
        "minilm_relation_loss",
        lambda f: f([TOKENS] * 3, [TOKENS] * 3, relation_heads=4),
        ValueError,
        "does not divide the width 6",
    ),
    (
        "minilm_relation_loss",
        lambda f: f([TOKENS] * 3, [TOKENS] * 3, relation_heads=2, version=3),
        ValueError,
        "version must be",
    ),
    (
        "minilm_relation_loss",
        lambda f: f([TOKENS] * 3, [TOKENS[:, :2]] * 3, relation_heads=2),
        ValueError,
        "the same tokens",
    ),
    (
        "minilm_relation_loss",
        lambda f: f([TOKENS] * 3, [TOKENS] * 3, relation_heads=2, mask=NONE_KEPT),
        ValueError,
        "one entry",
    ),
    ("rkd_angle_loss", lambda f: f(Z[:2], Z[:2]), ValueError, "at least 3 rows"),
    ("correlation_congruence_loss", lambda f: f(Z, Z, gamma=0), ValueError, "gamma > 0"),
    ("pkt_loss", lambda f: f(Z, Z, eps=0), ValueError, "keeps logarithms finite"),
    ("crd_loss", lambda f: f(Z, torch.ones(4, 5)), ValueError, "projections.Regressor"),
    ("crd_loss", lambda f: f(Z, Z, T=0), ValueError, "T must be a positive"),
    ("crd_loss", lambda f: f(Z, Z, (Z, Z)), ValueError, "MemoryBank.negatives draws them so"),
    ("MemoryBank", lambda f: f(1, 3), ValueError, "at least 2 examples"),
    ("MemoryBank", lambda f: f(5, 3, momentum=1), ValueError, "momentum must lie in"),
    ("MemoryBank", lambda f: f(3, 3)(Z, Z, torch.arange(4)), ValueError, "between 0 and 2"),
    ("MemoryBank", lambda f: f(4, 3, labels=Y[:2]), ValueError, "a class of each of the 4"),
    ("MemoryBank", lambda f: f(4, 3, labels=IGNORED), ValueError, "leave labels out"),
    ("crd", lambda f: f(("a", "b"), (4, 0), examples=9), ValueError, "two positive integers"),
    ("crd", lambda f: f(("a", "b"), (4, 4), examples=1), ValueError, "at least 2 examples"),
    (
        "crd",
        lambda f: f(("a", "b"), (4, 4), examples=9, base_method=f(("a", "b"), (4, 4), examples=9)),
        ValueError,
        "one bank is enough",
    ),
    ("MemoryBank", lambda f: f(3, 3)(Z, Z, ONE), ValueError, "whole numbers"),
    # rankings
    ("margin_mse", lambda f: f(Z, torch.zeros(4, 5)), ValueError, "expected a score of each"),
    ("margin_mse", lambda f: f(Z, ONE), ValueError, "or the margins"),
    ("margin_mse", lambda f: f(Z, [1.0]), ValueError, "teacher's scores are list"),
    ("margin_mse", lambda f: f(Z[:, :1], Z[:, :1]), ValueError, "K of at least 2"),
    ("margin_mse", lambda f: f(ONE, ONE), ValueError, "models.Ranker"),
    ("margin_mse", lambda f: f(Z, Z, mask=Z > 0), ValueError, "at least one True"),
    ("margin_mse", lambda f: f(Z, Z, mask=NONE_KEPT), ValueError, "one entry a position"),
    ("listwise_kl", lambda f: f(Z, torch.zeros(4, 5)), ValueError, "the same candidates"),
    ("listwise_kl", lambda f: f(Z, Z, T=0), ValueError, "T must be a positive"),
    ("listwise_kl", lambda f: f(Z[:, :1], Z[:, :1]), ValueError, "nothing to be ranked against"),
    (
        "listwise_kl",
        lambda f: f(Z, Z, mask=torch.arange(3).expand(4, 3) < 1),
        ValueError,
        "keeps no position",
    ),
    ("Regressor", lambda f: f(0, 3), ValueError, "two positive integers"),
    ("Regressor", lambda f: f(3, 3, kind="conv"), ValueError, "'conv1x1'"),
    ("Regressor", lambda f: f(3, 3, size=(2, 2)), ValueError, "use kind='conv1x1' beside it"),
    ("Regressor", lambda f: f(3, 3)(MAPS), ValueError, "the channels has to be said"),
    ("Regressor", lambda f: f.between(NET, NET, ["ab"], Z), KeyError, "no module"),
    (
        "Regressor",
        lambda f: f.between(NET, NET, [(("a",), "b")], Z),
        ValueError,
        "one module of each",
    ),
    (
        "match_features",
        lambda f: f("h", losses.hint_loss, [("a", "b")], weight=1.0, resize=2),
        ValueError,
        "resize must be",
    ),
    ("Regressor", lambda f: f(5, 3)(Z), ValueError, "this projection maps 5 channels"),
    ("Regressor", lambda f: f(3, 3, kind="conv1x1")(Z), ValueError, "choose the other kind"),
    ("VariationalRegressor", lambda f: f(3, 3, variance=0), ValueError, "variance must be finite"),
    # policy gradients; Z stands for log-probabilities (4, 3)
    ("grpo_loss", lambda f: f(Z, ONE, mask=Z == 0, beta=0.1), ValueError, "pass reference_log"),
    ("grpo_loss", lambda f: f(Z, ONE[:3], mask=Z == 0), ValueError, "token or each answer"),
    ("grpo_loss", lambda f: f(Z, ONE, mask=Z == 0, average="mean"), ValueError, "average must"),
    ("grpo_loss", lambda f: f(Z, ONE, mask=Z == 0, average=0), ValueError, "average must"),
    ("grpo_loss", lambda f: f(Z, ONE, mask=Z == 0, clip=1.5), ValueError, "clip must be"),
    ("grpo_loss", lambda f: f(Z, ONE, mask=Z > 0), ValueError, "keeps no position"),
    ("sampled_reverse_kl", lambda f: f(Z, ONE, mask=Z == 0), ValueError, "each sampled token"),
    ("sampled_reverse_kl", lambda f: f(ONE, ONE, mask=ONE > 0), ValueError, r"\(B, L\)"),
    ("sampled_reverse_kl", lambda f: f(Z, Z, mask=Z == 0, discount=1.5), ValueError, "discount"),
    ("sampled_reverse_kl", lambda f: f(Z, Z, mask=Z == 0, clip=0.0), ValueError, "clip must be"),
    ("group_advantages", lambda f: f(ONE), ValueError, r"\(P, G\)"),
    ("group_advantages", lambda f: f(Z[:, :1]), ValueError, "at least two answers"),
    ("group_advantages", lambda f: f(Z / 0), ValueError, "not finite"),
    # preferences
    (
        "dpo_loss",
        lambda f: f(ONE, ONE, ONE, ONE[:2]),
        ValueError,
        "sequence_log_probability makes them",
    ),
    ("dpo_loss", lambda f: f(Z, Z, Z, Z), ValueError, r"shape \(B,\)"),
    ("dpo_loss", lambda f: f(ONE, ONE, ONE, ONE, beta=0), ValueError, "beta must be a positive"),
    (
        "dpo_loss",
        lambda f: f(ONE, ONE, ONE, ONE, label_smoothing=-1),
        ValueError,
        "label_smoothing must lie",
    ),
    ("distilled_dpo_loss", lambda f: f(ONE, ONE, ONE, ONE, ONE, ONE, T=0), ValueError, "T must be"),
    (
        "distilled_dpo_loss",
        lambda f: f(ONE, ONE, ONE, ONE, ONE, Z),
        ValueError,
        "one log-probability",
    ),
    (
        "sequence_log_probability",
        lambda f: f(TOKENS, torch.tensor([[-100, -100, -100], *[[1, 1, 1]] * 3]), average=True),
        ValueError,
        "no labelled token",
    ),
    ("cross_entropy", lambda f: f(Z, [0, 1, 2, 0]), TypeError, "labels must be a torch tensor"),
    ("cross_entropy", lambda f: f(Z, -Y - 1), ValueError, "label mapping"),
    ("cross_entropy", lambda f: f(Z, IGNORED), ValueError, "at least one True"),
    ("soften", lambda f: f(Z, T=0), ValueError, "T must be a positive"),
    ("soften", lambda f: f(torch.tensor(1.0)), ValueError, "at least one class"),
    ("standardize_logits", lambda f: f(Y), TypeError, "raw scores"),
    # looking inside, teachers, data
    ("Tap", lambda f: f(NET, ["haed"]), KeyError, "did you mean 'head'"),
    ("BatchNormTap", lambda f: f(NET), ValueError, "no batch-norm layer"),
    ("freeze", lambda f: f(Z), TypeError, "expects a torch module"),
    ("freeze", lambda f: f(MLP(4, 3), read="out"), TypeError, "read must be a function"),
    ("freeze", lambda f: f(MLP(4, 3), dtype=torch.int8), TypeError, "dtype must be a floating"),
    ("probabilities", lambda f: f(Z), ValueError, "row 0 of P sums to 0"),
    ("probabilities", lambda f: f(torch.full((4, 2), 0.5), floor=1), ValueError, "floor must lie"),
    ("probabilities", lambda f: f(["a", "b"]), TypeError, "must hold numbers"),
    ("function", lambda f: f(Z), TypeError, "expects a function of a batch"),
    ("function", lambda f: f(len, says="words"), ValueError, "says must be one of"),
    ("function", lambda f: f(len, takes="lists"), ValueError, "takes must be one of"),
    ("function", lambda f: f(len, T=2.0), ValueError, "T is the temperature of probabilities"),
    ("function", lambda f: f(len, name=3), ValueError, "name must be a text"),
    ("sklearn", lambda f: f(NET), TypeError, "gives no probabilities"),
    ("sklearn", lambda f: f(NET, DATA), TypeError, "cannot be cloned"),
    ("Live", lambda f: f(MLP(4, 3)), ValueError, r"Use freeze\(model\)"),
    ("Live", lambda f: f(MLP(4, 3).eval()), ValueError, "require gradients"),
    ("as_teacher", lambda f: f(NET.eval().requires_grad_(False), NET), ValueError, "copy.deepcopy"),
    ("as_teacher", lambda f: f("gpt", NET), TypeError, "frozen model or a callable"),
    ("Recorded", lambda f: f(Y), ValueError, "recorded logits must be floating point"),
    (
        "Recorded",
        lambda f: f(Z)(batches.Batch(Z, None, torch.tensor([99]))),
        ValueError,
        "record it on the data",
    ),
    (
        "Recorded",
        lambda f: f(Z)(batches.Batch(Z, None, torch.tensor([-1]))),
        ValueError,
        "asks for example -1",
    ),
    (
        "record",
        lambda f: f(frozen(), torch.utils.data.DataLoader(Y)),
        TypeError,
        "pass its .dataset",
    ),
    ("record", lambda f: f(lambda batch: Z[:2], DATA), ValueError, "one row an example"),
    ("Ensemble", lambda f: f([frozen()]), ValueError, "at least two teachers"),
    ("Ensemble", lambda f: f([frozen(), NET.train()]), ValueError, "training mode"),
    ("Ensemble", lambda f: f([frozen(), "gpt"]), TypeError, "a callable from a batch"),
    (
        "Ensemble",
        lambda f: f([frozen(), frozen()], weights=[1.0]),
        ValueError,
        "each of the 2 members",
    ),
    ("route", lambda f: f({"a": frozen()}, by=["a"]), ValueError, "two or more"),
    ("route", lambda f: f({"a": frozen(), "b": NET.train()}, by=["a"]), ValueError, "training"),
    ("route", lambda f: f({"a": frozen(), "b": "gpt"}, by=["a"]), TypeError, "callable from"),
    ("route", lambda f: f({"a": frozen(), "b": frozen()}, by=["c"]), ValueError, "no teacher 'c'"),
    ("route", lambda f: f({"a": frozen(), "b": frozen()}, by="domain"), TypeError, "by must be"),
    (
        "cache",
        lambda f: f(frozen(), DATA, "nowhere", batch_size=0),
        ValueError,
        "batch_size must be",
    ),
    (
        "cache",
        lambda f: f(frozen(), DATA, "nowhere", views=[(Z[:2], None)]),
        ValueError,
        "as many of each",
    ),
    ("cache", lambda f: f(frozen(), DATA, "nowhere", tokenizer=3), TypeError, "get_vocab"),
    ("assign_folds", lambda f: f(DATA, 1), ValueError, "folds must be from 2"),
    (
        "OutOfFold",
        lambda f: f(lambda part: frozen(), DATA, name=None),
        ValueError,
        "go by the name",
    ),
    ("from_teacher", lambda f: f(MLP(4, 4, 3), MLP(4, 4, 4, 3), layers=(7,)), ValueError, "layer"),
    (
        "cache",
        lambda f: f(frozen(), DATA, "nowhere", signal=teachers.keep.top_k(2, T=0)),
        ValueError,
        "T must be",
    ),
    ("cache", lambda f: f(NET.train(), DATA, "nowhere"), ValueError, "training mode"),
    (
        "cache",
        lambda f: f(lambda batch: batch.inputs, DATA, "nowhere"),
        ValueError,
        "pass teacher_name=",
    ),
    ("cache", lambda f: f(frozen(), DATA, "/proc/none"), OSError, "choose another path"),
    ("Cached", lambda f: f("nowhere"), FileNotFoundError, "make one with cache"),
    ("of_examples", lambda f: f(["a", "b"]), TypeError, "to be known again"),
    ("of_tokenizer", lambda f: f(3), TypeError, "get_vocab"),
    ("as_data", lambda f: f((torch.zeros(0, 4), Y[:0])), ValueError, "holds no examples"),
    ("as_data", lambda f: f((torch.zeros(5, 4), Y)), ValueError, "one label an input"),
    ("as_data", lambda f: f(3), TypeError, "map-style Dataset"),
    ("as_data", lambda f: f((["a", "b"], Y[:2])), ValueError, "or Labelled"),
    ("as_data", lambda f: f(([[1], [1, 2]], Y[:2])), ValueError, "pad them by collate="),
    ("Weighted", lambda f: f([0.0, 0.0]), ValueError, "not all 0"),
    ("Weighted", lambda f: f([1.0]).order(2, 0, 0), ValueError, "one an example"),
    ("ClassBalanced", lambda f: f([0, -100]), ValueError, "have no label"),
    ("ClassBalanced", lambda f: f([0.5, 1.5]), ValueError, "must be class numbers"),
    ("ByLength", lambda f: f([1, 2], 0), ValueError, "batch_size must be"),
    ("ByLength", lambda f: f([[1, 2]], 2), ValueError, "one an example"),
    ("Labelled", lambda f: f([], [], Tokens()), ValueError, "texts must be strings"),
    ("Labelled", lambda f: f(["a", 3], [0, 1], Tokens()), ValueError, "all of one kind"),
    ("Buffered", lambda f: f([], examples=0), ValueError, "examples must be a positive integer"),
    ("Generated", lambda f: f(NET, latent_dim=0, examples=1), ValueError, "latent_dim must be"),
    ("Texts", lambda f: f([], Tokens()), ValueError, "no text is left"),
    ("Preferences", lambda f: f([], Tokens()), ValueError, "two answers that differ"),
    ("TwoTokenizers", lambda f: f([], Tokens(), Tokens()), ValueError, "no text is left"),
    ("uld", lambda f: f(alpha=2), ValueError, "alpha must lie"),
    (
        "uld",
        lambda f: f().terms(batches.Batch(Z, None, torch.arange(4)), NET, NET),
        ValueError,
        "as both tokenizers cut them",
    ),
    ("dpo", lambda f: f(beta=0), ValueError, "beta must be a positive"),
    (
        "dpo",
        lambda f: f().terms(batches.Batch(Z, None, torch.arange(4)), NET, lambda batch: ONE),
        ValueError,
        "the two log-probabilities",
    ),
    (
        "Reference",
        lambda f: f(teachers.freeze(NET))(batches.Batch(Z, None, torch.arange(4))),
        ValueError,
        r"labels \(B, 2, L\)",
    ),
    (
        "DatasetSource",
        lambda f: f([1, 2]).batch(torch.tensor([0])),
        ValueError,
        r"pairs \(input, label\)",
    ),
    ("TensorSource", lambda f: f(Z, Y[:2]), ValueError, r"written \(inputs, None\)"),
    # methods
    ("Method", lambda f: f("m", None, {}), ValueError, "name at least one term"),
    ("Method", lambda f: f("m", None, {"ce": -1}), ValueError, "at least 0"),
    ("Method", lambda f: f("m", None, {"a": 1}).total({"b": Z.sum()}), ValueError, "one weight"),
    ("supervised", lambda f: f(label_smoothing=2), ValueError, "between 0 and 1"),
    ("supervised", lambda f: f(loss="hinge"), ValueError, "loss must be one of"),
    ("supervised", lambda f: f(loss="mse", class_weights=[1.0]), ValueError, "has no use for"),
    ("supervised", lambda f: f(mask="padding"), ValueError, "mask must be one of"),
    ("kd", lambda f: f(class_weights=[-1.0, 1.0]), ValueError, "at least 0 for each class"),
    ("kd", lambda f: distil(method=f(axis=3), teacher=frozen()), ValueError, "no such axis"),
    ("binary_kd", lambda f: f(T=0), ValueError, "T must be a positive"),
    ("binary_kd", lambda f: f(alpha=2), ValueError, "alpha must lie"),
    ("binary_kd", lambda f: f(pos_weight=[0.0]), ValueError, "not all of them 0"),
    ("binary_kd", lambda f: distil(method=f(), teacher=frozen()), ValueError, r"use kd\(\)"),
    ("regression", lambda f: f("l1"), ValueError, "loss must be one of"),
    ("regression", lambda f: f(alpha=2), ValueError, "alpha must lie"),
    ("regression", lambda f: f(mask="labels"), ValueError, "mask must be one of"),
    ("regression", lambda f: distil(method=f(), teacher=frozen()), ValueError, "takes floats"),
    ("kd", lambda f: f(T=0), ValueError, "T must be a positive"),
    ("kd", lambda f: f(alpha=-1), ValueError, "alpha must lie"),
    ("logit_matching", lambda f: f(alpha=2), ValueError, "alpha must lie"),
    ("dkd", lambda f: f(T="4"), ValueError, "T must be a positive"),
    ("dist", lambda f: f(T=-1), ValueError, "T must be a positive"),
    ("hard_labels", lambda f: f(alpha=1.5), ValueError, "alpha must lie"),
    ("embeddings", lambda f: f("l2"), ValueError, "'cosine', 'mse', 'similarities'"),
    ("embeddings", lambda f: f(read="max"), ValueError, "'mean', 'cls', 'last'"),
    (
        "embeddings",
        lambda f: f("similarities", regressor=nn.Linear(3, 3)),
        ValueError,
        "a regressor has nothing to do",
    ),
    (
        "embeddings",
        lambda f: distil(method=f(), teacher=teachers.freeze(MLP(4, 5))),
        ValueError,
        r"Regressor\(3, 5\)",
    ),
    (
        "margin_mse",
        lambda f: distil(method=methods.margin_mse(), teacher=lambda b: ONE[b.ids]),
        ValueError,
        "or the margins",
    ),
    ("grpo", lambda f: f(len, group=1), ValueError, "at least 2 answers"),
    ("grpo", lambda f: f(len, beta=-1), ValueError, "beta must be"),
    ("grpo", lambda f: f(len, temperature=0), ValueError, "T must be a positive"),
    ("listwise", lambda f: f(T=0), ValueError, "T must be a positive"),
    (
        "listwise",
        lambda f: distil(method=f(), teacher=lambda b: ONE[b.ids]),
        ValueError,
        "one number a query",
    ),
    ("Embedder", lambda f: f(NET, "max"), ValueError, "'mean', 'cls', 'last'"),
    ("Ranker", lambda f: f(NET, score="l2"), ValueError, "'dot', 'cosine'"),
    ("Ranker", lambda f: f(NET)(query=Z), ValueError, "both `positive` and `negative`"),
    ("Ranker", lambda f: f(NET)(candidates=torch.zeros(2, 3, 4)), ValueError, "one score a pair"),
    ("distillation_token", lambda f: f(alpha=1), ValueError, "each head needs a term"),
    ("distillation_token", lambda f: f(methods.supervised()), ValueError, "learns labels"),
    ("tokens", lambda f: f("kl"), ValueError, "kind must be one of"),
    ("tokens", lambda f: f(alpha=2), ValueError, "alpha must lie"),
    ("tokens", lambda f: distil(method=f(alpha=0.0)), ValueError, "one a token"),
    ("on_policy", lambda f: f("kl"), ValueError, "kind must be one of"),
    ("on_policy", lambda f: f(temperature=-1), ValueError, "at least 0"),
    ("on_policy", lambda f: f(max_new_tokens=0), ValueError, "positive integer"),
    ("on_policy", lambda f: f(student_share=1.5), ValueError, "student_share must lie between"),
    (
        "match_features",
        lambda f: f("h", losses.hint_loss, [], weight=1.0),
        ValueError,
        "at least one layer",
    ),
    (
        "match_features",
        lambda f: f("kd", losses.hint_loss, [("a", "b")], weight=1.0, base_method=methods.kd()),
        ValueError,
        "name this one otherwise",
    ),
    (
        "match_features",
        lambda f: f("h", losses.hint_loss, [("a", "b")], weight=1.0, regressors=[]),
        ValueError,
        "give each pair one",
    ),
    (
        "match_features",
        lambda f: distil(
            method=f("h", losses.hint_loss, [("a", "b")], weight=1.0), teacher=frozen()
        ),
        KeyError,
        "no module 'a'",
    ),
    # the loop
    ("distill", lambda f: distil(epochs=0), ValueError, "epochs must be a positive integer"),
    ("distill", lambda f: distil(epoch=3), TypeError, r"distill\(\) got an .*mean 'epochs'"),
    ("TrainingConfig", lambda f: f(read_every=0), ValueError, "read_every must be a positive"),
    ("distill", lambda f: distil(batch_size=2.5), ValueError, "batch_size must be a positive"),
    ("distill", lambda f: distil(lr=math.nan), ValueError, "lr must be a positive finite"),
    ("distill", lambda f: distil(clip=0), ValueError, "clip must be a positive finite"),
    ("distill", lambda f: distil(schedule="poly"), ValueError, "'constant', 'linear', 'cosine'"),
    ("distill", lambda f: distil(warmup=99), ValueError, "shorter than the run"),
    ("distill", lambda f: distil(epochs=2, steps=3), ValueError, "both say how long the run is"),
    ("distill", lambda f: distil(steps=0), ValueError, "steps must be a positive integer"),
    ("distill", lambda f: distil(drop_last=True), ValueError, "leaves out all 4 examples"),
    ("distill", lambda f: distil(sampler=len), TypeError, r"order\(examples, seed, epoch\)"),
    ("distill", lambda f: distil(lr={}), ValueError, "names no rate"),
    ("distill", lambda f: distil(lr={"body": 1.0}), ValueError, "no parameter begins with it"),
    ("distill", lambda f: distil(lr={"head.bias": 1.0}), ValueError, 'add "" for all the others'),
    ("distill", lambda f: distil(lr=lambda name: 0), ValueError, "lr of .* must be a positive"),
    ("distill", lambda f: distil(no_decay="norms"), ValueError, "'norms and biases'"),
    ("distill", lambda f: distil(optimizer="sgd"), ValueError, "'adamw', 'muon'"),
    ("distill", lambda f: distil(optimizer=SGD(NET.parameters())), TypeError, "lambda params: SGD"),
    ("distill", lambda f: distil(optimizer=SGD, lr=0.1), ValueError, "an optimizer of your own"),
    ("distill", lambda f: distil(optimizer=list), TypeError, "must return a torch.optim.Optimizer"),
    ("distill", lambda f: distil(optimizer=torch.optim.LBFGS), ValueError, "asks for a closure"),
    ("distill", lambda f: distil(optimizer=lambda p: SGD(p[1:])), ValueError, "leaves out head"),
    ("distill", lambda f: distil(optimizer=lambda p: SGD(p[0].grad)), TypeError, "pairs"),
    (
        "distill",
        lambda f: distil(optimizer=lambda p: SGD([*p, ("more", NET.head.weight)])),
        ValueError,
        "that are not the student's",
    ),
    ("distill", lambda f: distil(schedule=lambda step: None), ValueError, "it returned None"),
    ("distill", lambda f: distil(best="best"), ValueError, "nothing is measured"),
    ("distill", lambda f: distil(read="out"), TypeError, "read must be a function"),
    ("distill", lambda f: distil(read=lambda out: None), TypeError, "read= made"),
    ("distill", lambda f: distil(schedule=0.1), ValueError, "a function from the step"),
    ("distill", lambda f: distil(schedule=lambda a, b: 1.0), TypeError, "the step alone"),
    ("distill", lambda f: distil(schedule=StepLR), TypeError, "scheduler of torch write its form"),
    (
        "distill",
        lambda f: distil(schedule=lambda optimizer: StepLR(optimizer, 3)),
        TypeError,
        "scheduler of torch write its formula",
    ),
    ("distill", lambda f: distil(early_stopping=3), TypeError, r"as EarlyStopping\(measure"),
    (
        "distill",
        lambda f: distil(early_stopping=callbacks.EarlyStopping(lambda student: None)),
        TypeError,
        "must return one number, got NoneType",
    ),
    (
        "distill",
        lambda f: distil(early_stopping=callbacks.EarlyStopping(lambda student: torch.ones(2))),
        TypeError,
        "must return one number, got Tensor",
    ),
    (
        "distill_seeds",
        lambda f: f(lambda seed: MLP(4, 3), DATA, seeds=2),
        TypeError,
        r"as range\(2\)",
    ),
    ("MultiStep", lambda f: f([3, 2]), ValueError, "milestones must grow"),
    ("check_schedule", lambda f: f("poly"), ValueError, "schedule must be one of"),
    ("check_rates", lambda f: f({"": -1.0}), ValueError, "lr of '' must be a positive"),
    ("check_optimizer", lambda f: f(3), ValueError, "optimizer must be one of"),
    ("distill", lambda f: distil(accumulate=65), ValueError, "batch_size counts the whole step"),
    ("distill", lambda f: distil(precision="int8"), ValueError, "precision must be one of"),
    ("distill", lambda f: distil(callbacks=print), TypeError, r"callbacks=\[my_function\]"),
    ("distill", lambda f: distil(shares_every=-1), ValueError, "0 or more"),
    ("distill", lambda f: distil(checkpoint_every=0), ValueError, "checkpoint_every must be"),
    (
        "distill",
        lambda f: distil(early_stopping=training.EarlyStopping(lambda s: math.nan)),
        FloatingPointError,
        "validation data",
    ),
    ("lr_at", lambda f: f(0, 10, 0.1, schedule="step"), ValueError, "schedule must be one of"),
    ("Muon", lambda f: f(MLP(4, 3), lr=0.1).step(lambda: 0.0), ValueError, "takes no closure"),
    ("EarlyStopping", lambda f: f(0.9), TypeError, "a function from the student"),
    ("EarlyStopping", lambda f: f(len, patience=0), ValueError, "patience must be a positive"),
    ("EarlyStopping", lambda f: f(len, better="more"), ValueError, "'higher', 'lower'"),
    ("TensorBoard", lambda f: f("runs", every=0), ValueError, "positive number of steps"),
    ("TeacherPrompt", lambda f: f(), ValueError, "for the user, the system, or both"),
    ("TeacherPrompt", lambda f: f("{}"), ValueError, "a column's name in braces"),
    ("SecondView", lambda f: f(NET.train(), [], None, len), ValueError, "in training mode"),
    ("EMA", lambda f: f(3), TypeError, "a torch module"),
    ("EMA", lambda f: f(NET, decay=1.0), ValueError, "never moves"),
    (
        "DistributedContext",
        lambda f: f(torch.device("cpu"), "fp8"),
        ValueError,
        "'fp32', 'bf16', 'fp16'",
    ),
    (
        "trainable_parameters",
        lambda f: f(frozen().model, methods.kd()),
        ValueError,
        "was it frozen",
    ),
    (
        "refuse_nonfinite",
        lambda f: f(7, {"kd": math.inf, "total": math.inf}, None, NET, checkpoint="a.safetensors"),
        FloatingPointError,
        "at step 7.*last good state is in",
    ),
    ("distill", lambda f: distil(method=methods.kd()), ValueError, "pass teacher=freeze"),
    (
        "distill",
        lambda f: distil(teacher=frozen(), method=methods.supervised()),
        ValueError,
        "leave the teacher out",
    ),
    ("distill", lambda f: distil(teacher=MLP(4, 3)), ValueError, "training mode"),
    (
        "distill",
        lambda f: f(NET, DATA, teacher=NET),
        ValueError,
        "training mode|require gradients|share",
    ),
    ("distill", lambda f: f(frozen().model, DATA), ValueError, r"requires_grad_\(True\)"),
    ("distill", lambda f: f(MLP(4, 3), 7), TypeError, "data must be a pair"),
    ("Method", lambda f: methods.kd().check_teacher(None), ValueError, "none was given"),
    (
        "distill",
        lambda f: f(MLP(4, 3), (DATA[0], None), progress=False),
        ValueError,
        "learns from labels",
    ),
    ("distill_seeds", lambda f: f(lambda s: MLP(4, 3), DATA, seeds=[]), ValueError, "at least one"),
    (
        "distill_seeds",
        lambda f: f(lambda s: MLP(4, 3), DATA, seeds=[1, 2], weights={"ce": [1.0]}),
        ValueError,
        "each of the 2 seeds",
    ),
    (
        "distill_seeds",
        lambda f: f(lambda s: MLP(4, 3), TWO, seeds=[1, 2], teacher=lambda batch: batch.inputs),
        ValueError,
        "answers by an example's number",
    ),
    (
        "distill_seeds",
        lambda f: f(lambda s: MLP(4, 3), TWO, seeds=[1, 2], teacher=torch.zeros(2, 5, 3)),
        ValueError,
        "same examples",
    ),
    (
        "distill_seeds",
        lambda f: f(
            lambda s: MLP(4, 3), TWO, seeds=[1, 2], teacher=torch.zeros(2, 6, 3), method=INSIDE
        ),
        ValueError,
        "pass the network",
    ),
    (
        "distill_seeds",
        lambda f: f(
            lambda s: MLP(4, 8, 3),
            TWO,
            seeds=[1, 2],
            teacher=teachers.freeze(Pair()),
            method=INSIDE,
        ),
        TypeError,
        "returns tuple",
    ),
    (
        "distill_seeds",
        lambda f: f(lambda s: MLP(4, 3), DATA, seeds=[1, 2], teacher=teachers.EMA(MLP(4, 3))),
        ValueError,
        "changes with its student",
    ),
    (
        "distill_seeds",
        lambda f: f(
            lambda s: MLP(4, 3), DATA, seeds=[1, 2], teacher=frozen(), method=methods.on_policy()
        ),
        ValueError,
        "makes? its own batches",
    ),
    (
        "distill_seeds",
        lambda f: f(
            lambda s: MLP(4, 3),
            DATA,
            seeds=[1, 2],
            teacher=frozen(),
            method=methods.crd(("head", "head"), (3, 3), examples=4),
        ),
        ValueError,
        "a memory of every example",
    ),
    (
        "distill_seeds",
        lambda f: f(lambda s: MLP(4, 3), TWO, seeds=[1, 2], accumulate=2),
        TypeError,
        "unexpected keyword argument 'accumulate'",
    ),
    (
        "distill_seeds",
        lambda f: f(lambda s: MLP(4, 3), TWO, seeds=[1, 2], clip=0),
        ValueError,
        "clip must be",
    ),
    (
        "distill_seeds",
        lambda f: f(lambda s: MLP(4, 3), TWO, seeds=[1, 2], schedule="steps"),
        ValueError,
        "schedule must be",
    ),
    ("Stacked", lambda f: f([]), ValueError, "no seeds"),
    ("SeedRuns", lambda f: f(seeds.Stacked([NET]), 1).logits(torch.zeros(2)), ValueError, "1 axes"),
    ("History", lambda f: f(2)["kd"], KeyError, "no term 'kd'"),
    # checkpoints
    ("load_checkpoint", lambda f: f("nowhere.safetensors"), FileNotFoundError, "check the path"),
    (
        "save_checkpoint",
        lambda f: f("/proc/none/x.safetensors", checkpoint.Checkpoint()),
        OSError,
        "choose another path",
    ),
    # data sets
    ("load", lambda f: f("mnits"), ValueError, "mnist"),
    ("passages", lambda f: f("a", letters=0), ValueError, "letters must be a positive"),
    ("Questions", lambda f: f(("a",), Y[:1]).split(1), ValueError, "n from 1 to 0"),
    ("parse_idx", lambda f: f(b"junk", "a.idx"), ValueError, "fetch it again"),
    ("load_dataset", lambda f: f("nowhere.csv"), FileNotFoundError, "check the path"),
    ("load_dataset", lambda f: f("README.md"), ValueError, "no list of rows by its ending"),
    ("load_dataset", lambda f: f([]), ValueError, "expected at least one"),
    ("load_dataset", lambda f: f("~nobody-here/a.csv"), ValueError, "no such home folder"),
    ("load_table", lambda f: f("nowhere-*.csv"), FileNotFoundError, "fits the pattern"),
    ("load_table", lambda f: f("$NOT_SET_HERE/a.csv"), ValueError, "which is not set"),
    ("Table", lambda f: f([]), ValueError, "at least one file"),
    ("PictureFolder", lambda f: f("distill_lab/losses"), ValueError, "is no picture"),
    ("PictureFolder", lambda f: f("nowhere"), FileNotFoundError, "there is no folder nowhere"),
    ("Examples", lambda f: f(Z, Y.float()), TypeError, "int64"),
    ("Examples", lambda f: examples().take(9), ValueError, "from 1 to 4"),
    ("Examples", lambda f: examples().only(7), ValueError, "leaves no example"),
    ("ImageSet", lambda f: datasets.load("digits").train, AttributeError, "split"),
    ("ImageSet", lambda f: datasets.load("digits").split(train=5000), ValueError, "1 to 1,796"),
    # statistics
    ("paired_interval", lambda f: f([1, 2], [1, 2, 3]), ValueError, "Pair them first"),
    ("mean_interval", lambda f: f([1.0]), ValueError, "Run more seeds"),
    (
        "nadeau_bengio_interval",
        lambda f: f([1, 2], [2, 1], n_train=0, n_test=5),
        ValueError,
        "positive number of examples",
    ),
    ("sign_test", lambda f: f([1, 2], [1]), ValueError, "Pair them first"),
    ("mcnemar", lambda f: f([True], [True, False]), ValueError, "the same seeds"),
    ("equivalent", lambda f: f(statistics.mean_interval([1, 2]), -1), ValueError, "margin"),
    ("seeds_needed", lambda f: f(sd=1, effect=0), ValueError, "effect"),
    ("Interval", lambda f: statistics.mean_interval([1, 2], level=2), ValueError, "level"),
    # evaluation
    (
        "linear_cka",
        lambda f: f(torch.ones(4, 2), torch.ones(5, 2)),
        ValueError,
        "the same examples",
    ),
    ("recall_at_k", lambda f: f(Z, Y), ValueError, "class 1 has one example"),
    ("rank_agreement", lambda f: f(Z[:, 0]), ValueError, "(methods, replications)"),
    ("accuracy", lambda f: f(Z, Y[:2]), ValueError, "one whole-number label an example"),
    ("nll", lambda f: f(Z * math.nan, Y), ValueError, "diverged"),
    ("ece", lambda f: f(Z, Y, bins=0), ValueError, "bins"),
    ("per_class_accuracy", lambda f: f(Z, Y[:2]), ValueError, "one whole-number label"),
    ("worst_class", lambda f: f(Z, Y[:2]), ValueError, "one whole-number label"),
    ("agreement", lambda f: f(Z, torch.zeros(4, 5)), ValueError, "the same examples and classes"),
    (
        "kl_to_teacher",
        lambda f: f(Z, torch.zeros(4, 5)),
        ValueError,
        "the same examples and classes",
    ),
    ("predict_logits", lambda f: f(NET, DATA[0], batch_size=0), ValueError, "batch_size"),
    ("shift_bias", lambda f: f(Z, [7], 1.0), ValueError, "must name some of 0 to 2"),
    ("tune_bias", lambda f: f(Z, Y, [0, 1, 2]), ValueError, "leave at least one out"),
    ("count_parameters", lambda f: f(3), TypeError, "expected a torch module"),
    ("tokens_per_pass", lambda f: f(1.5), ValueError, "a probability; got 1.5"),
    ("tokens_per_pass", lambda f: f(0.5, 0), ValueError, "drafts must be"),
    ("size_on_disk", lambda f: f(3), TypeError, "expected a torch module"),
    ("measure_latency", lambda f: f(NET, DATA[0], runs=1), ValueError, "runs >= 2"),
    ("measure_peak_memory", lambda f: f(NET, DATA[0][:0]), ValueError, "there are no inputs"),
    (
        "measure_peak_memory",
        lambda f: f(nn.Linear(4, 3, device="meta"), DATA[0]),
        RuntimeError,
        "Leave the column peak_memory out",
    ),
    ("count_flops", lambda f: f(NET, DATA[0][:0]), ValueError, "there are no inputs"),
    (
        "training_flops",
        lambda f: f(NET, DATA[0], examples=0, epochs=1),
        ValueError,
        "a positive number",
    ),
    (
        "training_flops",
        lambda f: f(NET, DATA[0], examples=1, epochs=1, cached=True),
        ValueError,
        "pass the teacher too",
    ),
    ("headroom", lambda f: f(MLP(4, 3), MLP(4, 3), 3), TypeError, "data must be"),
    ("headroom", lambda f: f(MLP(4, 3), "s", DATA), TypeError, "torch module"),
    ("headroom", lambda f: f(MLP(4, 3), MLP(4, 2), DATA), ValueError, "same examples and classes"),
    ("headroom", lambda f: f(MLP(4, 3), MLP(4, 3), DATA, batch_size=0), ValueError, "positive"),
    ("compare", lambda f: f({}, DATA), ValueError, r"pass \{"),
    (
        "compare",
        lambda f: f({"a": NET}, DATA, columns=["speed"]),
        ValueError,
        'columns must be "all", or name',
    ),
    (
        "compare",
        lambda f: f({"a": NET}, DATA, baseline="b"),
        ValueError,
        "baseline must name one of the models",
    ),
    (
        "compare",
        lambda f: f({"a": [NET] * 2, "b": [NET] * 3}, DATA),
        ValueError,
        "different numbers of seeds",
    ),
    (
        "compare",
        lambda f: f({"a": NET}, DATA, splits=(9, 4)),
        ValueError,
        "each model is one network",
    ),
    ("compare", lambda f: f({"a": NET}, DATA, task="words"), ValueError, "task must be one of"),
    (
        "compare",
        lambda f: f({"a": NET}, (DATA[0], None)),
        ValueError,
        "without labels cannot be guessed",
    ),
    (
        "headroom",
        lambda f: f(NET, NET, (DATA[0], torch.rand(len(DATA[0]), 3)), task="regression"),
        ValueError,
        "counts right answers, and regression has none",
    ),
    ("Report", lambda f: f((), "").select("speed"), ValueError, "name some of"),
    # text from a teacher
    ("generate", lambda f: f([], SERVED, "a.jsonl"), ValueError, "give at least one"),
    ("generate", lambda f: f(["a"], SERVED, "a.txt"), ValueError, "to a .jsonl file"),
    ("generate", lambda f: f(["a"], SERVED, "a.jsonl", budget=1), ValueError, "needs prices"),
    ("estimate", lambda f: f([], SERVED, "a.jsonl"), ValueError, "give at least one"),
    ("wanted_of", lambda f: f([], protocol.Sampling(), {}), ValueError, "give at least one"),
    ("Budget", lambda f: f(-1, (1.0, 1.0)), ValueError, "budget must be"),
    (
        "generate",
        lambda f: f(["a"], SERVED, "a.jsonl", samples=2, temperature=0),
        ValueError,
        "raise the temperature",
    ),
    (
        "generate",
        lambda f: f(["a"], SERVED, "a.jsonl", schema={"type": "x"}),
        ValueError,
        "not a JSON schema",
    ),
    ("generate", lambda f: f([3], SERVED, "a.jsonl"), TypeError, "prompt 0: .*a list of messages"),
    (
        "OpenAIGenerator",
        lambda f: f("localhost", "m"),
        ValueError,
        "such as http://localhost:8000/v1",
    ),
    ("OpenAIGenerator", lambda f: f("http://k:k@host", "m"), ValueError, "must hold no key"),
    ("LocalGenerator", lambda f: f(NET), ValueError, "needs its tokenizer"),
    ("Sampling", lambda f: f(top_p=2), ValueError, "top_p must lie"),
    ("as_prompt", lambda f: f({"text": "a"}), ValueError, 'under "prompt" or "messages"'),
    (
        "with_view",
        lambda f: f("a", None, lambda given: [{"role": "assistant", "content": "b"}]),
        ValueError,
        "no message before the answer",
    ),
    ("named_prompts", lambda f: next(f([3], protocol.Sampling(), {})), TypeError, "prompt 0: "),
    ("read_prompts", lambda f: f("nowhere.txt"), FileNotFoundError, "check the path"),
    (
        "requests_of",
        lambda f: next(f([""], protocol.Sampling(), {})),
        ValueError,
        "Leave empty prompts out",
    ),
    ("answer_of", lambda f: f({}), ValueError, 'a dict with an "answer"'),
    ("asked_and_answered", lambda f: f({}), ValueError, 'a dict with an "answer"'),
    ("schema", lambda f: f({"type": "x"}), ValueError, "not a JSON schema"),
    ("verified", lambda f: f("exact"), TypeError, "a function from a row"),
    ("self_consistent", lambda f: f(least=2), ValueError, "least must be a share"),
    ("length", lambda f: f(3, 2), ValueError, "no text has 3 words"),
    ("not_repetitive", lambda f: f(-1), ValueError, "between 0 and 1"),
    ("distinct", lambda f: f(2), ValueError, "threshold must lie"),
    ("not_leaked", lambda f: f([]), ValueError, "nothing to leak from"),
    ("language", lambda f: f("en", "en"), TypeError, "a function from a text"),
    ("balanced", lambda f: f(at_most=0), ValueError, "at_most must be"),
    ("gold", lambda f: f(SAID), ValueError, "keeps no 'answer' beside its prompt"),
    ("exact", lambda f: f()(SAID), ValueError, "or name another key"),
    ("label", lambda f: f(["yes"]), ValueError, "at least two labels"),
    ("contains", lambda f: f()(SAID), ValueError, "or name another key"),
    ("mathematical", lambda f: f()(SAID), ValueError, "or name another key"),
    ("date", lambda f: f()(SAID), ValueError, "or name another key"),
    ("choice", lambda f: f("A"), ValueError, "two capitals or more"),
    ("listed", lambda f: f(tolerance=-1), ValueError, "tolerance must be 0"),
    ("thought_and_answered", lambda f: f({}), ValueError, 'a dict with an "answer"'),
    ("shown_and_learned", lambda f: f({}), ValueError, 'a dict with an "answer"'),
    ("regex", lambda f: f(["("]), ValueError, "not a regular expression"),
    ("numeric", lambda f: f(tolerance=-1), ValueError, "tolerance must be 0"),
    ("contains", lambda f: f()(SAID), ValueError, "or name another key"),
    ("regex", lambda f: f("oslo"), ValueError, "a list of patterns"),
    ("check_verdict", lambda f: f("yes"), TypeError, "returns Verdict"),
    ("FilterPipeline", lambda f: f([]), ValueError, "at least one filter"),
    (
        "student_card",
        lambda f: f("nowhere", base=None, method="sft", settings={}),
        FileNotFoundError,
        "save the student first",
    ),
    ("read_card", lambda f: f("nowhere.json"), FileNotFoundError, "write one with set_card"),
    # the lessons' networks
    ("MLP", lambda f: f(4), ValueError, "MLP needs"),
    ("SmallCNN", lambda f: f(0), ValueError, "positive integer"),
    ("EarlyExits", lambda f: f([nn.Linear(4, 3)], [NET]), ValueError, "two or more stages"),
    ("EarlyExits", lambda f: f([NET, NET], [NET]), ValueError, "one head for each"),
    ("EarlyExits", lambda f: EXITS.exit(2), IndexError, "exits 0 to 1, got 2"),
    ("EarlyExits", lambda f: EXITS.leave_early(Z, 1.5), ValueError, "it is a probability"),
    ("Peers", lambda f: f(NET), ValueError, "two or more networks"),
    ("Peers", lambda f: f(NET, NET), ValueError, "share parameters"),
    ("early_exits", lambda f: f(INSIDE), ValueError, "use a recipe on answers"),
    ("mutual", lambda f: f(INSIDE), ValueError, "use a recipe on answers"),
    ("VisionTransformer", lambda f: f(8, 3), ValueError, "patch must divide size"),
    ("to_patches", lambda f: f(torch.zeros(1, 1, 8, 8), 3), ValueError, "multiples of 3"),
]

ROOMS = [
    batches,
    data,
    datasets,
    evaluation,
    fingerprints,
    history,
    losses,
    methods,
    models,
    projections,
    runtime,
    checkpoint,
    run_state,
    known_again,
    seeds,
    signals,
    statistics,
    hooks,
    teachers,
    loop,
    callbacks,
    config,
    distributed,
    gradients,
    groups,
    muon,
    nonfinite,
    optim,
    synthesis,
    protocol,
    prompts,
    requests,
    filters,
    verifiers,
    pipeline,
    cards,
    licences,
    budget,
]
NOTHING_TO_REFUSE = {
    "TwoHeads": "made by VisionTransformer",
    "ViewGap": "made by SecondView",
    "TrainStep": "made by the loop",
    "orthogonal": "any matrix",
    "hidden_matrices": "any module",
    "unwatched": "any module",
    "undisturbed": "any module",
    "known_by": "what the loop has checked",
    "differing_settings": "what known_by gave",
    "Checkpoint": "a plain record",
    "NextToken": "made by shift_for_next_token",
    "Latency": "made by measure_latency",
    "ModelResult": "made by compare",
    "Difference": "made by compare",
    "Headroom": "made by headroom",
    "PeakMemory": "made by measure_peak_memory",
    "SpeedUp": "made by compare",
    "TrainingFlops": "made by training_flops",
    "Status": "made by status",
    "TextSet": "made by load",
    "status": "takes no input",
    "cache_dir": "takes no input",
    "RunState": "tested through distill",
    "own_randomness": "any seed torch takes",
    "torch_threads": "any number torch takes",
    "memory_kept": "any device",
    "progress_line": "tested through distill",
    "fingerprint": "takes what as_data returned",
    "own_fingerprint": "takes what as_data returned",
    "epoch_order": "called with checked values",
    "pack_optimizer": "takes an optimizer",
    "make_optimizer": "called with checked values",
    "skips_by_itself": "any optimizer",
    "groups_in_words": "any optimizer",
    "LearningRates": "made by the loop",
    "own_optimizer": "tested through distill",
    "part_groups": "tested through distill",
    "Sampler": "a protocol",
    "steps_in": "called with checked values",
    "takes_settings": "names fields of TrainingConfig",
    "generator_states": "takes no input",
    "restore_generator_states": "takes what generator_states returned",
    "unpack_optimizer": "undoes pack_optimizer",
    "TermLog": "made by the loop",
    "GradFiniteCheck": "made by the loop",
    "name_other_dtype": "tested through distill",
    "name_numpy_answer": "tested through distill",
    "name_inference_mode": "tested through distill",
    "name_lone_example": "tested through distill",
    "grad_norm_shares": "called with a method's terms",
    "warn_of_idle_terms": "warns",
    "EarlyStoppingState": "made by the loop",
    "first_nonfinite": "any module",
    "nonfinite_examples": "any batch",
    "drawn": "called with checked values",
    "modes_kept": "any modules",
    "batches": "called with checked values",
    "reading": "called with checked values",
    "of_facts": "any plain values",
    "of_tensors": "any tensors",
    "of_model": "any module",
    "of_structure": "any module",
    "identity_of": "anything has a kind",
    "Disagreement": "made by Ensemble",
    "Routed": "made by route",
    "Source": "a protocol",
    "InOrder": "takes no input",
    "sampler_of": "takes what as_data returned",
    "Batch": "a plain tuple",
    "Teacher": "a protocol",
    "Answers": "made by generate",
    "Retry": "made by a teacher",
    "Estimate": "made by estimate",
    "TeacherStopped": "an error itself",
    "Prompt": "made by as_prompt",
    "Request": "made by requests_of",
    "FilePrompts": "made by read_prompts",
    "NamedPrompt": "made by named_prompts",
    "PromptStore": "made by wanted_of",
    "Requests": "made by wanted_of",
    "request_id": "called with checked values",
    "few_of": "any number of examples",
    "digest": "any plain values",
    "canonical": "any plain values",
    "padding_share": "called with checked values",
    "share_of_one": "called with a method's terms",
    "Filter": "made by the filters",
    "Verdict": "a plain tuple",
    "FilterResult": "made by a FilterPipeline",
    "FilterStep": "made by the filters",
    "Reply": "made by a teacher",
    "Failure": "made by a teacher",
    "TextTeacher": "a protocol",
    "final_answer": "any text",
    "plain": "any text",
    "Card": "made by set_card",
    "sha256": "the system's own words",
    "contents": "what is no file is named as that",
    "set_card": "takes what generate returned",
    "card_path": "any path",
    "Terms": "a plain record",
    "terms_of": "any name",
}


def public(name):
    if name == "load":
        return datasets.load
    return next(getattr(room, name) for room in ROOMS if hasattr(room, name))


@pytest.mark.parametrize(
    ("name", "call", "error", "words"), CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)]
)
def test_bad_input_is_answered_with_a_sentence(name, call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(public(name))
    sentence = str(caught.value)
    assert len(sentence.split()) >= 5, f"not a sentence: {sentence!r}"


def test_every_public_function_is_in_the_table():
    covered = {name for name, *_ in CASES} | NOTHING_TO_REFUSE.keys()
    names = set()
    for room in ROOMS:
        listed = getattr(room, "__all__", None) or [
            name
            for name, thing in vars(room).items()
            if not name.startswith("_") and getattr(thing, "__module__", "") == room.__name__
        ]
        for name in listed:
            thing = getattr(room, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                names.add(name)
    assert names - covered == set()
    assert covered - names == set()  # the table names nothing that is gone
    assert importlib.import_module("distill_lab").__version__ and isinstance(NET, nn.Module)
