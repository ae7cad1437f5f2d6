"""The two live pictures of this lesson by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

SHAPE = """
from distill_lab.course import widgets
from lesson_26 import figures
"""


def test_layers_and_width_move_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("26_small_berts", ["shape-twin", "shape-live"], given=SHAPE)
    assert picture(page).startswith("A BERT of 6 layers and width 768: 1.6 times fewer")
    assert cut_off(page) == []
    browser.tab_to(page)  # the layers
    page.keyboard.press("End")
    browser.wait_for_words(page, "shape(layers=24, width=768)")
    page.keyboard.press("Tab")
    browser.tab_to(page)  # the width
    page.keyboard.press("Home")
    browser.wait_for_words(page, "shape(layers=24, width=128)")
    assert picture(page).startswith("A BERT of 24 layers and width 128")
    assert browser.errors(page) == []


STUDENT = """
import torch
from distill_lab.course import widgets
from distill_lab.course.stored import load
from lesson_26 import figures, minilm
results = load(minilm.FILE)
models = results["models"]
names = list(models)
three, one = "3 layers, distilled", "1 layer, distilled"
"""


def test_the_models_move_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("26_small_berts", ["student-twin", "student-live"], given=STUDENT)
    assert picture(page).startswith("6 layers, teacher: ")
    assert cut_off(page) == []
    browser.tab_to(page)  # the model
    page.keyboard.press("End")
    browser.wait_for_words(page, "model_of(model='1 layer, labels only')")
    assert picture(page).startswith("1 layer, labels only: ")
    assert browser.errors(page) == []
