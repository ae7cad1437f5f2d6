"""What liger-kernel's chunked losses say on a CPU; runs only in the oracles' environment.

They take hidden states and a head. With the identity as head the logits are the hidden states, and
the gradient is that of the logits.
"""

import torch
from liger_kernel.chunked_loss import (
    LigerFusedLinearCosineSimilarityLoss,
    LigerFusedLinearDPOLoss,
    LigerFusedLinearJSDLoss,
)

from tests.losses.golden.case import Case, Tensors
from tests.losses.golden.trl_cases import RAGGED
from tests.losses.oracles import response

SINGLE = {"dtype": "float32", "tolerance": 2e-6}
EQUAL = {
    "student": {"shape": [6, 8], "seed": 31, "scale": 2},
    "teacher": {"shape": [6, 8], "seed": 31, "scale": 2},
}


def head(x: torch.Tensor, width: int | None = None) -> torch.Tensor:
    return torch.eye(x.shape[-1], dtype=x.dtype)[:width]


def fused(kind, x: Tensors, width: int | None = None, **settings) -> torch.Tensor:
    s, t = x["student"].flatten(0, -2), x["teacher"].flatten(0, -2)
    keep = x["mask"].flatten() if "mask" in x else torch.ones(len(s), dtype=torch.bool)
    labels = torch.where(keep, 0, -100)
    loss = kind(weight_hard_loss=0.0, weight_soft_loss=1.0, compiled=False, **settings)
    return loss(s, head(s, width), t, head(t), labels)


def jsd(x: Tensors, **settings) -> torch.Tensor:
    return fused(LigerFusedLinearJSDLoss, x, chunk_size=2, **settings)


def dpo(x: Tensors) -> torch.Tensor:
    """Two pairs, the chosen answers first; the labels are those of the logits beside them."""
    loss = LigerFusedLinearDPOLoss(beta=0.3, compiled=False)
    s, reference = x["student"], x["reference"]
    found = loss(head(s), s, x["labels"], ref_input=reference, ref_weight=head(reference))
    return found[0] if isinstance(found, tuple) else found


def of_jsd(name: str, loss: str, beta: float, T: float, keywords: dict) -> Case:
    return Case(
        name,
        loss,
        RAGGED,
        f"chunked_loss.LigerFusedLinearJSDLoss(beta={beta}, temperature={T})",
        "The same: sum over the vocabulary, mean over valid tokens, no T^2.",
        lambda x: jsd(x, beta=beta, temperature=T),
        {"T": T, "mask": "@mask"} | keywords,
        **SINGLE,
    )


CASES = [
    of_jsd("forward KL, chunked", "forward_kl", 0.0, 2.0, {}),
    of_jsd("reverse KL, chunked", "reverse_kl", 1.0, 2.0, {}),
    of_jsd("jsd, chunked", "jsd", 0.5, 2.0, {"beta": 0.5}),
    of_jsd("jsd with beta = 0.3, chunked", "generalised_jsd", 0.3, 1.0, {"beta": 0.3}),
    Case(
        "cosine, unequal lengths",
        "cosine_loss",
        RAGGED,
        "chunked_loss.LigerFusedLinearCosineSimilarityLoss(beta=1)",
        "The same: 1 - cosine, mean over valid tokens. Its default beta = 0.5 halves the value.",
        lambda x: fused(LigerFusedLinearCosineSimilarityLoss, x, beta=1.0),
        {"mask": "@mask"},
        **SINGLE,
    ),
    Case(
        "DPO, unequal lengths",
        "dpo_loss",
        {
            "student": {"shape": [4, 5, 6], "seed": 33, "scale": 2},
            "reference": {"shape": [4, 5, 6], "seed": 34, "scale": 2},
            "labels": {"shape": [4, 5], "seed": 35, "below": 6, "lengths": [5, 3, 2, 4]},
        },
        "chunked_loss.LigerFusedLinearDPOLoss(beta=0.3)",
        "The same: log-probabilities summed over the answer, mean over pairs.",
        dpo,
        {"beta": 0.3},
        **SINGLE,
    ),
    Case(
        "a smaller vocabulary filled with zeros",
        "forward_kl",
        EQUAL,
        "chunked_loss.LigerFusedLinearJSDLoss(beta=0), student head of 6 rows, teacher's of 8",
        "Equal models whose last two classes the student lacks; at logits of -1e9 there, 0.",
        lambda x: jsd(x | {"teacher": hopeless(x["teacher"])}, width=6, beta=0.0),
        {"hopeless": 2},
        dtype="float32",
        wrong="Missing classes get the logit 0, as likely as a real one; equal models differ.",
        right=lambda x: 0.0,
    ),
    Case(
        "jsd in bfloat16",
        "generalised_jsd",
        {
            "student": {"shape": [32, 256], "seed": 36, "scale": 0.5},
            "teacher": {"shape": [32, 256], "seed": 37, "scale": 0.5},
        },
        "chunked_loss.LigerFusedLinearJSDLoss(beta=0.5) on bfloat16 logits",
        "The same inputs rounded to bfloat16; ours computes in float32 from there.",
        lambda x: jsd(x, beta=0.5),
        {"beta": 0.5},
        dtype="bfloat16",
        digits=2,
        wrong="log_softmax and the mixture are computed in bfloat16, with three digits.",
        right=lambda x: response.jsd(
            *(torch.tensor(x[side]).bfloat16().double().numpy() for side in ("student", "teacher"))
        ),
    ),
]


def hopeless(logits: torch.Tensor) -> torch.Tensor:
    """The last two classes impossible."""
    return torch.cat((logits[:, :6], torch.full_like(logits[:, 6:], -1e9)), -1)
