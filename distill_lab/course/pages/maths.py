"""LaTeX in text to MathML, which browsers draw without any script."""

from __future__ import annotations

import re
from html import escape, unescape

from latex2mathml.converter import convert

# Code and preformatted text keep their dollars; display before inline; `\$` is a dollar sign.
_IN_HTML = re.compile(
    r"(?P<keep><(?P<tag>pre|code|svg|script|style)\b.*?</(?P=tag)>|<[^>]*>|\\\$)"
    r"|\$\$(?P<block>.+?)\$\$"
    r"|(?<!\$)\$(?P<inline>[^\s$](?:[^$]*?[^\s$\\])?)\$(?![\d$])",
    re.DOTALL,
)


def to_mathml(latex: str, *, block: bool) -> str:
    r"""MathML of one formula; what the converter cannot read is shown as it was written.

    >>> "<msup>" in to_mathml("T^2", block=False)
    True
    """
    source = latex.strip()
    try:
        markup = convert(source, display="block" if block else "inline")
    except Exception:  # the converter raises whatever its parser stumbles over
        return f'<code class="formula">{escape(source)}</code>'
    label = escape(" ".join(source.split()), quote=True)
    markup = markup.replace("<math ", f'<math alttext="{label}" ', 1)
    return f'<div class="formula">{markup}</div>' if block else markup


def in_html(html: str) -> str:
    """Convert the formulas in a piece of raw HTML, but not those inside code or drawings."""

    def replace(match: re.Match[str]) -> str:
        if match["keep"]:
            return match["keep"]
        block = match["block"] is not None
        return to_mathml(unescape(match["block"] if block else match["inline"]), block=block)

    return _IN_HTML.sub(replace, html)
