"""Verifiers of words: an exact answer, a label, a choice by its letter, a phrase, patterns."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from distill_lab._util.jsonl import Row
from distill_lab.synthesis.verifiers.answers import final_answer, plain, read_final_answer
from distill_lab.synthesis.verifiers.quantities import SCALE
from distill_lab.synthesis.verifiers.verdicts import (
    Verdict,
    Verifier,
    accepted,
    answer_of,
    gold,
    judged,
)

# Behind "no" or "without" these deny nothing: "Yes, no doubt about it."
CERTAIN = r"\s+(?:a |any )?(?:doubt|question|need|problem|wonder|matter)\b"
# A denial before a word, in its own clause: "not a very good", "isn't", "neither", "rather than".
DENIAL = re.compile(
    rf"(?:\b(?:not|never|neither|nor|no(?!{CERTAIN})|non|nothing|none|without(?!{CERTAIN})"
    r"|hardly|cannot|rather than"
    r"|instead of|far from|anything but|other than|unlike|different from)\b|n[’']t\b)[\s\"'(-]+"
    r"(?:(?!but\b)[^\W]+[\s\"'(-]+){0,3}$"
)
# What would make figures beside a number a part of it: 10.5, 10,000, -10, 3/10, 10 million, 2^10;
# not a full stop, a list or a date.
NUMBER_BEFORE = (
    r"(?:(?<=\d[./-]\d[./-])|(?<=\d[./-]\d\d[./-])|(?<!\d[.,:’'/⁄])(?<!^[.−-])(?<![^\w)\]][.−-])"
    r"(?<![−-][$€£])(?<!minus )(?<!negative )(?<!\^)(?<!\^[{(-])(?!(?<=\d )\d{3}(?!\d)))"
)
NUMBER_BEHIND = rf"(?![.,:’'/]\d|\s?[\^/⁄]\s?\d|{SCALE.pattern}| \d{{3}}(?!\d))"
CLAUSE = re.compile(r"[.,;:!?\n]|\bbut\b")


def exact(key: str = "answer", of: Callable[[str], str] = final_answer) -> Verifier:
    """Accept an answer that equals what is kept under `key`, or one of them if it is a list.

    Args:
        key: Where under `about` the right answer stands.
        of: What of a text is its answer.

    Returns:
        The verifier.

    >>> exact()({"answer": "The answer is Paris.", "about": {"answer": "paris"}}).ok
    True
    """

    def verify(row: Row) -> Verdict:
        text, right = answer_of(row), _accepted(row, key)
        answers = [plain(of(text))]
        if of is final_answer:  # what is right may be more than a sentence
            answers.append(plain(read_final_answer(text).line))
        ok = any(answer and answer in right for answer in answers)
        return Verdict(ok, "" if ok else f"answered {answers[0]!r}, not {right[0]!r}")

    return judged(verify)


def label(labels: Iterable[str], key: str | None = "label") -> Verifier:
    """Accept an answer that names exactly one label: the one kept under `key`, if given.

    A label that is denied is not named: "not positive" is not positive.

    Args:
        labels: All labels there are.
        key: Where under `about` the right one stands; None accepts any one.

    Returns:
        The verifier.

    Raises:
        ValueError: For fewer than two labels.

    >>> verify = label(["yes", "no"])
    >>> verify({"answer": "Yes!", "about": {"label": "no"}})
    Verdict(ok=False, reason="answered 'yes', not 'no'")
    """
    names = {plain(str(name)): str(name) for name in labels}
    if len(names) < 2:
        raise ValueError("label needs at least two labels that differ.")

    def verify(row: Row) -> Verdict:
        text = _folded(final_answer(answer_of(row)))
        places = {name: list(_places(name, text)) for name in names}
        longer = [place for spots in places.values() for place in spots]
        outer = {
            name: [
                p
                for p in spots
                if not any(q != p and q[0] <= p[0] and p[1] <= q[1] for q in longer)
            ]
            for name, spots in places.items()
        }
        named = [name for name, spots in outer.items() if any(_holds(p, text) for p in spots)]
        if not named and (denied := [name for name, spots in outer.items() if spots]):
            return Verdict(False, f"denies {denied[0]!r} and names no other label")
        if len(named) != 1:
            return Verdict(False, f"names {len(named)} of the labels in {plain(text)[:60]!r}")
        if key is not None and named[0] != (right := plain(str(gold(row, key)))):
            return Verdict(False, f"answered {named[0]!r}, not {right!r}")
        return Verdict(True)

    return judged(verify)


def contains(key: str = "answer") -> Verifier:
    """Accept an answer in which what is kept under `key` stands word by word, or one of a list.

    What is denied does not count: "not in Oslo" says nothing of Oslo.

    >>> contains()({"answer": "It was in Oslo, in 1905.", "about": {"answer": "oslo"}}).ok
    True
    """

    def verify(row: Row) -> Verdict:
        text, right = _folded(answer_of(row)), _accepted(row, key)
        ok = any(_holds(place, text) for one in right if one for place in _places(one, text))
        return Verdict(ok, "" if ok else f"does not say {right[0]!r}")

    return judged(verify)


def regex(
    require: Sequence[str] = (), refuse: Sequence[str] = (), *, max_words: int | None = None
) -> Verifier:
    r"""Accept an answer that fits every pattern of `require`, and none of `refuse`.

    Patterns are searched for in the answer in lower case, every run of spaces and line ends one
    space. An empty answer is never right.

    Args:
        require: Regular expressions that all must be found.
        refuse: Regular expressions of which none may be found.
        max_words: How many words an answer may have.

    Returns:
        The verifier.

    Raises:
        ValueError: For a pattern that is none, or where nothing is required.

    >>> verify = regex([r"\boslo\b"], [r"\bperhaps\b"])
    >>> verify({"answer": "In  Oslo."}).ok, verify({"answer": "Oslo, perhaps"}).reason
    (True, "holds 'perhaps'")
    """
    if isinstance(require, str) or isinstance(refuse, str) or not require:
        raise ValueError("regex needs a list of patterns to require, and may have one to refuse.")
    try:
        wanted, unwanted = ([re.compile(one, re.I) for one in some] for some in (require, refuse))
    except (re.error, TypeError) as error:
        raise ValueError(f"not a regular expression: {error}.") from None

    def verify(row: Row) -> Verdict:
        words = answer_of(row).lower().split()
        text = " ".join(words)
        if max_words is not None and len(words) > max_words:
            return Verdict(False, f"{len(words)} words, more than {max_words}")
        for pattern in unwanted:
            if match := pattern.search(text):
                return Verdict(False, f"holds {match[0]!r}")
        missing = next((one.pattern for one in wanted if not one.search(text)), None)
        return Verdict(missing is None, "" if missing is None else f"nothing fits {missing!r}")

    return judged(verify)


def _accepted(row: Row, key: str) -> list[str]:
    return [plain(str(one)) for one in accepted(row, key)] or [""]


def _folded(text: str) -> str:
    """A text as `plain` folds it, with the signs at its ends."""
    return " ".join(
        plain(part) + end for part, end in re.findall(r"([^?\n]*)([?\n]|$)", text)
    ).strip()


def _places(phrase: str, text: str) -> Iterator[tuple[int, int]]:
    before = NUMBER_BEFORE * phrase[:1].isdigit()
    behind = NUMBER_BEHIND * phrase[-1:].isdigit() or rf"(?!{CERTAIN})" * (phrase == "no")
    pattern = rf"(?<!\w){before}{re.escape(phrase)}(?!\w){behind}"
    for match in re.finditer(pattern, text, re.IGNORECASE):
        yield match.span()


def _holds(place: tuple[int, int], text: str) -> bool:
    """Whether what stands at a place is said, and neither denied nor asked."""
    before = CLAUSE.split(text[: place[0]])[-1]
    return not DENIAL.search(before) and not text[place[1] :].lstrip(" \"')").startswith("?")
