"""What a page answers without a kernel: live pictures, predictions, questions, and what they fold.

Each is written so that it reads without a script; `alive.js`, put into a page once, gives it life.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from distill_lab.course import widgets
from distill_lab.course.records import ORANGE, SKY, badge, card
from distill_lab.course.widgets.states import MIME as EXPLORE_MIME

__all__ = ["EXPLORE_MIME", "bring_to_life", "explorer_html", "faults", "is_data", "record_html"]

PAGE_BYTES = 1_000_000  # of a lesson's page, for all that its live pictures store
SCRIPTS = {  # what needs one, and the script
    ".explore, .predict, .recall": Path(__file__).with_name("alive.js"),
    "figure.scripted": Path(widgets.__file__).with_name("scripted.js"),
}
NOTE = "Its controls need a script: allow them here, or open the lesson with <code>make lab</code>."
TRY = "To try it, open the lesson with <code>make lab</code>: there, <code>check</code> answers."
_EXERCISE = re.compile(r"^check[.(]", re.MULTILINE)
_HEADING = re.compile("^h[1-6]$")


def is_data(tag: Tag) -> bool:
    """Whether a `<script>` holds what a live picture stores, and runs nothing."""
    return str(tag.get("type", "")).startswith("application/vnd.distill-lab.")


def embedded(value: Any, mime: str) -> str:
    """Data in a page for a script of the page; no `</script>` in it can end it early."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="{mime}">{text}</script>'


def explorer_html(stored: dict[str, Any]) -> str:
    """A live picture: its first state, the values and the call; its states for the script."""
    controls = stored["controls"]
    values = ", ".join(f"{c['label']} = {c['texts'][c['start']]}" for c in controls)
    call = ", ".join(f"{c['name']}={c['code'][c['start']]}" for c in controls)
    fewer = [f"{len(c['texts'])} of {c['of']} values of {c['label']}" for c in controls
             if len(c["texts"]) < c["of"]]  # fmt: skip
    thinned = f"This page holds {' and '.join(fewer)}; the lab holds all." if fewer else ""
    width, height = stored["width"], stored["height"]
    size = f"--w:{width:g}px;--ratio:{width:g}/{height:g}" if width else f"--h:{height:g}px"
    kept = {key: stored[key] for key in ("name", "controls", "states")}
    return (
        f'<div class="explore" style="{size}"><div class="picture">{stored["first"]}</div>'
        f'<p class="dl-values" role="status" aria-live="polite">{escape(values)}</p>'
        '<p class="call">the same as code: '
        f'<code class="dl-call">{escape(stored["name"])}({escape(call)})</code></p>'
        + (f'<p class="thinned">{escape(thinned)}</p>' if thinned else "")
        + f'<p class="widget">{NOTE}</p>{embedded(kept, EXPLORE_MIME)}</div>'
    )


def record_html(record: dict[str, Any]) -> str | None:
    """A result in the form that suits a page; None where its own HTML does."""
    kind = record.get("kind")
    if kind == "predict":
        return _outcome(record) if record.get("stage") == "revealed" else _prediction(record)
    if kind == "recall" and (record.get("questions") or "question" in record):
        return "".join(map(_question, record.get("questions") or [record]))
    if kind == "check" and record.get("state") == "not attempted":
        return f'<p class="widget">{TRY}</p>'
    return None


def _id(record: dict[str, Any]) -> str:
    return str(record["id"])


def _anchor(record: dict[str, Any]) -> str:
    return "outcome-" + re.sub(r"\W+", "-", _id(record)).strip("-")


def _options(options: list[str]) -> str:
    return f'<p class="options">{" &nbsp;·&nbsp; ".join(map(escape, options))}</p>'


def _attribute(value: Any) -> str:
    return escape(json.dumps(value, ensure_ascii=False), quote=True)


def _prediction(record: dict[str, Any]) -> str:
    question = str(record["question"])
    body = f"<p>{badge('?', 'Predict', colour=SKY)}{escape(question)}</p>"
    body += _options(record["options"])
    box = card(body, colour=SKY, label="Predict: " + question)
    about = f'data-id="{escape(_id(record))}" data-options="{_attribute(record["options"])}"'
    return box.replace("<div ", f'<div class="predict" {about} ', 1)


def _outcome(record: dict[str, Any]) -> str:
    answer, because = str(record["answer"]), str(record.get("why") or "")
    body = f"outcome: <b>{escape(answer)}</b>" + (f"<p>{escape(because)}</p>" if because else "")
    box = card(body, colour=ORANGE, label="Outcome of the prediction: " + str(record["question"]))
    about = (
        f'id="{escape(_anchor(record))}" data-id="{escape(_id(record))}" '
        f'data-answer="{escape(answer)}"'
    )
    return box.replace("<div ", f'<div class="outcome" {about} ', 1)


def _question(record: dict[str, Any]) -> str:
    question, why = str(record["question"]), str(record.get("why") or "")
    options = [str(option) for option in record["options"]]
    answer = record["answer"]
    answer = options[answer] if isinstance(answer, int) else str(answer)
    body = f"<p>{badge('?', 'Recall', colour=SKY)}{escape(question)}</p>{_options(options)}"
    body += f"<details><summary>Answer</summary><p><b>{escape(answer)}</b></p>"
    body += f'<p class="why">{escape(why)}</p></details>'
    about = _attribute({"options": options, "answer": answer})
    box = card(body, colour=SKY, label="Recall: " + question)
    return box.replace("<div ", f'<div class="recall" data-question="{about}" ', 1)


def bring_to_life(soup: BeautifulSoup) -> None:
    """Mark what each prediction folds, and put the script at the end, where anything needs it."""
    for question in soup.select(".predict"):
        for piece in _given_away(soup, question):
            piece["data-fold"] = "\n".join(
                filter(None, [str(piece.get("data-fold", "")), str(question["data-id"])])
            )
    for selector, file in SCRIPTS.items():
        if soup.select_one(selector):
            script = soup.new_tag("script")
            script.string = file.read_text(encoding="utf-8")
            soup.append(script)


def faults(nb: NotebookNode, soup: BeautifulSoup) -> list[tuple[str, str]]:
    """Why what is alive is not fit to be read, each a kind and a sentence."""
    stored = [
        output["data"][EXPLORE_MIME]
        for cell in nb.cells
        for output in cell.get("outputs", [])
        if EXPLORE_MIME in output.get("data", {})
    ]
    broken = [call for explorer in stored for call in explorer["broken"]]
    size = sum(len(script.get_text()) for script in soup.find_all("script") if is_data(script))
    wrong = []
    if broken:
        sentence = (
            f"{len(broken)} states of a live picture raise, {broken[0][:160]}: mend the function, "
            "or leave these values out of the control."
        )
        wrong.append(("picture not drawn", sentence))
    if size > PAGE_BYTES:
        sentence = (
            f"its live pictures store {size:,} bytes, more than {PAGE_BYTES:,}: keep fewer values "
            "with page={…}, or draw less in a picture."
        )
        wrong.append(("page too large", sentence))
    return wrong


def _given_away(soup: BeautifulSoup, question: Tag) -> Iterator[Tag]:
    """What shows the result of a prediction: code and outputs from its cell to its outcome's.

    With what is said between two of these, and what stands right below the outcome, up to the next
    heading, question or exercise.
    """
    outcome = next(
        (tag for tag in soup.select(".outcome") if tag["data-id"] == question["data-id"]), None
    )
    if outcome is None:
        return
    first, last = (_piece(soup, tag) for tag in (question, outcome))
    shown = next(tag for tag in [question, *question.parents] if tag.parent is first)
    yield from (tag for tag in shown.find_next_siblings(True) if isinstance(tag, Tag))
    revealed = first is last
    between: list[Tag] | None = None  # what is said since the last cell that is folded
    for piece in first.find_next_siblings(True):
        if not isinstance(piece, Tag):
            continue
        prose = "prose" in (piece.get("class") or [])
        asks = piece is not last and piece.select_one(".predict, .recall") is not None
        source = piece.select_one(".source")
        tries = source is not None and _EXERCISE.search(source.get_text()) is not None
        heading = piece.find(_HEADING) if prose else None
        if revealed:
            others = [o for o in piece.select(".outcome") if o is not outcome]
            if tries or asks or others:
                return
            if heading:
                yield from heading.find_previous_siblings(True)  # what the cell says before it
                return
            yield piece
        elif prose:  # of a cell that is folded only if one stands above it and one below
            between = None if between is None or heading else [*between, piece]
        elif asks or (tries and piece is not last):
            between = None
        else:
            yield from between or ()
            yield piece
            between = []
        revealed = revealed or piece is last


def _piece(soup: BeautifulSoup, tag: Tag) -> Tag:
    """The cell or the prose that a tag stands in."""
    return next(t for t in [tag, *tag.parents] if t.parent is soup)
