"""What TRL's losses say; runs only in the oracles' environment."""

from types import SimpleNamespace

import torch
from trl.experimental.gkd.gkd_trainer import GKDTrainer
from trl.experimental.gold.gold_trainer import ULDLoss
from trl.experimental.sdft.loss_utils import compute_topk_self_distillation_loss
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
]
