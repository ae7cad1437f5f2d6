"""What a page puts right in a notebook's HTML: links, levels of headings, spaces before units."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bs4 import BeautifulSoup
from bs4.element import NavigableString

from distill_lab.course.lessons import LessonFile

_UNIT = re.compile(r"(?<=\d) (?=(?:%|points?|nats?|bits?|seeds?|minutes?|s|ms|MB|kB|px)(?![\w-]))")
_AS_IT_IS = ("code", "math", "pre", "script", "style", "svg")


def tidy(body: BeautifulSoup, course: Sequence[LessonFile]) -> None:
    """Put right all of it, in place.

    Args:
        body: A lesson's cells as HTML.
        course: All lessons, to whose pages links lead.
    """
    _lead_to_pages(body, course)
    _level_headings(body)
    for string in list(body.find_all(string=_UNIT)):
        if type(string) is NavigableString and not string.find_parent(_AS_IT_IS):
            string.replace_with(keep_units(str(string)))


def keep_units(text: str) -> str:
    r"""A number and its unit stay on one line.

    >>> keep_units("79.0 % of 5 seeds, in 3 sets") == "79.0\u00a0% of 5\u00a0seeds, in 3 sets"
    True
    """
    return _UNIT.sub("\u00a0", text)


def _lead_to_pages(body: BeautifulSoup, course: Sequence[LessonFile]) -> None:
    """Make links to other lessons' notebooks, wherever they stand, links to their pages."""
    names = {other.path.name for other in course}
    for link in body.find_all("a", href=True):
        address, mark, place = str(link["href"]).partition("#")
        name = address.rsplit("/", 1)[-1]
        if name in names and "://" not in address:
            link["href"] = name.removesuffix(".ipynb") + ".html" + mark + place


def _level_headings(body: BeautifulSoup) -> None:
    """Let no heading lie two levels below the one before it: a screen reader would miss one."""
    before = 0
    for heading in body.find_all(re.compile("^h[1-6]$")):
        level = min(int(heading.name[1]), before + 1)
        heading.name = f"h{level}"
        before = level
