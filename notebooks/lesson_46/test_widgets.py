"""The live picture of hints by keyboard, without the minutes that the lesson trains before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
from distill_lab.course import widgets
from lesson_46 import figures
"""


def test_hints_sharpen_a_reverse_student_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("46_two_views", ["pass-twin", "pass-live"], given=GIVEN)
    assert picture(page).startswith("Hints, first place right in 50 %, slip 0.01.")
    assert cut_off(page) == []
    browser.tab_to(page)  # the first place
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "taught(first=0.6, slip=0.01, attempts=8)")
    page.keyboard.press("Tab")  # from the handle to the number beside it, then on
    browser.tab_to(page)
    page.keyboard.press("End")
    browser.wait_for_words(page, "taught(first=0.6, slip=0.0001, attempts=8)")
    assert "reverse KL: first place 98 %" in picture(page)
    assert browser.errors(page) == []
