"""Drawings with a browser's own letters: the laws hold for what is seen, not for an estimate."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from distill_lab.course.figures import drawing
from distill_lab.course.figures.drawing import Panel
from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages import lesson_page
from distill_lab.course.pages.shell import parsed
from tests.browser.test_page_layout import ENTRY, with_scroll_bars

__all__ = ["with_scroll_bars"]

ALT = "One box stands in an otherwise empty panel."
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(path.parent.name for path in NOTEBOOKS.glob("lesson_*/drawings.py"))
FAULTS = """() => {
  const faults = [], inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1
    && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
  for (const picture of document.querySelectorAll('svg')) {
    const panel = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll('text')]
      .map(t => [t.textContent, t.getBoundingClientRect()]);
    if (panel.right > document.documentElement.clientWidth) faults.push('a panel is cut');
    texts.forEach(([one, a], i) => {
      if (!inside(a, panel)) faults.push(`${one} leaves its panel`);
      for (const [two, b] of texts.slice(i + 1)) {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        // a line of letters is as high as its font, 5 px more than they are
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) - 5;
        if (across > 1 && down > 1) faults.push(`${one} and ${two} overlap`);
      }
    });
  }
  return faults;
}"""


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize("width", [360, 760])
def test_no_text_touches_another_or_leaves_its_panel(
    chromium: Any, lesson: str, width: int
) -> None:
    module = importlib.import_module(f"{lesson}.drawings")
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.set_content("".join(getattr(module, name)() for name in module.__all__))
    assert page.evaluate(FAULTS) == []
    panels = page.eval_on_selector_all(
        "svg",
        "all => all.map(one => one.getBoundingClientRect().width / one.viewBox.baseVal.width)",
    )
    assert min(panels) >= 0.9, "12 px stay nearly 11 on a telephone"
    page.close()


@pytest.mark.parametrize(
    ("width", "columns"), [(1280, [1, 2, 2]), (768, [1, 2, 2]), (1600, [1, 2, 2]), (360, [1, 1, 1])]
)
def test_on_a_page_two_panels_stand_side_by_side_also_on_a_tablet(
    with_scroll_bars: Any, tmp_path: Path, width: int, columns: list[int]
) -> None:
    """Texts say "on the left" and "on the right" of them."""
    rows = [drawing.row(*[Panel(str(i), 90, alt=ALT) for i in range(n)]) for n in (1, 2, 3)]
    lesson = LessonFile("11_a", tmp_path / "11_a.ipynb", {"title": "T"})
    body = parsed("".join(f"<div class='cell'><div class='output'>{r}</div></div>" for r in rows))
    path = tmp_path / "page.html"
    path.write_text(lesson_page(body, lesson, ENTRY, [lesson]), encoding="utf-8")
    page = with_scroll_bars.new_page(viewport={"width": width, "height": 800})
    page.goto(path.as_uri())
    places = page.eval_on_selector_all(
        ".output",
        "all => all.map(o => [...o.querySelectorAll('svg[role=img]')]"
        ".map(s => s.getBoundingClientRect()).map(b => [Math.round(b.top), b.width, b.height]))",
    )
    assert [len([p for p in row if p[0] == row[0][0]]) for row in places] == columns
    for row in places:
        assert all(0.9 * drawing.WIDTH < w <= drawing.WIDTH for _, w, _ in row)
        assert all(w / h == pytest.approx(drawing.WIDTH / 90, rel=0.01) for _, w, h in row)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
