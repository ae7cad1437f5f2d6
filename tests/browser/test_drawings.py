"""Drawings with a browser's own letters: the laws hold for what is seen, not for an estimate."""

import importlib
from pathlib import Path
from typing import Any

import pytest

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
