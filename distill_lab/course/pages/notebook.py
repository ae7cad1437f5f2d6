"""An executed notebook as HTML: prose, code, outputs; nothing that needs a kernel or network."""

from __future__ import annotations

import base64
import mimetypes
import re
from html import escape
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from nbconvert.filters import Highlight2HTML, ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from distill_lab.course.executed import INJECTED, WIDGET_VIEW_MIME, inside, widget_models
from distill_lab.course.pages import alive, maths
from distill_lab.course.pages.shell import parsed
from distill_lab.course.records import MIME

EXPLORER_NOTE = (
    "This widget needs a running kernel: <code>make lab</code>. Above is one of its pictures."
)
CONTROL_NOTE = "This control needs a running kernel: open the lesson with <code>make lab</code>."
_highlight = Highlight2HTML(pygments_lexer="python3")


class _Prose(IPythonRenderer):
    """Markdown with formulas as MathML, headings with an anchor, and images put into the page."""

    def block_math(self, body: str) -> str:
        return maths.to_mathml(body, block=True)

    def inline_math(self, body: str) -> str:
        return maths.to_mathml(body, block=False)

    def latex_environment(self, name: str, body: str) -> str:
        return maths.to_mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)

    def block_html(self, html: str) -> str:
        # Not the parent's: it would close a <details> that further markdown is to fill.
        return maths.in_html(html) + "\n"

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        plain = parsed(text).get_text()
        return f'<h{level} id="{anchor(plain)}">{text}</h{level}>\n'


def anchor(heading: str) -> str:
    """A heading as a link target.

    >>> anchor("Why T², and not T?")
    'why-t²-and-not-t'
    """
    return re.sub(r"\W+", "-", heading.lower()).strip("-")


def markdown(source: str, attachments: dict[str, Any] | None = None) -> str:
    """Markdown as HTML."""
    renderer = _Prose(escape=False, attachments=attachments or {})
    return MarkdownWithMath(renderer=renderer).render(source)


def lesson_body(nb: NotebookNode, folder: Path) -> BeautifulSoup:
    """All cells of a notebook as HTML; image files it names from `folder` are put into the page."""
    models = widget_models(nb)
    soup = parsed("".join(_cell(cell, models) for cell in nb.cells))
    for script in soup.find_all(["script", "link"]):
        if not alive.is_data(script):
            script.decompose()  # a page with no script but its own cannot break without a network
    for image in soup.find_all("img", alt=False):
        image["alt"] = ""
    for image in soup.find_all("img", src=True):
        image["src"] = _embedded(str(image["src"]), folder)
    _unique_anchors(soup)
    alive.bring_to_life(soup)
    return soup


def _embedded(source: str, folder: Path) -> str:
    """The content of an image file as a data address; an address of any other kind as it is."""
    kind = mimetypes.guess_type(source)[0]
    try:
        content = (folder / source).read_bytes() if kind else b""
    except (OSError, ValueError):
        return source
    return f"data:{kind};base64,{base64.b64encode(content).decode()}" if content else source


def _unique_anchors(soup: BeautifulSoup) -> None:
    seen: dict[str, int] = {}
    for heading in soup.find_all(re.compile("^h[1-6]$"), id=True):
        name = str(heading["id"])
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            heading["id"] = f"{name}-{seen[name]}"


def _cell(cell: NotebookNode, models: dict[str, Any]) -> str:
    tags = cell.metadata.get("tags", [])
    if cell.cell_type == "markdown":
        return (
            f'<section class="prose">{markdown(cell.source, cell.get("attachments"))}</section>\n'
        )
    if cell.cell_type != "code" or not cell.source.strip():
        return ""
    if INJECTED in tags:
        lines = [line for line in cell.source.splitlines() if line and not line.startswith("#")]
        return f'<p class="injected">This run set <code>{escape("; ".join(lines))}</code></p>\n'
    source = _highlight(cell.source.rstrip())
    shown = "".join(_output(output, models) for output in _merged(cell.outputs))
    return f'<div class="cell"><div class="source">{source}</div>{shown}</div>\n'


def _merged(outputs: list[NotebookNode]) -> list[dict[str, Any]]:
    """Neighbouring pieces of one stream joined, as a terminal would show them."""
    merged: list[dict[str, Any]] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last["text"] += output.text
        else:
            merged.append(dict(output))
    return merged


def _output(output: dict[str, Any], models: dict[str, Any]) -> str:
    kind = output["output_type"]
    if kind == "stream":
        text = _terminal(output["text"])
        return (
            f'<pre class="output {output["name"]}">{ansi2html(text)}</pre>' if text.strip() else ""
        )
    if kind == "error":
        return f'<pre class="output error">{ansi2html(chr(10).join(output["traceback"]))}</pre>'
    content = _bundle(output["data"], output.get("metadata", {}), models)
    return f'<div class="output">{content}</div>' if content else ""


def _bundle(data: dict[str, Any], about: dict[str, Any], models: dict[str, Any]) -> str:
    """The best form a page can show: what is alive, HTML, then prose, pictures, formulas, text."""
    if alive.EXPLORE_MIME in data:
        return alive.explorer_html(data[alive.EXPLORE_MIME])
    if (result := alive.record_html(data.get(MIME, {}))) is not None:
        return result
    if "text/html" in data:
        return str(data["text/html"])
    if WIDGET_VIEW_MIME in data:
        family = inside(data[WIDGET_VIEW_MIME].get("model_id", ""), models)
        explorer = any("Slider" in models[name].get("model_name", "") for name in family)
        return f'<p class="widget">{EXPLORER_NOTE if explorer else CONTROL_NOTE}</p>'
    if "text/markdown" in data:
        return markdown(data["text/markdown"])
    if "image/svg+xml" in data:
        return str(data["image/svg+xml"])
    for mime in ("image/png", "image/jpeg"):
        if mime in data:
            alt = escape(str(about.get(mime, {}).get("alt") or about.get("alt") or ""))
            return f'<img alt="{alt}" src="data:{mime};base64,{"".join(data[mime].split())}">'
    if "text/latex" in data:
        return maths.in_html(data["text/latex"])
    if data.get("text/plain"):
        return f"<pre>{ansi2html(data['text/plain'])}</pre>"
    return ""


def _terminal(text: str) -> str:
    """What stays visible of progress lines that return to the start of the line."""
    return "\n".join(line.rstrip("\r").split("\r")[-1] for line in text.split("\n")).rstrip()
