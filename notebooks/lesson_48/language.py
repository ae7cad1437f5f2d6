"""The Llama that writes texts in lesson 48, and the small Llamas that draft for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.runtime import own_randomness
from distill_lab.course import stories260k
from distill_lab.course.tutor.vocabulary import hugging_face
from distill_lab.losses import IGNORE
from distill_lab.methods import Method, tokens
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill
from lesson_48 import parcels

__all__ = ["Target", "network", "parcel_target", "target_at_hand", "train_drafts", "write"]

WIDTHS = {"target": 48, "draft": 16}  # of our own models


@dataclass(frozen=True)
class Target:
    """A language model that drafts are made for: how its texts begin, end, and read as words."""

    name: str
    model: Any
    start: int
    end: int
    longest: int  # tokens written after the start
    words: Any  # a list of ids -> text
    draft_width: int = WIDTHS["draft"]


def network(words: int, width: int, blocks: int, *, seed: int, **more: Any) -> Any:
    """Make a Llama of four heads with first weights from the seed, in float32."""
    hf = hugging_face()
    settings: dict[str, Any] = {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": blocks,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
        "attn_implementation": "eager",  # the only one that torch.vmap can run for all seeds
        "pad_token_id": 0,
        "bos_token_id": parcels.START,
        "eos_token_id": parcels.END,
    }
    with own_randomness(seed):
        return hf.LlamaForCausalLM(hf.LlamaConfig(**settings | more)).to(torch.float32)


def new_draft(target: Target, *, seed: int) -> Any:
    """Make a draft without training: one block, and the target's vocabulary."""
    config = target.model.config
    same = ("max_position_embeddings", "bos_token_id", "eos_token_id")
    more = {name: getattr(config, name) for name in same}
    return network(config.vocab_size, target.draft_width, 1, seed=seed, **more)


def parcel_target(seed: int = 0) -> Target:
    """Train six narrow blocks on 1,600 stories, in some seconds."""
    model = network(len(parcels.WORDS), WIDTHS["target"], 6, seed=1000 + seed)
    distill(
        model,
        parcels.as_ids(parcels.draw(1600, seed=1)),
        method=tokens(alpha=0.0),
        epochs=2,
        batch_size=20,
        lr=1e-2,
        optimizer="muon",
        schedule="cosine",
        warmup=20,
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
    )
    name = "a small Llama of our own"
    return Target(name, freeze(model).model, parcels.START, parcels.END, 36, parcels.as_words)


def target_at_hand(seed: int = 0) -> Target:
    """Load stories260K if its files are on this machine; else train our own target."""
    if stories260k.find() is None:
        return parcel_target(seed)
    model, tokenizer = stories260k.load()
    start, width = stories260k.START, model.config.hidden_size
    return Target("stories260K", freeze(model).model, start, start, 120, tokenizer.decode, width)


@torch.no_grad()
def write(target: Target, n: int, *, seed: int, batch_size: int = 250) -> tuple[Tensor, Tensor]:
    """Let the target write `n` texts at temperature 1, up to their end.

    Args:
        target: who writes, where texts begin and end, and how long they may be.
        n: how many texts.
        seed: of the sampling.
        batch_size: texts written at once.

    Returns:
        Inputs and labels (n, 1 + longest); the start and what follows the end have the label -100.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for first in torch.full((n, 1), target.start).split(batch_size):
        ids, cache = first, None
        for _ in range(target.longest):
            out = target.model(ids[:, -1:], past_key_values=cache, use_cache=True)
            cache, p = out.past_key_values, out.logits[:, -1].softmax(-1)
            ids = torch.cat((ids, torch.multinomial(p, 1, generator=generator)), 1)
        parts.append(ids)
    ids = torch.cat(parts)
    is_end = (ids[:, 1:] == target.end).int()
    after = (is_end.cumsum(1) - is_end) > 0  # the end itself is learned
    labels = ids.clone()
    labels[:, 0] = IGNORE
    labels[:, 1:][after] = IGNORE
    ids[:, 1:][after] = 0
    return ids, labels


def train_drafts(
    target: Target,
    texts: tuple[Tensor, Tensor],
    teacher: Any,
    method: Method,
    *,
    seeds: Sequence[int],
    start: Sequence[Any] | None = None,
    **settings: Any,
) -> list[Any]:
    """Train a draft for each seed on the same texts, all at once.

    Args:
        target: what the drafts are for.
        texts: inputs and labels (N, L).
        teacher: a record of the target's logits on these texts; None for the texts alone.
        method: the loss.
        seeds: S seeds, of first weights and order.
        start: the drafts of these seeds that training goes on from; None: new ones.
        settings: of `distill_seeds`: epochs, batch_size, and lr, which falls to zero by a cosine.

    Returns:
        S drafts.
    """
    seeds = list(seeds)

    def first(seed: int) -> Any:
        return new_draft(target, seed=seed) if start is None else start[seeds.index(seed)]

    more: dict[str, Any] = {"schedule": "cosine", "clip": 1.0, "progress": False} | settings
    runs = distill_seeds(first, texts, seeds=seeds, teacher=teacher, method=method, **more)
    return [runs.model(i).eval() for i in range(len(seeds))]
