"""Every lesson's page that lies in `build/course`, without a kernel: run `distill-lab run` before.

Another folder: DISTILL_LAB_PAGES=DIR. One lesson: -k 12. With -s each median is printed.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.browser.live_page import faults, median_ms, opened

pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("DISTILL_LAB_PAGES", ROOT / "build" / "course")).resolve()
PAGES = sorted(FOLDER.glob("[0-9][0-9]_*.html"))
if not PAGES:
    pytest.skip(f"no lesson's page in {FOLDER}: run distill-lab run", allow_module_level=True)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_control_of_a_page_answers(path: Path, chromium: Any) -> None:
    with opened(path, chromium, viewport={"width": 1280, "height": 900}) as (page, trouble):
        for button in page.get_by_role("button", name="show all on this page").all():
            if button.is_visible():
                button.click()
        assert page.locator("[data-fold]:not(:visible)").count() == 0
        wrong = [fault for live in page.locator(".explore").all() for fault in faults(page, live)]
        assert wrong == [] and trouble == []
        for live in page.locator(".explore").all():
            call = live.locator(".dl-call").inner_text()
            print(f"{path.stem}: {call}: median of a change {median_ms(live):.1f} ms")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_prediction_opens_what_it_folds(path: Path, chromium: Any) -> None:
    with opened(path, chromium) as (page, trouble):
        questions = page.locator(".predict").all()
        outcomes = {
            id: page.locator(f".outcome[data-id={json.dumps(id)}]")
            for question in questions
            if (id := question.get_attribute("data-id"))
        }
        shown = [id for id, outcome in outcomes.items() if outcome.is_visible()]
        assert not shown, "their outcomes stand open before anything is chosen"
        for question in questions:
            question.locator(".row button").first.click()
        kept = [
            id for id, o in outcomes.items() if o.count() and "You predicted" not in o.inner_text()
        ]
        assert not kept and page.locator("[data-fold]:not(:visible)").count() == 0
        assert trouble == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_without_a_script_nothing_is_hidden(path: Path, chromium: Any) -> None:
    with opened(path, chromium, java_script_enabled=False) as (page, _):
        assert page.locator("[data-fold]:not(:visible)").count() == 0
        assert page.locator(".explore .picture:not(:has(svg))").count() == 0
        assert "answered by itself" not in page.locator("article").inner_text()
