"""The live pictures of this lesson by keyboard, without the minutes that it trains before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

HILLS = """
from distill_lab.course import widgets
from lesson_41 import figures
"""


def test_the_nearest_gaussian_moves_with_beta_and_the_hills(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("41_language_models", ["gaussian-twin", "explore-beta"], given=HILLS)
    assert picture(page).startswith("forward KL: the nearest Gaussian has mean −0.6")
    assert cut_off(page) == []

    browser.tab_to(page)
    place = page.locator(".widget-html").first.bounding_box()
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "nearest(beta=0.1, distance=3.0)")
    assert picture(page).startswith("beta = 0.1: the nearest Gaussian has mean −0.6")
    page.keyboard.press("End")
    browser.wait_for_words(page, "nearest(beta=1.0, distance=3.0)")
    assert picture(page).startswith("reverse KL: the nearest Gaussian has mean −3.0")
    page.keyboard.press("Tab")  # from the handle to the number beside it, then on
    browser.tab_to(page)
    for key, distance, mean in (("ArrowRight", "4.0", "−4.0"), ("Home", "1.0", "−0.2")):
        page.keyboard.press(key)
        browser.wait_for_words(page, f"nearest(beta=1.0, distance={distance})")
        assert picture(page).startswith(f"reverse KL: the nearest Gaussian has mean {mean}")
        assert f"distance of the hills from 0 = {distance}" in page.inner_text(".dl-values")
    assert page.locator(".widget-html").first.bounding_box() == place

    page.set_viewport_size({"width": 700, "height": 1000})  # half a screen
    page.wait_for_function(
        "wide => document.querySelector('.widget-html').offsetWidth < wide", arg=place["width"]
    )
    assert cut_off(page) == []
    assert browser.errors(page) == []
