"""The course map and the claims ledger as pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat

from distill_lab._util.io import write_whole
from distill_lab.course import journal
from distill_lab.course.lab.own_copy import FOLDER
from distill_lab.course.ledger import load
from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages import alive
from distill_lab.course.pages.course_map import course_map, part_names
from distill_lab.course.pages.glossary import glossary_page, mark_terms, terms
from distill_lab.course.pages.notebook import lesson_body
from distill_lab.course.pages.plot import interval_plot
from distill_lab.course.pages.shell import (
    ENDING,
    NAVIGATION,
    ending,
    external_loads,
    lesson_page,
    navigation,
    needed,
    page,
    unread_formulas,
)
from distill_lab.course.pages.tidy import keep_units, tidy
from distill_lab.course.records import true_minus
from distill_lab.course.wording import count_words, duration, interval, number, verdict_counts, wins

MAP_LEAD = (
    "A large network, the <b>teacher</b>, helps to train a small one, the <b>student</b>. In each "
    "lesson you build one method by hand, say what you expect, and measure it on your own machine."
)
MAP_HINT = "An arrow leads from a lesson to those that build on it."
CLAIMS_LEAD = (
    "A claim is one sentence of a paper that a lesson puts to the test. The number under “Here” "
    "was measured in the run named above the table. The interval in brackets says how far chance "
    "alone could have moved it: the true difference lies inside in 95 of 100 such experiments. "
    "The verdict follows from the interval alone. Results that speak against a paper stay in."
)
CHIP = {"holds": "holds", "does not hold here": "fails", "cannot be resolved here": "open"}


def write_lesson(
    out: Path, lesson: LessonFile, course: Sequence[LessonFile]
) -> list[tuple[str, str]]:
    """Write the page of one lesson from its executed notebook and its entry in the ledger.

    Args:
        out: The folder of the run, which holds both.
        lesson: The lesson.
        course: All lessons, for the links to the neighbours.

    Returns:
        Why the page is not fit to be read, each a kind and a sentence; the page says so as well.
    """
    nb = nbformat.read(out / f"{lesson.name}.ipynb", as_version=4)
    body = lesson_body(nb, lesson.path.parent)
    tidy(body, course)
    mark_terms(body, lesson, terms(course))
    faults = [
        (
            "page needs the network",
            f"the page would fetch {address[:100]}: put the file beside the notebook, or draw it.",
        )
        for address in external_loads(body)
    ] + [
        (
            "formula not drawn",
            f"the page cannot draw the formula “{formula[:100]}”: say it with simpler LaTeX.",
        )
        for formula in unread_formulas(body)
    ]
    faults += alive.faults(nb, body)
    entry = load(out)["lessons"][lesson.name]
    entry["findings"] += [{"kind": kind, "sentence": sentence} for kind, sentence in faults]
    html = lesson_page(body, lesson, entry, course)
    write_whole(out / f"{lesson.name}.html", html.encode())
    return faults


def write_overview(out: Path, course: Sequence[LessonFile], ledger: dict[str, Any]) -> None:
    """Write the map, the claims and the glossary, and bring links between lessons up to date."""
    names = {lesson.name for lesson in course}
    lessons = [
        *course,
        # Run by path, from outside the course: part of this folder's results all the same.
        *(
            LessonFile(name, out / f"{name}.ipynb", entry)
            for name, entry in ledger["lessons"].items()
            if name not in names
        ),
    ]
    lessons.sort(key=lambda lesson: lesson.name)
    written = [lesson.name for lesson in lessons if (out / f"{lesson.name}.html").is_file()]
    for name in written:
        path = out / f"{name}.html"
        before = path.read_text(encoding="utf-8")
        after = NAVIGATION.sub(_constant(navigation(name, lessons, written)), before, count=1)
        after = ENDING.sub(_constant(ending(name, lessons, written)), after, count=1)
        after = _led(after, lessons, written)
        if after != before:
            write_whole(path, after.encode())
    write_whole(out / "index.html", _map(lessons, written, ledger).encode())
    write_whole(out / "claims.html", _claims(lessons, written, ledger).encode())
    write_whole(out / "glossary.html", glossary_page(terms(lessons), written).encode())


def _led(html: str, lessons: Sequence[LessonFile], written: Sequence[str]) -> str:
    """Links to lessons' pages lead there while the pages exist; the others keep their address."""
    names = "|".join(re.escape(lesson.name) for lesson in lessons)
    return re.sub(
        rf'(<a\b[^<>]*?\s)(?:data-)?(href="({names})\.html[#"])',
        lambda link: link[1] + "data-" * (link[3] not in written) + link[2],
        html,
    )


def _constant(text: str) -> Callable[[re.Match[str]], str]:
    """A replacement that `re.sub` takes as it is, without reading backslashes in it."""
    return lambda _: text


def _map(lessons: Sequence[LessonFile], written: list[str], ledger: dict[str, Any]) -> str:
    names = part_names(lessons)
    parts = []
    for part, group in groupby(lessons, key=lambda lesson: lesson.part):
        cards = "\n".join(_card(lesson, lessons, written, ledger) for lesson in group)
        parts.append(f'<h2>{escape(names[part])}</h2>\n<ol class="cards">\n{cards}\n</ol>')
    passed = sum(entry["status"] == "passed" for entry in ledger["lessons"].values())
    claims = count_words(ledger["claims"])
    link = f'<br><a href="claims.html">{claims}</a>' if claims else ""
    minutes = sum(lesson.minutes for lesson in lessons if isinstance(lesson.minutes, int))
    size = f"{len(lessons)} lessons" + (f", about {round(minutes / 60)} hours" if minutes else "")
    start = next((lesson for lesson in lessons if lesson.name in written), None)
    button = (
        f'<p class="start"><a href="{start.name}.html">Start with lesson '
        f"{escape(start.number or start.title)}</a></p>"
        if start
        else ""
    )
    content = (
        f'<div class="lead"><h1>Learn knowledge distillation by doing it</h1><p>{MAP_LEAD}</p>'
        f'{button}<p class="facts"><span class="count" data-of="{len(lessons)}" '
        f'data-done="{escape(_closed(lessons))}"></span>{size}. '
        f'{MAP_HINT}</p><div class="scroll">{course_map(lessons, written)}</div></div>\n'
        f'<div class="lessons">{"".join(parts)}\n'
        f"<details><summary>What this run measured</summary>"
        f"<p>{passed} of {len(lessons)} lessons passed{link}</p></details></div>"
    )
    return page("Distill Lab: course map", content, navigation=navigation("index"), kind="map")


def _closed(lessons: Sequence[LessonFile]) -> str:
    """The lessons that the reader has read to the end, by the journal of their own copy."""
    if not lessons:
        return ""
    path = journal.journal_path() or lessons[0].path.parent.parent / FOLDER / journal.NAME
    closed = {event["lesson"] for event in journal.read(path).events if event["event"] == "closed"}
    return " ".join(lesson.name for lesson in lessons if lesson.number in closed)


def _card(
    lesson: LessonFile, course: Sequence[LessonFile], written: list[str], ledger: dict[str, Any]
) -> str:
    entry = ledger["lessons"].get(lesson.name)
    claims = [claim for claim in ledger["claims"] if claim["lesson"] == lesson.name]
    title = escape(lesson.title)
    heading = f'<a href="{lesson.name}.html">{title}</a>' if lesson.name in written else title
    first = f"<p>You will be able to {escape(lesson.can_do[0])}.</p>" if lesson.can_do else ""
    needs = needed(lesson, course, written=written)
    facts = [
        f"{lesson.minutes} minutes" if lesson.minutes else "",
        f"first do {needs}" * bool(needs),
    ]
    status = "not run yet" if entry is None else entry["status"]
    run = [f'<span class="status {status.split()[0]}">{status}</span>']
    if entry is not None:
        run.append(f"{entry['seconds']:.0f} s, {entry['profile']}, {entry['when']}")
    if lesson.name in written:
        run.append(f'<a href="{lesson.name}.ipynb" download>notebook</a>')
    rest = "".join(f"<li>{escape(line)}</li>" for line in lesson.can_do[1:])
    return (
        f'<li class="card" data-lesson="{escape(lesson.name)}">'
        f'<span class="number">{escape(lesson.number)}</span>'
        f'<div><h3>{heading}</h3>{first}<p class="facts">{" · ".join(filter(None, facts))}</p>'
        f"<details><summary>More about lesson {escape(lesson.number or lesson.name)}</summary>"
        f"{f'<p>You will also be able to</p><ul>{rest}</ul>' if rest else ''}"
        f'{_chips(claims, lesson.name)}<p class="facts">{" · ".join(run)}</p></details></div></li>'
    )


def _chips(claims: list[dict[str, Any]], lesson: str) -> str:
    chips = "".join(
        f'<a class="chip {CHIP[verdict]}" href="claims.html#{lesson}">{count}</a>'
        for verdict, _, count in verdict_counts(claims)
    )
    return f'<p class="chips"><span>Claims:</span>{chips}</p>' if chips else ""


def _claims(lessons: Sequence[LessonFile], written: list[str], ledger: dict[str, Any]) -> str:
    parts = []
    for lesson in lessons:
        claims = [claim for claim in ledger["claims"] if claim["lesson"] == lesson.name]
        if claims:
            parts.append(_table(lesson, lesson.name in written, claims, ledger["lessons"]))
    summary = (
        count_words(ledger["claims"])
        or "No lesson has made a claim yet: run <code>make course</code>."
    )
    content = (
        f'<div class="lead"><h1>The claims ledger</h1><p>{CLAIMS_LEAD}</p>'
        f'<p class="facts">{summary}</p></div>\n{"".join(parts)}'
    )
    return page("Distill Lab: claims", content, navigation=navigation("claims"), kind="claims")


def _table(
    lesson: LessonFile, written: bool, claims: list[dict[str, Any]], entries: dict[str, Any]
) -> str:
    entry = entries[lesson.name]
    title = escape(f"{lesson.number} {lesson.title}".strip())
    title = f'<a href="{lesson.name}.html">{title}</a>' if written else title
    caution = (
        "" if entry["status"] == "passed" else ' <span class="status failed">run failed</span>'
    )
    how = f"profile {entry['profile']}, seed {entry['seed']}, {entry['when']}"
    heads = ("Found", "In the paper", "Here", "Difference", "Verdict")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    rows = "\n".join(_row(claim) for claim in claims)
    return (
        f'<section id="{lesson.name}"><h2>{title}{caution}</h2><p class="facts">{how}</p>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n'
        "</tbody></table></div></section>\n"
    )


def _row(claim: dict[str, Any]) -> str:
    def say(key: str) -> str:
        value = claim.get(key)
        return "" if value is None else keep_units(escape(true_minus(str(value))))

    verdict = str(claim.get("verdict"))
    negative = (
        '<span class="negative">a limit: what does not help</span>' if claim.get("limit") else ""
    )
    expected = "" if verdict == "holds" else f"<small>expected was “{say('says')}”</small>"
    seeds = wins(claim) or (f"{claim.get('n')} seeds" if claim.get("low") is not None else "")
    aside = "; ".join(filter(None, (say("interval_kind"), seeds, _asked(claim))))
    return (
        f'<tr id="{say("id")}"><th scope="row">{say("finding") or say("says")}'
        f"{expected}<small><code>{say('id')}</code> {negative}</small></th>"
        f"<td>{say('published')}<small>{say('paper')}, {say('where')}</small></td>"
        f"<td>{say('ours')}</td>"
        f'<td class="difference">{interval_plot(claim)}<span class="figure">{_figure(claim)}</span>'
        f"<small>{aside}</small></td>"
        f'<td><span class="chip {CHIP.get(verdict, "fails")}">{escape(verdict)}</span>'
        f"<small>{duration(claim.get('seconds'))}</small></td></tr>"
    )


def _figure(claim: dict[str, Any]) -> str:
    """The difference as HTML: number and interval stay on one line, a long unit may wrap."""
    figures = keep_units(escape(interval(claim).replace("-", "−")))
    return re.sub(r"\S+ \[[^]]*\]", lambda part: part[0].replace(" ", "\u00a0"), figures)


def _asked(claim: dict[str, Any]) -> str:
    """What was expected, as chosen before looking: `expected above 0`, `expected within ±2`."""
    expected, margin = claim.get("expected"), number(claim.get("margin"))
    if expected == "within":
        return f"expected within ±{margin}"
    if expected not in ("above", "below"):
        return ""
    return f"expected {expected} {number(claim.get('threshold')).replace('-', '−')}"
