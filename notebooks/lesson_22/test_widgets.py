"""The attention walk by keyboard: through layers and heads, teacher beside student."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

WALK = """
import numpy as np
from distill_lab.course import widgets
from lesson_22.figures import render_attention

words = ["Anna: tea", "Ben: as Anna", "Ben?"]
rng = np.random.default_rng(0)

def shares(layers, heads):
    drawn = np.exp(3 * rng.normal(size=(layers, heads, 3, 3)))
    return drawn / drawn.sum(-1, keepdims=True)

teacher, student = shares(6, 4), shares(2, 2)

def walk(layer, head):
    return render_attention(words, teacher, student, layer=layer, head=head)

widgets.explore(walk, layer=widgets.slider("layer", 1, 6), head=widgets.slider("head", 1, 4))
"""


def test_layers_and_heads_are_walked_by_arrow_keys(lab: Any, picture: Callable[[Any], str]) -> None:
    page = lab.open([WALK])
    browser.run_all(page)
    page.wait_for_selector('svg[role="img"]')
    assert browser.errors(page) == []
    assert picture(page).startswith("Layer 1, head 1. Ben? reads: teacher mostly")

    place = page.locator(".widget-html").first.bounding_box()
    browser.tab_to(page)
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "walk(layer=2, head=1)")
    page.keyboard.press("End")
    browser.wait_for_words(page, "walk(layer=6, head=1)")
    drawn = page.locator('.widget-html svg[role="img"]').first.text_content()
    assert "student, layer 2, mean of 2 heads" in drawn
    page.keyboard.press("Tab")  # from the handle to the number beside it, then on
    browser.tab_to(page)
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "walk(layer=6, head=2)")
    assert picture(page).startswith("Layer 6, head 2.")
    assert page.locator(".widget-html").first.bounding_box() == place
    assert browser.errors(page) == []


READERS = """
import torch
from distill_lab.course import widgets
from lesson_22 import experiments

test_tables = experiments.orders(100, seed=4242)
first_hop, second_hop = experiments.two_hops(test_tables.inputs)
follows = first_hop != second_hop
shown, best_head = test_tables.inputs[follows][:8], 2
reader_teacher = experiments.Reader(64, 4, seed=1000)

class Runs:
    def __init__(self, seed):
        self.seed = seed

    def model(self, number):
        return experiments.Reader(16, 4, seed=self.seed)

readers = {"labels": Runs(1), "+ scores": Runs(2)}
"""


def test_the_table_with_six_guests_answers_to_the_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("22_attention_transfer", ["six-guests", "walk-live"], given=READERS)
    assert picture(page).startswith("Table 1,") and "taught, layer 1, head 2" in picture(page)
    assert cut_off(page) == []
    browser.tab_to(page)  # the table
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "six_guests(table=2, network='taught', layer=1, head=2)")
    assert picture(page).startswith("Table 2,")
    page.keyboard.press("End")
    browser.wait_for_words(page, "six_guests(table=8, network='taught', layer=1, head=2)")
    assert browser.errors(page) == []
