"""What a synthetic set is put through: each filter says which rows it takes out, and why.

A filter is a name and a function from rows to one reason a row, empty for those that stay. Chain
them with ``Pipeline``; every one also works alone: ``distinct()(rows)`` is ``(kept, report)``.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_lab.synthesis.duplicates import near_duplicates
from distill_lab.synthesis.replies import check_schema, schema_error
from distill_lab.synthesis.report import Step
from distill_lab.synthesis.requests import digest
from distill_lab.synthesis.texts import grams, repeated_share, words_of
from distill_lab.synthesis.verifiers import Row, Verifier, check_verdict, final_answer, gold, plain

Of = Callable[[Row], str]


def answer_of(row: Row) -> str:
    """The answer of a row. Raises ValueError where there is none."""
    if not isinstance(row.get("answer"), str):
        raise ValueError(f'a row is a dict with an "answer"; this one has {sorted(row)}.')
    return str(row["answer"])


def asked_and_answered(row: Row) -> str:
    """What the student would be shown: the prompt and its answer."""
    asked = " ".join(str(message.get("content", "")) for message in row.get("prompt", []))
    return f"{asked} {answer_of(row)}"


@dataclass(frozen=True)
class Filter:
    """One sieve. ``judge`` gives for each row why it has to go, "" where it stays."""

    name: str
    judge: Callable[[Sequence[Row]], list[str]]

    def __call__(self, rows: Iterable[Row]) -> tuple[list[Row], Step]:
        """The rows that stay, in their order, and a report of those that do not."""
        given = list(rows)
        reasons = self.judge(given)
        kept = [row for row, why in zip(given, reasons, strict=True) if not why]
        gone = [(row, why) for row, why in zip(given, reasons, strict=True) if why]
        return kept, Step.of(self.name, len(given), gone)


def schema(wanted: Mapping[str, Any]) -> Filter:
    """Keep answers that are JSON as a JSON schema asks. Raises ValueError for no schema."""
    check_schema(wanted)
    return Filter("schema", lambda rows: [schema_error(answer_of(r), wanted) or "" for r in rows])


def verified(verifier: Verifier, name: str = "verified") -> Filter:
    """Keep answers that a verifier passes: see ``verifiers``, or a function of your own.

    Raises TypeError for something that cannot be called.
    """
    if not callable(verifier):
        raise TypeError(
            f"verified needs a function from a row to a verdict, got {type(verifier).__name__}: "
            "such as verifiers.exact()."
        )

    def judge(rows: Sequence[Row]) -> list[str]:
        verdicts = [check_verdict(verifier(row)) for row in rows]
        return ["" if v.ok else v.reason or "not right" for v in verdicts]

    return Filter(name, judge)


def self_consistent(
    *, least: float = 0.5, votes: int = 2, of: Callable[[str], str] = final_answer
) -> Filter:
    """Keep answers that agree with most of their prompt's samples, where most of them agree.

    Formula: v = argmax_a n_a over the final answers a of one prompt; a row stays if its answer is
    v, n_v / sum_a n_a >= least, n_v >= votes, and no other answer has as many.
    It needs no gold answers, and so it cannot see what a teacher gets wrong every time.
    Wang et al. 2023, arXiv:2203.11171, section 2.
    Raises ValueError for a share outside (0, 1] or less than one vote.
    """
    if not 0 < least <= 1:
        raise ValueError(f"least must be a share above 0 and up to 1, got {least!r}.")
    if votes < 1:
        raise ValueError(f"votes must be 1 or more, got {votes!r}.")

    def judge(rows: Sequence[Row]) -> list[str]:
        said = [plain(of(answer_of(row))) for row in rows]
        polls: dict[str, Counter[str]] = defaultdict(Counter)
        names = [digest(row.get("prompt")) for row in rows]
        for name, answer in zip(names, said, strict=True):
            polls[name][answer] += 1
        return [_outvoted(polls[n], a, least, votes) for n, a in zip(names, said, strict=True)]

    return Filter("self-consistent", judge)


def _outvoted(poll: Counter[str], said: str, least: float, votes: int) -> str:
    (first, most), *others = poll.most_common()
    if others and others[0][1] == most:
        return f"no majority: {most} of {poll.total()} samples each for several answers"
    if most < votes or most < least * poll.total():
        return f"no majority: at most {most} of {poll.total()} samples agree"
    return "" if said == first else f"said {said[:40]!r}; {most} of {poll.total()} said {first!r}"


def length(least: int = 1, most: int | None = None, *, of: Of = answer_of) -> Filter:
    """Keep texts of ``least`` to ``most`` words. Raises ValueError where no length would do."""
    if least < 0 or (most is not None and most < least):
        raise ValueError(f"no text has {least} words or more and {most} or less.")

    def why(row: Row) -> str:
        words = len(words_of(of(row)))
        if words < least:
            return f"{words} words, fewer than {least}"
        return f"{words} words, more than {most}" if most is not None and words > most else ""

    return Filter("length", lambda rows: [why(row) for row in rows])


def not_repetitive(share: float = 0.3, *, n: int = 4, of: Of = answer_of) -> Filter:
    """Keep texts that do not go round in circles.

    Formula: 1 - (different n-grams / all n-grams) <= share, over words, from 2 n words on.
    Raises ValueError for a share outside [0, 1] or n < 1.
    """
    if not 0 <= share <= 1 or n < 1:
        raise ValueError(f"share must lie between 0 and 1 and n be 1 or more: {share!r}, {n!r}.")

    def why(row: Row) -> str:
        found = repeated_share(of(row), n)
        return f"{found:.0%} of its {n}-grams are repetitions" if found > share else ""

    return Filter("repetition", lambda rows: [why(row) for row in rows])


def distinct(threshold: float = 0.8, *, n: int = 3, of: Of = answer_of) -> Filter:
    """Keep the first of every group of near-duplicates.

    Formula: |A & B| / |A | B| >= threshold over the sets of word n-grams; candidates are found by
    MinHash with 128 permutations, then compared exactly. So nothing that differs more is taken for
    a twin; a pair above the threshold could be missed (the tests allow 2 %), an exact copy never.
    Broder 1997 (MinHash); Lee et al. 2022, arXiv:2107.06499 (why duplicates harm).
    Raises ValueError for a threshold outside (0, 1] or n < 1.
    """
    if not 0 < threshold <= 1 or n < 1:
        raise ValueError(
            f"threshold must lie above 0 and up to 1, n be 1 or more: {threshold!r}, {n!r}."
        )

    def judge(rows: Sequence[Row]) -> list[str]:
        twins = near_duplicates([of(row) for row in rows], threshold, n)
        return [
            "" if twin is None else f"{twin[1]:.0%} like {rows[twin[0]].get('id', twin[0])}"
            for twin in twins
        ]

    return Filter("near-duplicates", judge)


def not_leaked(tests: Iterable[str], *, n: int = 13, of: Of = asked_and_answered) -> Filter:
    """Keep texts that share no run of ``n`` words with any test example.

    A test example shorter than n words counts as leaked if all of it stands in the text, word by
    word. Brown et al. 2020, arXiv:2005.14165, appendix C (13-grams).
    Raises ValueError for n < 1, or where there are no tests.
    """
    if n < 1:
        raise ValueError(f"n must be 1 or more words, got {n!r}.")
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
                    return f"{' '.join(gram)[:60]!r} stands in test example {seen[size][gram]}"
        return ""

    return Filter("leakage", lambda rows: [why(row) for row in rows])


def balanced(
    by: str | Callable[[Row], Any] = "label", *, at_most: int | None = None, seed: int = 0
) -> Filter:
    """Keep equally many rows of each label: as many as the rarest has, or ``at_most``.

    ``by`` is a key under ``about``, or a function of a row. Who stays is decided by a hash of the
    row and the seed, so it does not depend on the order. Raises ValueError for at_most < 1.
    """
    if at_most is not None and at_most < 1:
        raise ValueError(f"at_most must be 1 or more, got {at_most!r}.")

    def judge(rows: Sequence[Row]) -> list[str]:
        found = [json.dumps(by(r) if callable(by) else gold(r, by)) for r in rows]
        counts = Counter(found)
        room = at_most or min(counts.values(), default=0)
        reasons = [""] * len(rows)
        for name, count in counts.items():
            mine = [i for i, label in enumerate(found) if label == name]
            mine.sort(key=lambda i: digest([seed, rows[i]]))
            for i in mine[room:]:
                reasons[i] = f"one of {count} with {name}; {room} stay"
        return reasons

    return Filter("balance", judge)
