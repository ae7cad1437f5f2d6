"""The SVG kit: well-formed, named, escaped, and it refuses what it cannot draw."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from distill_lab.course.figures import svg


def parse(source: str) -> ElementTree.Element:
    return ElementTree.fromstring(source)


def test_a_picture_has_a_role_a_name_and_a_fixed_view_box() -> None:
    root = parse(svg.picture(40, 20, "bars of <p> & q", svg.bar(0, 0, 10, 4)))
    assert root.get("viewBox") == "0 0 40 20"
    assert root.get("role") == "img"
    assert root.get("aria-label") == "bars of <p> & q"
    assert root[0].tag.endswith("title")
    assert root[0].text == "bars of <p> & q"


def test_text_from_outside_cannot_break_out() -> None:
    hostile = '"><script>alert(1)</script>'
    root = parse(svg.picture(9, 9, hostile, svg.text(0, 0, hostile)))
    assert root[1].text == hostile
    assert not [e for e in root.iter() if e.tag.endswith("script")]


def test_a_picture_shows_itself_and_is_said_in_words() -> None:
    bundle = svg.picture(9, 9, "nothing at all")._repr_mimebundle_()
    assert bundle["text/html"].startswith("<svg")
    assert bundle["text/plain"] == "nothing at all"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: svg.picture(9, 9, " "), "say in words what it shows"),
        (lambda: svg.rect(0, float("nan"), 1, 1, svg.INK), "finite coordinates"),
        (lambda: svg.line([(0, 0), (np.inf, 1)]), "finite coordinates"),
        (lambda: svg.pixels(np.zeros((2, 8, 8)), 0, 0, 9), "pick one with images"),
        (lambda: svg.pixels(np.zeros(64), 0, 0, 9), r"shape \(H, W\)"),
        (lambda: svg.pixels(np.full((8, 8), np.nan), 0, 0, 9), "finite numbers"),
        (lambda: svg.axis([(0, "0")], 0, (0, 1), side="top"), '"bottom" or "left"'),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(wrong, words) -> None:
    with pytest.raises(ValueError, match=words):
        wrong()


def test_roles_differ_without_colour() -> None:
    teacher, student = svg.bar(0, 0, 30, 8, svg.TEACHER), svg.bar(0, 0, 30, 8, svg.STUDENT)
    assert "stroke-dasharray" in student
    assert "stroke-dasharray" not in teacher
    dashes = {svg.line([(0, 0), (1, 1)], c).count("dasharray") for c in (svg.STUDENT, svg.HARD)}
    assert dashes == {1}
    assert "dasharray" not in svg.line([(0, 0), (1, 1)], svg.TEACHER)


def test_a_legend_shows_lines_as_lines() -> None:
    items = [(svg.HARD, "labels"), (svg.STUDENT, "distilled"), (svg.TEACHER, "teacher")]
    boxes, lines = svg.legend(0, 9, items), svg.legend(0, 9, items, lines=True)
    for color, _ in items:
        assert svg.line([(0, 5), (18, 5)], color).split("fill")[1] in lines
    assert lines.count('fill="none"') == 3 and boxes.count('fill="none"') < 3


def test_a_negative_bar_lies_to_the_left() -> None:
    assert parse(svg.bar(100, 0, -30, 8, svg.TEACHER)).get("d") == "M70 0h30v8h-30z"


def test_bars_of_one_role_are_one_path() -> None:
    assert svg.bars([(0, 0, 5), (0, 9, 7)], 4, svg.HARD).count("<path") == 1
    assert svg.bars([(0, 0, 5), (0, 9, 7)], 4, svg.STUDENT).count("<path") == 2
    assert svg.bars([], 4) == ""


def test_pixels_are_the_images_own() -> None:
    image = np.zeros((8, 8))
    image[2, 5], image[7, 0] = 1.0, 0.5
    drawn = svg.pixels(image[None], 3, 4, 80)
    paths = re.findall(r'<path fill="#(..)\1\1" d="([^"]+)"', drawn)
    assert dict(paths) == {"00": "M5 2h1v1h-1z", "77": "M0 7h1v1h-1z"}
    assert "translate(3 4) scale(10)" in drawn


def test_a_large_image_is_few_elements() -> None:
    noise = np.random.default_rng(0).random((28, 28))
    assert svg.pixels(noise, 0, 0, 100).count("<path") <= svg.INK_LEVELS


def contrast(one: str, two: str) -> float:
    """Of two colours, by the formula of the WCAG."""

    def light(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    lights = sorted((light(one), light(two)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("step", range(0, 256, 15))
def test_a_number_stands_out_on_any_shade(step: int) -> None:
    for colour in (f"#{step:02x}{step:02x}{step:02x}", f"#{step:02x}{255 - step:02x}a2"):
        assert contrast(svg.ink_on(colour), colour) >= 4.5


def test_a_roles_colour_is_dark_enough_as_text() -> None:
    roles = (svg.TEACHER, svg.STUDENT, svg.HARD, svg.GREEN, svg.PURPLE, svg.YELLOW, svg.SKY)
    for colour in (*roles, svg.INK, svg.MUTED):
        written = parse(svg.text(0, 0, "x", color=colour)).get("fill", svg.INK)
        assert min(contrast(written, svg.PAPER), contrast(written, svg.BAND)) >= 4.5


def test_a_picture_brings_its_paper_and_never_shrinks_until_nobody_can_read_it() -> None:
    look = str(parse(svg.picture(800, 20, "wide")).get("style"))
    assert f"background:{svg.PAPER}" in look and "min-width:560px" in look
