"""Is an answer right? A verifier takes a row and gives a verdict with its reason."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

Row = dict[str, Any]


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
    """What the caller kept beside the prompt. Raises ValueError where it is not there."""
    about = row.get("about", {})
    if key not in about:
        raise ValueError(
            f"row {row.get('id', '?')} keeps no {key!r} beside its prompt (only {sorted(about)}): "
            f'give prompts as {{"prompt": ..., {key!r}: ...}}, or name another key.'
        )
    return about[key]


def final_answer(text: str) -> str:
    r"""What a text gives as its answer: after \boxed, #### or "answer:", else its last line.

    >>> final_answer("3 + 4 = 7, so\n#### 7")
    '7'
    """
    found = [next(filter(None, match.groups()), "") for match in FINAL.finditer(text)]
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return (found or lines or [""])[-1].strip().rstrip(".")


def plain(text: str) -> str:
    """Letter case, accents written two ways, punctuation at the ends and spaces do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(" .,;:!?\"'`*()[]")


def exact(key: str = "answer", of: Callable[[str], str] = final_answer) -> Verifier:
    """Right if the answer equals what is kept under ``key``, or one of them if it is a list.

    >>> exact()({"answer": "The answer is Paris.", "about": {"answer": "paris"}}).ok
    True
    """

    def verify(row: Row) -> Verdict:
        said, right = plain(of(row["answer"])), gold(row, key)
        among = [plain(str(r)) for r in (right if isinstance(right, (list, tuple)) else [right])]
        return Verdict(said in among, "" if said in among else f"said {said!r}, not {among[0]!r}")

    return verify


def label(labels: Iterable[str], key: str | None = "label") -> Verifier:
    """Right if the answer names exactly one of ``labels``: the one kept under ``key``, if given.

    Raises ValueError for fewer than two labels.

    >>> verify = label(["yes", "no"])
    >>> verify({"answer": "Yes!", "about": {"label": "no"}})
    Verdict(ok=False, reason="said 'yes', not 'no'")
    """
    names = {plain(str(name)): str(name) for name in labels}
    if len(names) < 2:
        raise ValueError("label needs at least two labels that differ.")

    def verify(row: Row) -> Verdict:
        text = plain(final_answer(row["answer"]))
        found = [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)]
        longest = [n for n in found if not any(n != m and n in m for m in found)]
        if len(longest) != 1:
            return Verdict(False, f"names {len(longest)} of the labels in {text[:60]!r}")
        if key is not None and longest[0] != (right := plain(str(gold(row, key)))):
            return Verdict(False, f"said {longest[0]!r}, not {right!r}")
        return Verdict(True)

    return verify


def numeric(key: str = "answer", *, tolerance: float = 1e-6) -> Verifier:
    """Right if the last number of the answer is the one kept under ``key``.

    Formula: |said - right| <= tolerance * max(1, |right|). Reads 1,234.5, 3/4, -2 and 1e6.
    Raises ValueError for a negative tolerance.

    >>> numeric()({"answer": "so 1,000 + 234 = 1,234", "about": {"answer": 1234}}).ok
    True
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 or more, got {tolerance!r}.")

    def verify(row: Row) -> Verdict:
        right = number_in(str(gold(row, key)))
        if right is None:
            return Verdict(False, f"what is kept under {key!r} is no number: {gold(row, key)!r}")
        said = number_in(final_answer(row["answer"]))
        if said is None:
            return Verdict(False, "no number in its answer")
        close = abs(said - right) <= tolerance * max(1.0, float(abs(right)))
        return Verdict(close, "" if close else f"said {float(said):g}, not {float(right):g}")

    return verify


def contains(key: str = "answer") -> Verifier:
    """Right if what is kept under ``key`` stands in the answer, word by word, or one of a list.

    >>> contains()({"answer": "It was in Oslo, in 1905.", "about": {"answer": "oslo"}}).ok
    True
    """

    def verify(row: Row) -> Verdict:
        text, right = plain(row["answer"]), gold(row, key)
        among = [plain(str(r)) for r in (right if isinstance(right, (list, tuple)) else [right])]
        ok = any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text) for one in among if one)
        return Verdict(ok, "" if ok else f"does not say {among[0]!r}")

    return verify


def regex(
    require: Sequence[str] = (), refuse: Sequence[str] = (), *, max_words: int | None = None
) -> Verifier:
    r"""Right if every pattern of ``require`` is found, and none of ``refuse``.

    Patterns are searched for in the answer in lower case, every run of spaces and line ends one
    space. An empty answer is never right. ``max_words`` is how many words it may have.
    Raises ValueError for a pattern that is none, or where nothing is required.

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
        words = row["answer"].lower().split()
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


def number_in(text: str) -> Fraction | None:
    """The last number of a text, exactly; None where there is none.

    >>> number_in("a half is 1/2")
    Fraction(1, 2)
    """
    found = NUMBER.findall(text)
    if not found:
        return None
    raw = found[-1].replace(",", "").replace("−", "-").replace(" ", "")
    try:
        return Fraction(raw)
    except (ValueError, ZeroDivisionError):
        return None


def check_verdict(given: Any) -> Verdict:
    """What a verifier of the caller's own gave: a verdict, a pair, or a bool. Raises TypeError."""
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
