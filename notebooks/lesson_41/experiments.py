"""The teachers and students of lesson 41: small Llamas, and a student of two numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.runtime import own_randomness
from distill_lab.course import stories260k, tutor, worlds
from distill_lab.course.tutor.lessons import chat
from distill_lab.course.tutor.vocabulary import hugging_face
from distill_lab.data import datasets
from distill_lab.methods import tokens
from distill_lab.teachers import freeze
from distill_lab.training import distill
from lesson_41 import gift_stories
from lesson_41.generation import Samples, TextGenerator, tokenize_texts

__all__ = [
    "OBJECTIVES",
    "BigramFit",
    "fit_bigram",
    "foreign_texts",
    "network",
    "new_student",
    "teacher_at_hand",
    "tiny_teacher",
]


def network(
    vocabulary: int,
    width: int,
    layers: int,
    heads: int,
    *,
    seed: int,
    longest: int = 64,
    **more: int,
) -> Any:
    """Make a Llama with first weights from the seed.

    Args:
        vocabulary: number of tokens.
        width: of the hidden states; the blocks are twice as wide inside.
        layers: number of blocks.
        heads: attention heads a block.
        seed: of the weights.
        longest: tokens a text may have.
        **more: goes to the configuration.

    Returns:
        A `LlamaForCausalLM` in float32.
    """
    hf = hugging_face()
    config = hf.LlamaConfig(
        vocab_size=vocabulary,
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


def new_student(generator: TextGenerator, seed: int) -> Any:
    """Make a smaller network with the generator's tokens: two of its blocks, or one narrow one."""
    config = generator.model.config
    deep = config.num_hidden_layers > 2
    return network(
        config.vocab_size,
        config.hidden_size if deep else 24,
        2 if deep else 1,
        4,
        seed=seed,
        longest=config.max_position_embeddings,
        pad_token_id=generator.pad_token_id,
        eos_token_id=generator.eos_token_id,
        bos_token_id=config.bos_token_id,
    )


def tiny_teacher(seed: int = 0) -> TextGenerator:
    """Teach one block of width 64 on 3,200 gift stories, in a few seconds."""
    tokenizer = gift_stories.tokenizer()
    model = network(len(tokenizer), 64, 1, 4, seed=1000 + seed)
    distill(  # with Muon half the steps of AdamW are enough
        model,
        tokenize_texts(gift_stories.draw(3200, seed=1), tokenizer).data,
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
    prompts = _start_token(int(tokenizer.bos_token_id))
    name = "a tiny Llama of our own"
    return TextGenerator(name, model, tokenizer, prompts, 22, gift_stories.is_right)


def teacher_at_hand(seed: int = 0) -> TextGenerator:
    """Load the best language model of this machine: stories260K, else the tutor, else our own."""
    if stories260k.find() is not None:
        model, tokenizer = stories260k.load()
        freeze(model)
        return TextGenerator("stories260K", model, tokenizer, _start_token(stories260k.START), 120)
    if (tutor.FOLDER / "config.json").is_file():
        model, tokenizer = tutor.load()
        freeze(model)
        return TextGenerator("the tutor", model, tokenizer, _support_requests(tokenizer), 90)
    return tiny_teacher(seed)


def foreign_texts(generator: TextGenerator, samples: Samples, *, seed: int) -> tuple[str, Samples]:
    """Find text that is not the generator's, with its name.

    Args:
        generator: whose text it must not be.
        samples: its own texts; the foreign ones are as many and as long.
        seed: of the shuffling.

    Returns:
        Shakespeare for a generator that can read it; a generator of few words gets its own texts,
        the words of each in any order.
    """
    if generator.is_right is None:
        plays = datasets.passages(datasets.load("tinyshakespeare"), letters=250)[: len(samples)]
        longest = samples.ids.shape[1]
        return "Tiny Shakespeare", tokenize_texts(plays, generator.tokenizer, max_length=longest)
    shuffle = random.Random(seed)
    split = [text.split() for text in samples.texts]
    mixed = [" ".join(shuffle.sample(words, len(words))) for words in split]
    return "its words in any order", tokenize_texts(mixed, generator.tokenizer)


def _start_token(token: int) -> Callable[[int, int], Tensor]:
    return lambda n, seed: torch.full((n, 1), token)


def _support_requests(tokenizer: Any) -> Callable[[int, int], Tensor]:
    """Questions of the text worlds, as the tutor reads them."""

    def prompts(n: int, seed: int) -> Tensor:
        texts = [chat(task) for task in worlds.load("support").train(n, seed=seed)]
        ids = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")["input_ids"]
        return torch.as_tensor(ids)

    return prompts


# --- two sentences and a bigram, worked out exactly ----------------------------------------------

TINY = 1e-9  # what the teacher gives to a token it never says: a divergence has to be finite
GRID = 1001  # values of s, and of r
OBJECTIVES = (
    "forward KL, whole sentences",
    "reverse KL, whole sentences",
    "reverse KL a token, teacher's text",
    "reverse KL a token, student's text",
)


@dataclass(frozen=True)
class BigramFit:
    """The best bigram for one objective: it begins with a by s, and goes on from x to b by r."""

    s: float
    r: float
    value: float

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each sentence it can say."""
        s, r = self.s, self.r
        return {
            "a x b": s * r,
            "c x d": (1 - s) * (1 - r),
            "a x d": s * (1 - r),
            "c x b": (1 - s) * r,
        }

    @property
    def invalid(self) -> float:
        """How much of what it says the teacher never would, in percent."""
        return 100 * (self.probabilities["a x d"] + self.probabilities["c x b"])


def fit_bigram(objective: str, share: float = 0.5) -> BigramFit:
    """Find the bigram nearest to a teacher of two sentences, by a grid over its two numbers.

    Whole sentences: sum over sentences y of p(y) log p(y)/q(y), or of q(y) log q(y)/p(y), gradient
    through everything. A token at a time, at each position KL(q(.|prefix) || p(.|prefix)), with
    prefixes from the teacher's text or from the student's own; as in GKD, no gradient tells the
    student to make other prefixes. Where two fits are equally good, the first in the order of r is
    taken.

    Args:
        objective: one of `OBJECTIVES`.
        share: the teacher's probability of "a x b"; "c x d" has the rest.

    Returns:
        The two numbers and the divergence, in nats.

    Raises:
        ValueError: for another objective, or a share outside (0, 1).

    >>> best = fit_bigram("reverse KL, whole sentences")
    >>> round(best.invalid), round(best.value, 3)  # ln 2
    (0, 0.693)
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"expected one of {', '.join(OBJECTIVES)}; got {objective!r}.")
    if not 0 < share < 1:
        raise ValueError(f"share must lie strictly between 0 and 1, got {share!r}.")
    grid = torch.linspace(0, 1, GRID, dtype=torch.float64)
    s, r = torch.meshgrid(grid, grid, indexing="ij")
    q = torch.stack((s * r, (1 - s) * (1 - r), s * (1 - r), (1 - s) * r))
    p = torch.tensor([share, 1 - share, TINY, TINY], dtype=torch.float64)[:, None, None]
    if objective == OBJECTIVES[0]:
        loss = _kl_terms(p, q).sum(0)
    elif objective == OBJECTIVES[1]:
        loss = _kl_terms(q, p).sum(0)
    else:
        first = _binary_kl(s, share)
        own = objective == OBJECTIVES[3]
        # the first token is settled by itself: nothing rewards it for what comes later
        begins = grid[int(first[:, 0].argmin())] if own else torch.tensor(share)
        after_x = begins * _binary_kl(r, 1 - TINY) + (1 - begins) * _binary_kl(r, TINY)
        loss = first + after_x
    best = int(loss.argmin())
    return BigramFit(*(x.flatten()[best].item() for x in (s, r, loss)))


def _kl_terms(a: Tensor, b: Tensor) -> Tensor:
    """Return a log a/b, with 0 log 0 = 0."""
    return torch.special.xlogy(a, a) - torch.special.xlogy(a, b)


def _binary_kl(q: Tensor, p: float) -> Tensor:
    """Return KL((q, 1 - q) || (p, 1 - p))."""
    p_yes = torch.tensor(p, dtype=torch.float64)
    return _kl_terms(q, p_yes) + _kl_terms(1 - q, 1 - p_yes)
