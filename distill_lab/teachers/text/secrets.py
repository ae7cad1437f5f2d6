"""Keys of servers: read when they are needed, refused where they cannot be sent, shown nowhere."""

import base64
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

SHORTEST = 6  # characters: what is shorter stands in ordinary words
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


def scrub(text: str, key: str) -> str:
    """Take the key out of a text, however it is written there: servers like to quote it.

    >>> scrub("Incorrect API key provided: sk-abcdefgh123", "sk-abcdefgh123")
    'Incorrect API key provided: [key]'
    """
    if len(key) < SHORTEST:
        return text
    coded = base64.b64encode(key.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    for form in (key, repr(key)[1:-1], quote(key, safe="", errors="replace"), coded):
        text = text.replace(form, "[key]")
    return text
