"""Classifiers on a text encoder: one to try things on, a student of fewer layers, attention."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.runtime import own_randomness
from distill_lab.course.encoders import TextClassifier, layers_of
from distill_lab.models.hooks import Tap

PARTS = ("query", "key", "value")


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
