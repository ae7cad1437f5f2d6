"""What a synthetic set is put through: each filter says which rows it takes out, and why.

A filter is a name and a function from rows to one reason a row, empty for those that stay. Chain
them with `FilterPipeline`; every one also works alone: `distinct()(rows)` is `(kept, step)`.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from distill_lab._util.checks import fraction, positive_int
from distill_lab._util.jsonl import Row
from distill_lab.synthesis.duplicates import grams, near_duplicates, repeated_share, words_of
from distill_lab.synthesis.replies import check_schema, schema_error
from distill_lab.synthesis.texts import (
    Filter,
    Of,
    TextsOf,
    asked_and_answered,
    shown_and_learned,
    thought_and_answered,
)
from distill_lab.synthesis.verifiers import Verifier, check_verdict, gold
from distill_lab.synthesis.verifiers.verdicts import answer_of
from distill_lab.synthesis.votes import self_consistent
from distill_lab.teachers.text.protocol import digest

__all__ = [
    "Filter",
    "answer_of",
    "asked_and_answered",
    "balanced",
    "distinct",
    "language",
    "length",
    "not_leaked",
    "not_repetitive",
    "schema",
    "self_consistent",
    "shown_and_learned",
    "thought_and_answered",
    "verified",
]


def schema(wanted: Mapping[str, Any]) -> Filter:
    """Keep answers that are JSON as a JSON schema asks. Raises ValueError for no schema."""
    check_schema(wanted)
    return Filter("schema", lambda rows: [schema_error(answer_of(r), wanted) or "" for r in rows])


def verified(verifier: Verifier, name: str = "verified") -> Filter:
    """Keep answers that a verifier accepts.

    Args:
        verifier: One of `verifiers`, or a function of your own from a row to a verdict.
        name: What the table calls the filter.

    Raises:
        TypeError: For something that cannot be called.
    """
    if not callable(verifier):
        raise TypeError(
            f"verified needs a function from a row to a verdict, got {type(verifier).__name__}: "
            "such as verifiers.exact()."
        )

    def judge(rows: Sequence[Row]) -> list[str]:
        verdicts = (check_verdict(verifier(row)) for row in rows)
        return ["" if v.ok else v.reason or "not right" for v in verdicts]

    return Filter(name, judge)


def length(least: int = 1, most: int | None = None, *, of: Of = answer_of) -> Filter:
    """Keep texts of `least` to `most` words.

    Args:
        least: Words at least.
        most: Words at most; None for no limit.
        of: What of a row is measured.

    Raises:
        ValueError: Where no length would do.
    """
    if least < 0 or (most is not None and most < least):
        raise ValueError(f"no text has {least} words or more and {most} or less.")

    def why(row: Row) -> str:
        words = len(words_of(of(row)))
        if words < least:
            return f"{words} words, fewer than {least}"
        return f"{words} words, more than {most}" if most is not None and words > most else ""

    return Filter("length", lambda rows: [why(row) for row in rows])


def not_repetitive(share: float = 0.3, *, n: int = 4, of: Of = thought_and_answered) -> Filter:
    """Keep texts that do not go round in circles.

    Formula: 1 - (different n-grams / all n-grams) <= share, over words, from 2 n words on.

    Args:
        share: The share of repeated n-grams that a text may have.
        n: Words in an n-gram.
        of: What of a row is measured.

    Raises:
        ValueError: For a share outside [0, 1] or n < 1.
    """
    share = fraction("share", share)
    n = positive_int("n", n)

    def why(row: Row) -> str:
        repeated = repeated_share(of(row), n)
        return f"{repeated:.0%} of its {n}-grams are repetitions" if repeated > share else ""

    return Filter("repetition", lambda rows: [why(row) for row in rows])


def distinct(threshold: float = 0.8, *, n: int = 3, of: Of | None = None) -> Filter:
    """Keep the first of every group of near-duplicates.

    Question and answer are compared: labels and short answers are alike without being copies.

    Formula: |A & B| / |A | B| >= threshold over the sets of word n-grams; candidates are found by
    MinHash with 128 permutations, then compared exactly. So nothing that differs more is taken for
    a twin; a pair above the threshold could be missed (the tests allow 2 %), an exact copy never.

    Args:
        threshold: The share from which two texts are near-duplicates.
        n: Words in an n-gram.
        of: What of a row is compared; None for the question and the answer, `answer_of` for the
            answer alone.

    Raises:
        ValueError: For a threshold outside (0, 1] or n < 1.

    Source: Broder 1997 (MinHash); Lee et al. 2022, arXiv:2107.06499 (why duplicates harm).
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie above 0 and up to 1, got {threshold!r}.")
    n = positive_int("n", n)

    def judge(rows: Sequence[Row]) -> list[str]:
        twins = near_duplicates(TextsOf(rows, of or asked_and_answered), threshold, n)
        return [
            ""
            if twin is None
            else f"nearly the same as an earlier row: {twin[1]:.0%} of the runs of words shared "
            f"with {rows[twin[0]].get('id', twin[0])}"
            for twin in twins
        ]

    return Filter("near-duplicates", judge)


def not_leaked(tests: Iterable[str], *, n: int = 13, of: Of = shown_and_learned) -> Filter:
    """Keep texts that share no run of `n` words with any test example.

    A test example shorter than n words counts as leaked if all of it stands in the text, word by
    word.

    Args:
        tests: The texts of the test examples.
        n: Words in a run.
        of: What of a row is held against them.

    Raises:
        ValueError: For n < 1, or where there are no tests.

    Source: Brown et al. 2020, arXiv:2005.14165, appendix C (13-grams).
    """
    n = positive_int("n", n)
    seen: dict[int, dict[tuple[str, ...], int]] = defaultdict(dict)  # by length, where from
    for number, text in enumerate(tests):
        words = words_of(text)
        for gram in grams(words, min(n, max(1, len(words)))):
            seen[len(gram)].setdefault(gram, number)
    if not seen:
        raise ValueError("there is nothing to leak from: tests holds no words.")

    def why(row: Row) -> str:
        words = words_of(of(row))
        for size in sorted(seen, reverse=True):
            for gram in grams(words, size):
                if gram in seen[size]:
                    place = f"{' '.join(gram)[:60]!r}, from test example {seen[size][gram]}"
                    return f"shares a run of words with a test example: {place}"
        return ""

    return Filter("leakage", lambda rows: [why(row) for row in rows])


def language(wanted: str, detect: Callable[[str], str], *, of: Of = answer_of) -> Filter:
    """Keep texts in one language, as a detector of your choice tells it.

    Args:
        wanted: The language's code, such as "en".
        detect: A function from a text to the code of its language, such as
            `lambda text: py3langid.classify(text)[0]`.
        of: What of a row is looked at.

    Raises:
        TypeError: For a detector that cannot be called.
    """
    if not callable(detect):
        raise TypeError(
            f"detect must be a function from a text to a language's code, got {detect!r}."
        )

    def why(row: Row) -> str:
        code = detect(of(row))
        return "" if code == wanted else f"its language is {code}, not {wanted}"

    return Filter("language", lambda rows: [why(row) for row in rows])


def _content(row: Row) -> Row:
    """A row without what differs from run to run."""
    return {
        key: value
        for key, value in row.items()
        if key not in ("seconds", "tries", "model", "fingerprint")
    }


def balanced(
    by: str | Callable[[Row], Any] = "label", *, at_most: int | None = None, seed: int = 0
) -> Filter:
    """Keep equally many rows of each label.

    Which rows are kept is decided by a hash of the row and the seed, so it does not depend on
    their order, nor on how long the teacher took for them.

    Args:
        by: A key under `about`, or a function of a row.
        at_most: Rows of each label; None for as many as the rarest has.
        seed: Another one keeps other rows.

    Raises:
        ValueError: For at_most < 1.
    """
    if at_most is not None:
        at_most = positive_int("at_most", at_most)

    def judge(rows: Sequence[Row]) -> list[str]:
        labels = [json.dumps(by(r) if callable(by) else gold(r, by)) for r in rows]
        counts = Counter(labels)
        room = at_most or min(counts.values(), default=0)
        reasons = [""] * len(rows)
        for name, count in counts.items():
            mine = [i for i, label in enumerate(labels) if label == name]
            mine.sort(key=lambda i: digest([seed, _content(rows[i])]))
            for i in mine[room:]:
                reasons[i] = f"more of its label than are kept: {count} with {name}, {room} kept"
        return reasons

    return Filter("balance", judge)
