"""A little language of parcels, the Llama that writes it, and the small Llamas that draft for it.

    Ann lives in Oslo . Ann sends a red lamp to Tom . Tom opens the parcel and finds the red lamp .
    Tom smiles and writes Ann a letter from Rome .

Who sends what to whom is drawn by chance and has to agree later: half of the tokens follow from
the grammar, some from the story so far, and some from nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.runtime import modes_kept, own_randomness
from distill_lab.course import stories260k
from distill_lab.course.tutor.vocabulary import hugging_face
from distill_lab.losses import IGNORE
from distill_lab.methods import Method, tokens
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill

__all__ = ["Target", "draw", "network", "parcel_target", "target_at_hand", "train_drafts", "write"]

PAD, START, END = "<pad>", "<start>", "<end>"
NAMES = ("Ann", "Tom", "Mia", "Ben", "Zoe", "Max", "Ida", "Leo")
PLACES = ("Oslo", "Rome", "Kyoto", "Lima", "Seoul", "Cairo")
COLOURS = ("red", "blue", "green", "black", "white", "pink")
THINGS = ("lamp", "ball", "hat", "boat", "drum", "kite", "book", "cup")
SENDS = ("sends", "brings", "mails")
SMILES = ("smiles", "laughs", "waits")
REST = ("lives", "in", "a", "to", "opens", "the", "parcel", "and", "finds", "writes", "letter")
REST += ("from", ".")
WORD_LIST = (PAD, START, END, *NAMES, *PLACES, *COLOURS, *THINGS, *SENDS, *SMILES, *REST)
_ID = {word: i for i, word in enumerate(WORD_LIST)}


def draw(n: int, *, seed: int) -> list[str]:
    """Draw `n` stories, the same for the same seed.

    >>> len(draw(1, seed=0)[0].split())
    33
    """
    generator = torch.Generator().manual_seed(seed)

    def pick(words: Sequence[str], but: list[int] | None = None) -> list[int]:
        weights = (1 / torch.arange(1.0, len(words) + 1)).repeat(n, 1)  # falling, as in real text
        if but is not None:
            weights[range(n), but] = 0
        return torch.multinomial(weights, 1, generator=generator)[:, 0].tolist()

    senders = pick(NAMES)
    columns = zip(
        senders,
        pick(NAMES, but=senders),
        *(pick(words) for words in (PLACES, PLACES, COLOURS, THINGS, SENDS, SMILES)),
        strict=True,
    )
    stories = []
    for a, b, home, away, colour, thing, sends, smiles in columns:
        one, two, gift = NAMES[a], NAMES[b], f"{COLOURS[colour]} {THINGS[thing]}"
        stories.append(
            f"{one} lives in {PLACES[home]} . {one} {SENDS[sends]} a {gift} to {two} . "
            f"{two} opens the parcel and finds the {gift} . "
            f"{two} {SMILES[smiles]} and writes {one} a letter from {PLACES[away]} ."
        )
    return stories


def as_ids(stories: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Turn stories of one length into inputs and labels (N, L), start and end included."""
    rows = [[1, *(_ID[word] for word in story.split()), 2] for story in stories]
    ids = torch.tensor(rows)
    labels = ids.clone()
    labels[:, 0] = IGNORE
    return ids, labels


@dataclass(frozen=True)
class Target:
    """A language model that drafts are made for: how its texts begin, end, and read as words."""

    name: str
    model: Any
    start: int
    end: int
    longest: int  # tokens written after the start
    words: Any  # a list of ids -> text


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
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    with own_randomness(seed):
        return hf.LlamaForCausalLM(hf.LlamaConfig(**settings | more)).to(torch.float32)


def new_draft(target: Target, *, seed: int) -> Any:
    """Make a draft without training: one block, and the target's vocabulary."""
    config = target.model.config
    real = config.vocab_size > len(WORD_LIST)
    return network(
        config.vocab_size,
        config.hidden_size if real else 16,
        1,
        seed=seed,
        max_position_embeddings=config.max_position_embeddings,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
    )


def parcel_target(seed: int = 0) -> Target:
    """Train six narrow blocks on 1,600 stories, in some seconds."""
    model = network(len(WORD_LIST), 48, 6, seed=1000 + seed)
    distill(
        model,
        as_ids(draw(1600, seed=1)),
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
    freeze(model)

    def words(ids: Sequence[int]) -> str:
        return " ".join(WORD_LIST[i] for i in ids)

    return Target("a small Llama of our own", model.eval(), 1, 2, 36, words)


def target_at_hand(seed: int = 0) -> Target:
    """Load stories260K if its files are on this machine; else train our own target."""
    if stories260k.find() is None:
        return parcel_target(seed)
    model, tokenizer = stories260k.load()
    freeze(model)
    start = stories260k.START
    return Target("stories260K", model, start, start, 120, tokenizer.decode)


@torch.no_grad()
def write(
    model: Any, target: Target, n: int, *, seed: int, batch_size: int = 250
) -> tuple[Tensor, Tensor]:
    """Let a model write `n` texts at temperature 1, up to their end.

    Args:
        model: who writes; the target or a draft.
        target: where texts begin, where they end and how long they may be.
        n: how many texts.
        seed: of the sampling.
        batch_size: texts written at once.

    Returns:
        Inputs and labels (n, 1 + longest); the start and what follows the end have the label -100.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    with modes_kept(model):
        model.eval()
        for size in [batch_size] * (n // batch_size) + [n % batch_size] * bool(n % batch_size):
            ids, cache = torch.full((size, 1), target.start), None
            for _ in range(target.longest):
                out = model(ids[:, -1:], past_key_values=cache, use_cache=True)
                cache = out.past_key_values
                p = out.logits[:, -1].softmax(-1)
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
    epochs: int,
    batch_size: int,
    lr: float,
    start: Sequence[Any] | None = None,
) -> list[Any]:
    """Train a draft for each seed on the same texts, all at once.

    Args:
        target: what the drafts are for.
        texts: inputs and labels (N, L).
        teacher: a record of the target's logits on these texts; None for the texts alone.
        method: the loss.
        seeds: S seeds, of first weights and order.
        epochs: over the texts.
        batch_size: texts a step.
        lr: the first rate; it falls to zero by a cosine.
        start: the drafts of these seeds that training goes on from; None: new ones.

    Returns:
        S drafts.
    """
    seeds = list(seeds)

    def first(seed: int) -> Any:
        return new_draft(target, seed=seed) if start is None else start[seeds.index(seed)]

    runs = distill_seeds(
        first,
        texts,
        seeds=seeds,
        teacher=teacher,
        method=method,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        schedule="cosine",
        clip=1.0,
        progress=False,
    )
    return [runs.model(i).eval() for i in range(len(seeds))]
