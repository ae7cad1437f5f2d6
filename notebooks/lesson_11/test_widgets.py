"""The figure to draw in: what its script computes is what the networks compute in Python."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distill_lab.course.widgets import scripted
from distill_lab.losses import soften
from distill_lab.models import MLP

SCRIPT = Path(__file__).with_name("draw.js")
TEACHER = MLP(64, 256, 256, 10, seed=1).eval()
STUDENTS = [MLP(64, 64, 64, 10, seed=2 + i).eval() for i in range(10)]
PICTURES = torch.rand(100, 64, generator=torch.Generator().manual_seed(5))
FORWARD = """async ([code, layers, pictures, T]) => {
  const {forward, soften} = await import("data:text/javascript;base64," + code);
  const arrays = layers.map(([shape, values]) => Object.assign(new Float32Array(values), {shape}));
  return pictures.map((x) => { const z = forward(arrays, x); return [z, soften(z, T)]; });
}"""


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    page = chromium.new_page(viewport={"width": 360, "height": 900})
    yield page
    page.close()


@pytest.mark.parametrize("net", [TEACHER, STUDENTS[3]])
def test_the_page_computes_what_python_computes(page: Any, net: MLP) -> None:
    layers = [[list(w.shape), w.flatten().tolist()] for w in net.parameters()]
    code = base64.b64encode(SCRIPT.read_bytes()).decode()
    from_the_page = torch.tensor(page.evaluate(FORWARD, [code, layers, PICTURES.tolist(), 4]))
    with torch.no_grad():
        logits = net(PICTURES)
    torch.testing.assert_close(from_the_page[:, 0], logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(from_the_page[:, 1], soften(logits, T=4.0), atol=1e-4, rtol=0)


def test_it_answers_to_keys_and_choices(page: Any, tmp_path: Path) -> None:
    own = [list(net.parameters()) for net in STUDENTS]
    data = {
        "teacher": list(TEACHER.parameters()),
        "students": [torch.stack(same) for same in zip(*own, strict=True)],
        "pictures": PICTURES[:10],
    }
    html = tmp_path / "draw.html"
    html.write_text(scripted(SCRIPT, data=data, alt="draw", height=420), encoding="utf-8")
    page.goto(html.as_uri())
    values = page.locator(".dl-values")
    with torch.no_grad():
        p = soften(STUDENTS[3](PICTURES[3:4]), T=4.0)[0]
    assert f"saw a 3: {p.argmax()} ({100 * p.max():.0f} %), 3 gets {100 * p[3]:.1f} %" in (
        values.inner_text().replace("\u00a0", " ")
    )
    page.get_by_role("button", name="clear").click()
    cells = page.get_by_role("application")
    blank = values.inner_text()
    cells.focus()
    page.keyboard.press("ArrowRight")
    assert values.inner_text() == blank, "the cursor alone changes no answer"
    page.keyboard.press("Space")
    assert values.inner_text() != blank
    page.keyboard.press("Space")
    assert values.inner_text() == blank
    page.get_by_label("T", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert "T = 5." in values.inner_text()
    page.get_by_label("the student never saw a").select_option("7")
    assert "never saw a 7" in values.inner_text()
    assert "students.model(7)" in page.locator(".dl-call").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
