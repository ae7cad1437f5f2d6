"""Is a text written in the language that was asked for? Letters first, then common words.

A sieve and no linguist: it sees another script at once, and tells the seven languages below apart
by their commonest words, from about twenty words on. What is too short or has too few letters
(figures, code) passes. A better judge can be put into the filters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

# The script a language is written in, as Unicode names its letters.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "zh": ("CJK",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA"),
    "ko": ("HANGUL", "CJK"),
    "ru": ("CYRILLIC",),
    "uk": ("CYRILLIC",),
    "bg": ("CYRILLIC",),
    "el": ("GREEK",),
    "ar": ("ARABIC",),
    "fa": ("ARABIC",),
    "he": ("HEBREW",),
    "hi": ("DEVANAGARI",),
    "th": ("THAI",),
}
WORDS: dict[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "en": "the of and to a in is that it for was on with as are this be by at from not or have "
        "you which but they his her she he we an there what can if will all has when your",
        "de": "der die das und ist nicht ein eine zu den von mit sich auf für im dem es auch als "
        "an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über ich so",
        "fr": "le la les de des et est un une du que qui dans pour pas sur plus par au avec ce il "
        "elle ne se sont mais ou nous vous cette être aux son sa ses leur on je tout comme fait",
        "es": "el la los las de que y en un una es no se por con para su al lo como más pero sus "
        "le ha me si sin sobre este ya entre cuando todo esta ser son dos también fue había era",
        "it": "il di che e la è un una per non sono del della con si le i gli da al dei nel come "
        "più anche ma questo se alla ha su lo mi ci dal delle era nella essere tutto hanno",
        "pt": "o a os as de que e do da em um uma para com não por mais dos das se na no como mas "
        "foi ao ele ela seu sua ou ser quando muito há nos já está eu também só pelo pela são",
        "nl": "de het een en van is dat niet in te op zijn voor met die aan er maar om ook als bij "
        "dan nog naar heeft hij ze we wat deze wordt door over uit je hebben kan worden dit al",
    }.items()
}
LEAST_WORDS = 20  # below this many words two languages cannot be told apart


def language_doubt(text: str, language: str) -> str | None:
    """Why a text does not look like ``language``, a two-letter code; None where it may well be.

    Raises ValueError for a language that is not known here.

    >>> language_doubt("Привет, как дела?", "en")
    'mostly Cyrillic letters where en was asked for'
    """
    code = language.lower().split("-")[0]
    if code not in SCRIPTS and code not in WORDS:
        raise ValueError(
            f"language must be one of {', '.join(sorted({*SCRIPTS, *WORDS}))}; got {language!r}."
        )
    letters = Counter(
        unicodedata.name(letter, "?").split()[0].split("-")[0]
        for letter in text
        if letter.isalpha()
    )
    if sum(letters.values()) < 8:
        return None
    expected = SCRIPTS.get(code, ("LATIN",))
    if sum(letters[script] for script in expected) < letters.total() / 2:
        most = letters.most_common(1)[0][0]
        return f"mostly {most.capitalize()} letters where {language} was asked for"
    words = re.findall(r"[^\W\d_]+", text.lower())
    if code not in WORDS or len(words) < LEAST_WORDS:
        return None
    found = {name: sum(word in common for word in words) for name, common in WORDS.items()}
    best = max(found, key=lambda name: (found[name], name == code))
    if found[best] > 1.5 * found[code] and found[best] >= len(words) / 10:
        return f"its common words look like {best}, not {language}"
    return None
