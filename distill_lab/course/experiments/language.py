"""The teachers and students of lesson 41: small Llamas that tell stories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab.course.experiments import errands
from distill_lab.course.experiments.telling import Voice, written
from distill_lab.datasets import worlds
from distill_lab.methods import tokens
from distill_lab.models import stories, tutor
from distill_lab.models.tutor.lessons import chat
from distill_lab.models.tutor.vocabulary import hugging_face
from distill_lab.running import own_randomness
from distill_lab.teachers import freeze
from distill_lab.training import distill

__all__ = ["network", "teacher_at_hand", "tiny_teacher"]


def network(
    words: int, width: int, layers: int, heads: int, *, seed: int, longest: int = 64, **more: int
) -> Any:
    """A Llama with first weights from the seed; ``more`` goes to its configuration."""
    hf = hugging_face()
    config = hf.LlamaConfig(
        vocab_size=words, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=more.pop("intermediate_size", 2 * width),
        max_position_embeddings=longest, tie_word_embeddings=False,
        **({"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2} | more),
    )  # fmt: skip
    with own_randomness(seed):
        return hf.LlamaForCausalLM(config).to(torch.float32)


def tiny_teacher(seed: int = 0, *, steps: int = 500) -> Voice:
    """Two blocks of width 64, taught some 4,000 stories of `errands` in a few seconds."""
    words = errands.tokenizer()
    model = network(len(words), 64, 2, 4, seed=1000 + seed)
    lessons = written(errands.draw(4000, seed=1), words)
    distill(
        model, lessons.data, method=tokens(alpha=0.0), epochs=steps * 32 // 4000, batch_size=32,
        lr=3e-3, schedule="cosine", warmup=20, clip=1.0, seed=seed, progress=False, shares_every=0,
    )  # fmt: skip
    freeze(model)
    start = int(words.bos_token_id)
    return Voice("a tiny Llama of our own", model, words, _always(start), 22, errands.is_right)


def teacher_at_hand(seed: int = 0) -> Voice:
    """The best language model this machine has: stories260K, else the tutor, else the tiny one."""
    if stories.find() is not None:
        model, words = stories.load()
        freeze(model)
        return Voice("stories260K", model, words, _always(stories.START), 120)
    if (tutor.FOLDER / "config.json").is_file():
        model, words = tutor.load()
        freeze(model)
        return Voice("the tutor", model, words, _tasks(words), 90)
    return tiny_teacher(seed)


def _always(start: int) -> Callable[[int, int], Tensor]:
    return lambda n, seed: torch.full((n, 1), start)


def _tasks(words: Any) -> Callable[[int, int], Tensor]:
    """Questions of the text worlds, as the tutor reads them."""

    def prompts(n: int, seed: int) -> Tensor:
        asked = [chat(task) for task in worlds.load("support").train(n, seed=seed)]
        ids = words(asked, return_tensors="pt", padding=True, padding_side="left")["input_ids"]
        return torch.as_tensor(ids)

    return prompts
