"""The live pictures of this lesson by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
from distill_lab.course import widgets
from lesson_44 import figures
"""


def test_right_answers_and_group_move_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("44_reasoning", ["group-twin", "group-live"], given=GIVEN)
    assert picture(page).startswith("2 of 8 answers right")
    assert cut_off(page) == []
    browser.tab_to(page)  # the right answers
    page.keyboard.press("Home")
    browser.wait_for_words(page, "group(right=0, answers=8, scale=True)")
    assert picture(page).startswith("0 of 8 answers right: every advantage is 0")
    assert browser.errors(page) == []


def test_questions_move_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("44_reasoning", ["aime-live"], given=GIVEN)
    assert picture(page).startswith("50 % on 30 questions: ± 18 points")
    assert cut_off(page) == []
    browser.tab_to(page)  # the questions
    page.keyboard.press("End")
    browser.wait_for_words(page, "benchmark(questions=1000, percent=50)")
    assert picture(page).startswith("50 % on 1000 questions: ± 3 points")
    assert browser.errors(page) == []
