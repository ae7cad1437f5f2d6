"""The live picture of this lesson by keyboard, on logits drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
import torch
from types import SimpleNamespace
from distill_lab.course import widgets
from lesson_31 import experiments
rows = torch.Generator().manual_seed(0)
labels = torch.arange(10).repeat(20)
test = SimpleNamespace(at=lambda seed: (torch.rand(200, 8, 8, generator=rows), labels))
both_test = torch.randn(2, 1, 200, 10, generator=rows)
both_test[:, 0, torch.arange(200), labels] += 4.0
"""


def test_picture_rule_and_temperature_move_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("31_many_teachers", ["target-twin", "target-explore"], given=GIVEN)
    assert picture(page).startswith("mean of probabilities, T = 2, a picture with label 3")
    assert cut_off(page) == []
    browser.tab_to(page)  # the picture
    page.keyboard.press("End")
    browser.wait_for_words(page, "target(picture=9, rule='mean of probabilities', T=2)")
    browser.tab_to(page, ".widget-toggle-button[title='rule: route']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "target(picture=9, rule='route', T=2)")
    assert picture(page).startswith("route, T = 2, a picture with label 9")
    page.keyboard.press("Tab")
    browser.tab_to(page)  # the temperature
    page.keyboard.press("Home")
    browser.wait_for_words(page, "target(picture=9, rule='route', T=1)")
    assert browser.errors(page) == []
