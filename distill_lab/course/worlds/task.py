"""One question of a text world: what is asked, what is right, and how an answer is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Check", "Task", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and in words why or why not. True and false as it stands.

    >>> bool(Verdict(False, "the answer is 19, not 18"))
    False
    """

    right: bool
    reason: str

    def __bool__(self) -> bool:
        return self.right


class Check(Protocol):
    """What judges an answer: a frozen record of what is right, and nothing of the model."""

    def verdict(self, text: str) -> Verdict:
        """Judge an answer in words."""


@dataclass(frozen=True)
class Task:
    """A prompt with its gold answer.

    `answer`: the gold answer in short. `worked`: the same with the steps that lead to it, where
    the world has steps, else empty. `accepted`: other wordings that are as good. `key`: what has
    to be known to answer, without the wording; training and test never share one. `check`: the
    verifier's own record of what is right. `level`: how hard, 1 to 3. `world`: where it is from.
    `follow`: how it is asked once the text it is about has been read, later in one of the world's
    `talks`; empty where it is asked with its text.
    """

    world: str
    prompt: str
    answer: str
    key: str
    check: Check
    level: int
    worked: str = ""
    accepted: tuple[str, ...] = ()
    follow: str = ""

    @property
    def target(self) -> str:
        """What a model should learn to write: the answer with its steps where there are some."""
        return self.worked or self.answer
