"""Plain values as Markdown in which no text of others is more than text."""

import re
from collections.abc import Mapping
from html import escape
from typing import Any


def markdown_of(content: Any) -> list[str]:
    """Write plain values as lines: a mapping as a list, a list of mappings as a table.

    Args:
        content: The values.

    Returns:
        The lines.

    >>> markdown_of({"name": "<b>"})
    ['- name: &lt;b&gt;']
    """
    if isinstance(content, Mapping):
        items = content.items()
        return [f"- {safe(name)}: {_short(value)}" for name, value in items if value != ""]
    if isinstance(content, list) and content and all(isinstance(i, Mapping) for i in content):
        heads = [key for key in content[0] if key != "examples"]
        lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
        rows = (" | ".join(_short(item.get(key, "")) for key in heads) for item in content)
        lines += [f"| {row} |" for row in rows]
        for item in content:
            lines += [
                f"\n{safe(item.get('filter'))}: `{_plain(one['answer'])}`: {safe(one['reason'])}"
                for one in item.get("examples", ())
            ]
        return lines
    return [safe(content)]


def fenced(text: str) -> str:
    """Write a text of others as a block of code, behind a fence that nothing in it closes.

    Args:
        text: The text.

    Returns:
        The block.

    >>> fenced("a ```b``` c").splitlines()[0]
    '````'
    """
    fence = "`" * (1 + max(2, *(len(run) for run in re.findall("`+", text + "`"))))
    return f"{fence}\n{text}\n{fence}"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = (f"{name} {_figure(one)}" for name, one in value.items() if one not in (None, ""))
        value = ", ".join(parts) or "none"
    elif value is None or value == []:
        value = "none"
    return safe(value).replace("|", "\\|")


def _figure(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value


def safe(text: Any) -> str:
    r"""A text of others in Markdown: no HTML, no link and no picture comes of it.

    >>> safe("<img src=x> ![a](b)")
    '&lt;img src=x&gt; !\\[a](b)'
    """
    escaped = escape(str(text), quote=False).replace("[", "\\[")
    return _plain(re.sub(r"\b(javascript|data|vbscript):", r"\1&#58;", escaped, flags=re.I))


def _plain(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
