"""The frame around every page: head, style, navigation, a lesson's own header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages.font import font_face

# What changes in a written page when its neighbours do.
NAVIGATION = re.compile(r"<!--navigation-->.*?<!--/navigation-->", re.DOTALL)
ENDING = re.compile(r"<!--ending-->.*?<!--/ending-->", re.DOTALL)
STYLES = ("style.css", "alive.css")
MARK = (  # a teacher's sharp peak, a student's soft one, in their two colours
    '<svg class="mark" viewBox="0 0 34 24" width="34" height="24" aria-hidden="true">'
    '<path d="M2 21 C9 21 9 3 13 3 S17 21 24 21" fill="none" stroke="#D55E00" stroke-width="2.4" '
    'stroke-linecap="round"/><path d="M6 21 C14 21 15 10 20 10 S26 21 32 21" fill="none" '
    'stroke="#0072B2" stroke-width="2.4" stroke-linecap="round" stroke-dasharray="3.6 3.6"/></svg>'
)


def page(
    title: str,
    content: str,
    *,
    navigation: str,
    kind: str,
    lang: str = "en",
    name: str = "",
    scripts: Sequence[str] = (),
) -> str:
    """A whole page that needs nothing else.

    Args:
        title: Its title.
        content: What stands in its `main`.
        navigation: The bar at the top.
        kind: `lesson`, `map`, `claims` or `glossary`.
        lang: The language of its prose.
        name: The lesson's, by which the reader's browser remembers what was done.
        scripts: Scripts beside `page.js`, as their text.

    Returns:
        The document.
    """
    folder = Path(__file__).parent
    style = "".join((folder / name).read_text(encoding="utf-8") for name in STYLES)
    style += font_face(content)
    script = "\n".join([(folder / "page.js").read_text(encoding="utf-8"), *scripts])
    lesson = f' data-lesson="{escape(name)}"' if name else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(lang)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n"
        f"<script>\n{script}</script>\n</head>\n"
        f'<body class="{kind}"{lesson}>\n<a class="skip" href="#content">Skip to the content</a>\n'
        f'{navigation}\n<main id="content" tabindex="-1">\n{content}\n</main>\n'
        "</body>\n</html>\n"
    )


def navigation(here: str, lessons: Sequence[LessonFile] = (), written: Sequence[str] = ()) -> str:
    """The bar at the top; for a lesson with the previous and next of those whose pages exist."""
    short = "".join(
        f'<a rel="{rel}" href="{other.name}.html" title="{escape(other.title)}">'
        f"{_pointed(rel, escape(other.number or other.title))}"
        f'<span class="unseen">: {escape(other.title)}</span></a>'
        for rel, other in _neighbours(here, lessons, written)
    )
    links = "".join(
        f'<a href="{target}.html"{current}>{label}</a>'
        for target, label in (("index", "Map"), ("claims", "Claims"), ("glossary", "Glossary"))
        for current in [' aria-current="page"' if target == here else ""]
    )
    beside = f'<nav class="beside" aria-label="Neighbouring lessons">{short}</nav>' if short else ""
    return (
        '<!--navigation--><header class="bar">'
        f'<a class="home" href="index.html">{MARK}<span>Distill Lab</span></a>'
        f'<nav aria-label="Course">{links}</nav>{beside}'
        '<button class="theme" type="button" hidden>Dark</button>'
        "</header><!--/navigation-->"
    )


def ending(here: str, lessons: Sequence[LessonFile] = (), written: Sequence[str] = ()) -> str:
    """The foot of a lesson: that it is done, and where to go from here."""
    links = "".join(
        f'<a rel="{rel}" href="{other.name}.html"><small>{word}</small>'
        f"{escape(f'{other.number} {other.title}'.strip())}</a>"
        for rel, other in _neighbours(here, lessons, written)
        for word in ["Before this" if rel == "prev" else "Next"]
    )
    return (
        '<!--ending--><footer class="ending">'
        '<p><button class="finish" type="button" hidden>I have done this lesson</button></p>'
        f'<nav aria-label="Before and after this lesson">{links}'
        '<a href="index.html"><small>All lessons</small>Map of the course</a></nav>'
        "</footer><!--/ending-->"
    )


def _pointed(rel: str, name: str) -> str:
    return f"← {name}" if rel == "prev" else f"{name} →"


def _neighbours(
    here: str, lessons: Sequence[LessonFile], written: Sequence[str]
) -> list[tuple[str, LessonFile]]:
    """The lessons before and after this one, each with its relation, of those that have a page."""
    there = [lesson for lesson in lessons if lesson.name in written or lesson.name == here]
    places = [i for i, lesson in enumerate(there) if lesson.name == here]
    if not places:
        return []
    before = [("prev", lesson) for lesson in there[: places[0]][-1:]]
    return [*before, *(("next", lesson) for lesson in there[places[0] + 1 :][:1])]


def needed(
    lesson: LessonFile, lessons: Sequence[LessonFile], *, written: Sequence[str] | None = None
) -> str:
    """The prerequisites of a lesson, as links to those that have a page (None: to all)."""
    known = {other.number: other for other in lessons}
    parts = []
    for number in lesson.needs:
        if other := known.get(number):
            label = escape(f"{number} {other.short_title}")
            linked = written is None or other.name in written
            mark = f' data-lesson="{other.name}"'
            parts.append(
                f'<a{mark} href="{other.name}.html">{label}</a>'
                if linked
                else f"<span{mark}>{label}</span>"
            )
    return ", ".join(parts)


def lesson_page(
    body: BeautifulSoup, lesson: LessonFile, entry: dict[str, Any], lessons: Sequence[LessonFile]
) -> str:
    """A lesson's page from its body and the ledger entry of its run."""
    headings = body.find_all(["h2"], id=True)
    links = "".join(f'<li><a href="#{h["id"]}">{h.decode_contents()}</a></li>' for h in headings)
    contents = '<nav class="contents" aria-label="In this lesson"><details open>'
    contents += f"<summary>In this lesson</summary><ol>{links}</ol></details></nav>"
    needs = needed(lesson, lessons)
    facts = [
        f"Lesson {entry['number']}" if entry.get("number") else "",
        f"{entry['minutes']} minutes" if entry.get("minutes") else "",
        f"first do {needs}" if needs else "",
        f'<a href="{lesson.name}.ipynb" download>notebook</a>',
    ]
    run = (
        f"Measured {entry['when']} in {entry['seconds']:.0f} s: profile {entry['profile']}, "
        f"seed {entry['seed']}"
    )
    line = " · ".join(fact for fact in facts if fact)
    about = f'<p class="facts">{line}<span class="done" hidden></span></p>'
    content = (
        f"{contents if links else ''}<article>{about}{_trouble(entry)}{body}"
        f'<p class="facts">{run}</p>{ending(lesson.name, lessons)}</article>'
    )
    title = f"{lesson.title} – Distill Lab"
    bar = navigation(lesson.name, lessons)
    return page(title, content, navigation=bar, kind="lesson", lang=lesson.lang, name=lesson.name)


def _trouble(entry: dict[str, Any]) -> str:
    if not entry["findings"]:
        return ""
    lines = "".join(
        f"<li><strong>{escape(f['kind'])}</strong>: {coded(f['sentence'])}</li>"
        for f in entry["findings"]
    )
    return (
        '<aside class="trouble" role="alert"><p><strong>This run did not pass.</strong> '
        f"What follows is the notebook as far as it came.</p><ul>{lines}</ul></aside>"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in the page's own colours, in a box that scrolls where it is too wide.

    Args:
        heads: What stands above the columns, as text.
        rows: The cells of each row, as HTML.

    Returns:
        The table as HTML.
    """
    head = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="wide"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def coded(text: str) -> str:
    """Escape a text; what stands between backticks is set as code.

    >>> coded("only `a < b`")
    'only <code>a &lt; b</code>'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def parsed(html: str) -> BeautifulSoup:
    """A page, or a piece of one, as a tree: a second's work for a lesson, so it is done once."""
    return BeautifulSoup(html, "html.parser")


def unread_formulas(soup: BeautifulSoup) -> list[str]:
    """Formulas that could not be turned into MathML and stand in the page as they were written."""
    return [tag.get_text() for tag in soup.find_all(class_="unread-formula")]


def external_loads(soup: BeautifulSoup) -> list[str]:
    """What a page would fetch to be shown: in src, srcset, link and CSS; links to click are fine.

    >>> external_loads(parsed('<img src="https://a.org/b.png"><a href="https://a.org">c</a>'))
    ['https://a.org/b.png']
    """
    loads = [
        str(tag[name])
        for name in ("src", "srcset", "poster")
        for tag in soup.find_all(lambda tag, name=name: tag.has_attr(name))
    ]
    loads += [str(tag["href"]) for tag in soup.find_all("link", href=True)]
    styles = [tag.get_text() for tag in soup.find_all("style")]
    styles += [str(tag["style"]) for tag in soup.find_all(style=True)]
    for css in styles:
        loads += re.findall(r"""url\(\s*['"]?([^'")]+)""", css)
        loads += re.findall(r"""@import\s+['"]([^'"]+)""", css)
    return [load for load in loads if not load.startswith(("data:", "#"))]
