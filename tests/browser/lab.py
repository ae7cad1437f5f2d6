"""JupyterLab as a real server and a real Chromium in front of it, for every test that asks for it.

Ask for the fixture ``lab``: ``lab.open([source, …])`` makes a notebook of these cells and opens it.
``lab.open_cells("12_temperature", [id, …], given=source)`` opens one of these cells of a lesson,
after ``given``, which stands in for what the lesson trains before them; ``lab.show_cells`` runs
them, too. ``lab.open_lesson("12_temperature")`` opens a copy of it all. Each returns a Playwright
page with the kernel ready; `distill_lab.course.lab.browser` has what a keyboard does next.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from distill_lab.course.lab import browser, jupyter
from distill_lab.course.lab.jupyter import Server


class Lab:
    """One server and one browser; each opened page has a kernel of its own."""

    def __init__(self, folder: Path, lessons: Path, server: Server, chromium: Any) -> None:
        self.folder, self.lessons = folder, lessons
        self.server, self.chromium = server, chromium
        self.opened = 0

    def open(self, cells: list[str]) -> Any:
        """A page with a new notebook of these code cells."""
        self.opened += 1
        name = f"test_{self.opened}.ipynb"
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        code = [nbformat.v4.new_code_cell(source.strip()) for source in cells]
        notebook = nbformat.v4.new_notebook(cells=code, metadata=kernel)
        nbformat.write(notebook, self.folder / name)
        return browser.open_notebook(self.chromium, self.server, name)

    def open_cells(self, name: str, ids: list[str], *, given: str) -> Any:
        """A page with these cells of a lesson, after one with what they need of the others."""
        lesson = nbformat.read(self.lessons / f"{name}.ipynb", as_version=4)
        source = {cell.id: cell.source for cell in lesson.cells}
        return self.open([given, *(source[id] for id in ids)])

    def show_cells(self, name: str, ids: list[str], *, given: str) -> Any:
        """A page with these cells of a lesson, run without an error, their picture in sight."""
        page = self.open_cells(name, ids, given=given)
        browser.run_all(page)
        page.wait_for_selector('.widget-html svg[role="img"]')
        assert browser.errors(page) == []
        return page

    def open_lesson(self, name: str) -> Any:
        """A page with a copy of a lesson, the original being left as it is."""
        shutil.copy(self.lessons / f"{name}.ipynb", self.folder)
        return browser.open_notebook(self.chromium, self.server, f"{name}.ipynb")

    def close(self) -> None:
        """Close every page and stop its kernel."""
        for context in self.chromium.contexts:
            for page in context.pages:
                for session in page.request.get(self.server.at("api/sessions")).json():
                    page.request.delete(self.server.at(f"api/sessions/{session['id']}"))
                page.close()


@pytest.fixture(scope="module")
def server_and_browser(
    browser_path: str, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """Start both once a file. All that Jupyter and IPython keep goes to a temporary folder.

    No longer than a file, because beside Playwright no other event loop can run in the process.
    """
    if trouble := browser.missing():
        if os.environ.get("DISTILL_LAB_REQUIRE_BROWSER") == "1":
            pytest.fail(f"a browser is required (DISTILL_LAB_REQUIRE_BROWSER=1), but {trouble}")
        pytest.skip(trouble)
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    home = tmp_path_factory.mktemp("jupyter")
    folder = tmp_path_factory.mktemp("notebooks")
    variables = {
        "JUPYTER_DATA_DIR": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        # Kernels start in the notebook's folder, so what it imports must be named.
        "PYTHONPATH": os.pathsep.join([*map(str, (root, root / "notebooks")), *inherited]),
    }
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in variables.items():
            patch.setenv(name, value)
        server = stack.enter_context(jupyter.serve(folder))
        chromium = stack.enter_context(browser.chromium())
        yield Lab(folder, root / "notebooks", server, chromium)


@pytest.fixture
def lab(server_and_browser: Lab) -> Iterator[Lab]:
    """The running JupyterLab; the test's pages and kernels end with the test."""
    yield server_and_browser
    server_and_browser.close()


_CUT_OFF = """() => {
  const cut = [];
  for (const slider of document.querySelectorAll('.widget-slider')) {
    const label = slider.querySelector('label'), name = label.innerText;
    if (label.scrollWidth > label.clientWidth) cut.push(`the name ${name}`);
    const track = slider.querySelector('.slider-container').clientWidth;
    if (track < 120) cut.push(`the track of ${name}, ${track} px long`);
  }
  for (const picture of document.querySelectorAll('.widget-vbox .widget-html svg')) {
    const box = picture.closest('.widget-vbox').getBoundingClientRect();
    const out = picture.getBoundingClientRect().right - box.right;
    if (out > 0.5) cut.push(`${out} px of a picture's right side`);
  }
  return cut;
}"""


@pytest.fixture
def cut_off() -> Callable[[Any], list[str]]:
    """What of the widgets on a page a learner cannot see or take hold of, in words."""
    return lambda page: [str(part) for part in page.evaluate(_CUT_OFF)]


@pytest.fixture
def picture() -> Callable[[Any], str]:
    """The accessible name of the picture on a page: all that it shows, in words."""

    def read(page: Any) -> str:
        return str(page.locator('.widget-html svg[role="img"]').first.get_attribute("aria-label"))

    return read
