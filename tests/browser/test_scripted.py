"""A lesson's own script in a page and in the lab: it draws, answers, and fails in a sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output

from distill_lab.course.lab import browser
from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages import lesson_body, lesson_page
from distill_lab.course.widgets import scripted
from tests.browser.live_page import opened
from tests.browser.test_page_layout import ENTRY

pytest.importorskip("playwright.sync_api")
GOOD = """
export function mount(root, data) {
  const button = document.createElement("button");
  button.textContent = `${data.name}: ${data.w.shape} ${data.w.constructor.name} ${data.w[3]}`;
  button.onclick = () => { button.textContent = "pressed"; };
  root.append(button);
}
"""
BROKEN = {
    "syntax": "export function mount(root, data) {\n  const = 1;\n}\n",
    "mount": "export function mount(root, data) {\n  throw new Error('no weights here');\n}\n",
    "later": """
export function mount(root, data) {
  const button = document.createElement("button");
  button.textContent = "later";
  button.onclick = () => { throw new Error("no digit drawn"); };
  root.append(button);
}
""",
}
STILL = '<svg viewBox="0 0 9 9" width="9"><title>still</title></svg>'


def built(folder: Path, *scripts: str) -> Path:
    """A page with a figure of each of these scripts."""
    cells = []
    for i, code in enumerate(scripts):
        (folder / f"draw_{i}.js").write_text(code)
        data = {"name": f"figure {i}", "w": torch.tensor([[1.0, 2.0], [3.0, 0.5]])}
        figure = scripted(
            folder / f"draw_{i}.js", data=data, alt=f"Figure {i}", height=90, still=STILL
        )
        output = new_output("display_data", figure._repr_mimebundle_())
        cells.append(new_code_cell("scripted()", outputs=[output]))
    lesson = LessonFile("11_soft_targets", folder / "11_soft_targets.ipynb", {"title": "T"})
    path = folder / "11_soft_targets.html"
    body = lesson_body(new_notebook(cells=cells), folder)
    path.write_text(lesson_page(body, lesson, ENTRY, [lesson]), encoding="utf-8")
    return path


def test_it_draws_and_answers_in_a_page(tmp_path: Path, chromium: Any) -> None:
    with opened(built(tmp_path, GOOD, GOOD), chromium) as (page, trouble):
        for i in range(2):
            button = page.get_by_role("button", name=f"figure {i}: 2,2 Float32Array 0.5")
            button.wait_for()
        assert not page.locator(".still").first.is_visible()
        button.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="pressed").wait_for()
        assert page.get_by_role("button", name="figure 0").count() == 1
        assert trouble == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [("syntax", "Unexpected token"), ("mount", "no weights here"), ("later", "no digit drawn")],
)
def test_its_errors_end_as_a_sentence(tmp_path: Path, chromium: Any, kind: str, words: str) -> None:
    with opened(built(tmp_path, BROKEN[kind], GOOD), chromium) as (page, _):
        if kind == "later":
            page.get_by_role("button", name="later").click()
        alert = page.locator('figure [role="alert"]')
        alert.wait_for()
        assert f"draw_0.js stopped: {words}" in alert.inner_text()
        assert page.locator(".still").first.is_visible()
        page.get_by_role("button", name="figure 1").wait_for()  # the other one goes on


def test_without_a_script_the_still_picture_stands_there(tmp_path: Path, chromium: Any) -> None:
    with opened(built(tmp_path, GOOD), chromium, java_script_enabled=False) as (page, _):
        assert page.locator("figure svg").is_visible()


def test_it_runs_in_the_lab(lab: Any) -> None:
    (lab.folder / "draw.js").write_text(GOOD)
    source = (
        "import pathlib, torch\nfrom distill_lab.course import widgets\n"
        "widgets.scripted(pathlib.Path('draw.js').resolve(), alt='a figure', height=90,\n"
        "    data={'name': 'lab', 'w': torch.tensor([[1.0, 2.0], [3.0, 0.5]])})"
    )
    page = lab.open([source])
    browser.run_all(page)
    page.get_by_role("button", name="lab: 2,2 Float32Array 0.5").click()
    page.get_by_role("button", name="pressed").wait_for()
    assert browser.errors(page) == []
