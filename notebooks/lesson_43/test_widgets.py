"""The live pictures of this lesson by keyboard, without the minutes that it trains before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

ANSWERS = """
from types import SimpleNamespace
from distill_lab.course import widgets, worlds
from lesson_43.figures import render_answers

test_tasks = {name: worlds.load(name).test(3, seed=0) for name in worlds.NAMES}
right = [{name: [task.target for task in tasks] for name, tasks in test_tasks.items()}]
wrong = [{name: ["I do not know."] * 3 for name in test_tasks}]
contenders = {"teacher": (None, SimpleNamespace(texts=right)),
              "student": (None, SimpleNamespace(texts=wrong))}
"""


def test_four_models_answer_the_same_question_by_world_and_number(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("43_synthetic_data", ["walk-one", "walk"], given=ANSWERS)
    assert cut_off(page) == []
    place, seen = page.locator(".widget-html").first.bounding_box(), {picture(page)}
    browser.tab_to(page, ".widget-toggle-button[title='world: arithmetic']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "walk(world='arithmetic', number=0)")
    seen.add(picture(page))
    browser.tab_to(page)
    for key, number in (("ArrowRight", 1), ("End", 2), ("Home", 0)):
        page.keyboard.press(key)
        browser.wait_for_words(page, f"walk(world='arithmetic', number={number})")
        seen.add(picture(page))
    assert len(seen) == 4  # Home shows what was there before
    assert page.locator(".widget-html").first.bounding_box()["y"] == place["y"]
    assert browser.errors(page) == []
