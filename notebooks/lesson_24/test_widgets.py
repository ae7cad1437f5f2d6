"""The live pictures of this lesson by keyboard, without the training before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distill_lab.course.lab import browser

EXITS = """
import torch
from distill_lab.course import widgets
from lesson_24 import experiments
from lesson_24.figures import render_exits

labels = torch.arange(200)[None] % 10
def exit_answers(seed):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.nn.functional.one_hot(labels, 10).float()
    noise = torch.randn(4, 1, 200, 10, generator=generator)
    return truth * torch.tensor([1.5, 2.5, 4.0, 6.0])[:, None, None, None] + noise

milliseconds = [0.02, 0.03, 0.04, 0.05]
THRESHOLDS = [0, 0.5, 0.9, 0.95, 1]
answers = {"labels": exit_answers(0), "deepest exit": exit_answers(1)}
right = {k: (z.argmax(-1) == labels).double().mean(-1) * 100 for k, z in answers.items()}
points = {k: [experiments.leave(z, labels, t, milliseconds) for t in THRESHOLDS]
          for k, z in answers.items()}
bounds = (0, 100)
"""


def test_the_threshold_moves_along_the_curve(
    lab: Any, picture: Callable[[Any], str], cut_off: Callable[[Any], list[str]]
) -> None:
    page = lab.show_cells("24_self_distillation", ["leave-twin", "leave-explore"], given=EXITS)
    assert "threshold 0.9" in picture(page)
    assert cut_off(page) == []
    browser.tab_to(page)
    for key, threshold in (("End", 1), ("Home", 0), ("ArrowRight", 0.5)):
        page.keyboard.press(key)
        browser.wait_for_words(page, f"threshold={threshold}")
        assert f"threshold {threshold}: " in picture(page)
    assert browser.errors(page) == []


def test_the_penalty_moves_the_curve(lab: Any, picture: Callable[[Any], str]) -> None:
    given = (
        "import torch\nfrom types import SimpleNamespace\nfrom distill_lab.course import widgets\n"
        "from lesson_24.figures import render_rounds\nSEED, TIMES = 0, range(1, 13)\n"
        "lesson = SimpleNamespace(expect=lambda *given, **more: None)\n"
    )
    page = lab.show_cells(
        "24_self_distillation",
        ["kernel", "rounds-by-hand", "eigen", "expected-error", "rounds-twin", "rounds-explore"],
        given=given,
    )
    browser.tab_to(page)
    for key, penalty, shown in (("End", "1.0", "1"), ("Home", "0.001", "0.001")):
        page.keyboard.press(key)
        browser.wait_for_words(page, f"penalty={penalty}")
        assert f"penalty λ = {shown}, round 1: test error" in picture(page)
    assert browser.errors(page) == []
