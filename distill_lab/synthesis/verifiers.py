"""Is an answer right? A verifier takes a row and gives a verdict with its reason."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from distill_lab._util.jsonl import Row
from distill_lab.data.thoughts import answer_in


class Verdict(NamedTuple):
    """Whether an answer passed, and why not where it did not."""

    ok: bool
    reason: str = ""


Verifier = Callable[[Row], Verdict]

# Where an answer says that it has come to its end; the last such place counts.
FINAL = re.compile(
    r"\\boxed\{([^{}]*)\}|####\s*(.+)|\banswer\s*(?:is\s*:?|[:=])\s*(.+)", re.IGNORECASE
)
NUMBER = re.compile(
    r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+)?(?:e[-+]?\d+)?|[-+−]?\.\d+", re.I
)


def gold(row: Row, key: str = "answer") -> Any:
    """Look up what the caller kept beside the prompt. Raises ValueError where it is not there."""
    about = row.get("about", {})
    if key not in about:
        raise ValueError(
            f"row {row.get('id', '?')} keeps no {key!r} beside its prompt (only {sorted(about)}): "
            f'give prompts as {{"prompt": ..., {key!r}: ...}}, or name another key.'
        )
    return about[key]


def final_answer(text: str) -> str:
    r"""Find what a text gives as its answer: after \boxed, #### or "answer:", else its last line.

    Thoughts before the answer are passed over.

    >>> final_answer("3 + 4 = 7, so\n#### 7")
    '7'
    """
    text = answer_in(text)
    marked = [next(filter(None, match.groups()), "") for match in FINAL.finditer(text)]
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return (marked or lines or [""])[-1].strip().rstrip(".")


def plain(text: str) -> str:
    """Fold letter case, accents written two ways, spaces, and punctuation at the ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(" .,;:!?\"'`*()[]")


def exact(key: str = "answer", of: Callable[[str], str] = final_answer) -> Verifier:
    """Accept an answer that equals what is kept under `key`, or one of them if it is a list.

    Args:
        key: Where under `about` the right answer stands.
        of: What of a text is its answer.

    >>> exact()({"answer": "The answer is Paris.", "about": {"answer": "paris"}}).ok
    True
    """

    def verify(row: Row) -> Verdict:
        answer, right = plain(of(row["answer"])), _accepted(row, key)
        ok = answer in right
        return Verdict(ok, "" if ok else f"answered {answer!r}, not {right[0]!r}")

    return verify


def label(labels: Iterable[str], key: str | None = "label") -> Verifier:
    """Accept an answer that names exactly one label: the one kept under `key`, if given.

    Args:
        labels: All labels there are.
        key: Where under `about` the right one stands; None accepts any one.

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
        text = plain(final_answer(row["answer"]))
        named = [name for name in names if _stands_in(name, text)]
        longest = [n for n in named if not any(n != m and n in m for m in named)]
        if len(longest) != 1:
            return Verdict(False, f"names {len(longest)} of the labels in {text[:60]!r}")
        if key is not None and longest[0] != (right := plain(str(gold(row, key)))):
            return Verdict(False, f"answered {longest[0]!r}, not {right!r}")
        return Verdict(True)

    return verify


def numeric(key: str = "answer", *, tolerance: float = 1e-6) -> Verifier:
    """Accept an answer whose last number is the one kept under `key`.

    Formula: |answer - right| <= tolerance * max(1, |right|). Reads 1,234.5, 3/4, -2 and 1e6.

    Args:
        key: Where under `about` the right number stands.
        tolerance: How far off an answer may be.

    Raises:
        ValueError: For a negative tolerance.

    >>> numeric()({"answer": "so 1,000 + 234 = 1,234", "about": {"answer": 1234}}).ok
    True
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 or more, got {tolerance!r}.")

    def verify(row: Row) -> Verdict:
        right = number_in(str(gold(row, key)))
        if right is None:
            return Verdict(False, f"what is kept under {key!r} is no number: {gold(row, key)!r}")
        number = number_in(final_answer(row["answer"]))
        if number is None:
            return Verdict(False, "no number in its answer")
        close = abs(number - right) <= tolerance * max(1.0, float(abs(right)))
        return Verdict(close, "" if close else f"answered {float(number):g}, not {float(right):g}")

    return verify


def contains(key: str = "answer") -> Verifier:
    """Accept an answer in which what is kept under `key` stands word by word, or one of a list.

    >>> contains()({"answer": "It was in Oslo, in 1905.", "about": {"answer": "oslo"}}).ok
    True
    """

    def verify(row: Row) -> Verdict:
        text, right = plain(answer_in(row["answer"])), _accepted(row, key)
        ok = any(_stands_in(one, text) for one in right if one)
        return Verdict(ok, "" if ok else f"does not say {right[0]!r}")

    return verify


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
        words = answer_in(row["answer"]).lower().split()
        text = " ".join(words)
        if not text:
            return Verdict(False, "no text")
        if max_words is not None and len(words) > max_words:
            return Verdict(False, f"{len(words)} words, more than {max_words}")
        for pattern in unwanted:
            if match := pattern.search(text):
                return Verdict(False, f"holds {match[0]!r}")
        missing = next((one.pattern for one in wanted if not one.search(text)), None)
        return Verdict(missing is None, "" if missing is None else f"nothing fits {missing!r}")

    return verify


def _accepted(row: Row, key: str) -> list[str]:
    right = gold(row, key)
    return [plain(str(one)) for one in (right if isinstance(right, (list, tuple)) else [right])]


def _stands_in(phrase: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None


def number_in(text: str) -> Fraction | None:
    """Find the last number of a text, exactly; None where there is none.

    >>> number_in("a half is 1/2")
    Fraction(1, 2)
    """
    numbers = NUMBER.findall(text)
    if not numbers:
        return None
    raw = numbers[-1].replace(",", "").replace("−", "-").replace(" ", "")
    try:
        return Fraction(raw)
    except (ValueError, ZeroDivisionError):
        return None


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
