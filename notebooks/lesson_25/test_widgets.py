"""The live pictures of this lesson by keyboard, without the minutes that it trains before them."""

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

LOOKS = """
import torch
from distill_lab.course import widgets
from lesson_25.figures import render_looks

draw = torch.Generator().manual_seed(0)
paths = [f"blocks.{i}.attention.weights" for i in (0, 1)]
inside = {path: torch.randn(1, 8, 3, 18, 18, generator=draw).softmax(-1) for path in paths}
shown_images = torch.rand(8, 1, 8, 8, generator=draw)
answers = {"class token": torch.arange(8), "distillation token": torch.arange(8) + 1}
"""
MOVES = """
import torch
from distill_lab.course import widgets
from lesson_25 import experiments
from lesson_25.figures import render_moved

FAR, WAYS = 1, [-2, -1, 0, 1, 2]
exam = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
three = ["convolutional", "taught student", "moved examples"]
right = {(name, a, d): 90.0 - 10 * i - 9 * (abs(a) + abs(d))
         for i, name in enumerate(three) for a in WAYS for d in WAYS}
"""


def test_two_tokens_are_seen_by_picture_block_and_head(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    cells = ["looks-function", "looks-explore"]
    page = lab.show_cells("25_vision_transformer", cells, given=LOOKS)
    assert "Test picture 2, block 1, head 1." in picture(page)
    assert cut_off(page) == []
    browser.tab_to(page)
    page.keyboard.press("End")
    browser.wait_for_words(page, "looks(picture=8, block=1, head=1)")
    assert "its head answers 7" in picture(page) and "its head answers 8" in picture(page)
    page.keyboard.press("Tab")  # from this slider to the next
    browser.tab_to(page)
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "looks(picture=8, block=2, head=1)")
    page.keyboard.press("Tab")  # from this slider to the next
    browser.tab_to(page)
    page.keyboard.press("End")
    browser.wait_for_words(page, "looks(picture=8, block=2, head=3)")
    assert "Test picture 8, block 2, head 3." in picture(page)


def test_a_moved_picture_is_seen_by_both_directions(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    cells = ["moved-function", "moved-explore"]
    page = lab.show_cells("25_vision_transformer", cells, given=MOVES)
    assert "convolutional 90 %, not moved 90 %" in picture(page)
    assert cut_off(page) == []
    browser.tab_to(page)
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "moved_by(across=1, down=0)")
    assert "convolutional 81 %, not moved 90 %" in picture(page)
    page.keyboard.press("Tab")  # from this slider to the next
    browser.tab_to(page)
    page.keyboard.press("Home")
    browser.wait_for_words(page, "moved_by(across=1, down=-2)")
    assert "moved examples 43 %, not moved 70 %" in picture(page)
