"""What the tutor is made of, as plain figures, and the tasks and network that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from distill_lab.datasets import worlds
from distill_lab.datasets.worlds import Task
from distill_lab.models.tutor.copying import copies
from distill_lab.models.tutor.vocabulary import hugging_face
from distill_lab.running import own_randomness

__all__ = ["Part", "Recipe", "Size", "network", "talks_of"]


@dataclass(frozen=True)
class Size:
    """The shape of a network: its width, its blocks, its heads, the width inside a block."""

    width: int
    layers: int
    heads: int
    inner: int


@dataclass(frozen=True)
class Part:
    """A stretch of training: so many conversations, in these shares, for so many steps.

    `shares`: a weight for each world, in the order of `worlds.NAMES`, and `copies` that of words to
    say again. `easy`: the share of level 1 among the conversations; the rest is level 2. `draw`:
    parts with another number draw others. `schedule`: "constant", or "linear" down to zero over the
    epochs begun. `prompts`: how much the loss on the prompts weighs beside that on the answers
    (`answers_and_prompts`).
    """

    name: str
    talks: int
    steps: int
    schedule: str = "constant"
    shares: tuple[float, ...] = (1, 1, 1, 1, 1)
    copies: float = 0.0
    easy: float = 0.1
    draw: int = 0
    lr: float = 5e-3
    prompts: float = 0.0


# A support reply is long and soon learnt; to read, for a question or an inference, takes most of
# the training, and each of its answers is one token.
READING = (2, 1, 3, 2.5, 2)
LATE = (3, 2, 2, 1.5, 3)  # what is then still wrong: shades of meaning, and which figure is larger
# Hugging Face's 0.02 is made for wide networks: at width 128 attention starts so flat that copying
# from the prompt is learnt late. Ours is 0.06 at width 128, and goes with 1/sqrt(width).
FIRST_WEIGHTS = 0.06 * math.sqrt(128)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out: the same recipe, the same tutor on one machine.

    Four things make it learn in an hour what it had not in two: copying comes first (`copies`);
    a text is read once and asked about five times (`World.talks`); prompts count a little while it
    finds out how to look things up; and Muon. `control` is a network of a tenth the size that
    learns the same conversations in the same way.
    """

    seed: int = 0
    vocabulary: int = 1600
    size: Size = Size(128, 4, 4, 320)
    control: Size = Size(40, 2, 2, 80)
    batch_size: int = 32
    optimizer: str = "muon"
    warmup: int = 100
    clip: float = 1.0
    parts: tuple[Part, ...] = (
        Part("copying", 16_000, 500, shares=(0.5, 1, 0.5, 1, 1), copies=2, easy=0.5, prompts=0.1),
        Part("steady", 64_000, 2_000, shares=READING, copies=0.5, easy=0.4, prompts=0.2, draw=1),
        Part("cooling", 38_400, 2_400, "linear", shares=LATE, easy=0.15, draw=2),
    )
    tested: int = 200  # tasks a world, in and out of distribution, in the report


def talks_of(recipe: Recipe, part: Part) -> list[list[Task]]:
    """The conversations of a part: of copies and of every world its share, level 1 first."""
    whole = sum(part.shares) + part.copies
    seed = recipe.seed + 1000 * part.draw
    again = round(part.talks * part.copies / whole)
    talks = copies(again, seed=seed) if again else []
    for name, share in zip(worlds.NAMES, part.shares, strict=True):
        n = round(part.talks * share / whole)
        easy = round(n * part.easy)
        for level, count in ((1, easy), (2, n - easy)):
            if count:
                talks += worlds.load(name).talks(count, seed=seed, level=level)
    return talks


def epochs_of(part: Part, examples: int, batch_size: int) -> int:
    """How often the tasks are gone through; the last time perhaps not to the end.

    >>> epochs_of(Part("a", 320, 15), 320, 32)
    2
    """
    return math.ceil(part.steps / math.ceil(examples / batch_size))


def network(size: Size, tokenizer: Any, seed: int) -> Any:
    """A `LlamaForCausalLM` with first weights from the seed; embedding and output are one matrix.

    Raises ImportError, with the way out, where transformers is not installed.
    """
    hf = hugging_face()
    config = hf.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=size.width, num_hidden_layers=size.layers,
        num_attention_heads=size.heads, intermediate_size=size.inner, max_position_embeddings=512,
        tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=FIRST_WEIGHTS / math.sqrt(size.width),
    )  # fmt: skip
    with own_randomness(seed):
        return hf.LlamaForCausalLM(config).to(torch.float32)
