"""A lesson's page without a kernel: live pictures, predictions and questions by keyboard."""

from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from distill_lab.course import widgets
from distill_lab.course.figures import svg
from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages import lesson_body, lesson_page
from distill_lab.course.records import MIME
from tests.browser.live_page import faults, median_ms, opened, press, state
from tests.browser.test_page_layout import ENTRY

pytest.importorskip("playwright.sync_api")


def picture(T: float, kind: str) -> svg.Svg:
    mark = f'<defs><circle id="dot" r="{T}"/></defs><use href="#dot" x="50" y="20"/>'
    return svg.picture(300, 40 + T, f"{kind} at T = {T:g}", mark, svg.text(5, 20, f"{kind} {T:g}"))


def explorer() -> Any:
    return widgets.explore(
        picture,
        T=widgets.slider("temperature T", 0.0, 2.0, value=0.5, step=0.1),
        kind=widgets.choice("kind", [("hard labels", "hard"), ("soft targets", "soft")]),
    )


def cell(source: str, *bundles: dict[str, Any]) -> Any:
    return new_code_cell(source, outputs=[new_output("display_data", data) for data in bundles])


def live() -> Any:
    bundle = explorer()._repr_mimebundle_()
    return cell("widgets.explore(...)", bundle[0] if isinstance(bundle, tuple) else bundle)


def asked(id: str, *options: str) -> Any:
    record = {"kind": "predict", "stage": "asked", "id": id, "question": f"What of {id}?"}
    return cell("predict", {MIME: record | {"options": list(options)}, "text/html": "by itself"})


def revealed(id: str, answer: str) -> Any:
    record = {"kind": "predict", "stage": "revealed", "id": id, "question": f"What of {id}?"}
    return cell("reveal", {MIME: record | {"answer": answer, "why": "Measured: 3."}})


CELLS = [
    new_markdown_cell("# A lesson\n\nWords."),
    live(),
    live(),
    asked("11.first", "falls", "it's <the> same"),
    new_markdown_cell("Prose before stays."),
    cell("spoiler_1()", {"text/plain": "3.00 of three"}),
    new_markdown_cell('The output shows it. <b id="there">Here.</b>'),
    revealed("11.first", "it's <the> same"),
    new_markdown_cell("The finding of three."),
    new_markdown_cell("## Next\n\nNot folded."),
    asked("11.second", "yes", "no"),
    revealed("11.second", "no"),
    cell(
        "lesson.recall()",
        {
            MIME: {
                "kind": "recall",
                "id": "00.card",
                "question": "What is a claim?",
                "options": ["a wish", "a figure held against ours"],
                "answer": "a figure held against ours",
                "why": "Lesson 00 says so.",
            }
        },
    ),
    cell("check.mine(mine)", {MIME: {"kind": "check", "state": "not attempted"}}),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lesson = LessonFile("11_soft_targets", Path("11_soft_targets.ipynb"), {"title": "T"})
    body = lesson_body(new_notebook(cells=CELLS), Path())
    path = tmp_path_factory.mktemp("page") / "11_soft_targets.html"
    path.write_text(lesson_page(body, lesson, ENTRY, [lesson]), encoding="utf-8")
    return path


def test_two_live_pictures_by_keyboard(built: Path, chromium: Any) -> None:
    with opened(built, chromium) as (page, trouble):
        first, second = page.locator(".explore").all()
        assert page.locator(".explore .widget").count() == 0, "the note is for who has no script"
        untouched = state(second)
        assert "temperature T = 0.50, kind = hard labels" in untouched[1] or (
            "temperature T = 0.5, kind = hard labels" in untouched[1]
        )
        handle = first.get_by_role("slider", name="temperature T")
        handle.focus()
        press(page, first, "ArrowRight")
        shown, values, call = state(first)
        assert "hard at T = 0.6" in shown and "temperature T = 0.6, kind" in values
        assert call == "picture(T=0.6, kind='hard')"
        assert handle.get_attribute("aria-valuetext") == "0.6"
        for key, T in (("PageUp", None), ("End", "2"), ("Home", "0")):
            press(page, first, key)
            assert T is None or f"hard at T = {T}" in state(first)[0]
        first.get_by_role("radio", name="hard labels").focus()
        press(page, first, "ArrowRight")
        assert state(first)[2] == "picture(T=0.0, kind='soft')"
        assert state(second) == untouched, "one picture must not move the other"
        assert faults(page, first) == faults(page, second) == []
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
        assert len(set(ids)) == len(ids) and sum(id.endswith("dot") for id in ids) == 2
        assert page.locator("[role=status]").first.inner_text().startswith("temperature T")
        print(f"median of a change: {median_ms(first):.1f} ms")
        assert trouble == []


def test_a_prediction_folds_what_gives_it_away(built: Path, chromium: Any) -> None:
    with opened(built, chromium) as (page, trouble):
        spoilers = ["3.00 of three", "output shows it", "Measured: 3.", "The finding of three."]
        article = page.locator("article")

        def seen() -> list[bool]:
            text = article.inner_text()
            return [words in text for words in spoilers]

        assert seen() == [False] * 4
        assert {"Prose before stays.", "Not folded."} <= set(article.inner_text().splitlines())
        button = page.get_by_role("button", name="it's <the> same")
        button.focus()
        page.keyboard.press("Enter")
        assert seen() == [True] * 4 and button.get_attribute("aria-pressed") == "true"
        outcome = page.locator(".outcome").first
        assert "✓ as predicted. You predicted: it's <the> same; outcome" in outcome.inner_text()
        page.get_by_role("button", name="falls").click()
        assert "as predicted" in outcome.inner_text(), "the first answer counts"

        page.reload()
        assert seen() == [True] * 4 and "as predicted" in outcome.inner_text()
        page.get_by_role("button", name="answer again").click()
        assert seen() == [False] * 4
        page.get_by_role("button", name="falls").click()
        assert "! a surprise. You predicted: falls; outcome" in outcome.inner_text()

        second = page.locator(".outcome").last
        assert not second.is_visible()
        page.get_by_role("button", name="show it anyway").last.click()
        assert second.is_visible() and "predicted" not in second.inner_text()
        assert "by itself" not in article.inner_text()
        assert trouble == []


def test_a_link_from_another_page_into_what_is_folded_opens_it(built: Path, chromium: Any) -> None:
    with opened(built, chromium) as (page, trouble):
        assert not page.locator("#there").is_visible()
        page.goto("about:blank")
        page.goto(built.as_uri() + "#there")
        assert (
            page.locator("#there").is_visible() and not page.locator(".outcome").last.is_visible()
        )
        page.wait_for_function("scrollY > 0")
        assert trouble == []


def test_a_question_is_answered_at_once(built: Path, chromium: Any) -> None:
    with opened(built, chromium) as (page, trouble):
        box = page.locator(".recall")
        assert "says so" not in box.inner_text()
        box.get_by_role("button", name="a wish").click()
        assert "✗ not so. The answer is: a figure held against ours." in box.inner_text()
        box.get_by_role("button", name="a figure").click()
        assert "✓ right. Lesson 00 says so." in box.inner_text() and trouble == []


def test_on_paper_questions_have_their_options_and_their_answers(
    built: Path, chromium: Any
) -> None:
    with opened(built, chromium) as (page, trouble):
        article = page.locator("article")
        assert "falls · it's" not in words(article), "on the screen they are buttons"
        page.get_by_role("button", name="a wish").click()
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        for text in ("falls · it's", "yes · no", "a wish · a figure", "Lesson 00 says so.", "3.00"):
            assert words(article).count(text) == 1, text
        assert page.locator("button:visible, .row:visible").count() == 0 and trouble == []


def words(article: Any) -> str:
    """What can be read, each gap as one space."""
    return " ".join(article.inner_text().split())


def test_without_a_script_everything_can_be_read(built: Path, chromium: Any) -> None:
    with opened(built, chromium, java_script_enabled=False) as (page, _):
        text = page.locator("article").inner_text()
        for words in ("3.00 of three", "Measured: 3.", "The finding of three.", "falls · it's"):
            assert words in text.replace("\xa0", " ").replace("  ", " ")
        assert page.locator(".explore svg").count() == 2
        assert page.locator(".explore .widget").first.is_visible()
        assert page.locator("article button:visible, article input").count() == 0
        assert "not attempted" not in text and "make lab" in text
