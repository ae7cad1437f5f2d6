"""The seeds of this lesson by keyboard, without the students that it trains before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

STORED = """
from distill_lab.course import widgets
from lesson_00.figures import Stored, render_seeds
pairs = Stored()
"""


def test_the_verdict_turns_as_seeds_and_labels_are_added(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("00_start_here", ["twin-seeds", "add-a-seed"], given=STORED)
    assert picture(page).startswith("50 labels, 2 seeds")
    assert picture(page).endswith("Verdict: cannot be resolved here.")
    assert cut_off(page) == []

    browser.tab_to(page)  # the labels
    page.keyboard.press("Tab")
    browser.tab_to(page)  # the seeds
    place = page.locator(".widget-html").first.bounding_box()
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "add_a_seed(labels=50, seeds=3)")
    assert picture(page).endswith("Verdict: holds.")
    page.keyboard.press("End")
    browser.wait_for_words(page, "add_a_seed(labels=50, seeds=20)")
    assert page.locator(".widget-html").first.bounding_box() == place
    page.keyboard.press("Shift+Tab")
    browser.tab_to(page, backwards=True)  # the labels again
    page.keyboard.press("End")
    browser.wait_for_words(page, "add_a_seed(labels=1000, seeds=20)")
    assert picture(page).endswith("Verdict: does not hold here.")
    assert "number of labels = 1000" in page.inner_text(".dl-values")

    page.set_viewport_size({"width": 700, "height": 1000})  # half a screen
    page.wait_for_function(
        "wide => document.querySelector('.widget-html').offsetWidth < wide", arg=place["width"]
    )
    assert cut_off(page) == []
    assert browser.errors(page) == []
