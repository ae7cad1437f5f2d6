"""What the files of a job hold, in the same few words for every kind."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from distill_lab.jobs.setups.labels import Labels, Quantity

Part = TypeVar("Part")  # texts, words, pictures or queries; its length counts the examples


@dataclass(frozen=True)
class Split:
    """Texts, and their labels where there are any.

    Args:
        texts: the texts, or the words of each.
        labels: classes (N,), 0 or 1 for each class (N, C), or a class for each word; None for none.
    """

    texts: list[Any]
    labels: Tensor | list[Tensor] | None

    def __len__(self) -> int:
        return len(self.texts)

    def part(self, every: int) -> "Split":
        """Every so many of them, from the first."""
        return Split(self.texts[::every], None if self.labels is None else self.labels[::every])


@dataclass(frozen=True)
class Examples(Generic[Part]):
    """What is learned and what is measured on.

    Args:
        train: what is learned.
        held_out: what is measured on.
        unit: what one example is, in the plural: "texts".
        names: the classes; None where nothing is put in classes.
        what: how many classes or candidates there are, in words; empty for nothing to say.
        unlabelled: how many examples of those that are learned have no label.
        note: what is odd about the two parts, a clause; empty for nothing.
    """

    train: Part
    held_out: Part
    unit: str
    names: Labels | Quantity | None = None
    what: str = ""
    unlabelled: int = 0
    note: str = ""

    @property
    def several(self) -> bool:
        """Whether an example may have several labels."""
        return self.names is not None and self.names.several

    @property
    def count(self) -> str:
        """How many there are to learn from, in words."""
        return f"{_length(self.train):,} {self.unit}"

    def __str__(self) -> str:
        bare = f"{self.unlabelled:,} {self.unit} without a label" if self.unlabelled else ""
        parts = ", ".join(filter(None, (self.count, self.what, bare)))
        return "; ".join(
            filter(None, (parts, f"measured on {_length(self.held_out):,}", self.note))
        )


def _length(part: Any) -> int:
    return len(part)
