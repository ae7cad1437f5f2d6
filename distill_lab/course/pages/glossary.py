"""The glossary: every `<dfn>term</dfn>` of the lessons, with the sentence that defines it.

A lesson defines a term by marking it in its Markdown. The page of these sentences is made from the
notebooks, and in later lessons the first use of a term leads to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import nbformat
from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages.notebook import anchor, markdown
from distill_lab.course.pages.shell import navigation, page, parsed

LEAD = (
    "Every term of the course, in the sentence that defines it. The link leads to the lesson "
    "where the sentence stands."
)
# Terms that are also everyday words, or mean something else in another lesson: only the lesson that
# defines one knows that it is meant. They stand in the glossary, and no later use is linked.
HERE = frozenset(
    {
        *("base", "bias", "chosen", "hint", "judge", "key", "margin", "pass", "points"),
        *("position", "query", "rank", "reference", "rejected", "relation", "target", "value"),
    }
)
_END = re.compile(r"(?<!\be\.g\.)(?<!\bi\.e\.)(?:(?<=[.!?])|(?<=[.!?]\)))\s+(?=\S)")
_OPEN = re.compile(r"(?:\b(?:is|are|uses|computes)|[:,])$")  # what it says comes after it
_BACK = re.compile(r"\b[Ss]uch (?!as\b)")  # what it says hangs on the sentence before it
_EMPTY = re.compile("an?|are|call(ed)?|in|is|it|of|that|the[mn]?|these|this|we")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS = ("p", "li", "td", "dd", "blockquote", "div", "section")
_NO_LINK = (
    "a",
    "button",
    "code",
    "dfn",
    "label",
    "math",
    "pre",
    "script",
    "style",
    "summary",
    "svg",
)


@dataclass(frozen=True)
class Term:
    """A term, where it is defined, and how."""

    name: str
    lesson: LessonFile
    sentence: str  # as HTML

    @property
    def anchor(self) -> str:
        """The name of its place, in the lesson and in the glossary."""
        return term_anchor(self.name)


def term_anchor(name: str) -> str:
    """The name of a term's place.

    >>> term_anchor("Soft  targets")
    'term-soft-targets'
    """
    return f"term-{anchor(' '.join(name.split()))}"


def terms(course: Iterable[LessonFile]) -> list[Term]:
    """All terms in the order in which the lessons define them; the first definition counts."""
    known: dict[str, Term] = {}
    for lesson in course:
        for term in _defined(lesson):
            known.setdefault(term.anchor, term)
    return list(known.values())


def defined_twice(course: Iterable[LessonFile]) -> list[str]:
    """Find the terms that more than one place defines, in words."""
    places: dict[str, list[Term]] = {}
    for lesson in course:
        for term in _defined(lesson):
            places.setdefault(term.anchor, []).append(term)
    return [
        f"“{repeated[0].name}” is defined {len(repeated)} times, in "
        f"{', '.join(term.lesson.name for term in repeated)}: keep the first <dfn>."
        for repeated in places.values()
        if len(repeated) > 1
    ]


def without_meaning(course: Iterable[LessonFile]) -> list[str]:
    """Find the terms whose sentence, as the glossary shows it, does not say what they are."""
    return [
        f"“{term.name}” in {term.lesson.name} stands in a sentence that does not say what it is, "
        f"“{words}”: say it in this sentence, in the one before it, or in a formula right after it."
        for term in terms(course)
        for words in [_words(parsed(term.sentence).get_text())]
        if _OPEN.search(words) or _only_names(words, term.name)
    ]


def _words(text: str) -> str:
    return " ".join(text.split())


def _only_names(sentence: str, name: str) -> bool:
    """Whether a sentence gives something a name and says nothing else of it.

    >>> _only_names("This is called self-training.", "self-training")
    True
    >>> _only_names("A tap keeps an output.", "tap")
    False
    """
    rest = set(re.findall(r"[\w’'-]+", sentence.casefold())) - set(name.casefold().split())
    return all(map(_EMPTY.fullmatch, rest))


def _defined(lesson: LessonFile) -> list[Term]:
    try:
        cells = nbformat.read(lesson.path, as_version=4).cells
    except (OSError, ValueError):  # it cannot be read, and fails as a lesson
        return []
    marked = [c for c in cells if c.cell_type == "markdown" and "<dfn" in c.source]
    return [
        Term(_words(dfn.get_text()), lesson, _sentence(dfn))
        for cell in marked
        for dfn in parsed(markdown(cell.source)).find_all("dfn")
    ]


def _sentence(dfn: Tag) -> str:
    """The sentence that says what a term is, as HTML.

    It is the one around the term; with the one before it, where it only names what that one says;
    with the formula after it, where it stops there.
    """
    block = dfn.find_parent(_BLOCKS) or dfn.parent or dfn
    sentences = _sentences(block)
    mine = str(dfn)
    at = next((i for i, part in enumerate(sentences) if mine in part), len(sentences) - 1)
    sentence = sentences[at]
    plain = _words(parsed(sentence).get_text())
    if _OPEN.search(plain):
        after = block.find_next_sibling(True)
        formula = after if isinstance(after, Tag) and after.find("math", display="block") else None
        if formula is not None and at == len(sentences) - 1:
            return f"{sentence} {formula}"
        return re.sub(r"[:,]$", ".", sentence)
    if _only_names(plain, _words(dfn.get_text())) or _BACK.search(plain):
        above = block.find_previous_sibling(True)
        before = sentences[:at] or (_sentences(above) if isinstance(above, Tag) else [])
        return " ".join([*before[-1:], sentence])
    return sentence


def _sentences(block: Tag) -> list[str]:
    """The sentences of a paragraph as HTML: what stands inside a tag is not cut."""
    pieces: list[str] = []
    text = ""
    for child in block.children:
        if isinstance(child, Tag):
            text += f"\x00{len(pieces)}\x00"
            pieces.append(str(child))
        else:
            text += escape(str(child), quote=False)
    return [
        re.sub("\x00(\\d+)\x00", lambda match: pieces[int(match[1])], _words(part))
        for part in _END.split(text.strip())
    ]


def mark_terms(body: BeautifulSoup, lesson: LessonFile, known: Sequence[Term]) -> None:
    """Give a lesson's definitions their anchors, and link its first uses of earlier terms.

    Args:
        body: The lesson's cells as HTML; it is changed.
        lesson: The lesson.
        known: The terms of the course.
    """
    for dfn in body.find_all("dfn"):
        dfn["id"] = term_anchor(dfn.get_text())
    earlier = {
        term.anchor: term
        for term in known
        if term.lesson.name < lesson.name and term.name.casefold() not in HERE
    }
    # The longest first, and of every lesson: a "confirmation bias" is no bias.
    names = sorted((term.name for term in known), key=len, reverse=True)
    either = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in names)
    pattern = re.compile(rf"(?<![\w-])({either})(s|es)?(?![\w-])", re.IGNORECASE)
    cited = False  # below "References" stand titles of others
    for block in body.select("section.prose :is(h1, h2, h3, h4, h5, h6, p, li)"):
        if block.name in _HEADINGS:
            cited = block.get_text().strip().casefold() == "references"
        for string in list(block.find_all(string=True)):
            linked = isinstance(string, NavigableString) and not string.find_parent(_NO_LINK)
            if earlier and linked and not cited and block.name not in _HEADINGS:
                _link(string, earlier, pattern)


def _link(string: NavigableString, earlier: dict[str, Term], pattern: re.Pattern[str]) -> None:
    """Link the terms in one piece of text, and take them out of those that wait for a link."""
    text, done, made = str(string), 0, False
    parts: list[str] = []
    for match in pattern.finditer(text):
        term = earlier.pop(term_anchor(match[1]), None)
        if term is None:
            continue
        label = escape(match[0], quote=False)
        link = f'<a class="term" href="glossary.html#{term.anchor}">{label}</a>'
        parts += [escape(text[done : match.start()], quote=False), link]
        done, made = match.end(), True
    if made:
        parts.append(escape(text[done:], quote=False))
        string.replace_with(*list(parsed("".join(parts)).contents))


def glossary_page(known: Sequence[Term], written: Sequence[str]) -> str:
    """The page of all terms, by the alphabet."""
    entries = []
    for term in sorted(known, key=lambda term: term.name.casefold()):
        title = escape(f"{term.lesson.number} {term.lesson.short_title}".strip())
        place = f"{term.lesson.name}.html#{term.anchor}"
        where = f'<a href="{place}">{title}</a>' if term.lesson.name in written else title
        entries.append(
            f'<dt id="{term.anchor}">{escape(term.name)}</dt>'
            f"<dd>{term.sentence}<small>{where}</small></dd>"
        )
    listed = f'<dl class="terms">{"".join(entries)}</dl>' if entries else "<p>No term yet.</p>"
    content = f'<div class="lead"><h1>Glossary</h1><p>{LEAD}</p>{listed}</div>'
    bar = navigation("glossary")
    return page("Distill Lab: glossary", content, navigation=bar, kind="glossary")
