"""Sentences of a lesson that are formatted from its run, so that no figure in them is a constant.

`lesson.note` shows one paragraph, `lesson.interpret` the one that fits the verdict of a claim, and
`lesson.folded` something that only some readers need.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from distill_lab.course.claim import CANNOT, FAILS, HOLDS, Claim
from distill_lab.course.claim_card import figure
from distill_lab.course.records import publish, true_minus

__all__ = ["show_folded", "show_interpretation", "show_note"]

FIELDS = re.compile(r"\{(ours|difference|finding|n)\}")
_MARKS = ((r"`([^`]+)`", r"<code>\1</code>"), (r"\*\*([^*]+)\*\*", r"<strong>\1</strong>"))


def show_note(text: str, **record: Any) -> None:
    """Show a paragraph; `code` and **bold** are the only marks.

    Args:
        text: One or a few sentences, with the run's figures already in them.
        record: What else the record holds.

    Raises:
        ValueError: If there is no text.

    >>> show_note("The student reaches **90 %**.")
    The student reaches 90 %.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"a note needs a sentence in words; got {text!r}.")
    plain = true_minus(text.strip())
    html = escape(plain)
    for pattern, marked in _MARKS:
        html = re.sub(pattern, marked, html)
    for pattern, _ in _MARKS[1:]:
        plain = re.sub(pattern, r"\1", plain)
    page = f'<p class="dl-note" style="max-width:46em;margin:4px 0">{html}</p>'
    publish({"kind": "note", "text": plain, **record}, text=plain, html=page)


def show_interpretation(id: str, claim: Claim | None, **sentences: str) -> None:
    """Show the sentence that belongs to a claim's verdict.

    Args:
        id: The claim's id.
        claim: The claim as it was made, None if it was not.
        sentences: `holds`, `fails` and `unresolved`, a text each, which may hold `{ours}`,
            `{difference}`, `{finding}` and `{n}`, the claim's own.

    Raises:
        ValueError: If the claim was not made yet, or a sentence is empty.
    """
    if claim is None:
        raise ValueError(
            f"interpret speaks of the verdict of claim {id!r}, which was not made yet: run the "
            "cell with lesson.claim first."
        )
    if empty := [name for name, text in sentences.items() if not str(text).strip()]:
        raise ValueError(
            f"interpret needs a sentence for each verdict; {', '.join(empty)} is empty."
        )
    verdicts = {HOLDS: "holds", FAILS: "fails", CANNOT: "unresolved"}
    fields = {
        "ours": claim.ours,
        "difference": figure(claim),
        "finding": claim.finding,
        "n": claim.n,
    }
    sentence = FIELDS.sub(lambda match: str(fields[match[1]]), sentences[verdicts[claim.verdict]])
    show_note(sentence, claim=id, verdict=claim.verdict)


def show_folded(title: str, content: Any) -> None:
    """Show something folded under its title.

    Args:
        title: What is inside, in a few words.
        content: A text, or an object that shows itself as HTML, such as a report or a picture.

    Raises:
        ValueError: If there is no title.
    """
    if not isinstance(title, str) or not title.strip():
        raise ValueError(f"what is folded needs a title in words; got {title!r}.")
    inside = _html(content)
    page = f"<details><summary>{escape(title)}</summary>{inside}</details>"
    text = f"{title}\n{getattr(content, 'alt', content)}"
    publish({"kind": "folded", "title": title}, text=text, html=page)


def _html(content: Any) -> str:
    """The content as HTML; plain words are escaped."""
    for method in ("_repr_html_", "_repr_mimebundle_"):
        if hasattr(content, method):
            shown = getattr(content, method)()
            return str(shown["text/html"] if isinstance(shown, dict) else shown)
    return f"<p>{escape(str(content))}</p>"
