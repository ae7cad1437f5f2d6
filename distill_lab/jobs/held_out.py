"""Rows that are kept apart to measure on: by seed, and never the twin of a row that is learned."""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

from distill_lab._util.io import short_hash
from distill_lab.data.fingerprints import of_facts


class Subset:
    """Some rows of a table, in their order, each with its place in the files.

    Args:
        table: the rows.
        numbers: which of them.
    """

    def __init__(self, table: Any, numbers: Sequence[int]) -> None:
        self.table, self.numbers = table, numbers
        self.files = table.files

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: int) -> Any:
        return self.table[self.numbers[number]]

    def __iter__(self) -> Iterator[Any]:
        return (self.table[number] for number in self.numbers)

    @property
    def fingerprint(self) -> str:
        """A short name for the content of the files and for which of their rows these are."""
        return of_facts([self.table.fingerprint, short_hash(array("q", self.numbers).tobytes())])

    def place(self, number: int) -> str:
        """Where a row stands, as in "train.csv, line 7"."""
        place: str = self.table.place(self.numbers[number])
        return place


def far_off(share: float | None, learned: int, apart: int) -> str:
    """Say that a share became another, where many rows are one; else nothing.

    Args:
        share: that was wanted; None for none.
        learned: rows that are learned.
        apart: rows that are kept apart.

    Returns:
        A clause, or nothing.

    >>> far_off(0.1, 35, 65)
    'held_out = 0.1 asks for 10 of 100 rows and gets 65 (65 %), for equal ones stay together'
    >>> far_off(0.1, 88, 12)
    ''
    """
    rows = learned + apart
    wanted = _wanted(share or 0, rows)
    if share is None or apart <= 1.5 * wanted + 1:
        return ""
    return (
        f"held_out = {share:g} asks for {wanted:,} of {rows:,} rows and gets {apart:,} "
        f"({100 * apart / rows:.0f} %), for equal ones stay together"
    )


def _wanted(share: float, rows: int) -> int:
    return max(1, math.floor(share * rows))


def kept_apart(
    identities: Iterable[str], share: float, seed: int
) -> tuple[Sequence[int], Sequence[int]]:
    """Choose rows to measure on: those whose identity has the lowest hash.

    Rows of one identity stay together, so a few more or fewer than the share may be chosen. Letter
    case and spaces make no other row of it.

    Args:
        identities: of each row, what makes it the row that it is, such as its question.
        share: of the rows, between 0 and 1.
        seed: other ones choose other rows.

    Returns:
        The numbers of the rows that are learned, and of those that are kept apart.

    Raises:
        ValueError: where one of the two would be empty.

    >>> kept_apart(["a", "b", "A ", "c"], 0.5, seed=4)
    (array('q', [1, 3]), array('q', [0, 2]))
    """
    hashes = array("Q")
    for identity in identities:
        words = f"{seed} {' '.join(identity.split()).casefold()}"
        digest = blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        hashes.append(int.from_bytes(digest, "big"))
    limit = sorted(hashes)[_wanted(share, len(hashes)) - 1] if hashes else 0
    learned = array("q", (i for i, value in enumerate(hashes) if value > limit))
    apart = array("q", (i for i, value in enumerate(hashes) if value <= limit))
    if not learned or not apart:
        raise ValueError(
            f"held_out = {share:g} of {len(hashes)} rows, equal ones together, leaves nothing to "
            "learn: give more rows, or name others by validation."
        )
    return learned, apart
