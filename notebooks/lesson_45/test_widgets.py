"""The live picture of this lesson by keyboard, without the minutes that it trains before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
import torch
from distill_lab.course import widgets
from lesson_45 import figures, shop

gold = shop.GOLD
log_ref = torch.full((1, 41, 2800), 1 / 2800).log()
BETAS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.12, 0.05, 0.025)
proxies = {"gold reward": gold[None], "100 pairs": -gold[None]}
"""


def test_a_reward_is_chosen_and_optimised_harder(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("45_preferences", ["live-one", "live"], given=GIVEN)
    assert cut_off(page) == []
    assert picture(page).startswith("size? weight? | 100 pairs, β = 1:")
    assert picture(page).endswith("worse for people.")
    browser.tab_to(page, ".widget-toggle-button[title='reward: gold reward']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "reward='gold reward'")
    assert picture(page).endswith("better for people.")
    browser.tab_to(page)
    page.keyboard.press("End")
    browser.wait_for_words(page, "beta=0.025")
    assert "the most probable answer is “size weight”" in picture(page)
    assert browser.errors(page) == []
