"""The two live pictures of this lesson by keyboard, on logits drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
import torch
from distill_lab.course import stored, widgets
from lesson_12.sweep_slice import render_sweep
from lesson_12.training import STEPS, render_training
rows = torch.Generator().manual_seed(0)
test_logits = 4 * torch.randn(1, 10, 10, generator=rows)
shown, ten = torch.rand(10, 8, 8, generator=rows), list(range(10))
traces = {T: torch.randn(len(STEPS), 10, 10, generator=rows) for T in (1, 2, 4, 8, 20)}
sweep = stored.load("temperature_sweep.json")
columns = [int(T) for T in sweep["temperatures"]]
"""


def test_picture_temperature_and_step_move_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("12_temperature", ["training-twin", "turn"], given=GIVEN)
    assert picture(page).startswith("T = 4, step 0, a picture with label 3")
    assert cut_off(page) == []
    browser.tab_to(page)  # the picture
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "training(picture=4, T=4, step=0)")
    page.keyboard.press("Tab")
    browser.tab_to(page)  # the temperature
    page.keyboard.press("End")
    browser.wait_for_words(page, "training(picture=4, T=20, step=0)")
    page.keyboard.press("Tab")
    browser.tab_to(page)  # the step
    page.keyboard.press("End")
    browser.wait_for_words(page, "training(picture=4, T=20, step=600)")
    assert picture(page).startswith("T = 20, step 600, a picture with label 4")
    assert browser.errors(page) == []


def test_the_sweep_moves_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("12_temperature", ["sweep-slices", "sweep-explore"], given=GIVEN)
    assert "width 8 at alpha = 0.9" in picture(page)
    assert cut_off(page) == []
    browser.tab_to(page)  # the width
    page.keyboard.press("End")
    browser.wait_for_words(page, "slice_of(width=64, T=4, alpha=0.9)")
    assert "width 64" in picture(page)
    assert browser.errors(page) == []
