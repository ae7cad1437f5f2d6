"""The two live pictures of this lesson by keyboard, on curves that nobody had to train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
import torch
from distill_lab.course import widgets
from lesson_13 import figures
f, F, n_t = 768, 11_264, 48_000
sizes = [2000, 4000, 8000, 16_000, 32_000]
both = {"labels": {n: torch.tensor([3.0 - 0.1 * i]) for i, n in enumerate([*sizes, 64_000])},
        "distilled": {n: torch.tensor([2.9 - 0.1 * i]) for i, n in enumerate(sizes)}}

def bill(size, students=1, asking=True, training=True):
    return 3 * f * size + (asking * F * size + training * 3 * F * n_t) / students
"""


def test_who_pays_moves_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("13_when_it_works", ["costs-twin", "costs-live"], given=GIVEN)
    assert picture(page).startswith("Paid: asking and training. Students: 1.")
    assert cut_off(page) == []
    browser.tab_to(page, ".widget-toggle-button[title='paid for the teacher: nothing']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "costs(paid='nothing', students=1)")
    assert "wins at every budget" in picture(page)
    assert browser.errors(page) == []


def test_a_no_ends_the_way(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("13_when_it_works", ["chart-twin", "chart-live"], given=GIVEN)
    assert picture(page).endswith("The advice is: distil.")
    assert cut_off(page) == []
    browser.tab_to(page, ".widget-toggle-button[title='1. tuned: no']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "chart(tuned='no', better='yes', knows_more='yes', cheap='yes')")
    assert picture(page).endswith("The advice is: tune the student first.")
    assert browser.errors(page) == []
