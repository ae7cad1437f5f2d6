"""A little language of parcels: its words, and stories drawn from its grammar.

    Ann lives in Oslo . Ann sends a red lamp to Tom . Tom opens the parcel and finds the red lamp .
    Tom smiles and writes Ann a letter from Rome .

Who sends what to whom is drawn by chance and has to agree later: half of the tokens follow from
the grammar, some from the story so far, and some from nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distill_lab.losses import IGNORE

__all__ = ["END", "START", "WORDS", "as_ids", "as_words", "draw"]

START, END = 1, 2  # the numbers of <start> and <end>
NAMES = ("Ann", "Tom", "Mia", "Ben", "Zoe", "Max", "Ida", "Leo")
PLACES = ("Oslo", "Rome", "Kyoto", "Lima", "Seoul", "Cairo")
COLOURS = ("red", "blue", "green", "black", "white", "pink")
THINGS = ("lamp", "ball", "hat", "boat", "drum", "kite", "book", "cup")
SENDS = ("sends", "brings", "mails")
SMILES = ("smiles", "laughs", "waits")
REST = ("lives", "in", "a", "to", "opens", "the", "parcel", "and", "finds", "writes", "letter")
CHOICES = (*NAMES, *PLACES, *COLOURS, *THINGS, *SENDS, *SMILES)
WORDS = ("<pad>", "<start>", "<end>", *CHOICES, *REST, "from", ".")
_ID = {word: i for i, word in enumerate(WORDS)}


def draw(n: int, *, seed: int) -> list[str]:
    """Draw `n` stories, the same for the same seed.

    >>> len(draw(1, seed=0)[0].split())
    33
    """
    generator = torch.Generator().manual_seed(seed)

    def pick(words: Sequence[str], but: list[str] | None = None) -> list[str]:
        weights = (1 / torch.arange(1.0, len(words) + 1)).repeat(n, 1)  # falling, as in real text
        if but is not None:
            weights[range(n), [words.index(word) for word in but]] = 0
        return [words[i] for i in torch.multinomial(weights, 1, generator=generator)[:, 0].tolist()]

    senders = pick(NAMES)
    friends = pick(NAMES, but=senders)
    others = (pick(words) for words in (PLACES, PLACES, COLOURS, THINGS, SENDS, SMILES))
    return [
        f"{one} lives in {home} . {one} {sends} a {colour} {thing} to {two} . "
        f"{two} opens the parcel and finds the {colour} {thing} . "
        f"{two} {smiles} and writes {one} a letter from {away} ."
        for one, two, home, away, colour, thing, sends, smiles in zip(
            senders, friends, *others, strict=True
        )
    ]


def as_ids(stories: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Turn stories of one length into inputs and labels (N, L), start and end included."""
    ids = torch.tensor([[START, *(_ID[word] for word in story.split()), END] for story in stories])
    labels = ids.clone()
    labels[:, 0] = IGNORE
    return ids, labels


def as_words(ids: Sequence[int]) -> str:
    """Read ids as words."""
    return " ".join(WORDS[i] for i in ids)
