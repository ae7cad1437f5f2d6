"""The live pictures of the lessons, without the minutes that a lesson trains before them.

A lesson's own cells are opened, with random tables in place of what its students learned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

FILMS = """
from types import SimpleNamespace
import torch
from distill_lab.course import widgets
from lesson_21.experiments import Frame
from lesson_21.figures import render_cka

def film(seed):
    drawn = torch.rand(11, 8, 3, generator=torch.Generator().manual_seed(seed))
    frames = [Frame(30 * i, table, 10.0 + 8 * i) for i, table in enumerate(drawn)]
    return SimpleNamespace(frames=frames)

films = {name: film(i) for i, name in enumerate(["labels", "soft targets", "hint, then labels"])}
"""
HILLS = """
from distill_lab.course import widgets
from distill_lab.course.figures import divergences
"""
ANSWERS = """
from types import SimpleNamespace
from distill_lab.course import widgets
from lesson_43.figures import render_answers
from distill_lab.data.datasets import worlds

exam = {name: worlds.load(name).test(3, seed=0) for name in worlds.NAMES}
right = [{name: [task.target for task in tasks] for name, tasks in exam.items()}]
wrong = [{name: ["I do not know."] * 3 for name in exam}]
contenders = {"teacher": (None, SimpleNamespace(said=right)),
              "student": (None, SimpleNamespace(said=wrong))}
"""
FRAME = '.widget-html svg rect[stroke-width="2.5"]'  # around the pair that the hint joins


def opened(lab: Any, name: str, ids: list[str], given: str) -> Any:
    """A page with these cells of a lesson, run without an error, their picture in sight."""
    page = lab.open_cells(name, ids, given=given)
    browser.run_all(page)
    page.wait_for_selector('.widget-html svg[role="img"]')
    assert browser.errors(page) == []
    return page


def test_the_layers_are_seen_by_recipe_and_step(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = opened(lab, "21_feature_hints", ["film-twin", "film-explore"], FILMS)
    assert "hint, then labels. step 150. 50.0 % right." in picture(page)
    assert page.locator(FRAME).count() == 1
    assert cut_off(page) == []
    choice = page.locator(".widget-toggle-buttons")
    name, button = choice.locator("label"), choice.locator("button").first
    assert abs(name.bounding_box()["y"] - button.bounding_box()["y"]) < 10  # in one line

    browser.tab_to(page, ".widget-toggle-button[title='recipe: soft targets']")
    place, seen = page.locator(".widget-html").first.bounding_box(), picture(page)
    page.keyboard.press("Space")
    browser.wait_for_words(page, "layers_at(recipe='soft targets', step=150)")
    assert "soft targets. step 150." in picture(page) and picture(page) != seen
    assert page.locator(FRAME).count() == 0
    assert "recipe = soft targets, step = 150" in page.inner_text(".dl-values")

    browser.tab_to(page)
    for key, step, right in (("ArrowRight", 180, 58), ("End", 300, 90), ("Home", 0, 10)):
        page.keyboard.press(key)
        browser.wait_for_words(page, f"layers_at(recipe='soft targets', step={step})")
        assert f"step {step}. {right}.0 % right." in picture(page)
    assert page.locator(".widget-html").first.bounding_box() == place
    assert browser.errors(page) == []


def test_the_nearest_gaussian_moves_with_beta_and_the_hills(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = opened(lab, "41_language_models", ["gaussian-twin", "explore-beta"], HILLS)
    assert picture(page).startswith("forward KL: the nearest Gaussian has mean −0.6")
    assert cut_off(page) == []

    browser.tab_to(page)
    place = page.locator(".widget-html").first.bounding_box()
    page.keyboard.press("ArrowRight")
    browser.wait_for_words(page, "nearest(beta=0.1, distance=3.0)")
    assert picture(page).startswith("beta = 0.1: the nearest Gaussian has mean −0.6")
    page.keyboard.press("End")
    browser.wait_for_words(page, "nearest(beta=1.0, distance=3.0)")
    assert picture(page).startswith("reverse KL: the nearest Gaussian has mean −3.0")
    page.keyboard.press("Tab")  # from the handle to the number beside it, then on
    browser.tab_to(page)
    for key, distance, mean in (("ArrowRight", "4.0", "−4.0"), ("Home", "1.0", "−0.2")):
        page.keyboard.press(key)
        browser.wait_for_words(page, f"nearest(beta=1.0, distance={distance})")
        assert picture(page).startswith(f"reverse KL: the nearest Gaussian has mean {mean}")
        assert f"distance of the hills from 0 = {distance}" in page.inner_text(".dl-values")
    assert page.locator(".widget-html").first.bounding_box() == place

    page.set_viewport_size({"width": 700, "height": 1000})  # half a screen
    page.wait_for_function(
        "wide => document.querySelector('.widget-html').offsetWidth < wide", arg=place["width"]
    )
    assert cut_off(page) == []
    assert browser.errors(page) == []


def test_four_models_answer_the_same_question_by_world_and_number(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = opened(lab, "43_synthetic_data", ["walk-one", "walk"], ANSWERS)
    assert cut_off(page) == []
    place, seen = page.locator(".widget-html").first.bounding_box(), {picture(page)}
    browser.tab_to(page, ".widget-toggle-button[title='world: arithmetic']")
    page.keyboard.press("Space")
    browser.wait_for_words(page, "walk(world='arithmetic', number=0)")
    seen.add(picture(page))
    browser.tab_to(page)
    for key, number in (("ArrowRight", 1), ("End", 2), ("Home", 0)):
        page.keyboard.press(key)
        browser.wait_for_words(page, f"walk(world='arithmetic', number={number})")
        seen.add(picture(page))
    assert len(seen) == 4  # Home shows what was there before
    assert page.locator(".widget-html").first.bounding_box()["y"] == place["y"]
    assert browser.errors(page) == []
