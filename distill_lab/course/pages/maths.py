"""LaTeX in text to MathML, which browsers draw without any script."""

from __future__ import annotations

import re
from html import escape, unescape

from latex2mathml.converter import convert

# Code and preformatted text keep their dollars; display before inline; `\$` is a dollar sign.
_IN_HTML = re.compile(
    r"(?P<keep><(?P<tag>pre|code|svg|style)\b.*?</(?P=tag)>|<[^>]*>|\\\$)"
    r"|\$\$(?P<block>.+?)\$\$"
    r"|(?<!\$)\$(?P<inline>[^\s$](?:[^$]*?[^\s$\\])?)\$(?![\d$])",
    re.DOTALL,
)
# What Jupyter's MathJax reads and the converter does not, in words that it does.
_SAME_AS = (
    (re.compile(r"\\(begin|end)\{(?:aligned|split|align|gathered)\}"), r"\\\1{align*}"),
    (re.compile(r"\\([bB]igg?)[lrm]?\s*\\(?:\||[lr]?Vert\b)"), r"\\\1‖"),
    (
        re.compile(r"\\operatorname\*?\{arg\s*\\[,;:! ]\s*(max|min)\}|\\arg\s*\\(max|min)"),
        r"\\arg\1\2",
    ),
    (re.compile(r"\\operatorname\*"), r"\\operatorname"),
)
# A norm's bars, alone or with a subscript: the converter forgets which opens and which closes, and
# a browser would stretch the closing one on its own.
_BARS = re.compile(r"(?<!left)(?<!right)\\([lr])Vert(?![a-zA-Z])")
_BAR = "<mo>&#x02016;</mo>"
_FORMS = {"l": "prefix", "r": "postfix"}


def to_mathml(latex: str, *, block: bool) -> str:
    r"""MathML of one formula; one the converter cannot read is shown as it was written.

    >>> "<msup>" in to_mathml("T^2", block=False)
    True
    """
    source = latex.strip()
    readable = source
    for pattern, same in _SAME_AS:
        readable = pattern.sub(same, readable)
    try:
        markup = convert(readable, display="block" if block else "inline")
    except Exception:  # the converter raises whatever its parser stumbles over
        return _unread(source)
    text = unescape(re.sub(r"<[^>]*>", "", markup))
    if "\\" in text or "&" in text:  # a command passed through instead of being drawn
        return _unread(source)
    for side in _BARS.findall(readable):
        bar = f'<mo stretchy="false" form="{_FORMS[side]}">‖</mo>'
        markup = markup.replace(_BAR, bar, 1)
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


def _unread(source: str) -> str:
    return f'<code class="unread-formula">{escape(source)}</code>'
