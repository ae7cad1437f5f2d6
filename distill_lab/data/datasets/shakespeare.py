"""Tiny Shakespeare: a million letters of plays, as one text.

text = shakespeare.load()                        # 1,115,394 characters, 40,000 lines
"""

from __future__ import annotations

from collections.abc import Sequence

from distill_lab.data.datasets import files
from distill_lab.data.datasets.files import Progress

__all__ = ["load", "passages"]

NAME = "tinyshakespeare"


def load(
    *, download: bool = True, mirrors: Sequence[str] | None = None, progress: Progress | None = None
) -> str:
    """The whole text. Looked for in $DISTILL_LAB_DATA/tinyshakespeare/, then in the cache, then
    downloaded, unless `download=False`; it must match its pinned sha256.

    The plays are in the public domain; A. Karpathy put the selection together (char-rnn, 2015).
    Raises FileNotFoundError, with the three ways to get it, or ValueError for a wrong file.
    """
    contents, _ = files.read(NAME, download=download, mirrors=mirrors, progress=progress)
    return contents[0].decode("utf-8")


def passages(text: str, *, letters: int = 400) -> list[str]:
    """The text cut at empty lines, between two speeches, into pieces of at least so many letters.

    Nothing is lost: joined by empty lines the pieces are the text again. Raises ValueError for
    letters < 1.

    >>> passages("A:\\nYes.\\n\\nB:\\nNo.\\n\\nA:\\nAh.", letters=10)
    ['A:\\nYes.\\n\\nB:\\nNo.', 'A:\\nAh.']
    """
    if letters < 1:
        raise ValueError(f"a passage has at least one letter; got letters={letters}.")
    found, held = [], ""
    for speech in text.split("\n\n"):
        held = f"{held}\n\n{speech}" if held else speech
        if len(held) >= letters:
            found.append(held)
            held = ""
    return [*found, held] if held else found
