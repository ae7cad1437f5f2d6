"""What sentence-transformers' losses say; runs only in the oracles' environment."""

import torch
from sentence_transformers.sentence_transformer import losses as theirs
from torch import Tensor, nn

from tests.losses.golden.case import Case, Tensors

PAIR = {"student": {"shape": [4, 5], "seed": 71}, "teacher": {"shape": [4, 5], "seed": 72}}
SCORES = {
    "student": {"shape": [5, 2], "seed": 73, "scale": 3},
    "teacher": {"shape": [5, 2], "seed": 74, "scale": 3},
}
MARGINS = SCORES | {"teacher": {"shape": [5], "seed": 75, "scale": 3}}
LISTS = {
    "student": {"shape": [4, 6], "seed": 76, "scale": 3},
    "teacher": {"shape": [4, 6], "seed": 77, "scale": 3},
}


class Encoder(nn.Module):
    """Its embeddings are its inputs."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": features["x"]}


def columns(scores: Tensor) -> list[Tensor]:
    """A query and candidates whose dot products are these scores."""
    candidates = [scores[:, j : j + 1] for j in range(scores.shape[1])]
    return [torch.ones_like(candidates[0]), *candidates]


def embedding(loss: nn.Module, x: Tensors) -> Tensor:
    return loss([{"x": x["student"]}], x["teacher"])


def margin(x: Tensors) -> Tensor:
    loss = theirs.MarginMSELoss(Encoder())
    return loss.compute_loss_from_embeddings(columns(x["student"]), x["teacher"])


def listwise(x: Tensors, T: float) -> Tensor:
    loss = theirs.DistillKLDivLoss(Encoder(), temperature=T)
    return loss.compute_loss_from_embeddings(columns(x["student"]), x["teacher"])


CASES = [
    Case(
        "embeddings, mean squared error",
        "hint_loss",
        PAIR,
        "losses.MSELoss",
        "Both are the mean over examples and features.",
        lambda x: embedding(theirs.MSELoss(Encoder()), x),
    ),
    Case(
        "embeddings, cosine",
        "cosine_loss",
        PAIR,
        "losses.EmbedDistillLoss(distance_metric='cosine')",
        "Both are 1 - cosine, the mean over examples.",
        lambda x: embedding(theirs.EmbedDistillLoss(Encoder(), distance_metric="cosine"), x),
    ),
    Case(
        "MarginMSE of two scores",
        "margin_mse",
        SCORES,
        "losses.MarginMSELoss, labels of shape (B, 2)",
        "Scores are dot products; both are the mean over margins.",
        margin,
    ),
    Case(
        "MarginMSE of margins",
        "margin_mse",
        MARGINS,
        "losses.MarginMSELoss, labels of shape (B,)",
        "The label is the positive's score less the negative's.",
        margin,
    ),
    Case(
        "MarginMSE with several negatives",
        "margin_mse",
        LISTS,
        "losses.MarginMSELoss, labels of shape (B, 1 + negatives)",
        "The mean runs over queries and negatives.",
        margin,
    ),
    Case(
        "list-wise KL at T = 2",
        "listwise_kl",
        LISTS,
        "losses.DistillKLDivLoss(temperature=2)",
        "Theirs has the factor T squared in it; ours leaves it to the method.",
        lambda x: listwise(x, 2.0),
        keywords={"T": 2.0},
        factor=0.25,
    ),
]
