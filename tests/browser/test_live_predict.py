"""A prediction in a real JupyterLab: nothing chosen, reached by Tab, unfolded by choosing."""

import json
import time
from collections.abc import Callable
from typing import Any

from distill_lab.course import journal
from distill_lab.course.lab import browser

CELLS = [
    "from distill_lab.course import Lesson\nlesson = Lesson('11_soft_targets')",
    "lesson.predict('11.p', 'What happens to p?', ['falls', 'stays', 'rises'])",
    "lesson.reveal('11.p', 'stays', because='0.31 both times')",
]
SLIDER = """
from distill_lab.course import widgets
def render_t(T):
    return f'<svg viewBox="0 0 90 20" role="img" aria-label="{T}"><text y="15">{T}</text></svg>'
widgets.explore(render_t, T=widgets.slider("T", 1, 9, value=2))
"""
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

    # The answer that stood when the outcome was shown is kept: the buttons are off.
    assert page.locator(f"{BUTTON}:disabled").count() == 3
    assert page.locator(f"{BUTTON}.mod-active").inner_text() == "falls"
    assert browser.errors(page) == []


def test_saved_restarted_and_reopened_everything_is_there(lab: Any) -> None:
    page = lab.open([*CELLS[:2], SLIDER, CELLS[2]])
    browser.run_all(page)
    browser.tab_to(page, f"{BUTTON}[title='predict: falls']")
    page.keyboard.press("Space")
    surprise = page.get_by_role("group", name="Prediction and outcome: a surprise")
    surprise.wait_for()
    browser.tab_to(page)
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "T=3")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    saved = until(lambda: (lab.folder / lab.name).read_text(encoding="utf-8"), "widget-state")

    # As plain HTML, for whatever shows no widgets.
    cells = json.loads(saved)["cells"]
    html = ["".join(o["data"].get("text/html", "")) for c in cells for o in c["outputs"]]
    assert any("you predicted: <b>falls</b>" in part for part in html if "Predict" in part)
    assert any("a surprise" in part and "outcome: <b>stays</b>" in part for part in html)

    page = lab.reopen()
    page.get_by_role("group", name="Prediction and outcome: a surprise").wait_for()
    assert "you predicted: falls" in page.locator(".jp-Notebook").inner_text()
    page.wait_for_selector(f"{BUTTON} >> nth=2")
    assert page.locator(f"{BUTTON}.mod-active").inner_text() == "falls"
    assert float(page.locator(browser.SLIDER).get_attribute("aria-valuenow")) == 3
    assert "model not found" not in page.locator(".jp-Notebook").inner_text()


def test_in_the_own_copy_the_answer_outlives_the_kernel(lab: Any) -> None:
    marker = lab.folder / journal.COPY
    marker.write_text("{}", encoding="utf-8")
    try:
        page = lab.open(CELLS)
        browser.run_all(page)
        browser.tab_to(page, f"{BUTTON}[title='predict: stays']")
        page.keyboard.press("Space")
        page.get_by_role("group", name="Prediction and outcome: as predicted").wait_for()
        lab.restart_kernel()

        page = lab.open(CELLS)
        browser.run_all(page)
        page.get_by_role("group", name="Prediction and outcome: as predicted").wait_for()
        assert page.locator(f"{BUTTON}:disabled").count() == 3
    finally:
        marker.unlink()
    events = [event["event"] for event in journal.read(lab.folder / journal.NAME).events]
    assert events == ["opened", "choice", "prediction", "opened"]


def until(read: Callable[[], str], part: str) -> str:
    """Read a file again and again until it holds `part`."""
    for _ in range(200):
        if part in (text := read()):
            return text
        time.sleep(0.1)
    raise AssertionError(f"{part!r} was not saved")
