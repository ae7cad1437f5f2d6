"""Schematic drawings: the laws that a panel keeps, and every drawing of every lesson under them."""

import importlib
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from distill_lab.course.figures import drawing, schematics, svg
from distill_lab.course.figures.drawing import Panel, row
from distill_lab.course.figures.layout import Place, crosses, text_width, wrap

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"
LESSONS = sorted(path.parent.name for path in NOTEBOOKS.glob("lesson_*/drawings.py"))
ALT = "One box stands in an otherwise empty panel."


def panel(height: float = 120) -> Panel:
    return Panel("", height, alt=ALT)


def contrast(one: str, two: str) -> float:
    """The contrast of two colours by WCAG 2: at least 4.5 for text."""

    def light(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((light(one), light(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_drawing_is_well_formed_named_and_shown_as_a_picture() -> None:
    one, two = Panel("First", 80, alt=ALT), Panel("Second", 140, alt=ALT)
    one.box(20, 40, 100, 30, "a < b & c")
    shown = row(one, two)
    pictures = [box[0] for box in ElementTree.fromstring(shown)]
    assert [p.get("height") for p in pictures] == ["140", "140"], "as high as the highest"
    assert [p.get("aria-label") for p in pictures] == [f"First: {ALT}", f"Second: {ALT}"]
    assert shown.alt == f"First: {ALT} Second: {ALT}"
    assert "flex-wrap:wrap" in shown
    assert isinstance(shown, svg.Svg)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (lambda p: p.write(300, 40, "a long text indeed", room=400), "leaves the panel"),
        (lambda p: p.write(20, 118, "too low"), "leaves the panel"),
        (lambda p: p.write(2, 40, "too far left"), "leaves the panel"),
        (lambda p: [p.write(20, 40, "one"), p.write(30, 44, "two")], "'one' and 'two' overlap"),
        (lambda p: [p.box(20, 20, 80, 30, ""), p.write(80, 40, "half")], "border of a box"),
        (lambda p: [p.write(40, 60, "text"), p.arrow([(20, 56), (90, 56)])], "a line runs through"),
        (lambda p: [p.write(40, 60, "text"), p.arrow([(20, 20), (80, 80)])], "a line runs through"),
        (lambda p: [p.box(20, 20, 80, 30, ""), p.box(90, 40, 80, 30, "")], "two boxes overlap"),
    ],
)
def test_what_a_reader_could_not_read_is_refused(place, words) -> None:
    bad = panel()
    place(bad)
    with pytest.raises(ValueError, match=words):
        row(bad)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Panel("Title", 100, alt=" "), "needs alt text"),
        (lambda: Panel("Title", 100, alt="a box"), "needs alt text"),
        (lambda: Panel("Title", 100, alt=ALT, width=720), "at most 352 px"),
        (lambda: panel().write(20, 40, "small", size=11), "smaller than 12"),
        (lambda: panel().box(9, 9, 99, 30, "x", "pupil"), "one of the roles teacher"),
        (lambda: panel().box(9, 9, 40, 30, "incomprehensible"), "choose a shorter word"),
        (lambda: panel().box(9, 9, 60, 20, "three lines of words"), "px of height"),
        (lambda: panel().arrow([(9, 9)]), "two points"),
        (lambda: panel().arrow([(9, 9), (50, 9)], kind="magic"), '"flow", "gradient" or "stop"'),
        (lambda: schematics.columns(panel(), 9, 9, 90, 40, [2.0], "teacher"), "from 0 to 1"),
        (row, "at least one panel"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(wrong, words) -> None:
    with pytest.raises(ValueError, match=words):
        wrong()


def test_a_text_inside_its_box_and_a_nested_box_are_fine() -> None:
    good = panel()
    good.box(10, 10, 200, 90, "")
    good.box(20, 20, 120, 40, "inside", "teacher", detail="and more")
    assert good.faults() == []


def test_the_three_kinds_of_arrow_differ_without_colour() -> None:
    sources = []
    for kind in ("flow", "gradient", "stop"):
        one = panel()
        one.arrow([(20, 20), (90, 20)], kind=kind)
        sources.append("".join(one.parts))
    assert len(set(sources)) == 3
    assert "z" not in re.findall(r'd="([^"]*)"', sources[2])[-1], "a stop has no head"


def test_teacher_student_and_label_differ_without_colour() -> None:
    dashes = {drawing.ROLES[name].dash for name in ("teacher", "student", "label")}
    assert len(dashes) == 3
    assert drawing.ROLES["teacher"].stroke == svg.TEACHER
    assert drawing.ROLES["student"].stroke == svg.STUDENT


@pytest.mark.parametrize("name", drawing.ROLES)
def test_words_can_be_read_on_every_box(name: str) -> None:
    for ink in (svg.INK, svg.MUTED):
        assert contrast(ink, drawing.ROLES[name].fill) >= 4.5


def test_geometry() -> None:
    assert Place(0, 0, 10, 10).meets(Place(8, 8, 10, 10))
    assert not Place(0, 0, 10, 10).meets(Place(10, 0, 10, 10)), "side by side is no overlap"
    assert crosses(((0, 5), (20, 5)), Place(5, 0, 5, 10))
    assert not crosses(((0, 5), (4, 5)), Place(5, 0, 5, 10)), "it ends before the place"
    assert not crosses(((0, 12), (20, 12)), Place(5, 0, 5, 10))
    assert wrap("one\ntwo", 90) == ["one", "two"]
    assert text_width("bold", bold=True) > text_width("bold")


def drawings_of(lesson: str) -> dict[str, svg.Svg]:
    module = importlib.import_module(f"{lesson}.drawings")
    return {name: getattr(module, name)() for name in module.__all__}


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lessons_drawings_keep_the_laws(lesson: str) -> None:
    shown = drawings_of(lesson)
    assert len(shown) >= 2
    for name, source in shown.items():
        assert isinstance(source, svg.Svg), name
        root = ElementTree.fromstring(source)
        pictures = [e for e in root.iter() if e.tag.endswith("}svg")]
        assert all(float(p.get("width", "nan")) <= drawing.WIDTH for p in pictures), name
        sizes = [float(e.get("font-size", 12)) for e in root.iter() if e.tag.endswith("}text")]
        assert min(sizes) >= 12, name


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_shows_each_of_its_drawings(lesson: str) -> None:
    [file] = NOTEBOOKS.glob(f"{lesson.removeprefix('lesson_')}_*.ipynb")
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    missing = [name for name in drawings_of(lesson) if f"drawings.{name}()" not in code]
    assert not missing, f"{file.name} does not show {missing}"
