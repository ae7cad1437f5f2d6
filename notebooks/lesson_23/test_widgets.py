"""The figure with points to drag: it computes what the package computes, by mouse and keyboard."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distill_lab import losses
from distill_lab.course.widgets import scripted

SCRIPT = Path(__file__).with_name("drag.js")
GENERATOR = torch.Generator().manual_seed(3)
TEACHER = 0.7 * torch.randn(5, 2, generator=GENERATOR)
STUDENT = 0.7 * torch.randn(5, 2, generator=GENERATOR)
PACKAGE = {
    "RKD distance": losses.rkd_distance_loss,
    "RKD angle": losses.rkd_angle_loss,
    "SP": losses.similarity_preserving_loss,
    "CC": losses.correlation_congruence_loss,
    "PKT": losses.pkt_loss,
}
CALL = """async ([code, student, teacher]) => {
  const {LOSSES, descend} = await import("data:text/javascript;base64," + code);
  return Object.fromEntries(Object.entries(LOSSES).map(([name, f]) =>
    [name, [f(student, teacher), f(descend(student, teacher, f, 100), teacher)]]));
}"""


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    page = chromium.new_page(viewport={"width": 360, "height": 900})
    yield page
    page.close()


@pytest.mark.parametrize("pair", [None, (0, 1)])
def test_the_page_computes_what_the_package_computes(page: Any, pair: tuple[int, int]) -> None:
    student = STUDENT.clone()
    if pair:  # two points in one place
        student[pair[0]] = student[pair[1]]
    code = base64.b64encode(SCRIPT.read_bytes()).decode()
    values = page.evaluate(CALL, [code, student.tolist(), TEACHER.tolist()])
    assert list(values) == list(PACKAGE)
    for name, loss in PACKAGE.items():
        expected = loss(student.double(), TEACHER.double()).item()
        assert values[name][0] == pytest.approx(expected, abs=2e-6), name
        assert values[name][1] < values[name][0], f"{name} does not fall"


def test_points_move_by_keyboard_and_by_mouse(page: Any, tmp_path: Path) -> None:
    data = {"teacher": TEACHER, "student": STUDENT}
    html = tmp_path / "drag.html"
    html.write_text(scripted(SCRIPT, data=data, alt="drag", height=700), encoding="utf-8")
    page.goto(html.as_uri())
    line = page.locator(".dl-values")
    start = line.inner_text()
    expected = losses.rkd_distance_loss(STUDENT, TEACHER).item()
    assert f"RKD distance {expected:.4f}" in start

    plane = page.get_by_role("application").nth(1)
    plane.focus()
    page.keyboard.press("c")
    assert line.inner_text() == start, "a choice alone changes no value"
    page.keyboard.press("ArrowRight")
    moved = STUDENT.clone()
    moved[2, 0] += 0.1
    assert f"RKD distance {losses.rkd_distance_loss(moved, TEACHER):.4f}" in line.inner_text()
    page.keyboard.press("ArrowLeft")
    assert line.inner_text() == start

    box = plane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 12, steps=4)
    page.mouse.up()
    assert line.inner_text() != start
    page.get_by_role("button", name="reset").click()
    assert line.inner_text() == start
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_its_buttons_show_what_a_loss_cannot_see(page: Any, tmp_path: Path) -> None:
    html = tmp_path / "drag.html"
    data = {"teacher": 0.6 * TEACHER, "student": STUDENT}
    html.write_text(scripted(SCRIPT, data=data, alt="drag", height=700), encoding="utf-8")
    page.goto(html.as_uri())

    def values() -> dict[str, float]:
        text = page.locator(".dl-values").inner_text()
        return {name: float(re.search(rf"{name} (\d+\.\d+)", text)[1]) for name in PACKAGE}

    for button in ("copy the teacher", "rotate", "mirror", "halve"):
        page.get_by_role("button", name=button).click()
        assert set(values().values()) == {0.0}, button
    page.get_by_role("button", name="shift").click()
    now = values()
    assert now["RKD distance"] == now["RKD angle"] == 0
    assert min(now["SP"], now["CC"], now["PKT"]) > 0
    page.get_by_role("button", name="reset").click()
    page.get_by_label("loss").select_option("SP")
    before = values()["SP"]
    page.get_by_role("button", name="50 steps down").click()
    assert values()["SP"] < before
    assert "similarity_preserving_loss" in page.locator(".dl-call").inner_text()
