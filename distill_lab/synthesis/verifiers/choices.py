"""A verifier of multiple choice: the letter that an answer chooses."""

import re

from distill_lab._util.jsonl import Row
from distill_lab.synthesis.verifiers.answers import final_answer, undressed
from distill_lab.synthesis.verifiers.verdicts import (
    UndecidedError,
    Verdict,
    Verifier,
    answer_of,
    gold,
    judged,
)
from distill_lab.synthesis.verifiers.words import CLAUSE, DENIAL

RIGHT = "is (?:the )?(?:correct|right|best|true)"


def choice(letters: str = "ABCDE", key: str = "answer") -> Verifier:
    r"""Accept an answer that chooses the letter kept under `key`.

    Reads B, (b), B) Paris, **Answer:** B, option B, \boxed{\text{B}}. The article in "A dog" is no
    choice, and two letters are none either.

    Args:
        letters: The letters there are, in capitals.
        key: Where under `about` the right one stands.

    Returns:
        The verifier.

    Raises:
        ValueError: For fewer than two letters.

    >>> choice()({"answer": "The answer is (B), not A.", "about": {"answer": "B"}}).ok
    True
    """
    if not re.fullmatch(r"[A-Z]{2,}", letters):
        raise ValueError(f"letters must be two capitals or more, such as 'ABCD', got {letters!r}.")

    def verify(row: Row) -> Verdict:
        kept = str(gold(row, key)).strip()
        right = _letter(kept, letters)
        if right is None:
            return Verdict(False, f"what is kept under {key!r} is none of {letters}: {kept!r}")
        letter = _letter(final_answer(answer_of(row)), letters)
        if letter is None:
            return Verdict(False, f"chooses none of {letters}")
        ok = letter == right
        return Verdict(ok, "" if ok else f"answered {letter}, not {right}")

    return judged(verify)


def _letter(text: str, letters: str) -> str | None:
    """The letter that a text chooses; None for none."""
    text = undressed(text).strip()
    bare = text.strip(" .,;:!()[]{}\"'")
    if len(bare) == 1:
        return bare.upper() if bare.upper() in letters else None
    one = f"[{letters}]"
    if re.match(rf"\W*{one}\W{{0,3}}(?:,|/|&|\band\b|\bor\b)\W{{0,3}}{one}\b", text):
        raise UndecidedError(f"it names several letters, {text[:40]!r}")
    end = rf"[).:\]]|\s*[-–—,]\s|\s+(?:because|since|as|{RIGHT})\b"
    first = re.match(rf"[(\[]?({one})(?:{end})", text)
    if first:
        rest = text[first.end() :]
        others = {*re.findall(rf"\(({one})\)", rest)} - {first[1]}
        if others and not re.match(r"\W*(?:because|since|as|not|rather|and not)\b", rest):
            raise UndecidedError(f"it names several letters, {text[:40]!r}")
        return first[1]
    for pattern in (
        rf"\b(?:option|choice|letter|answer)(?:\s+is|:)?\s*\(?({one})\b",
        rf"\(({one})\)",
        rf"\b({one})[).](?!\w)",
        rf"\b(?:it[’']s|is|think|choose|pick|with|say)\s+({one})\W*$",
    ):
        chosen = {
            match[1]
            for match in re.finditer(pattern, text, re.I if "option" in pattern else 0)
            if not DENIAL.search(CLAUSE.split(text[: match.start()].lower())[-1])
        }
        if len(chosen) > 1:
            raise UndecidedError(f"it names several letters, {text[:40]!r}")
        if chosen:
            return chosen.pop().upper()
    return None
