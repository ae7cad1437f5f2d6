"""A real pretrained text encoder: where it lies, a classifier on it, a student of fewer layers.

Any model that `transformers.AutoModel` knows and that keeps its layers in `encoder.layer`, as
BERT and its relatives do. Weights are read from safetensors only, and no code of a model's own is
ever run.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import own_randomness
from distill_lab.models.hooks import Tap
from distill_lab.models.networks import Linear

HUB = {  # name: where the hub keeps it, and at which commit
    "all-MiniLM-L6-v2": (
        "sentence-transformers/all-MiniLM-L6-v2",
        "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    )
}
PARTS = ("query", "key", "value")


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
        states = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.head(self.dropout(pooled(states, attention_mask)))


def tiny_classifier(layers: int = 6, classes: int = 5, *, seed: int = 0) -> TextClassifier:
    """Make a classifier on an untrained BERT of width 16 with 50 tokens, to try things out on."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    with own_randomness(seed):
        model = TextClassifier(BertModel(config, add_pooling_layer=False), classes, seed=seed)
    with torch.no_grad():
        model.head.weight.mul_(50)  # so that it does not hold all classes equally likely
    return model.eval()


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


def with_layers(model: TextClassifier, keep: Sequence[int]) -> TextClassifier:
    """Copy a classifier with some of its layers: the student starts as its teacher.

    Args:
        model: the teacher.
        keep: numbers of the layers, in the student's order.

    Returns:
        The student, in training mode.

    Raises:
        ValueError: for no layer, or one that is not there.

    Source: Sanh et al. 2019 (DistilBERT), section 3: initialise from every other layer.
    """
    count = len(layers_of(model.body))
    if not keep or any(not 0 <= layer < count for layer in keep):
        raise ValueError(f"keep must name layers from 0 to {count - 1}, got {list(keep)}.")
    student = copy.deepcopy(model).requires_grad_(True)
    encoder: Any = student.body.encoder
    encoder.layer = nn.ModuleList(encoder.layer[layer] for layer in keep)
    config: Any = student.body.config
    config.num_hidden_layers = len(keep)
    return student.train()


def attention_paths(layer: int, parts: Sequence[str] = PARTS) -> tuple[str, ...]:
    """Name the modules of one layer's queries, keys and values, as `match_features` does.

    >>> attention_paths(5, ["query"])
    ('body.encoder.layer.5.attention.self.query',)
    """
    return tuple(f"body.encoder.layer.{layer}.attention.self.{part}" for part in parts)


def attention_weights(model: TextClassifier, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Compute every head's attention in every layer from its queries and keys.

    It does not matter how the model computes attention; padding gets none.

    Args:
        model: the classifier.
        input_ids: (B, L).
        attention_mask: (B, L), 1 on real tokens.

    Returns:
        (layers, B, heads, L, L), rows sum to one.
    """
    heads = int(model.body.config.num_attention_heads)  # type: ignore[union-attr, arg-type]
    count = len(layers_of(model.body))
    paths = [attention_paths(layer, PARTS[:2]) for layer in range(count)]
    with torch.no_grad(), Tap(model, [p for pair in paths for p in pair]) as tap:
        model(input_ids, attention_mask)
    hidden = ~attention_mask.bool()[:, None, None, :]
    of_layers = []
    for query, key in paths:
        q, k = (tap[p].unflatten(-1, (heads, -1)).transpose(1, 2) for p in (query, key))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        of_layers.append(scores.masked_fill(hidden, -torch.inf).softmax(-1))
    return torch.stack(of_layers)


def question_maps(
    tokenizer: Any, question: str, *models: TextClassifier
) -> tuple[list[str], *tuple[Tensor, ...]]:
    """Cut one question into tokens and compute each model's attention on it.

    Args:
        tokenizer: The models' tokenizer.
        question: The text.
        models: One or more classifiers.

    Returns:
        The tokens as text, then (layers, heads, L, L) for each model.
    """
    encoded = tokenizer(question, return_tensors="pt")
    inputs = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    pieces = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    return (pieces, *(attention_weights(model, **inputs)[:, 0] for model in models))
