"""Plain values of rows, at any depth: what is null, which texts there are, half characters."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

HALF = re.compile("[\ud800-\udfff]")


class HalfCharacterError(ValueError):
    """A text holds half of a character that is written in two halves."""


def without_nulls(value: Any) -> Any:
    """Leave out what is null, at any depth: tables fill with it what a row does not have.

    >>> without_nulls({"a": 1, "b": None, "c": [{"d": None}]})
    {'a': 1, 'c': [{}]}
    """
    if isinstance(value, Mapping):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(one) for one in value]
    return value


def strings_in(value: Any) -> Iterator[str]:
    """All texts of plain values, at any depth.

    Args:
        value: mappings, lists, texts and other values.

    Yields:
        The texts, keys left out.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from strings_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from strings_in(one)


def check_characters(value: Any) -> None:
    """Refuse half a character, which no tokenizer and no server can read.

    Args:
        value: what is looked through.

    Raises:
        HalfCharacterError: naming it.
    """
    for text in (value,) if isinstance(value, str) else strings_in(value):
        if not text.isascii() and (half := HALF.search(text)):
            raise HalfCharacterError(
                f"holds half a character, {half[0]!a} at position {half.start()}, which is no "
                "text: mend it, or leave the row out."
            )


def mended(value: Any) -> Any:
    r"""Replace half characters in plain values by the sign for what cannot be read.

    Args:
        value: mappings, lists, texts and other values.

    Returns:
        The same, readable.

    >>> mended({"a": ["half \ud83d"]}) == {"a": ["half \ufffd"]}
    True
    """
    if isinstance(value, str):
        return HALF.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {key: mended(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [mended(one) for one in value]
    return value
