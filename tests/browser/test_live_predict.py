"""A prediction in a real JupyterLab: nothing chosen, reached by Tab, unfolded by choosing."""

from typing import Any

from distill_lab.course.lab import browser

CELLS = [
    "from distill_lab.course import Lesson\nlesson = Lesson('11_soft_targets')",
    "lesson.predict('11.p', 'What happens to p?', ['falls', 'stays', 'rises'])",
    "lesson.reveal('11.p', 'stays', because='0.31 both times')",
]
BUTTON = ".widget-toggle-button"


def test_the_keyboard_chooses_and_the_outcome_unfolds(lab: Any) -> None:
    page = lab.open(CELLS)
    browser.run_all(page)
    page.wait_for_selector(f"{BUTTON} >> nth=2")
    assert page.locator(f"{BUTTON}.mod-active").count() == 0
    folded = page.locator("details")
    folded.wait_for()
    assert "both times" not in page.locator(".jp-OutputArea").last.inner_text()

    browser.tab_to(page, f"{BUTTON}[title='predict: falls']")
    page.keyboard.press("Space")
    surprise = page.get_by_role("group", name="Prediction and outcome: a surprise")
    surprise.wait_for()
    assert "you predicted: falls; outcome: stays" in " ".join(surprise.inner_text().split())
    assert folded.count() == 0

    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_role("group", name="Prediction and outcome: as predicted").wait_for()
    assert page.locator(f"{BUTTON}.mod-active").count() == 1
    assert browser.errors(page) == []
