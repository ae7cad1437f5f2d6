"""Drive a lesson in a real JupyterLab and a real Chromium, by keyboard alone.

For the browser tests, the slider benchmark and the README's screenshots. Needs Playwright (the
`test` extra) and any Chromium or Chrome; nothing is downloaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from distill_lab.course.lab.doctor import find_browser
from distill_lab.course.lab.jupyter import Server

ARGUMENTS = (
    "--no-sandbox",  # continuous integration runs as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SLIDER = '[role="slider"]'
# Lab shows a traceback under the same type as anything else written to stderr.
ERRORS = '[data-mime-type="application/vnd.jupyter.stderr"], [role="alert"]'
# As a learner sees it: every cell drawn, the keyboard in the first of them, the kernel idle. The
# status bar is the place to ask: the indicator in the toolbar says "idle" before there is a kernel.
_READY = """cells => document.querySelectorAll('.jp-Notebook .jp-Cell').length === cells
  && !document.querySelector('.jp-Spinner')
  && !!document.activeElement?.closest('.jp-Notebook .jp-Cell')
  && document.querySelector('#jp-main-statusbar').innerText.includes('| Idle')"""
_DONE = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
    .map(prompt => prompt.textContent);
  return prompts.some(p => /[0-9]/.test(p)) && !prompts.some(p => p.includes('*'));
}"""


def missing() -> str:
    """Why no browser can be driven here, with the remedy; empty where all is at hand."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "Playwright is not installed: make env, or pip install playwright"
    if find_browser() is None:
        return "no Chromium or Chrome was found: install one, or name it in DISTILL_LAB_BROWSER"
    return ""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium, closed on the way out. Raises RuntimeError where there is none."""
    if trouble := missing():
        raise RuntimeError(trouble)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def open_notebook(browser: Any, server: Server, path: str, *, seconds: float = 60) -> Any:
    """A page that shows the notebook at `path` below the server's folder, its kernel ready."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(1000 * seconds)
    stored = page.request.get(server.at(f"api/contents/{path}")).json()
    page.goto(server.at(f"doc/tree/{path}?reset"))
    wait_until_ready(page, cells=len(stored["content"]["cells"]))
    return page


def wait_until_ready(page: Any, *, cells: int) -> None:
    """Wait until a notebook of so many cells is drawn, in focus, and its kernel idle."""
    page.wait_for_function(_READY, arg=cells)


def run_all(page: Any, *, seconds: float = 120) -> None:
    """Run every cell by keyboard and wait until none is running or waiting to run.

    A cell that raises leaves those below it without a number: see `errors`.
    """
    page.keyboard.press("Escape")
    page.keyboard.press("Control+A")  # in command mode: every cell
    page.keyboard.press("Control+Enter")
    page.wait_for_function(_DONE, timeout=1000 * seconds)


def errors(page: Any) -> list[str]:
    """Every error in sight: tracebacks, warnings, and widgets that could not draw."""
    return [str(text) for text in page.locator(ERRORS).all_inner_texts()]


def wait_for_words(page: Any, words: str, selector: str = ".dl-call") -> None:
    """Wait until the first element that matches says `words`: by default, a widget's call."""
    page.wait_for_function(
        "([s, w]) => document.querySelector(s)?.innerText.includes(w)", arg=[selector, words]
    )


def tab_to(page: Any, selector: str = SLIDER, *, most: int = 200, backwards: bool = False) -> None:
    """Press Tab (or Shift+Tab) until the focus is on an element that matches `selector`.

    Raises RuntimeError where `most` presses do not get there: then no keyboard does.
    """
    for _ in range(most):
        if page.evaluate("s => !!document.activeElement?.matches(s)", selector):
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise RuntimeError(
        f"{most} presses of Tab did not reach {selector}: a learner without a mouse is lost"
    )
