"""Texts to learn from: BANKING77's questions with their intents, and Tiny Shakespeare's plays.

BANKING77 holds 13,083 questions to a bank's help desk, each with one of 77 intents: Casanueva et
al. 2020, "Efficient intent detection with dual sentence encoders", arXiv:2003.04807 (CC BY 4.0,
PolyAI). The plays are in the public domain; the selection is A. Karpathy's (char-rnn, 2015).
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.checks import positive_int

__all__ = ["Questions", "TextSet", "parse_banking77", "passages"]


@dataclass(frozen=True, repr=False)
class Questions:
    """Texts with one label each, which unpack as `texts, labels`.

    Args:
        texts: the questions.
        labels: classes (N,) int64.
    """

    texts: tuple[str, ...]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.texts, self.labels))

    def __repr__(self) -> str:
        return f"Questions({len(self):,} texts)"

    def pick(self, index: Tensor) -> "Questions":
        """The questions of these numbers, in this order."""
        return Questions(tuple(self.texts[i] for i in index.tolist()), self.labels[index])

    def split(self, n: int, seed: int = 0) -> "tuple[Questions, Questions]":
        """Two parts that share nothing.

        Args:
            n: how many questions the first part draws at random.
            seed: of the draw.

        Returns:
            The `n` questions, and the rest.

        Raises:
            ValueError: unless both parts hold something.
        """
        if not 1 <= n < len(self):
            raise ValueError(f"split(n) needs n from 1 to {len(self) - 1}; got {n}.")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return self.pick(order[:n]), self.pick(order[n:])


@dataclass(frozen=True, repr=False)
class TextSet:
    """A set of questions with the publishers' own test set.

    Args:
        name: the data set's.
        train: the official training questions.
        test: the official test questions.
        classes: the classes' names.
        source: where they came from, in words.
    """

    name: str
    train: Questions
    test: Questions
    classes: tuple[str, ...]
    source: str

    def __repr__(self) -> str:
        return (
            f"TextSet({self.name!r}, {len(self.train):,} + {len(self.test):,} texts, "
            f"{len(self.classes)} classes, from {self.source})"
        )


def parse_banking77(contents: Sequence[bytes], source: str) -> TextSet:
    """The published files as one set.

    Args:
        contents: the bytes of train.csv, test.csv and categories.json.
        source: where they came from, in words.

    Returns:
        Training and test questions, with the names of their classes.
    """
    train, test, categories = (content.decode("utf-8") for content in contents)
    classes = tuple(json.loads(categories))
    number = {name: i for i, name in enumerate(classes)}
    return TextSet("banking77", _read(train, number), _read(test, number), classes, source)


def passages(text: str, *, letters: int = 400) -> list[str]:
    r"""The text cut at empty lines, between two speeches.

    Nothing is lost: joined by empty lines the pieces are the text again.

    Args:
        text: the whole.
        letters: the least that a piece holds; the last may hold fewer.

    Returns:
        The pieces, in order.

    Raises:
        ValueError: for letters < 1.

    >>> passages("A:\nYes.\n\nB:\nNo.\n\nA:\nAh.", letters=10)
    ['A:\nYes.\n\nB:\nNo.', 'A:\nAh.']
    """
    letters = positive_int("letters", letters)
    pieces, rest = [], ""
    for speech in text.split("\n\n"):
        rest = f"{rest}\n\n{speech}" if rest else speech
        if len(rest) >= letters:
            pieces.append(rest)
            rest = ""
    return [*pieces, rest] if rest else pieces


def _read(text: str, number: dict[str, int]) -> Questions:
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    labels = torch.tensor([number[row["category"]] for row in rows])
    return Questions(tuple(row["text"].strip() for row in rows), labels)
