"""Words, runs of words, and how much of a text is repetition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# A word is a run of letters or digits; scripts written without spaces go letter by letter.
WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|[^\W_\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]+"
)


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation.

    >>> words_of("Don't panic: 42!")
    ['don', 't', 'panic', '42']
    """
    return WORD.findall(text.casefold())


def grams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """Every run of n words; none where there are fewer."""
    return zip(*(words[i:] for i in range(n)), strict=False)


def repeated_share(text: str, n: int) -> float:
    """The share of n-grams that stood in the text before; 0 for texts of fewer than 2 n words.

    >>> repeated_share("a b a b a b a b", 2)
    0.7142857142857143
    """
    words = words_of(text)
    if len(words) < 2 * n:
        return 0.0
    found = list(grams(words, n))
    return 1 - len(set(found)) / len(found)
