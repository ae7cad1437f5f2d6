"""The live pictures of this lesson by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
from distill_lab.course import widgets
from lesson_48.figures import render_overlap, render_speed
"""


def test_a_flat_draft_is_accepted_less_and_a_rare_token_costs_kl(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("48_drafts", ["overlap-twin", "overlap"], given=GIVEN)
    assert "80 % of the drafted tokens are accepted" in picture(page)
    assert cut_off(page) == []
    browser.tab_to(page)  # moved
    page.keyboard.press("Home")
    browser.wait_for_words(page, "overlap(moved=0.0, rare=1.0)")
    page.keyboard.press("Tab")  # from the handle to the number beside it, then on
    browser.tab_to(page)
    page.keyboard.press("End")
    browser.wait_for_words(page, "overlap(moved=0.0, rare=0.001)")
    assert "96 % of the drafted tokens are accepted, forward KL 0.238 nats" in picture(page)
    assert browser.errors(page) == []


def test_a_draft_as_dear_as_its_target_costs_time(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("48_drafts", ["speed-twin", "speed"], given=GIVEN)
    assert picture(page).startswith("acceptance 0.8, cost 0.25, 4 drafted: 3.36 tokens")
    assert cut_off(page) == []
    browser.tab_to(page)  # acceptance
    page.keyboard.press("Tab")
    browser.tab_to(page)  # cost
    page.keyboard.press("End")
    browser.wait_for_words(page, "speed(acceptance=0.8, cost=1.0, drafts=4)")
    assert "costs time" in picture(page)
    assert browser.errors(page) == []
