"""BANKING77: 13,083 questions to a bank's help desk, each with one of 77 intents.

Casanueva et al. 2020, "Efficient intent detection with dual sentence encoders",
arXiv:2003.04807. CC BY 4.0, PolyAI.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill_lab.data.datasets import files
from distill_lab.data.datasets.files import Progress

__all__ = ["Questions", "TextSet", "load"]

NAME = "banking77"


@dataclass(frozen=True, repr=False)
class Questions:
    """Texts with one label each, which unpack as `texts, labels`; `labels` is (N,) int64."""

    texts: tuple[str, ...]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter((self.texts, self.labels))

    def __repr__(self) -> str:
        return f"Questions({len(self):,} texts)"

    def pick(self, index: Tensor) -> Questions:
        """The questions of these numbers, in this order."""
        return Questions(tuple(self.texts[i] for i in index.tolist()), self.labels[index])

    def split(self, n: int, seed: int = 0) -> tuple[Questions, Questions]:
        """Two parts that share nothing: `n` questions drawn at random, and the rest.

        Raises ValueError unless both parts hold something.
        """
        if not 1 <= n < len(self):
            raise ValueError(f"split(n) needs n from 1 to {len(self) - 1}; got {n}.")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return self.pick(order[:n]), self.pick(order[n:])


@dataclass(frozen=True, repr=False)
class TextSet:
    """The official training and test questions, the classes' names, and where they came from."""

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


def load(
    *, download: bool = True, mirrors: Sequence[str] | None = None, progress: Progress | None = None
) -> TextSet:
    """Load BANKING77, found and checked as `datasets.load` finds and checks its images.

    10,003 training and 3,080 test questions. Raises ValueError for a wrong file, and
    FileNotFoundError, with the three ways to get it, where a file is missing.
    """
    contents, source = files.read(NAME, download=download, mirrors=mirrors, progress=progress)
    train, test, categories = (content.decode("utf-8") for content in contents)
    classes = tuple(json.loads(categories))
    number = {name: i for i, name in enumerate(classes)}
    return TextSet(NAME, _read(train, number), _read(test, number), classes, source)


def _read(text: str, number: dict[str, int]) -> Questions:
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    labels = torch.tensor([number[row["category"]] for row in rows])
    return Questions(tuple(row["text"].strip() for row in rows), labels)
