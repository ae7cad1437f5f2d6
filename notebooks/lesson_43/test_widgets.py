"""The live pictures of this lesson by keyboard, without the minutes that it trains before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
import torch
from distill_lab.course import widgets
from lesson_43 import figures, filtering

stored_answers = filtering.Stored.read()
scores = {"raw": 61.0, "verified": 62.0, "filtered": 63.0}
noise = 0.15
raw_share = filtered_share = right_affected = torch.tensor([99.0])
systematic_errors = {("systematic", "affected"): torch.tensor([0.0])}
"""


def test_the_filters_are_switched_and_ordered(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("43_synthetic_data", ["machine-one", "machine"], given=GIVEN)
    assert cut_off(page) == []
    place, seen = page.locator(".widget-html").first.bounding_box(), {picture(page)}
    assert picture(page).endswith("No student was trained on this setting.")
    browser.tab_to(page, ".widget-toggle-button[title='leakage: off']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "leakage=False")
    assert "63.0 % right" in picture(page)
    seen.add(picture(page))
    browser.tab_to(page, ".widget-toggle-button[title='order: balance first']", backwards=True)
    page.keyboard.press("Space")
    browser.wait_for_words(page, "order='balance first'")
    seen.add(picture(page))
    assert len(seen) == 3
    assert page.locator(".widget-html").first.bounding_box()["y"] == place["y"]
    assert browser.errors(page) == []


def test_the_share_of_errors_is_moved(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("43_synthetic_data", ["errors-one"], given=GIVEN)
    assert cut_off(page) == []
    assert "99.0 % of their sums right" in picture(page)
    browser.tab_to(page, ".widget-toggle-button[title='errors: systematic']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "kind='systematic'")
    browser.tab_to(page)
    page.keyboard.press("End")
    browser.wait_for_words(page, "share=1.0")
    assert "most frequent: 4" in picture(page) and "0.0 % of their sums right" in picture(page)
    assert browser.errors(page) == []
