"""The widgets under a learner's keyboard: a real JupyterLab, a real Chromium, no mouse."""

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

EXPLORER = """
import numpy as np
from distill_lab.course.figures import explorer
from distill_lab.course import widgets

def temperature_view(T, alpha):
    if alpha == 0.0:
        raise ValueError("alpha must be above 0 in this notebook")
    teacher, student = [4.0, 2.0, 0.0], [0.0, 1.0, 0.0]
    return explorer.render_temperature(np.eye(8), teacher, student, 0, T=T, alpha=alpha)

widgets.explore(
    temperature_view,
    T=widgets.slider("temperature T", 1.0, 20.0, value=4.0, step=0.5),
    alpha=widgets.slider("alpha", 0.0, 1.0, value=0.1, step=0.1),
)
"""

WORKBENCH = """
import time
from lesson_12.workbench import Run, workbench

def train(settings, progress):
    if settings.width == 8:
        raise ValueError("a width of 8 cannot learn here: choose another")
    for step in range(1, 6):
        time.sleep(0.05)
        progress({"kd": 1.0 / step}, step, 5)
    return Run([91.0, 92.0], [90.0, 90.0])

workbench(train, teachers=["large", "small"], widths=[32, 8], labels=[50])
"""
TRAIN = "button.jupyter-button.mod-primary"
WIDTH = '.widget-slider:has(label[title^="student width"]) [role="slider"]'


def test_the_explorer_by_keyboard(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.open([EXPLORER])
    browser.run_all(page)
    page.wait_for_selector('svg[role="img"]')
    assert browser.errors(page) == []
    assert picture(page).startswith("T = 4, 0.1 teacher + 0.9 label")

    # Each control's name and value stand in sight, whole: a slider's handle has no other name.
    assert cut_off(page) == []
    for name, value in (("temperature T", "4.0"), ("alpha", "0.1")):
        control = page.locator(".widget-slider", has_text=name)
        assert control.locator(".widget-readout").inner_text() == value

    # Arrow keys change the picture, the values and the call, and nothing on the page moves.
    place = page.locator(".widget-html").first.bounding_box()
    browser.tab_to(page)
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "temperature_view(T=4.5, alpha=0.1)")
    assert picture(page).startswith("T = 4.5, 0.1 teacher")
    assert "temperature T = 4.5" in page.inner_text(".dl-values")
    page.keyboard.press("End")
    browser.wait_for_words(page, "T=20.0")
    page.keyboard.press("Home")
    browser.wait_for_words(page, "T=1.0")
    assert page.locator(".widget-html").first.bounding_box() == place

    # An error under the hand is a sentence in sight, and moving back mends it.
    page.keyboard.press("Tab")  # from the handle to the number beside it, then on
    browser.tab_to(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector('[role="alert"]')
    [said] = browser.errors(page)
    assert "alpha must be above 0 in this notebook" in said
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "alpha=0.1")
    assert browser.errors(page) == []


def test_a_traceback_and_a_warning_are_errors_in_sight(lab: Any) -> None:
    page = lab.open(["import warnings; warnings.warn('mind this')", "1 / 0", "'never run'"])
    browser.run_all(page)
    page.wait_for_selector("text=ZeroDivisionError")
    warned, raised = browser.errors(page)
    assert "mind this" in warned
    assert "division by zero" in raised


def test_the_workbench_by_keyboard(lab: Any, picture: Callable[[Any], str]) -> None:
    page = lab.open([WORKBENCH])
    browser.run_all(page)
    page.wait_for_selector(TRAIN)
    browser.tab_to(page, ".widget-toggle-button:not(.mod-active)")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "teacher='small'")

    browser.tab_to(page, TRAIN)
    page.keyboard.press("Enter")
    page.wait_for_selector("progress")
    browser.wait_for_words(
        page, "Run 1, 2 seeds: distilled 91.5 %, labels alone 90.0 %", "[role=status]"
    )
    page.wait_for_selector("td:has-text('+1.5')")
    assert picture(page).startswith("1 run. Newest: distilled 91.5 percent")

    browser.tab_to(page, TRAIN, most=3, backwards=True)  # the button kept its place
    page.keyboard.press("Enter")
    browser.wait_for_words(page, "On the scoreboard already, as run 1", "[role=status]")

    browser.tab_to(page, WIDTH, backwards=True)
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "width=8")
    browser.tab_to(page, TRAIN)
    page.keyboard.press("Enter")
    page.wait_for_selector('[role="alert"]')
    [said] = browser.errors(page)
    assert "a width of 8 cannot learn here: choose another" in said
    assert page.locator(TRAIN).is_enabled()


def test_a_notebook_finds_no_name_module_or_widget_of_the_one_before(lab: Any) -> None:
    made = "from lesson_12 import workbench\nimport ipywidgets\nleft = ipywidgets.IntSlider()\nleft"
    browser.run_all(lab.open([made]))
    seen = (
        "import sys\nfrom ipywidgets.widgets import widget\n"
        "('left' in dir(), any(n.startswith('lesson_') for n in sys.modules), "
        "len(widget._instances))"
    )
    page = lab.open([seen])
    browser.run_all(page)
    page.wait_for_selector("text=(False, False, 0)")
    assert page.locator(browser.SLIDER).count() == 0 and browser.errors(page) == []
