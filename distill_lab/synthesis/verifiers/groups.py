"""Sets, tuples, intervals and lists, as mathematics writes them."""

import re
from typing import NamedTuple

NAMED = re.compile(
    r"^\s*([A-Za-z](?:_\{?\w+\}?)?(?:\([a-z]\))?)\s*(?:=(?!=)|\\in(?![a-z])|∈)\s*(?=\S)"
)


class Group(NamedTuple):
    """Several things: a set, a list without brackets, a tuple or an interval."""

    opening: str
    items: list[str]
    closing: str

    @property
    def ordered(self) -> bool:
        """Whether its brackets say that the order counts."""
        return self.opening in ("(", "[")


def group_of(text: str) -> Group | None:
    r"""Read the parts of a set, a tuple or a list.

    Args:
        text: such as `{1, 2}`, `[0, 1)`, `x = 1 or x = 2`, `\\pm 3`.

    Returns:
        Its parts; None for one thing.

    >>> group_of("x = 1 or x = 2").items
    ['1', '2']
    """
    text = text.strip()
    if re.search(r"\\cup|∪|\\begin", text):
        return None
    opening = next((sign for sign in (r"\{", "{", "(", "[") if text.startswith(sign)), "")
    closing = next((sign for sign in (r"\}", "}", ")", "]") if text.endswith(sign)), "")
    inner = text[len(opening) : len(text) - len(closing)] if opening and closing else ""
    if inner and _balanced(inner):
        items = _items(inner)
        if len(items) > 1 or "{" in opening:
            braces = "{" in opening
            return Group("{" if braces else opening, items, "}" if braces else closing)
    items = _items(text)
    return Group("", items, "") if len(items) > 1 else None


def _balanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if depth < 0:
            return False
    return depth == 0


def _items(text: str) -> list[str]:
    """The parts between commas or the words "and" and "or", outside of all brackets."""
    if re.fullmatch(r"\s*[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?\s*", text):
        return [text.strip()]  # thousands
    items, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign in ",;" and depth == 0:
            items.append(text[start:place])
            start = place + 1
    items.append(text[start:])
    parts = [part for item in items for part in re.split(r"\b(?:and|or)\b|\\(?:lor|vee)\b", item)]
    names = {match[1] for part in parts if (match := NAMED.match(part))}  # of x = 1 or x = 2
    expanded: list[str] = []
    for part in filter(str.strip, parts):
        part = (NAMED.sub("", part) if len(names) == 1 else part).strip()
        if len(signs := re.split(r"\\pm(?![a-z])|±", part)) == 2:
            expanded += [
                sign.join(signs) if signs[0].strip() else sign.strip() + signs[1]
                for sign in (" + ", " - ")
            ]
        else:
            expanded.append(part)
    return expanded
