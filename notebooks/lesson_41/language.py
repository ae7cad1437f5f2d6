"""The teachers and students of lesson 41: small Llamas that tell stories."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.runtime import own_randomness
from distill_lab.course import tutor, worlds
from distill_lab.course.tutor.lessons import chat
from distill_lab.course.tutor.vocabulary import hugging_face
from distill_lab.data.datasets import shakespeare
from distill_lab.methods import tokens
from distill_lab.teachers import freeze
from distill_lab.training import distill
from lesson_41 import errands, stories
from lesson_41.telling import Told, Voice, written

__all__ = ["foreign", "network", "pupil", "teacher_at_hand", "tiny_teacher"]


def network(
    words: int, width: int, layers: int, heads: int, *, seed: int, longest: int = 64, **more: int
) -> Any:
    """A Llama with first weights from the seed; ``more`` goes to its configuration."""
    hf = hugging_face()
    config = hf.LlamaConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=more.pop("intermediate_size", 2 * width),
        max_position_embeddings=longest,
        tie_word_embeddings=False,
        attn_implementation="eager",  # the only one that torch.vmap can run for all seeds at once
        **({"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2} | more),
    )
    with own_randomness(seed):
        return hf.LlamaForCausalLM(config).to(torch.float32)


def pupil(voice: Voice, seed: int) -> Any:
    """A smaller network with the voice's tokens: two of its blocks, or one narrow one."""
    known = voice.model.config
    deep = known.num_hidden_layers > 2
    return network(
        known.vocab_size,
        known.hidden_size if deep else 24,
        2 if deep else 1,
        4,
        seed=seed,
        longest=known.max_position_embeddings,
        pad_token_id=voice.pad,
        eos_token_id=voice.end,
        bos_token_id=known.bos_token_id,
    )


def tiny_teacher(seed: int = 0) -> Voice:
    """One block of width 64, taught 3,200 stories of `errands` in a few seconds."""
    words = errands.tokenizer()
    model = network(len(words), 64, 1, 4, seed=1000 + seed)
    lessons = written(errands.draw(3200, seed=1), words)
    distill(  # with Muon half the steps of AdamW are enough
        model,
        lessons.data,
        method=tokens(alpha=0.0),
        epochs=2,
        batch_size=32,
        lr=1e-2,
        optimizer="muon",
        schedule="cosine",
        warmup=20,
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
    )
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


def foreign(voice: Voice, told: Told, *, seed: int) -> tuple[str, Told]:
    """Text that is not the voice's, with its name: Shakespeare for a voice that can read it.

    A voice of few words gets its own texts, the words of each in any order.
    """
    if voice.right is None:
        plays = shakespeare.passages(shakespeare.load(), letters=250)
        cut = told.ids.shape[1]
        return "Tiny Shakespeare", written(plays[: len(told)], voice.tokenizer, longest=cut)
    shuffle = random.Random(seed)
    split = [text.split() for text in told.texts]
    mixed = [" ".join(shuffle.sample(words, len(words))) for words in split]
    return "its words in any order", written(mixed, voice.tokenizer)


def _always(start: int) -> Callable[[int, int], Tensor]:
    return lambda n, seed: torch.full((n, 1), start)


def _tasks(words: Any) -> Callable[[int, int], Tensor]:
    """Questions of the text worlds, as the tutor reads them."""

    def prompts(n: int, seed: int) -> Tensor:
        asked = [chat(task) for task in worlds.load("support").train(n, seed=seed)]
        ids = words(asked, return_tensors="pt", padding=True, padding_side="left")["input_ids"]
        return torch.as_tensor(ids)

    return prompts
