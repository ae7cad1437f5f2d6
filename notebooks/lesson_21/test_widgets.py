"""The live pictures of this lesson by keyboard, without the minutes that it trains before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

FILMS = """
from types import SimpleNamespace
import torch
from distill_lab.course import widgets
from distill_lab.data.datasets import Examples
from lesson_21 import experiments
from lesson_21.figures import render_cka, render_layouts

def film(seed):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(11, 8, 3, generator=generator)
    layers = torch.randn(11, 150, 32, generator=generator)
    frames = [experiments.Frame(30 * i, table, 10.0 + 8 * i, layer)
              for i, (table, layer) in enumerate(zip(drawn, layers))]
    return SimpleNamespace(frames=frames)

films = {name: film(i) for i, name in enumerate(["labels", "soft targets", "hint, then labels"])}
first_seed = [torch.randn(150, 64, generator=torch.Generator().manual_seed(9))] * 3
exam = Examples(torch.zeros(150, 64), torch.arange(150) % 10)
"""
MADE = """
frames = {(name, frame.step): frame for name, film in films.items() for frame in film.frames}

def controls():
    recipe = widgets.choice("recipe", list(films), value="hint, then labels")
    return {"recipe": recipe, "step": widgets.steps("step", list(range(0, 301, 30)), value=150)}
"""
FRAME = '.widget-html svg rect[stroke-width="2.5"]'  # around the pair that the hint joins


def test_the_layers_are_seen_by_recipe_and_step(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("21_feature_hints", ["film-twin", "film-explore"], given=FILMS + MADE)
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


def test_two_layouts_move_with_recipe_and_step(lab: Any, picture: Callable[[Any], str]) -> None:
    page = lab.show_cells(
        "21_feature_hints", ["layouts", "nearest", "layouts-explore"], given=FILMS
    )
    assert "Hint, then labels, step 150. Two layouts of 150 pictures" in picture(page)
    browser.tab_to(page)
    for key, step, right in (("ArrowRight", 180, 58), ("End", 300, 90), ("Home", 0, 10)):
        page.keyboard.press(key)
        browser.wait_for_words(page, f"layouts_at(recipe='hint, then labels', step={step})")
        assert f"step {step}. Two layouts" in picture(page)
        assert f"test accuracy {right}.0 %" in picture(page)
    assert browser.errors(page) == []
