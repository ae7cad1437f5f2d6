"""Near-duplicates by MinHash: candidates from a library, then the exact share of common n-grams."""

from __future__ import annotations

from collections.abc import Sequence

from distill_lab.synthesis.extras import needs
from distill_lab.synthesis.texts import grams, words_of

PERMUTATIONS = 128
SLACK = 0.1  # candidates are sought a little below the threshold, since MinHash only estimates,
MISSING_IS_WORSE = (0.1, 0.9)  # and a false one costs only the exact comparison


def near_duplicates(
    texts: Sequence[str], threshold: float, n: int
) -> list[tuple[int, float] | None]:
    """For each text, the first earlier one it is like and how much; None where it is new.

    Only texts that are new themselves are compared against, so a chain of small changes does not
    take everything with it.
    """
    with needs("datasketch"):
        from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

    index = MinHashLSH(
        threshold=max(threshold - SLACK, 0.05), num_perm=PERMUTATIONS, weights=MISSING_IS_WORSE
    )
    shingles = [_shingles(text, n) for text in texts]
    found: list[tuple[int, float] | None] = []
    copies: dict[frozenset[tuple[str, ...]], int] = {}
    for i, mine in enumerate(shingles):
        if mine in copies:  # an exact copy is never left to chance
            found.append((copies[mine], 1.0))
            continue
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([" ".join(gram).encode() for gram in mine])
        likes = [(k, jaccard(mine, shingles[k])) for k in sorted(map(int, index.query(sketch)))]
        twin = next(((k, share) for k, share in likes if share >= threshold), None)
        found.append(twin)
        if twin is None:
            copies[mine] = i
            index.insert(str(i), sketch)
    return found


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """|A & B| / |A | B|, 1 for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else 1.0


def _shingles(text: str, n: int) -> frozenset[tuple[str, ...]]:
    """Its word n-grams; a shorter text is one gram of all its words."""
    words = words_of(text)
    return frozenset(grams(words, max(1, min(n, len(words)))))
