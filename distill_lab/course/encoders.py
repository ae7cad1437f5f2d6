"""Real pretrained text encoders: where they lie, a classifier on them, batches of like length.

Any model that `transformers.AutoModel` knows and that keeps its layers in `encoder.layer`, as
BERT and its relatives do. Weights are read from safetensors only, and no code of a model's own is
ever run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab.data.batches import Batch
from distill_lab.data.datasets import Questions
from distill_lab.evaluation.predictions import evaluating
from distill_lab.models.hooks import Tap
from distill_lab.models.networks import Linear

__all__ = [
    "LengthBuckets",
    "TextClassifier",
    "find_encoder",
    "layers_of",
    "load_encoder",
    "outputs",
    "pooled",
]

HUB = {  # name: where the hub keeps it, and at which commit
    "all-MiniLM-L6-v2": (
        "sentence-transformers/all-MiniLM-L6-v2",
        "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    )
}


class TextClassifier(nn.Module):
    """An encoder, the mean of its tokens' last states, dropout, and one linear layer of scores.

    The mean is over real tokens only. Shapes: input_ids and attention_mask (B, L) -> (B, classes).
    The head's weights come from the seed. Modules: `body` and `head`.
    Raises ValueError for a class count below 2.
    """

    def __init__(
        self, body: nn.Module, classes: int, *, dropout: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__()
        if not isinstance(classes, int) or classes < 2:
            raise ValueError(f"classes must be a whole number of at least 2, got {classes!r}.")
        self.body = body
        width = int(body.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.dropout = nn.Dropout(dropout)
        self.head = Linear(width, classes)
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.head.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.head.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute the logits."""
        states = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits: Tensor = self.head(self.dropout(pooled(states, attention_mask)))
        return logits


def pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Take the mean of the real tokens' states: (B, L, D), (B, L) -> (B, D).

    >>> pooled(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[1, 1, 0]]))
    tensor([[2.]])
    """
    real = mask.unsqueeze(-1).to(states.dtype)
    return (states * real).sum(1) / real.sum(1).clamp_min(1)


def find_encoder(name: str | os.PathLike[str] = "all-MiniLM-L6-v2") -> Path:
    """Find the folder of an encoder: `name` as a path, else below $DISTILL_LAB_MODELS.

    Raises:
        FileNotFoundError: with the three ways to get it.
    """
    own = os.environ.get("DISTILL_LAB_MODELS")
    places = [Path(name).expanduser()] + ([Path(own).expanduser() / name] if own else [])
    for place in places:
        if (place / "config.json").is_file() and any(place.glob("*.safetensors")):
            return place
    now = f"it is {own} now" if own else "it is not set now"
    raise FileNotFoundError(
        f"no encoder with config.json and *.safetensors at {' or '.join(map(str, places))}.\n"
        "Any of three ways mends it:\n"
        "  1. pass the path of a folder that holds one;\n"
        f"  2. set DISTILL_LAB_MODELS to a folder with {name}/ in it ({now});\n"
        "  3. go online and call load_encoder(..., download=True), the profile hub in a lesson."
    )


def load_encoder(
    name: str | os.PathLike[str] = "all-MiniLM-L6-v2", *, download: bool = False
) -> tuple[nn.Module, Any]:
    """Load an encoder and its tokenizer from a folder, $DISTILL_LAB_MODELS, or the hub.

    Args:
        name: a folder, or the encoder's name.
        download: whether the hub may be asked.

    Returns:
        The model and its tokenizer.

    Raises:
        FileNotFoundError: as `find_encoder`.
        ImportError: where transformers is missing.
    """
    try:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise ImportError(
            "a pretrained encoder needs transformers, which is not installed: "
            "pip install 'distill-lab[lab]'."
        ) from error
    try:
        place, commit, here = str(find_encoder(name)), None, True
    except FileNotFoundError:
        if not download:
            raise
        (place, commit), here = HUB.get(str(name), (str(name), None)), False
    same: dict[str, Any] = {
        "local_files_only": here,
        "revision": commit or "main",
        "trust_remote_code": False,
    }
    tokenizer = AutoTokenizer.from_pretrained(place, **same)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # it would write to stderr, as errors do
    try:
        body = AutoModel.from_pretrained(place, use_safetensors=True, **same)
    finally:
        if shown:
            logging.enable_progress_bar()
    layers_of(body)  # refuse another kind here, in words
    return body, tokenizer


def layers_of(body: nn.Module) -> nn.ModuleList:
    """Return an encoder's Transformer layers, first to last; TypeError for another model."""
    layers = getattr(getattr(body, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList):
        raise TypeError(
            f"{type(body).__name__} keeps no layers in encoder.layer: expected an encoder of "
            "BERT's kind, such as all-MiniLM-L6-v2."
        )
    return layers


class LengthBuckets:
    """Questions in batches of like length: data for `distill`, one bucket a step.

    Sorting by length wastes little on padding; which questions of one length meet in a bucket is
    drawn from the seed. Use it with batch_size=1. `ids` of a batch are the questions' numbers.

    Args:
        tokens: N rows of token ids.
        labels: their classes (N,).
        pad: the token that fills a row.
        size: questions a bucket.
        seed: of the order.
    """

    draws = False  # nothing by chance

    def __init__(
        self, tokens: list[Tensor], labels: Tensor, *, pad: int, size: int = 32, seed: int = 0
    ) -> None:
        self.tokens, self.labels, self.pad = tokens, labels, pad
        order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))
        lengths = torch.tensor([len(tokens[i]) for i in order.tolist()])
        self.buckets = order[lengths.argsort(stable=True)].split(size)

    @classmethod
    def of(
        cls,
        questions: Questions,
        tokenizer: Any,
        *,
        size: int = 32,
        longest: int = 64,
        seed: int = 0,
    ) -> LengthBuckets:
        """Tokenise questions, cut after the `longest` tokens, and bucket them."""
        ids = tokenizer(list(questions.texts), truncation=True, max_length=longest)["input_ids"]
        tokens, pad = [torch.tensor(row) for row in ids], int(tokenizer.pad_token_id)
        return cls(tokens, questions.labels, pad=pad, size=size, seed=seed)

    def __len__(self) -> int:
        return len(self.buckets)

    def batch(self, index: Tensor) -> Batch:
        """Return the questions of these buckets, padded to the longest of them."""
        ids = torch.cat([self.buckets[i] for i in index.tolist()])
        rows = [self.tokens[i] for i in ids.tolist()]
        tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.pad)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(tokens.shape[1]) < lengths[:, None]).long()
        return Batch({"input_ids": tokens, "attention_mask": mask}, self.labels[ids], ids)


def outputs(model: nn.Module, buckets: LengthBuckets) -> tuple[Tensor, Tensor]:
    """Return logits (N, classes) and mean states (N, D) of all questions, in their order."""
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    with evaluating(model), Tap(model, ["dropout"]) as tap:
        for number in range(len(buckets)):
            tap.clear()
            batch = buckets.batch(torch.tensor([number]))
            parts.append((batch.ids, model(**batch.inputs), tap["dropout"]))
    ids, logits, states = (torch.cat(part).clone() for part in zip(*parts, strict=True))
    back = ids.argsort()
    return logits[back], states[back]
