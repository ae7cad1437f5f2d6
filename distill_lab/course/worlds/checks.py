"""The verifiers: a label, an exact answer, a number, or required facts; each says why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from distill_lab.course.worlds.task import Verdict

__all__ = ["Exact", "Facts", "Label", "Number", "plain"]


def plain(text: str) -> str:
    """Lower case, single spaces, no full stop at the end: what exact comparison is made on.

    >>> plain("  In  Oslo. ")
    'in oslo'
    """
    return " ".join(text.split()).lower().rstrip(".! ").strip()


@dataclass(frozen=True)
class Label:
    """One word out of a closed list.

    >>> Label("neutral", ("entailment", "neutral")).verdict("It is neutral, I think.").reason
    "expected one label of entailment, neutral and nothing else; got 'It is neutral, I think.'"
    """

    gold: str
    labels: tuple[str, ...]

    def verdict(self, text: str) -> Verdict:
        """Judge an answer in words."""
        answer = plain(text)
        if not answer:
            return _empty()
        if answer not in self.labels:
            return Verdict(
                False,
                f"expected one label of {', '.join(self.labels)} and nothing else; got "
                f"{_short(text)}",
            )
        if answer != self.gold:
            return Verdict(False, f"the label is {self.gold}, not {answer}")
        return Verdict(True, "the right label")


@dataclass(frozen=True)
class Exact:
    """One of the accepted answers, word for word but for case and the full stop.

    >>> bool(Exact(("Oslo", "in Oslo")).verdict("In Oslo.")), bool(Exact(("Oslo",)).verdict("Rome"))
    (True, False)
    """

    accepted: tuple[str, ...]

    def verdict(self, text: str) -> Verdict:
        """Judge an answer in words."""
        answer = plain(text)
        if not answer:
            return _empty()
        if answer in {plain(one) for one in self.accepted}:
            return Verdict(True, "an accepted answer")
        if any(_has(plain(one), answer) for one in self.accepted):
            return Verdict(False, f"says more than the answer {self.accepted[0]!r}: {_short(text)}")
        return Verdict(False, f"the answer is {self.accepted[0]!r}, not {_short(text)}")


@dataclass(frozen=True)
class Number:
    """A number, alone or after `Answer:`; steps before it are read, and a wrong one is named.

    What counts is the answer: a right one after a wrong step is right, and the reason says so.

    >>> Number(19, "shells").verdict("14+6=20; 20-1=18; Answer: 18").reason
    'the answer is 19, not 18; the first wrong step is 20-1=18'
    """

    gold: int
    unit: str = ""

    def verdict(self, text: str) -> Verdict:
        """Judge an answer in words."""
        answer = plain(text)
        if not answer:
            return _empty()
        steps, marker, last = answer.rpartition("answer")
        if "answer" in steps:
            return Verdict(False, f"gives more than one answer: {_short(text)}")
        last = re.sub(r"^( is)?\s*[:=]?\s*", "", last)
        match = re.fullmatch(r"(-?\d+)(?: (\w+))?", last)
        if not match or (match[2] and match[2] != self.unit):
            where = "after 'Answer:'" if marker else "or 'Answer:' before it"
            return Verdict(False, f"expected one number alone, {where}; got {_short(text)}")
        wrong = _wrong_step(steps)
        if int(match[1]) != self.gold:
            hint = f"; the first wrong step is {wrong}" if wrong else ""
            return Verdict(False, f"the answer is {self.gold}, not {match[1]}{hint}")
        return Verdict(True, f"the right number, though {wrong} is wrong" if wrong else "right")


@dataclass(frozen=True)
class Facts:
    """Free text that must hold the required facts, nothing that contradicts them, and be short.

    `required`: (what it is, the patterns that state it), each of which must be found; `refused`:
    (what is wrong, patterns) of which none may. Patterns are regular expressions on plain text.
    `numbers`: those that may be mentioned. `names`: words that may not. `max_words`: words at most.

    >>> check = Facts((("the day", ("monday",)),), numbers=("3",), names=("tuesday",), max_words=9)
    >>> check.verdict("They won 4 on Monday.").reason
    'mentions 4, which is not asked for or not so'
    """

    required: tuple[tuple[str, tuple[str, ...]], ...]
    refused: tuple[tuple[str, tuple[str, ...]], ...] = ()
    numbers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    max_words: int = 30

    def verdict(self, text: str) -> Verdict:
        """Judge an answer in words."""
        answer = " ".join(text.lower().split())
        if not answer:
            return _empty()
        if (n := len(answer.split())) > self.max_words:
            return Verdict(False, f"is too long: {n} words, at most {self.max_words} are asked for")
        for what, patterns in self.refused:
            if match := _first(patterns, answer):
                return Verdict(False, f"{what}: {match!r}")
        for number in re.findall(r"\d+", answer):
            if number not in self.numbers:
                return Verdict(False, f"mentions {number}, which is not asked for or not so")
        for name in self.names:
            if _has(name.lower(), answer):
                return Verdict(False, f"mentions {name!r}, which is not asked for or not so")
        for what, patterns in self.required:
            if _first(patterns, answer) is None:
                return Verdict(False, f"does not say {what}")
        return Verdict(True, "all facts are there")


def _empty() -> Verdict:
    return Verdict(False, "is empty")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _has(phrase: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None


def _first(patterns: Iterable[str], text: str) -> str | None:
    for pattern in patterns:
        if match := re.search(rf"(?<!\w)(?:{pattern})(?!\w)", text):
            return match[0]
    return None


def _wrong_step(text: str) -> str:
    sums = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
    for a, sign, b, c in re.findall(r"(\d+)\s*([-+*])\s*(\d+)\s*=\s*(-?\d+)", text):
        if sums[sign](int(a), int(b)) != int(c):
            return f"{a}{sign}{b}={c}"
    return ""
