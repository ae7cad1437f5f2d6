"""Words and n-grams of texts; near-duplicates by MinHash.

A library finds candidates, then the exact share of common n-grams decides.
"""

import re
from collections.abc import Iterator, Sequence

from distill_lab._util.checks import needs

PERMUTATIONS = 128
SLACK = 0.1  # candidates are sought a little below the threshold, since MinHash only estimates,
MISSING_IS_WORSE = (0.1, 0.9)  # and a false one costs only the exact comparison
# A word is a run of letters or digits; scripts written without spaces go letter by letter.
WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|[^\W_\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]+"
)


def words_of(text: str) -> list[str]:
    """Split a text into words, in lower case and without punctuation.

    >>> words_of("Don't panic: 42!")
    ['don', 't', 'panic', '42']
    """
    return WORD.findall(text.casefold())


def grams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """Yield every run of n words; none where there are fewer."""
    return zip(*(words[i:] for i in range(n)), strict=False)


def repeated_share(text: str, n: int) -> float:
    """Compute the share of n-grams that stood in the text before; 0 below 2 n words.

    >>> repeated_share("a b a b a b a b", 2)
    0.7142857142857143
    """
    words = words_of(text)
    if len(words) < 2 * n:
        return 0.0
    runs = list(grams(words, n))
    return 1 - len(set(runs)) / len(runs)


def near_duplicates(
    texts: Sequence[str], threshold: float, n: int
) -> list[tuple[int, float] | None]:
    """Find for each text the first earlier one it is like, and how much; None where it is new.

    Only texts that are new themselves are compared against, so a chain of small changes does not
    take everything with it.

    Args:
        texts: The texts, in their order.
        threshold: The share of common n-grams, |A & B| / |A | B|, from which two are alike.
        n: Words in an n-gram.

    Returns:
        One entry a text: the number of the other and the share, or None.
    """
    with needs("datasketch"):
        from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

    index = MinHashLSH(
        threshold=max(threshold - SLACK, 0.05), num_perm=PERMUTATIONS, weights=MISSING_IS_WORSE
    )
    shingles = [_shingles(text, n) for text in texts]
    twins: list[tuple[int, float] | None] = []
    copies: dict[frozenset[tuple[str, ...]], int] = {}
    for i, mine in enumerate(shingles):
        if mine in copies:  # an exact copy is never left to chance
            twins.append((copies[mine], 1.0))
            continue
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([" ".join(gram).encode() for gram in mine])
        likes = [(k, jaccard(mine, shingles[k])) for k in sorted(map(int, index.query(sketch)))]
        twin = next(((k, share) for k, share in likes if share >= threshold), None)
        twins.append(twin)
        if twin is None:
            copies[mine] = i
            index.insert(str(i), sketch)
    return twins


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """Compute |A & B| / |A | B|, 1 for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else 1.0


def _shingles(text: str, n: int) -> frozenset[tuple[str, ...]]:
    """Its word n-grams; a shorter text is one gram of all its words."""
    words = words_of(text)
    return frozenset(grams(words, max(1, min(n, len(words)))))
