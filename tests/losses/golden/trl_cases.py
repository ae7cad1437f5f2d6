"""What TRL's losses say; runs only in the oracles' environment."""

from collections import defaultdict
from types import SimpleNamespace
from unittest.mock import MagicMock

import torch
from trl.experimental.gkd.gkd_trainer import GKDTrainer
from trl.experimental.gold.gold_trainer import ULDLoss
from trl.experimental.sdft.loss_utils import compute_topk_self_distillation_loss
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import selective_log_softmax

from tests.losses.golden.case import Case, Tensors
from tests.losses.oracles import response, sequence

BATCH, LENGTHS = 3, [5, 2, 4]
TOKENS = {
    "student": {"shape": [3, 5, 7], "seed": 21, "scale": 2},
    "teacher": {"shape": [3, 5, 7], "seed": 22, "scale": 2},
}
RAGGED = TOKENS | {"mask": {"mask": LENGTHS, "of": 5}}


def gkd(x: Tensors, **settings) -> torch.Tensor:
    labels = torch.where(x["mask"], 0, -100) if "mask" in x else None
    return GKDTrainer.generalized_jsd_loss(x["student"], x["teacher"], labels, **settings)


def topk(x: Tensors, tail: bool, T: float, alpha: float = 0.0) -> torch.Tensor:
    each = compute_topk_self_distillation_loss(
        x["student"] / T,
        x["teacher"] / T,
        distillation_topk=3,
        distillation_alpha=alpha,
        distillation_add_tail=tail,
    )
    return each[x["mask"]].mean()


def gold(x: Tensors, strategy: str, T: float) -> torch.Tensor:
    """ULD of one answer behind a prompt of two tokens, without byte alignment."""
    settings = {
        "uld_crossentropy_weight": 0.0,
        "uld_distillation_weight": 1.0,
        "uld_student_temperature": T,
        "uld_teacher_temperature": T,
        "uld_skip_student_eos": False,
        "uld_skip_teacher_eos": False,
        "use_extended_uld": False,
        "uld_token_merge_strategy": strategy,
    }
    loss = ULDLoss(SimpleNamespace(**settings))
    labels = x["labels"]
    ids = labels.clamp_min(0)
    return loss(x["student"], x["teacher"], labels, labels, ids, ids)


def answer(x: Tensors) -> torch.Tensor:
    """Mean over sequences of minus the log-probability of the answer."""
    logits, labels = x["student"][:, :-1], x["labels"][:, 1:]
    chosen = selective_log_softmax(logits, labels.clamp_min(0))
    return -(chosen * (labels >= 0)).sum(-1).mean()


def trainer(**settings) -> MagicMock:
    """What stands for a trainer where only one of its methods is asked, on one process."""
    accelerator = SimpleNamespace(
        gather=lambda x: x,
        gather_for_metrics=lambda x: x,
        reduce=lambda x, reduction: x,
        num_processes=1,
        device=torch.device("cpu"),
        sync_gradients=False,
    )
    model = SimpleNamespace(training=False, is_gradient_checkpointing=False)
    usual = {
        "aux_loss_enabled": False,
        "_metrics": {"eval": defaultdict(list)},
        "args": MagicMock(),
    }
    return MagicMock(**{"accelerator": accelerator, "model": model} | usual | settings)


def sampled(logits: torch.Tensor, x: Tensors) -> torch.Tensor:
    """Log-probabilities (B, L) of the tokens that were sampled, 0 behind an answer's end."""
    return selective_log_softmax(logits, x["labels"].clamp_min(0)) * (x["labels"] >= 0)


def grpo(x: Tensors, loss_type: str, beta: float, clip: tuple[float, float]) -> torch.Tensor:
    log_probs = sampled(x["student"], x)
    owner = trainer(
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        beta=beta,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None),
        epsilon_low=clip[0],
        epsilon_high=clip[1],
        loss_type=loss_type,
        use_vllm=False,
        max_completion_length=9,
        _entropy_bonus_enabled=False,
    )
    owner._get_per_token_logps_and_entropies.return_value = log_probs, 0 * log_probs.detach(), None
    inputs = {
        "prompt_ids": torch.zeros(BATCH, 1, dtype=torch.long),
        "prompt_mask": torch.ones(BATCH, 1, dtype=torch.long),
        "completion_ids": x["labels"].clamp_min(0),
        "completion_mask": (x["labels"] >= 0).long(),
        "advantages": x["advantages"],
        "old_per_token_logps": sampled(x["old"], x),
        "ref_per_token_logps": sampled(x["reference"], x),
        "num_items_in_batch": (x["labels"] >= 0).sum(),
    }
    return GRPOTrainer._compute_loss(owner, owner.model, inputs)


def dpo(x: Tensors, beta: float) -> torch.Tensor:
    labels = x["labels"]

    def outputs(side: str) -> SimpleNamespace:
        nothing = torch.zeros(labels.shape)
        return SimpleNamespace(
            log_probs=sampled(x[side], x), entropy=nothing, mean_logits=nothing, is_top1=nothing > 0
        )

    owner = trainer(
        ld_alpha=None,
        precompute_ref_logps=False,
        ref_model=lambda **_: outputs("reference"),
        f_divergence_type="reverse_kl",
        loss_types=["sigmoid"],
        loss_weights=[1.0],
        beta=beta,
        use_weighting=False,
    )
    inputs = {
        "input_ids": torch.nn.functional.pad(labels.clamp_min(0), (1, 0)),
        "completion_mask": torch.nn.functional.pad((labels >= 0).long(), (1, 0)),
    }
    return DPOTrainer._compute_loss(owner, lambda **_: outputs("student"), inputs, False)


def of_gkd(name: str, loss: str, beta: float, T: float, keywords: dict, note: str = "") -> Case:
    return Case(
        name,
        loss,
        RAGGED,
        f"experimental.gkd.GKDTrainer.generalized_jsd_loss(beta={beta}, temperature={T})",
        "The same: sum over the vocabulary, mean over valid tokens, no T^2." + note,
        lambda x: gkd(x, beta=beta, temperature=T),
        {"T": T, "mask": "@mask"} | keywords,
    )


POLICY = {
    "student": {"shape": [3, 5, 7], "seed": 41},
    "old": {"shape": [3, 5, 7], "seed": 42},
    "reference": {"shape": [3, 5, 7], "seed": 43},
    "labels": {"below": 7, "lengths": LENGTHS, "seed": 44, "shape": [3, 5]},
    "advantages": {"values": [1.2, -0.4, -0.8]},
}
PAIRS = {
    "student": {"scale": 2, "seed": 45, "shape": [4, 5, 6]},
    "reference": {"scale": 2, "seed": 46, "shape": [4, 5, 6]},
    "labels": {"below": 6, "lengths": [5, 3, 2, 4], "seed": 47, "shape": [4, 5]},
}
ANSWER = {
    "student": {"shape": [1, 6, 7], "seed": 25, "scale": 2},
    "teacher": {"shape": [1, 6, 9], "seed": 26, "scale": 2},
    "labels": {"values": [[-100, -100, 3, 1, 4, 2]]},
}
STEP = " At the end itself it is the whole KL, though the family goes to 0 there."


CASES = [
    of_gkd("forward KL", "forward_kl", 0.0, 2.0, {}, STEP),
    of_gkd("reverse KL", "reverse_kl", 1.0, 2.0, {}, STEP),
    of_gkd("jsd", "jsd", 0.5, 2.0, {"beta": 0.5}),
    of_gkd("jsd with beta = 0.1", "jsd", 0.1, 1.0, {"beta": 0.1}),
    of_gkd("the family at 0", "generalised_jsd", 0.0, 3.0, {"beta": 0.0}, STEP),
    of_gkd("the family at 0.001", "generalised_jsd", 0.001, 3.0, {"beta": 0.001}),
    of_gkd("the family at 0.7", "generalised_jsd", 0.7, 3.0, {"beta": 0.7}),
    of_gkd("the family at 0.999", "generalised_jsd", 0.999, 3.0, {"beta": 0.999}),
    of_gkd("the family at 1", "generalised_jsd", 1.0, 3.0, {"beta": 1.0}, STEP),
    Case(
        "jsd in three axes without labels",
        "generalised_jsd",
        TOKENS,
        "experimental.gkd.GKDTrainer.generalized_jsd_loss(labels=None)",
        "Ours is a mean over every position.",
        lambda x: gkd(x, beta=0.5, temperature=2.0),
        {"T": 2.0, "beta": 0.5},
        wrong="Without labels it divides by the batch alone, so the value grows with the length.",
        right=lambda x: response.jsd(x["student"], x["teacher"], 2.0, 0.5),
    ),
    Case(
        "the student's top 3 with a tail",
        "topk_kl",
        RAGGED,
        "experimental.sdft.loss_utils.compute_topk_self_distillation_loss(add_tail=True)",
        "The same once both see the student's top 3; no temperature, so logits are divided by it.",
        lambda x: topk(x, True, 2.0),
        {"T": 2.0, "k": 3, "of": "student", "mask": "@mask"},
    ),
    *(
        Case(
            f"{name} over the student's top 3 with a tail",
            loss,
            RAGGED,
            f"experimental.sdft.loss_utils.compute_topk_self_distillation_loss(alpha={alpha})",
            "The same once both see the student's top 3; its alpha is the teacher's share.",
            lambda x, alpha=alpha: topk(x, True, 2.0, alpha),
            {"T": 2.0, "k": 3, "of": "student", "mask": "@mask"} | keywords,
        )
        for name, loss, alpha, keywords in (
            ("reverse KL", "topk_reverse_kl", 1.0, {}),
            ("jsd", "topk_jsd", 0.5, {"beta": 0.5}),
            ("jsd with beta = 0.3", "topk_jsd", 0.3, {"beta": 0.3}),
        )
    ),
    Case(
        "the student's top 3 renormalised",
        "topk_kl",
        RAGGED,
        "experimental.sdft.loss_utils.compute_topk_self_distillation_loss(add_tail=False)",
        "The same as our 'renormalise both'.",
        lambda x: topk(x, False, 2.0),
        {"T": 2.0, "k": 3, "of": "student", "tail": "renormalise both", "mask": "@mask"},
    ),
    Case(
        "ULD with other vocabularies",
        "uld_loss",
        ANSWER,
        "experimental.gold.ULDLoss(uld_token_merge_strategy='bayesian')",
        "The same for one answer; of several they take the mean of means, we the mean of tokens.",
        lambda x: gold(x, "bayesian", 1.5),
        {"T": 1.5, "shift": True},
    ),
    Case(
        "ULD one position late",
        "uld_loss",
        ANSWER,
        "experimental.gold.ULDLoss(), its default strategy 'observed'",
        "Answer tokens 2 to 5 are predicted at positions 1 to 4.",
        lambda x: gold(x, "observed", 1.5),
        {"T": 1.5, "shift": True},
        wrong="It takes the logits at the answer's own positions: each is scored one token late.",
        right=lambda x: sequence.uld(x["student"][:, 1:5], x["teacher"][:, 1:5], 1.5, None),
    ),
    Case(
        "log-probability of answers",
        "sequence_log_probability",
        {
            "student": {"shape": [2, 5, 6], "seed": 27, "scale": 2},
            "labels": {"values": [[-100, 3, 1, 4, -100], [-100, -100, 5, -100, -100]]},
        },
        "trainer.utils.selective_log_softmax, shifted and summed as its DPO trainer does",
        "The same; both are summed over the answer, here negated and averaged over sequences.",
        answer,
    ),
    *(
        Case(
            f"GRPO, {loss_type}, beta={beta}",
            "grpo_loss",
            POLICY,
            f"trainer.GRPOTrainer._compute_loss(loss_type={loss_type!r}, beta={beta})",
            convention,
            lambda x, loss_type=loss_type, beta=beta: grpo(x, loss_type, beta, (0.2, 0.28)),
            {"clip": [0.2, 0.28], "beta": beta, "average": average},
        )
        for loss_type, average, beta, convention in (
            ("grpo", "answer", 0.0, "The same: tokens of an answer, then answers."),
            ("grpo", "answer", 0.5, "The same, with k3 to the reference inside the mean."),
            ("dapo", "token", 0.5, "The same: all tokens of the batch alike."),
            ("dr_grpo", 9, 0.5, "The same: the sum over answers times the longest allowed."),
        )
    ),
    *(
        Case(
            f"DPO of token log-probabilities, unequal lengths, beta={beta}",
            "dpo_loss",
            PAIRS,
            f"trainer.DPOTrainer._compute_loss(loss_type='sigmoid', beta={beta})",
            "The same: log-probabilities summed over the answer, mean over pairs.",
            lambda x, beta=beta: dpo(x, beta),
            {"beta": beta},
        )
        for beta in (0.1, 0.7)
    ),
]
