"""The course as a drawn map: a row or more a part, a box a lesson, an arrow from what it needs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from itertools import groupby

from distill_lab.course.lessons import LessonFile

WIDE, HIGH, GAP, BETWEEN, LEFT, ACROSS = 172, 66, 26, 48, 132, 4  # px, and boxes in a row


def part_names(course: Sequence[LessonFile]) -> dict[int, str]:
    """Each part's name, as the first of its lessons that gives one says; without it "Part 2"."""
    names = {lesson.part: f"Part {lesson.part}" for lesson in course}
    for lesson in reversed(course):
        if given := lesson.about.get("part_name"):
            names[lesson.part] = str(given)
    return names


def course_map(course: Sequence[LessonFile], written: Sequence[str]) -> str:
    """Draw the map as SVG; the boxes of lessons that have a page are links.

    Args:
        course: All lessons, in order.
        written: The names of those that have a page.

    Returns:
        The drawing, in the page's own colours; nothing for no lessons.
    """
    places: dict[str, tuple[float, float]] = {}
    labels, y = [], 8.0
    names = part_names(course)
    for part, group in groupby(course, key=lambda lesson: lesson.part):
        lessons = list(group)
        lines = textwrap.wrap(names[part], 17)[:3]
        top = y + HIGH / 2 - 8 * (len(lines) - 1) + 5
        labels += [_words(0, top + 17 * i, line, "part") for i, line in enumerate(lines)]
        for i, lesson in enumerate(lessons):
            column, row = i % ACROSS, i // ACROSS
            places[lesson.name] = (LEFT + column * (WIDE + GAP), y + row * (HIGH + BETWEEN))
        y += -(-len(lessons) // ACROSS) * (HIGH + BETWEEN)
    if not places:
        return ""
    known = {lesson.number: lesson.name for lesson in course}
    arrows = [
        _arrow(places[known[number]], places[lesson.name])
        for lesson in course
        for number in lesson.needs
        if number in known
    ]
    boxes = [_box(lesson, places[lesson.name], lesson.name in written) for lesson in course]
    width = max(x for x, _ in places.values()) + WIDE + 8
    height = y - BETWEEN + 8
    return (
        f'<svg class="course" viewBox="0 0 {width} {height:g}" width="{width}" '
        f'height="{height:g}" role="group" aria-label="Map of the course: each lesson with arrows '
        f'from the lessons to do before it">{"".join([*labels, *arrows, *boxes])}</svg>'
    )


def _box(lesson: LessonFile, place: tuple[float, float], written: bool) -> str:
    x, y = place
    lines = textwrap.wrap(lesson.short_title, 14)[:2]
    time = f"{lesson.minutes} min" if lesson.minutes else ""
    start = y + HIGH / 2 + 5 - 8 * (len(lines) - 1 + bool(time))
    words = "".join(_words(x + 42, start + 16 * i, line, "name") for i, line in enumerate(lines))
    words += _words(x + 42, start + 16 * len(lines), time, "time") if time else ""
    minutes = f", {lesson.minutes} minutes" if lesson.minutes else ""
    name = escape(f"{lesson.number} {lesson.short_title}{minutes}".strip())
    drawn = (
        f'<rect x="{x:g}" y="{y:g}" width="{WIDE}" height="{HIGH}" rx="8"/>'
        f"{_words(x + 12, y + HIGH / 2 + 5, lesson.number, 'number')}{words}"
        f'<path class="tick" d="M{x + WIDE - 20:g} {y + 13:g}l4 4l7 -8"/>'
    )
    mark = f'data-lesson="{escape(lesson.name)}"'
    if not written:
        return f'<g class="lesson later" {mark}>{drawn}</g>'
    return f'<a class="lesson" {mark} href="{lesson.name}.html" aria-label="{name}">{drawn}</a>'


def _arrow(source: tuple[float, float], target: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = source, target
    if y0 == y1 and x1 - x0 <= WIDE + GAP:  # its neighbour
        path = f"M{x0 + WIDE:g} {y0 + HIGH / 2:g}H{x1 - 2:g}"
        return f'<path class="need" d="{path}"/>{_head(x1 - 2, y1 + HIGH / 2, sideways=True)}'
    start, end, middle = x0 + WIDE / 2, x1 + WIDE / 2, BETWEEN / 2
    if y0 == y1:  # past its neighbours, below them
        path = f"M{start:g} {y0 + HIGH:g}q0 {middle} 24 {middle}H{end - 24:g}q24 0 24 -{middle - 2}"
        return f'<path class="need" d="{path}"/>{_head(end, y1 + HIGH + 2, down=False)}'
    if y1 - y0 <= HIGH + BETWEEN:  # the row below
        out, into = y0 + HIGH, y1 - 2
        path = f"M{start:g} {out:g}C{start:g} {into:g} {end:g} {out:g} {end:g} {into:g}"
        return f'<path class="need" d="{path}"/>{_head(end, into)}'
    # Past the rows between, where no box lies: at the left of the target's column.
    side = x1 - GAP / 2
    out, into = y0 + HIGH + middle, y1 + HIGH / 2
    path = f"M{x0 + 24:g} {y0 + HIGH:g}V{out - 6:g}q0 6 {_turn(side - x0 - 24)} 6"
    path += f"H{side - _turn(side - x0 - 24):g}q{_turn(side - x0 - 24)} 0 {_turn(side - x0 - 24)} 6"
    path += f"V{into - 6:g}q0 6 6 6H{x1 - 2:g}"
    return f'<path class="need" d="{path}"/>{_head(x1 - 2, into, sideways=True)}'


def _turn(distance: float) -> int:
    """A rounded corner towards where a line goes on."""
    return 6 if distance > 0 else -6


def _head(x: float, y: float, *, sideways: bool = False, down: bool = True) -> str:
    if sideways:
        return f'<path class="head" d="M{x:g} {y:g}l-8 -4.5v9z"/>'
    return f'<path class="head" d="M{x:g} {y:g}l-4.5 {-8 if down else 8}h9z"/>'


def _words(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'
