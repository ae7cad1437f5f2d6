"""The map of walks by keyboard, without the training before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
from distill_lab.course import widgets
from lesson_42 import figures, grid
STEPS, MOMENTS = 150, (0, 10, 40, 150)
tables = {step: grid.teacher_table(0.5 / (1 + step)) for step in MOMENTS}
shown = {"same demonstrations": tables, "new walks": tables, "own walks": tables}
"""


def test_the_map_reaches_each_goal_and_step_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("42_on_policy", ["map-twin", "map"], given=GIVEN)
    assert picture(page).startswith("same demonstrations, goal 24, step 0:")
    assert cut_off(page) == []

    browser.tab_to(page, ".widget-toggle-button[title='text: own walks']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "text='own walks'")
    browser.tab_to(page)  # the goal
    page.keyboard.press("Home")
    browser.wait_for_words(page, "goal=2,")
    page.keyboard.press("Tab")  # from the handle to the number beside it, then on
    browser.tab_to(page)
    page.keyboard.press("End")
    browser.wait_for_words(page, "step=150")
    assert picture(page).startswith("own walks, goal 2, step 150:")
    assert browser.errors(page) == []
