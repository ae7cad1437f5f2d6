"""Words and n-grams of texts; near-duplicates by MinHash.

A library finds candidates, then the exact share of common n-grams decides.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from distill_lab._util.checks import needs

PERMUTATIONS = 128
RECENT = 4096  # texts whose n-grams are held, since what is alike often stands together
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
    take everything with it. Of each text some hundred bytes are held; those that could be alike
    are read again and compared by their n-grams.

    Args:
        texts: The texts, in their order.
        threshold: The share of common n-grams, |A & B| / |A | B|, from which two are alike.
        n: Words in an n-gram.

    Returns:
        One entry a text: the number of the other and the share, or None.
    """
    twins: list[tuple[int, float] | None] = [None] * len(texts)
    names, keys = _sketches(texts, threshold, n)
    _, first, copy_of = np.unique(names, return_index=True, return_inverse=True)
    origin = first[copy_of.reshape(-1)]  # the first of its very n-grams
    shared = _shared_bands(np.sort(first), keys)
    new_in: dict[int, list[int]] = defaultdict(list)  # by group, the texts that are new
    recent = lru_cache(maxsize=RECENT)(lambda k: _shingles(texts[k], n))
    for i in range(len(texts)):
        if (k := int(origin[i])) != i:  # an exact copy is never left to chance
            twins[i] = twins[k] or (k, 1.0)
        elif groups := shared.get(i):
            candidates = sorted({k for group in groups for k in new_in[group]})
            likes = ((k, jaccard(recent(i), recent(k))) for k in candidates)
            twins[i] = next(((k, share) for k, share in likes if share >= threshold), None)
            for group in groups if twins[i] is None else ():
                new_in[group].append(i)
    return twins


def _sketches(
    texts: Sequence[str], threshold: float, n: int
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.uint64]]:
    """Of each text a hash of its n-grams (N,), and of each band of its MinHash a number (N, b)."""
    with needs("datasketch"):
        from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

    index = MinHashLSH(
        threshold=max(threshold - SLACK, 0.05), num_perm=PERMUTATIONS, weights=MISSING_IS_WORSE
    )
    names = np.zeros(len(texts), dtype="V16")
    keys = np.zeros((len(texts), index.b), dtype=np.uint64)
    factors = np.random.default_rng(1).integers(2**64, size=index.r, dtype=np.uint64) | np.uint64(1)
    sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
    for i, text in enumerate(texts):
        runs = sorted(" ".join(gram).encode() for gram in _shingles(text, n))
        names[i] = blake2b(b"\n".join(runs), digest_size=16).digest()
        sketch.clear()
        sketch.update_batch(runs)
        bands = sketch.hashvalues[: index.b * index.r].astype(np.uint64).reshape(index.b, index.r)
        keys[i] = (bands * factors).sum(axis=1)
    return names, keys


def _shared_bands(
    numbers: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64]
) -> dict[int, list[int]]:
    """Of each of these texts that has a band in common with another one, its groups of bands."""
    groups_of: dict[int, list[int]] = {}
    before = 0
    for band in range(keys.shape[1]):
        _, group, size = np.unique(keys[numbers, band], return_inverse=True, return_counts=True)
        group = group.reshape(-1)
        for place in np.flatnonzero(size[group] > 1):
            groups_of.setdefault(int(numbers[place]), []).append(before + int(group[place]))
        before += len(size)
    return groups_of


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """Compute |A & B| / |A | B|, 1 for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else 1.0


def _shingles(text: str, n: int) -> frozenset[tuple[str, ...]]:
    """Its word n-grams; a shorter text is one gram of all its words."""
    words = words_of(text)
    return frozenset(grams(words, max(1, min(n, len(words)))))
