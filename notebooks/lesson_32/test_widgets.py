"""The live picture of this lesson by keyboard, on logits drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
import torch
from distill_lab.course import widgets
from lesson_32.figures import render_kept
SIZES = (20, 50, 200, 600)
rows = torch.Generator().manual_seed(0)
def precision(z, y, threshold):
    confidence, answer = z.softmax(-1).max(-1)
    return 100 * (answer == y)[confidence > threshold].double().mean()
def tenths(confidence):
    place = (confidence * 10).long().clamp_max(9)
    return place.bincount(minlength=10).tolist()
def pair(n):
    return 3 * torch.randn(n, 10, generator=rows), torch.randint(10, (n,), generator=rows)
names = ("in-sample", "out of fold", "the 600")
known = {n: {name: pair(80) for name in names} for n in SIZES}
quality = {n: torch.tensor([90.0]) for n in SIZES}
"""


def test_teacher_and_threshold_move_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("32_unlabelled", ["live-figure", "live"], given=GIVEN)
    assert picture(page).startswith("teacher of 50 labels (90 % right), confidence above 0.9")
    assert cut_off(page) == []
    browser.tab_to(page)  # the teacher
    page.keyboard.press("End")
    browser.wait_for_words(page, "kept(n=600, threshold=0.9)")
    page.keyboard.press("Tab")
    browser.tab_to(page)  # the threshold
    page.keyboard.press("Home")
    browser.wait_for_words(page, "kept(n=600, threshold=0.0)")
    assert picture(page).startswith("teacher of 600 labels (90 % right), confidence above 0")
    assert browser.errors(page) == []
