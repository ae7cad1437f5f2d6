"""The live picture of this lesson by keyboard, on pictures drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
import torch
from distill_lab.course import widgets
from distill_lab.models import MLP
from lesson_33.figures import render_dream
rows = torch.Generator().manual_seed(0)
dreams = {(maker, step): torch.rand(20, 64, generator=rows)
          for maker in ("DAFL", "ZSKT", "inversion") for step in (0, 10, 30, 60, 120)}
first = MLP(64, 10, seed=1).requires_grad_(False)
"""


def test_maker_and_moment_move_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("33_no_data", ["dreams-twin", "dreams-explore"], given=GIVEN)
    assert picture(page).startswith("inversion, step 120. Twenty made pictures")
    assert cut_off(page) == []
    browser.tab_to(page, ".widget-toggle-button[title='maker: DAFL']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "dream(maker='DAFL', moment=4)")
    browser.tab_to(page)  # the moment
    page.keyboard.press("Home")
    browser.wait_for_words(page, "dream(maker='DAFL', moment=0)")
    assert picture(page).startswith("DAFL, step 0. Twenty made pictures")
    assert browser.errors(page) == []
