"""A verifier of multiple choice: the letter that an answer chooses."""

import re

from distill_lab._util.jsonl import Row
from distill_lab.synthesis.verifiers.answers import read_final_answer, undressed
from distill_lab.synthesis.verifiers.verdicts import (
    UndecidedError,
    Verdict,
    Verifier,
    answer_of,
    gold,
    judged,
)
from distill_lab.synthesis.verifiers.words import CLAUSE, DENIAL

# What stands around a letter: further letters, and words that choose it or rule it out.
LINKED = r"(?:\s*[,/&]\s*|\s+)(?:(?:and|or|nor)\s+)?(?:option\s+)?"
NAME = r"(?:(?:option|choice|letter|answer)s?\s+)?"
SURE = r"(?:(?:both|all|clearly|definitely|obviously|simply|also|surely|therefore|thus) )*"
RIGHT = (
    rf"(?:\s+(?:is|was|seems|must be|has to be)|[’']s)\s+{SURE}(?:(?:the )?(?:correct|right|best"
    r"|true|most (?:likely|plausible))|(?:the|my|our) (?:(?:only|final|correct|right|best"
    r"|most \w+) )*(?:answer|choice|option|solution|one))\b"
)
WRONG = (
    rf"\s+{SURE}(?:(?:the )?(?:wrong|incorrect|worst)|false|out\b|excluded|eliminated|ruled out"
    r"|impossible|invalid|untrue|not(?! (?:wrong|incorrect|false|bad)))"
)
BE = r"(?:is|was|seems|looks|(?:must|would|can|could|may|might|has to) be)"
UNABLE = r"\s+(?:cannot|could not|does not|(?:can|could|is|was|does)n?[’']t)"
NO_BEFORE = (
    r"\b(?:not|neither|nor|rather than|instead of|unlike|(?:any|every)thing but|except(?: for)?"
    r"|rul(?:e|es|ed|ing) out|(?:exclud|eliminat|discard|reject|dismiss)(?:e|ed|es|ing|s)?)"
    r"\s+(?:the )?"
)
DOUBT = re.compile(
    r"(?:(?<!no )(?<!a )(?<!any )\bdoubt|\b(?:unlikely|nobody|no one|wrong|incorrect|worst|least))"
    r"\b[\w\s’'(]*$"
)
NO = re.compile(r"(?<=[.,;!–—-])\s*\b[Nn]o\b\s*[,.:;!–—-]")


def choice(letters: str = "ABCDE", key: str = "answer") -> Verifier:
    r"""Accept an answer that chooses the letter kept under `key`.

    Reads B, (b), B) Paris, **Answer:** B, option B, \boxed{\text{B}}. The article in "A dog" is no
    choice, and two letters are none either. A letter that is called wrong is not chosen.

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
        front = re.match(r"\(?\w[).:](?=\s)", kept)  # of "B) Paris"
        right = _letter(front[0] if front else kept, letters)
        if right is None:
            return Verdict(False, f"what is kept under {key!r} is none of {letters}: {kept!r}")
        answer = read_final_answer(answer_of(row))
        letter = _letter(answer.text, letters)
        # "A. No, B": what stands before it is void; but in "B. No, it cannot" it is the answer B.
        for behind in NO.split(answer.line)[1:]:
            letter = _letter(behind, letters) or letter
        if letter is None:
            return Verdict(False, f"chooses none of {letters}")
        ok = letter == right
        return Verdict(ok, "" if ok else f"answered {letter}, not {right}")

    return judged(verify)


def _letter(text: str, letters: str) -> str | None:
    """The letter that a text chooses; None for none."""
    text = undressed(text).strip()
    one = f"[{letters}]"
    some = rf"{NAME}\(?{one}\b\)?(?:{LINKED}\(?{one}\b\)?){{0,7}}"
    # A question chooses nothing, where it is not the text of an option: "B) Who is it?"
    text = re.sub(
        r"(?:^|(?<=[.!?\n]))\s*(?!\W?[A-Za-z][):\]]\s+\w)[^.!?\n]*\?(?=\s|$)", " ", text
    ).strip()
    # A letter that is denied is dropped, and what is left may choose another.
    text = re.sub(r"^\W*no\b\s*[,.:;!–—-]\s*", "", text, flags=re.I)
    for denied in (
        rf"(?<!\w){some}\s+(?:(?:are|were){WRONG}|aren[’']t)",
        rf"(?i:(?<!\w){NAME}\(?{one}\b\)?(?:\s*\([^()]*\))?[.:]?(?:\s+{BE}{WRONG}|{UNABLE}))",
        rf"(?i:{NO_BEFORE})(?:{some}|(?i:(?:option|choice)\s+\(?{one}\b\)?))(?!\w)",
    ):
        text = re.sub(denied, " ", text)
    if re.match(rf"\W*{one}[):.].{{1,80}}\b(?:is|are) (?:wrong|incorrect|not correct)\W*$", text):
        raise UndecidedError(f"what stands behind the letter may deny it, {text[:40]!r}")
    bare = text.strip(" .,;:!()[]{}\"'")
    if len(bare) == 1:
        return bare.upper() if bare.upper() in letters else None
    if re.match(rf"\W*{one}\W{{0,3}}(?:,|/|&|\band\b|\bor\b)\W{{0,3}}{one}\b", text):
        raise UndecidedError(f"it names several letters, {text[:40]!r}")
    end = rf"[).:\]]|\s\((?!{one}\))|\s*[-–—,]\s|\s+(?:because|since|as)\b|{RIGHT}"
    first = re.match(
        rf"[(\[]?({one})(?:{end})|[(\[]?({one.lower()})(?:[).:\]]\s|\s+(?:because|since)\b)", text
    )
    if first:
        letter = (first[1] or first[2]).upper()
        rest = text[first.end() :]
        also = rf"\b({one})\)|\bso is ({one})\b|(?<![\w'’])({one}){RIGHT}"
        others = {"".join(each) for each in re.findall(also, rest)} - {letter}
        if others and not re.match(r"\W*(?:because|since|as|not|rather|and not)\b", rest):
            raise UndecidedError(f"it names several letters, {text[:40]!r}")
        return letter
    over = r"(?:\W*$|\W+(?:because|since|as)\b)"
    for pattern in (
        rf"(?i:\b(?:option|choice|letter|answer)(?:\s+is\s*:?|:)?\s*\(?({one})\b)",
        rf"\(({one})\)",
        rf"\b({one})[).](?!\w)",
        rf"(?<![\w'’])\(?({one})\)?{RIGHT}",
        rf"\b(?i:is|with|so|thus|hence|therefore|but|must be|leaves)\W{{1,2}}({one}){over}",
        rf"\b(?i:it[’']s|think|choose|pick|go with|say|select|chose)\s+((?i:{one})){over}",
    ):
        chosen: set[str] = set()
        for match in re.finditer(pattern, text):
            before = CLAUSE.split(text[: match.start()].lower())[-1]
            if DENIAL.search(before) or DOUBT.search(before):
                continue
            chosen.add(match[1].upper())
            if more := re.match(rf"{LINKED}\(?({one})\b(?![’'])", text[match.end(1) :].lstrip(")")):
                chosen |= {more[1]} if re.search(r"[,/&]|and|or", more[0]) else set()
        if len(chosen) > 1:
            raise UndecidedError(f"it names several letters, {text[:40]!r}")
        if chosen:
            return chosen.pop()
    return None
