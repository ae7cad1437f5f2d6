"""A lesson in a real JupyterLab: all of it runs, and what moves is moved by keyboard."""

from typing import Any

import pytest

from distill_lab.course.lab import browser


@pytest.mark.exhaustive
@pytest.mark.timeout(480)  # a lesson takes a minute, and several times that on a busy machine
def test_a_whole_lesson_runs_in_lab_and_its_sliders_answer(lab: Any) -> None:
    page = lab.open_lesson("12_temperature")
    browser.run_all(page, seconds=360)
    assert browser.errors(page) == []
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert all(any(c.isdigit() for c in prompt) for prompt in prompts), f"not run: {prompts}"

    assert page.locator(browser.SLIDER).count() > 0, "the temperature explorer shows no slider"
    first = page.locator('.jp-OutputArea:has([role="slider"])').first
    view = first.locator('.widget-html svg[role="img"]').first
    before = view.get_attribute("aria-label")
    browser.tab_to(page, most=600)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => ![...document.querySelectorAll('.widget-html svg[role=img]')]"
        ".some(svg => svg.getAttribute('aria-label') === before)",
        arg=before,
    )
    assert browser.errors(page) == []
