"""A lesson's page in a browser: the table of contents stands beside the text, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages import lesson_page
from distill_lab.course.pages.shell import parsed

ENTRY: dict[str, Any] = {
    "number": "12",
    "minutes": 60,
    "when": "2026-01-02 03:04",
    "seconds": 9.0,
    "profile": "quick",
    "seed": 0,
    "findings": [],
}
PLACES = """() => {
  const place = (name) => document.querySelector(name).getBoundingClientRect();
  const contents = place('.contents'), article = place('article');
  return {shown: contents.width > 0, left: contents.left, right: contents.right,
          text: article.left, page: document.documentElement.scrollWidth};
}"""


@pytest.mark.parametrize(
    ("width", "beside"), [(360, False), (1240, False), (1250, True), (1280, True), (1600, True)]
)
def test_the_table_of_contents_is_never_cut(
    browser_path: str, tmp_path: Path, width: int, beside: bool
) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    lesson = LessonFile("12_temperature", tmp_path / "12_temperature.ipynb", {"title": "T"})
    headings = "".join(
        f"<h2 id='h{i}'>{i} · A heading of several longer words</h2><p>{'text ' * 60}</p>"
        for i in range(9)
    )
    page_file = tmp_path / "page.html"
    page_file.write_text(lesson_page(parsed(headings), lesson, ENTRY, [lesson]), encoding="utf-8")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": width, "height": 800})
        page.goto(page_file.as_uri())
        places = page.evaluate(PLACES)
        chromium.close()
    assert places["shown"] is beside and places["page"] <= width
    if beside:
        assert 0 <= places["left"] < places["right"] < places["text"]
