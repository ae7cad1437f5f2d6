"""From key press to changed picture, in a real browser: our slider beside `interact` + matplotlib.

    python benchmarks/slider.py [--presses 60]

One notebook in one JupyterLab holds both: the temperature explorer (three panels, one SVG string)
and `interact` with a matplotlib bar chart of the same distribution, drawn by the inline backend.
A slider is focused, an arrow key pressed, and the page itself takes the time: from the moment of
the key event (its `timeStamp`) until the animation frame after the new picture is in the page, and
for matplotlib's PNG decoded. The two take turns in blocks, so that a busy moment hits both.
Needs Playwright and a Chromium or Chrome; without them it says so and measures nothing.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import nbformat
from table import Row, finish

from distill_lab.course.lab import browser, jupyter

MEDIAN_MS, P95_MS = 50, 100  # the budget of our slider
WARM_UP, BLOCK = 6, 10

PREPARE = """
import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import FloatSlider, interact
from sklearn.datasets import load_digits
from distill_lab.course.figures import explorer
from distill_lab.course import widgets
%matplotlib inline

image = load_digits().images[3] / 16
teacher = np.array([1.0, 2.0, 3.0, 12.0, -2.0, 7.0, 0.0, 4.0, 6.5, 5.0])
student = np.array([0.0, 1.0, 2.0, 4.0, 0.0, 3.0, -1.0, 1.0, 5.0, 2.0])

def temperature_view(T):
    return explorer.render_temperature(image, teacher, student, 3, T=T, alpha=0.9)

def figure(T):
    plt.figure(figsize=(6, 3))
    plt.bar(range(10), explorer.soften(teacher, T))
    plt.ylim(0, 1)
    plt.title(f"T = {T}")
    plt.show()
"""
OURS = 'widgets.explore(temperature_view, T=widgets.slider("T", 1.0, 20.0, value=4.0, step=0.5))'
THEIRS = "interact(figure, T=FloatSlider(min=1.0, max=20.0, value=4.0, step=0.5));"
# Both start before the first press, and both count a picture only when it differs from the last.
TIMER = """
([cell, kind]) => {
  const area = document.querySelectorAll('.jp-Cell')[cell].querySelector('.jp-Cell-outputArea');
  const picture = () => kind === 'svg' ? area.querySelector('svg[role=img]')?.outerHTML
                                       : area.querySelector('img')?.src;
  window.pressed = () => new Promise((resolve, reject) => {
    const before = picture();
    let start = null;
    setTimeout(() => reject(new Error('no new picture within 10 s')), 10000);
    addEventListener('keydown', event => { start = event.timeStamp; }, {capture: true, once: true});
    const observer = new MutationObserver(async () => {
      const now = picture();
      if (start === null || !now || now === before) return;
      observer.disconnect();
      if (kind === 'img') await area.querySelector('img').decode();
      requestAnimationFrame(() => resolve(performance.now() - start));
    });
    observer.observe(area, {subtree: true, childList: true, attributes: true, characterData: true});
  });
}
"""


def asked_for(about: str) -> tuple[int, str | None]:
    """How many presses, and where the rows go; no presses, in words, without a browser."""
    options = argparse.ArgumentParser(description=about.splitlines()[0])
    options.add_argument("--presses", type=int, default=60, help="of each kind, after the warm-up")
    options.add_argument("--quick", action="store_true", help="20 presses")
    options.add_argument("--json", help="write the rows here as well")
    arguments = options.parse_args()
    presses = 20 if arguments.quick else arguments.presses
    if presses < BLOCK:
        options.error(f"--presses must be at least {BLOCK}, got {presses}")
    if trouble := browser.missing():
        print(f"Not measured: {trouble}.")
        return 0, None
    return presses, arguments.json


def main() -> None:
    """Measure and print the table, or say why there is nothing to measure."""
    presses, json = asked_for(__doc__)
    if not presses:
        return
    with tempfile.TemporaryDirectory(prefix="distill-lab-bench-") as folder:
        times, version = measure(Path(folder), presses)
    report(times, version)
    finish(rows(times), json)


def rows(times: dict[str, list[float]]) -> list[Row]:
    """Median and 95th percentile, ours beside theirs."""
    found = []
    for name, quantile, target in (("median", 10, MEDIAN_MS), ("p95", 19, P95_MS)):
        ours, theirs = (
            statistics.quantiles(times[kind], n=20, method="inclusive")[quantile - 1]
            for kind in ("svg", "img")
        )
        work = f"key press to changed picture, {name} of {len(times['svg'])}"
        found.append(
            Row(
                work,
                "interact + matplotlib inline",
                ours,
                theirs,
                "ms",
                target=target,
                ratio_median=ours / theirs,
                met=ours <= target,
                note="asked: milliseconds, of ours",
            )
        )
    return found


def measure(folder: Path, presses: int) -> tuple[dict[str, list[float]], str]:
    """Milliseconds of each press, by kind, and the browser's version."""
    os.environ["JUPYTER_DATA_DIR"] = str(folder / "data")  # nothing into the user's home
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    cells = [nbformat.v4.new_code_cell(source) for source in (PREPARE.strip(), OURS, THEIRS)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    (folder / "root").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "root/a.ipynb")
    times: dict[str, list[float]] = {"svg": [], "img": []}
    with jupyter.serve(folder / "root") as server, browser.chromium() as chromium:
        page = browser.open_notebook(chromium, server, "a.ipynb")
        browser.run_all(page)
        if said := browser.errors(page):
            sys.exit(f"The notebook failed, so there is nothing to measure:\n{said[0]}")
        page.wait_for_selector(".jp-OutputArea img")
        page.wait_for_selector('svg[role="img"]')
        for _ in range(0, presses, BLOCK):
            for cell, kind in ((1, "svg"), (2, "img")):
                times[kind] += block(page, cell, kind, min(BLOCK, presses - len(times[kind])))
    return times, chromium.version


def block(page: Any, cell: int, kind: str, count: int) -> list[float]:
    """Press arrow keys on the slider of one cell, each after the last picture has come to rest."""
    page.evaluate(TIMER, [cell, kind])
    page.locator(".jp-Cell").nth(cell).locator(browser.SLIDER).first.focus()
    taken = []
    for i in range(WARM_UP + count):
        page.evaluate("() => { window.answer = window.pressed(); }")
        page.keyboard.press("ArrowRight" if i % 4 < 2 else "ArrowLeft")
        taken.append(page.evaluate("() => window.answer"))
        page.wait_for_timeout(120)
    return taken[WARM_UP:]


def report(times: dict[str, list[float]], version: str) -> None:
    """Print both rows, their ratio, the budget, and where this was measured."""
    rows = {}
    print(f"{'key press to changed picture':<36}{'presses':>8}{'median':>10}{'p95':>10}{'max':>10}")
    for kind, name in (("svg", "explore + SVG (ours)"), ("img", "interact + matplotlib inline")):
        taken = sorted(times[kind])
        middle = statistics.median(taken)
        p95 = statistics.quantiles(taken, n=20, method="inclusive")[-1]
        rows[kind] = middle, p95
        figures = "".join(f"{value:>7.1f} ms" for value in (middle, p95, taken[-1]))
        print(f"{name:<36}{len(taken):>8}{figures}")
    (ours, p95), (theirs, _) = rows["svg"], rows["img"]
    print(f"interact takes {theirs / ours:.1f} times as long at the median")
    kept = "kept" if ours <= MEDIAN_MS and p95 <= P95_MS else "NOT kept on this machine, now"
    print(f"budget of ours: median <= {MEDIAN_MS} ms, p95 <= {P95_MS} ms: {kept}")
    names = ("jupyterlab", "ipykernel", "ipywidgets", "matplotlib")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(textwrap.fill(f"{where}{load}; Chromium {version}; {versions}", 100))


if __name__ == "__main__":
    main()
