"""The live pictures of this lesson by keyboard, without the minutes that it trains before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
from distill_lab.course import widgets
from lesson_41.live import render_bell, render_story
from lesson_41.pointer import WAYS, load_story
"""


def test_the_bell_reaches_its_minima_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("41_language_models", ["bell-twin", "bell"], given=GIVEN)
    assert picture(page).startswith("Student: mean 1.0, width 1.50")
    assert cut_off(page) == []

    browser.tab_to(page)  # the mean
    place = page.locator(".widget-html").first.bounding_box()
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "bell(mean=1.5, width=1.5)")
    page.keyboard.press("Home")
    browser.wait_for_words(page, "bell(mean=-5.0, width=1.5)")
    for mean in ("-4.5", "-4.0", "-3.5", "-3.0"):
        page.keyboard.press("ArrowRight")
        browser.wait_for_words(page, f"bell(mean={mean}, width=1.5)")
    page.keyboard.press("Tab")  # from the handle to the number beside it, then on
    browser.tab_to(page)
    for width in ("1.25", "1.0"):
        page.keyboard.press("ArrowLeft")
        browser.wait_for_words(page, f"bell(mean=-3.0, width={width})")
    assert "reverse KL 0.51 nats, minimum 0.51 at −3.0, 1.0, reached" in picture(page)
    assert page.locator(".widget-html").first.bounding_box() == place

    page.set_viewport_size({"width": 700, "height": 1000})  # half a screen
    page.wait_for_function(
        "wide => document.querySelector('.widget-html').offsetWidth < wide", arg=place["width"]
    )
    assert cut_off(page) == []
    assert browser.errors(page) == []


def test_the_story_moves_under_the_pointer(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("41_language_models", ["pointer-twin", "pointer"], given=GIVEN)
    assert picture(page).startswith("word 1: Mia, k = 3, tail: drop.")
    assert cut_off(page) == []
    browser.tab_to(page)  # the position
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "next_word(position=2, k=3, tail='drop')")
    page.keyboard.press("End")
    browser.wait_for_words(page, "next_word(position=19, k=3, tail='drop')")
    assert picture(page).startswith("word 19: end, k = 3, tail: drop.")
    assert browser.errors(page) == []
