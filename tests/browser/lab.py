"""A real Chromium, and JupyterLab as a real server in front of it, for every test that asks.

Ask for the fixture ``lab``: ``lab.open([source, …])`` makes a notebook of these cells and opens it.
``lab.open_cells("12_temperature", [id, …], given=source)`` opens one of these cells of a lesson,
after ``given``, which stands in for what the lesson trains before them; ``lab.show_cells`` runs
them, too. ``lab.open_lesson("12_temperature")`` opens a copy of it all. Each returns a Playwright
page with the kernel ready; `distill_lab.course.lab.browser` has what a keyboard does next. Ask for
``chromium`` where a browser alone will do.

Both are started once, and stopped before the first test that asks for neither: beside Playwright
no other event loop can run in the process. conftest.py puts those who ask one after the other.
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

VIEWPORT = {"width": 1280, "height": 1000}
# To load JupyterLab and start a kernel costs ten times what most tests do with it. So the next
# notebook comes as one does that is loaded again from disk, into a kernel that has kept nothing
# but the libraries: no name, no widget, no module of the course.
_EMPTY_KERNEL = """
import sys
from ipywidgets import Widget
for name in [*sys.modules]:
    if name.split(".")[0] == "distill_lab" or name.startswith("lesson_"):
        del sys.modules[name]
Widget.close_all()
if "matplotlib.pyplot" in sys.modules:
    sys.modules["matplotlib.pyplot"].close("all")
get_ipython().reset(new_session=True)
"""
_LOAD_AGAIN = """async code => {
  const {content, context, sessionContext} = jupyterapp.shell.currentWidget;
  await context.revert();
  const request = {code, silent: true, store_history: false};
  const reply = await sessionContext.session.kernel.requestExecute(request).done;
  if (reply.content.status !== 'ok') throw new Error(reply.content.evalue);
  content.activeCellIndex = 0;
  content.mode = 'command';
  content.activate();
  content.node.focus();
}"""


class Lab:
    """One server and one browser; the page of one test serves the next."""

    def __init__(self, folder: Path, lessons: Path, server: Server, chromium: Any) -> None:
        self.folder, self.lessons = folder, lessons
        self.server, self.chromium = server, chromium
        self.opened = 0
        self.page: Any = None

    @property
    def name(self) -> str:
        """The file name of the notebook that was opened last."""
        return f"test_{self.opened}.ipynb"

    def open(self, cells: list[str]) -> Any:
        """A page with a new notebook of these code cells, and a kernel that knows no name."""
        if self.page is None:
            self.opened += 1
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        code = [nbformat.v4.new_code_cell(source.strip()) for source in cells]
        notebook = nbformat.v4.new_notebook(cells=code, metadata=kernel)
        nbformat.write(notebook, self.folder / self.name)
        if self.page is None:
            self.page = browser.open_notebook(self.chromium, self.server, self.name)
        else:
            self.page.set_viewport_size(VIEWPORT)
            self.page.evaluate(_LOAD_AGAIN, _EMPTY_KERNEL)
            browser.wait_until_ready(self.page, cells=len(cells))
        return self.page

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

    def restart_kernel(self) -> None:
        """A new kernel for the open page, as from the menu."""
        self.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.restartKernel()")

    def reopen(self) -> Any:
        """The notebook as it was saved, in a new page with a new kernel."""
        self.close()
        self.page = browser.open_notebook(self.chromium, self.server, self.name)
        return self.page

    def close(self) -> None:
        """Close every page and stop its kernel: the next notebook gets new ones."""
        self.page = None
        for context in self.chromium.contexts:
            for page in context.pages:
                for session in page.request.get(self.server.at("api/sessions")).json():
                    page.request.delete(self.server.at(f"api/sessions/{session['id']}"))
                page.close()

    def pages(self) -> list[Any]:
        """Every page that is open."""
        return [page for context in self.chromium.contexts for page in context.pages]


class _Running:
    """What has been started, for as long as the next test asks for a browser."""

    def __init__(self) -> None:
        self.chromium: Any = None
        self.lab: Lab | None = None
        self.stack = contextlib.ExitStack()

    def stop(self) -> None:
        self.chromium = self.lab = None
        self.stack.close()


_RUNNING = _Running()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """Stop both before a test that asks for neither."""
    try:
        return (yield)
    finally:
        if "chromium" not in getattr(nextitem, "fixturenames", ()):
            _RUNNING.stop()


def pytest_sessionfinish() -> None:
    """Leave nothing behind where a run was interrupted."""
    _RUNNING.stop()


@pytest.fixture
def chromium(browser_path: str) -> Any:
    """A running Chromium; close the pages that you open."""
    if trouble := browser.missing():
        if os.environ.get("DISTILL_LAB_REQUIRE_BROWSER") == "1":
            pytest.fail(f"a browser is required (DISTILL_LAB_REQUIRE_BROWSER=1), but {trouble}")
        pytest.skip(trouble)
    if _RUNNING.chromium is None:
        _RUNNING.chromium = _RUNNING.stack.enter_context(browser.chromium())
    return _RUNNING.chromium


@pytest.fixture
def lab(
    chromium: Any,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Lab]:
    """The running JupyterLab. All that Jupyter and IPython keep goes to a temporary folder."""
    if _RUNNING.lab is None:
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
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            serve = jupyter.serve(folder, options=["--LabApp.expose_app_in_browser=True"])
            server = _RUNNING.stack.enter_context(serve)
        _RUNNING.lab = Lab(folder, root / "notebooks", server, chromium)
    lab, failed = _RUNNING.lab, request.session.testsfailed
    yield lab
    if request.session.testsfailed > failed or lab.pages() != [lab.page]:
        lab.close()


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
