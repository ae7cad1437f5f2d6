"""The points move by keyboard in JupyterLab, too."""

from typing import Any

from distill_lab.course.lab import browser

GIVEN = """
import torch
from distill_lab.course import Lesson, widgets

lesson = Lesson("23_relations")
draws = torch.Generator().manual_seed(3)
placed = {role: 0.7 * torch.randn(5, 2, generator=draws) for role in ("teacher", "student")}
start = torch.tensor(0.5)
"""


def test_the_points_move_by_keyboard_in_the_lab(lab: Any) -> None:
    page = lab.open_cells("23_relations", ["drag"], given=GIVEN)
    browser.run_all(page)
    line = page.locator("figure.scripted .dl-values")
    line.wait_for()
    before = line.inner_text()
    plane = page.get_by_role("application").nth(1)
    plane.focus()
    for key in ("d", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert line.inner_text() != before
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # the list of losses, then the first button
    page.keyboard.press("Enter")
    assert "Pairs that differ by 0.1 or more:" in line.inner_text()
    assert browser.errors(page) == []
