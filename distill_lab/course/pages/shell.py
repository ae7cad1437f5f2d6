"""The frame around every page: head, style, navigation, a lesson's own header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from distill_lab.course.lessons import LessonFile

NAVIGATION = re.compile(r"<!--navigation-->.*?<!--/navigation-->", re.DOTALL)
MARK = (  # a teacher's sharp peak, a student's soft one, in their two colours
    '<svg class="mark" viewBox="0 0 34 24" width="34" height="24" aria-hidden="true">'
    '<path d="M2 21 C9 21 9 3 13 3 S17 21 24 21" fill="none" stroke="#D55E00" stroke-width="2.4" '
    'stroke-linecap="round"/><path d="M6 21 C14 21 15 10 20 10 S26 21 32 21" fill="none" '
    'stroke="#0072B2" stroke-width="2.4" stroke-linecap="round" stroke-dasharray="3.6 3.6"/></svg>'
)


def page(title: str, content: str, *, navigation: str, kind: str, lang: str = "en") -> str:
    """A whole page that needs nothing else: `kind` is `lesson`, `map` or `claims`."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(lang)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body class="{kind}">\n<a class="skip" href="#content">Skip to the content</a>\n'
        f'{navigation}\n<main id="content">\n{content}\n</main>\n</body>\n</html>\n'
    )


def navigation(here: str, lessons: Sequence[LessonFile] = (), written: Sequence[str] = ()) -> str:
    """The bar at the top; for a lesson with the previous and next of those whose pages exist."""
    names = [lesson.name for lesson in lessons if lesson.name in written or lesson.name == here]
    titles = {lesson.name: lesson.title for lesson in lessons}
    beside = ""
    if here in names:
        i = names.index(here)
        before, after = names[i - 1] if i else "", names[i + 1] if i + 1 < len(names) else ""
        if before:
            beside += f'<a rel="prev" href="{before}.html">← {escape(titles[before])}</a>'
        if after:
            beside += f'<a rel="next" href="{after}.html">{escape(titles[after])} →</a>'
    links = "".join(
        f'<a href="{target}.html"{current}>{label}</a>'
        for target, label in (("index", "Course map"), ("claims", "Claims"))
        for current in [' aria-current="page"' if target == here else ""]
    )
    return (
        '<!--navigation--><header class="bar">'
        f'<a class="home" href="index.html">{MARK}Distill Lab</a>'
        f'<nav aria-label="Course">{links}</nav>'
        f'<nav class="beside" aria-label="Neighbouring lessons">{beside}</nav>'
        "</header><!--/navigation-->"
    )


def lesson_page(
    body: BeautifulSoup, lesson: LessonFile, entry: dict[str, Any], lessons: Sequence[LessonFile]
) -> str:
    """A lesson's page from its body and the ledger entry of its run."""
    headings = body.find_all(["h2"], id=True)
    links = "".join(f'<li><a href="#{h["id"]}">{h.decode_contents()}</a></li>' for h in headings)
    contents = '<nav class="contents" aria-label="In this lesson"><h2>In this lesson</h2>'
    contents = f"{contents}<ol>{links}</ol></nav>" if links else ""
    facts = [
        f"Lesson {entry['number']}" if entry.get("number") else "",
        f"{entry['minutes']} minutes" if entry.get("minutes") else "",
        f"run {entry['when']} in {entry['seconds']:.0f} s",
        f"profile {entry['profile']}, seed {entry['seed']}",
        f'<a href="{lesson.name}.ipynb" download>notebook</a>',
    ]
    about = f'<p class="facts">{" · ".join(fact for fact in facts if fact)}</p>'
    content = f"{contents}<article>{about}{_trouble(entry)}{body}</article>"
    title = f"{lesson.title} – Distill Lab"
    bar = navigation(lesson.name, lessons)
    return page(title, content, navigation=bar, kind="lesson", lang=lesson.lang)


def _trouble(entry: dict[str, Any]) -> str:
    if not entry["findings"]:
        return ""
    lines = "".join(
        f"<li><strong>{escape(f['kind'])}</strong>: {_code(escape(f['sentence']))}</li>"
        for f in entry["findings"]
    )
    return (
        '<aside class="trouble" role="alert"><p><strong>This run did not pass.</strong> '
        f"What follows is the notebook as far as it came.</p><ul>{lines}</ul></aside>"
    )


def _code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


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
