"""From key press to changed picture, in a real browser: the attention walk of lesson 22.

    python benchmarks/attention_walk.py [--presses 60]

Six layers of twelve heads over twelve words, teacher beside a student of two layers, as the walk
shows a real encoder. Measured as `slider.py` measures: from the key event until the animation frame
after the new picture is in the page. Needs Playwright and a Chromium or Chrome; without them it
says so and measures nothing.
"""

import os
import statistics
import tempfile
from pathlib import Path

import nbformat
from slider import BLOCK, asked_for, block
from table import Row, finish

from distill_lab.course.lab import browser, jupyter

MEDIAN_MS = 60  # the budget
PREPARE = """
import numpy as np
from distill_lab.course import widgets
from lesson_22.figures import render_attention

words = "[CLS] my card has not arrived yet , where is it ?".split()
rng = np.random.default_rng(0)

def shares(layers, heads):
    drawn = np.exp(2 * rng.normal(size=(layers, heads, len(words), len(words))))
    return drawn / drawn.sum(-1, keepdims=True)

teacher, student = shares(6, 12), shares(2, 12)

def walk(layer, head):
    return render_attention(words, teacher, student, layer=layer, head=head)
"""
WALK = (
    'widgets.explore(walk, layer=widgets.slider("layer", 1, 6, value=3), '
    'head=widgets.slider("head", 1, 12))'
)


def main() -> None:
    """Measure and print the table, or say why there is nothing to measure."""
    presses, json = asked_for(__doc__)
    if not presses:
        return
    with tempfile.TemporaryDirectory(prefix="distill-lab-bench-") as folder:
        times = measure(Path(folder), presses)
    finish(rows(times), json)


def rows(times: list[float]) -> list[Row]:
    """Median, held to the budget, and the 95th percentile."""
    spread = statistics.quantiles(times, n=20, method="inclusive")
    found = []
    for name, value, target in (("median", spread[9], MEDIAN_MS), ("p95", spread[18], None)):
        met = None if target is None else value <= target
        work = f"attention walk, key press to changed picture, {name} of {len(times)}"
        found.append(
            Row(
                work,
                "–",
                value,
                None,
                "ms",
                target=target,
                met=met,
                note="asked: milliseconds, of ours",
            )
        )
    return found


def measure(folder: Path, presses: int) -> list[float]:
    """Milliseconds of each press."""
    os.environ["JUPYTER_DATA_DIR"] = str(folder / "data")  # nothing into the user's home
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (PREPARE, WALK)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    (folder / "root").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "root/a.ipynb")
    times: list[float] = []
    with jupyter.serve(folder / "root") as server, browser.chromium() as chromium:
        page = browser.open_notebook(chromium, server, "a.ipynb")
        browser.run_all(page)
        if said := browser.errors(page):
            raise SystemExit(f"The notebook failed, so there is nothing to measure:\n{said[0]}")
        page.wait_for_selector('svg[role="img"]')
        while len(times) < presses:
            times += block(page, 1, "svg", min(BLOCK, presses - len(times)))
    return times


if __name__ == "__main__":
    main()
