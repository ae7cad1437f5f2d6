"""A story, and what teacher and students give to each next word: the data of a live figure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from distill_lab import signals
from distill_lab.course import stored

__all__ = ["COMMAND", "FILE", "KEPT", "WAYS", "PointerStory", "keep_targets", "load_story"]

COMMAND, FILE = "python -m lesson_41.make", "story_under_the_pointer.json"
WAYS = ("drop", "bucket", "draw")
KEPT = (1, 2, 3, 5, 8)


def keep_targets(way: str, logits: Tensor, k: int, ids: Tensor) -> signals.TopK | signals.Sampled:
    """Keep k of the teacher's probabilities at each position.

    Args:
        way: One of `WAYS`: the k most probable, scaled to sum to 1; the same with the rest in a
            bucket; or k draws.
        logits: The teacher's, (B, L, C).
        k: How many.
        ids: Numbers (B,) of the texts, which decide the draws.

    Returns:
        The signal that the student is given.

    Raises:
        ValueError: For another way.
    """
    if way == "draw":
        return signals.sample(logits, k, ids=ids)
    if way not in WAYS:
        raise ValueError(f"expected one of {', '.join(WAYS)}, got {way!r}.")
    top = signals.top_k(logits, k)
    return top if way == "bucket" else replace(top, log_probs=top.log_probs.log_softmax(-1))


@dataclass(frozen=True)
class PointerStory:
    """One story of the teacher, token by token.

    `tokens` are the L words after the start token, `words` the C words of the vocabulary.
    `teacher` (L, C) and `students`, (ways, ks, L, C), are probabilities of the next word.
    """

    tokens: list[str]
    words: list[str]
    teacher: Tensor
    students: Tensor

    def student(self, position: int, k: int, way: str) -> Tensor:
        """The probabilities (C,) of students that were given k probabilities in this way."""
        return self.students[WAYS.index(way), KEPT.index(k), position]

    def kept(self, position: int, k: int, way: str) -> tuple[Tensor, float]:
        """The target (C,) that is passed on for this position, and what its bucket holds."""
        log_p = self.teacher[None].clamp_min(1e-12).log()
        signal = keep_targets(way, log_p, k, torch.zeros(1, dtype=torch.long))
        values = signal.log_probs.exp() if isinstance(signal, signals.TopK) else signal.weights
        target = torch.zeros_like(self.teacher[0]).index_add(
            0, signal.ids[0, position], values[0, position].to(self.teacher.dtype)
        )
        return target, float(1 - target.sum()) if way == "bucket" else 0.0


@lru_cache(maxsize=1)
def load_story() -> PointerStory:
    """Read the stored story, checked byte for byte."""
    file: dict[str, Any] = stored.load(FILE, remake=COMMAND)
    return PointerStory(
        file["tokens"],
        file["words"],
        torch.tensor(file["teacher"]),
        torch.tensor([file["students"][way] for way in WAYS]),
    )
