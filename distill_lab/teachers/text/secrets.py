"""Keys of servers: read when they are needed, refused where they cannot be sent, shown nowhere."""

import base64
import json
import os
import re
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import quote

SHORTEST = 6  # characters: what is shorter stands in ordinary words
PART, STEP = 12, 4  # so many characters of a key in a row are shown nowhere either
SECRET = re.compile(
    r"(x[-_])?((open_?ai[-_]?)?api[-_]?key|authorization|bearer|(auth|access)[-_]?token|"
    r"password|secret([-_]?key)?)",
    re.IGNORECASE,
)


def key_in(variable: str) -> str:
    """Read a key from the environment.

    Args:
        variable: The name of the variable.

    Returns:
        The key, without spaces or line ends around it.

    Raises:
        ValueError: Where it holds none, or one that no header can carry; the key is not repeated.
    """
    if not (key := os.environ.get(variable, "").strip()):
        raise ValueError(
            f"the environment variable {variable} holds no key: set it in the shell that starts "
            "this (it is never written anywhere)."
        )
    if odd := next((c for c in key if not "!" <= c <= "~"), None):
        what = {" ": "a space", "\n": "a line break", "\r": "a line break"}.get(
            odd, f"the character U+{ord(odd):04X}"
        )
        raise ValueError(
            f"the key in the environment variable {variable} holds {what} at place "
            f"{key.index(odd) + 1} of {len(key)}, which no request can carry: set it to the key "
            "alone, in one line."
        )
    return key


def check_no_secret(name: str, value: Any) -> None:
    """Refuse a setting that holds a key by its name: settings are written down.

    Args:
        name: What the setting is called.
        value: The setting, as deep as it is.

    Raises:
        ValueError: For an entry such as api_key; what it holds is not repeated.

    >>> check_no_secret("extra", {"top_k": 5, "stop_token_ids": [2]})
    """
    if isinstance(value, Mapping):
        for entry, inner in value.items():
            if SECRET.fullmatch(str(entry)):
                raise ValueError(
                    f"{name} must hold no key, but has {str(entry)!r}, and it is written down: "
                    "put the key into an environment variable and name that in key_from."
                )
            check_no_secret(name, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_no_secret(name, inner)


class Scrubber:
    """Takes a key out of texts, however it is written there: servers like to quote it.

    It is found in any case, in base64, hexadecimal, a URL, JSON and HTML, and so is a piece of it.

    Args:
        key: What no text may hold; one under 6 characters stands in ordinary words, and stays.

    >>> Scrubber("sk-abcdefgh123")("Incorrect API key provided: sk-abcdefgh123")
    'Incorrect API key provided: [key]'
    """

    def __init__(self, key: str) -> None:
        self._key = key.lower()
        self._whole: re.Pattern[str] | None = None
        self._parts: re.Pattern[str] | None = None
        if len(key) < SHORTEST:
            return
        raw = key.encode("utf-8", "surrogatepass")
        url = quote(key, safe="", errors="replace")
        forms = {key, repr(key)[1:-1], json.dumps(key)[1:-1], escape(key), url, raw.hex()}
        for before, lost in enumerate((0, 2, 3)):  # base64 of something that ends with the key
            coded = base64.b64encode(b"\0" * before + raw).decode()[lost:]
            exact = coded[: (before + len(raw)) * 8 // 6 - lost]
            forms |= {exact, exact.replace("+", "-").replace("/", "_")}
        self._whole = _any_of(sorted(forms, key=len, reverse=True))
        starts = range(0, len(key) - PART + 1, STEP)
        self._parts = _any_of([key[start : start + PART] for start in starts])

    def __call__(self, text: str) -> str:
        """Write [key] in the place of each."""
        if self._whole is None or not text:
            return text
        return self._without_parts(self._whole.sub("[key]", text))

    def fields(self, value: Any) -> Any:
        """The same in every text of a value, as deep as it is."""
        if self._whole is None:
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self.fields(name): self.fields(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.fields(inner) for inner in value)
        return value

    def _without_parts(self, text: str) -> str:
        """Without any stretch that the text and the key have in common, if it is a long one."""
        done = []
        while self._parts is not None and (match := self._parts.search(text)):
            first, last = match.span()
            start = ((match.lastindex or 1) - 1) * STEP
            end = start + PART
            while first and start and text[first - 1].lower() == self._key[start - 1]:
                first, start = first - 1, start - 1
            while last < len(text) and self._key[end : end + 1] == text[last].lower():
                last, end = last + 1, end + 1
            done += [text[:first], "[key]"]
            text = text[last:]
        return "".join([*done, text])


def _any_of(texts: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"({re.escape(t)})" for t in texts), re.I) if texts else None
