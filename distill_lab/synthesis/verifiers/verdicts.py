"""What a verifier gives, and what it takes of a row."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from distill_lab._util.jsonl import Row
from distill_lab.data.thoughts import answer_in


class Verdict(NamedTuple):
    """Whether an answer passed, and why not where it did not.

    Args:
        ok: whether it did.
        reason: why not; "" where it did.
    """

    ok: bool
    reason: str = ""


Verifier = Callable[[Row], Verdict]


class UndecidedError(ValueError):
    """An answer may mean several things, or nothing that could be compared."""


class UnreadableError(UndecidedError):
    """What was read is no single number; an expression it may still be."""


def gold(row: Row, key: str = "answer") -> Any:
    """Look up what the caller kept beside the prompt.

    Args:
        row: With its `about`.
        key: A name in it.

    Returns:
        What is kept.

    Raises:
        ValueError: Where it is not there.
    """
    about = row.get("about", {})
    if key not in about:
        raise ValueError(
            f"row {row.get('id', '?')} keeps no {key!r} beside its prompt (only {sorted(about)}): "
            f'give prompts as {{"prompt": ..., {key!r}: ...}}, or name another key.'
        )
    return about[key]


def accepted(row: Row, key: str) -> list[Any]:
    """Look up what is right: one thing, or each of a list."""
    right = gold(row, key)
    return list(right) if isinstance(right, (list, tuple)) else [right]


def answer_of(row: Row) -> str:
    """Read the answer of a row, behind its thoughts. Raises ValueError where there is none."""
    if not isinstance(row.get("answer"), str):
        raise ValueError(f'a row is a dict with an "answer"; this one has {sorted(row)}.')
    return answer_in(row["answer"])


def judged(verify: Verifier) -> Verifier:
    """Reject an empty answer, and what cannot be decided, before and around a verifier."""

    def verdict(row: Row) -> Verdict:
        if not answer_of(row).strip():
            return Verdict(False, "no answer: it is empty")
        try:
            return verify(row)
        except UndecidedError as error:
            return Verdict(False, f"cannot be decided: {error}")

    return verdict


def check_verdict(given: Any) -> Verdict:
    """Make a verdict of what a caller's verifier gave: a verdict, pair, mapping or bool."""
    if isinstance(given, bool):
        return Verdict(given, "" if given else "not right")
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], bool):
        return Verdict(given[0], str(given[1]))
    if isinstance(given, Mapping) and isinstance(given.get("ok"), bool):
        return Verdict(given["ok"], str(given.get("reason", "")))
    raise TypeError(
        "a verifier returns Verdict(ok, reason), or True or False; it returned "
        f"{type(given).__name__}."
    )
