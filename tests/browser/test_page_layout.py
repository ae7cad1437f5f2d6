"""A lesson's page in a browser: contents beside the text or folded, theme, what was done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distill_lab.course.figures import svg
from distill_lab.course.ledger import load, store
from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages import lesson_page, write_overview
from distill_lab.course.pages.shell import parsed
from tests.course.tiny_ledger import ENTRY as TINY
from tests.course.tiny_ledger import record

ENTRY: dict[str, Any] = {
    "number": "12",
    "minutes": 60,
    "when": "2026-01-02 03:04",
    "seconds": 9.0,
    "profile": "quick",
    "seed": 0,
    "findings": [],
}
PLACES = """() => {
  const place = (name) => document.querySelector(name).getBoundingClientRect();
  const contents = place('.contents'), article = place('article');
  return {beside: contents.right < article.left, left: contents.left,
          open: document.querySelector('.contents details').open,
          page: document.documentElement.scrollWidth, view: document.documentElement.clientWidth};
}"""
PRESENT = ".contents [aria-current=location]"


@pytest.fixture(scope="module")
def with_scroll_bars(browser_path: str) -> Iterator[Any]:
    """A browser whose scroll bars take room, as on most desks."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(
            executable_path=browser_path,
            args=["--no-sandbox"],
            ignore_default_args=["--hide-scrollbars"],
        )


@pytest.fixture
def address(tmp_path: Path) -> str:
    lesson = LessonFile("12_temperature", tmp_path / "12_temperature.ipynb", {"title": "T"})
    headings = "".join(
        f"<h2 id='h{i}'>{i} · A heading of several longer words</h2><p>{'text ' * 260}</p>"
        for i in range(9)
    )
    page_file = tmp_path / "page.html"
    html = lesson_page(parsed(headings), lesson, ENTRY, [lesson])
    page_file.write_text(html, encoding="utf-8")
    return page_file.as_uri()


@pytest.mark.parametrize("width", [360, 1240, 1247, 1248, 1250, 1264, 1280, 1296, 1300, 1600])
def test_the_table_of_contents_is_never_cut(
    with_scroll_bars: Any, address: str, width: int
) -> None:
    page = with_scroll_bars.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    places = page.evaluate(PLACES)
    page.close()
    assert places["page"] <= places["view"] < width, "the page needs no sideways scrolling"
    assert places["left"] >= 0
    assert places["beside"] is (width >= 1248)
    assert places["open"] is places["beside"], "above the text it is folded"


def test_the_contents_show_the_present_section(with_scroll_bars: Any, address: str) -> None:
    page = with_scroll_bars.new_page(viewport={"width": 1280, "height": 600})
    page.goto(address)
    assert page.locator(PRESENT).count() == 1
    for number in (4, 8, 2):
        page.evaluate(f"document.getElementById('h{number}').scrollIntoView()")
        page.wait_for_function(f"document.querySelector('{PRESENT}').hash === '#h{number}'")
        box = page.locator(PRESENT).bounding_box()
        assert 0 <= box["y"] <= 580, "and keep it in sight"
    page.close()


def test_on_a_phone_the_contents_open_and_close(with_scroll_bars: Any, address: str) -> None:
    page = with_scroll_bars.new_page(viewport={"width": 360, "height": 700})
    page.goto(address)
    page.locator(".contents summary").press("Enter")
    page.locator(".contents a").nth(5).press("Enter")
    page.wait_for_function("scrollY > 100 && !document.querySelector('.contents details').open")
    bar = page.locator(".bar").bounding_box()
    assert bar["height"] <= 60, "the bar leaves the room to the text"
    page.close()


def test_the_theme_follows_the_system_until_chosen_and_is_remembered(
    with_scroll_bars: Any, address: str
) -> None:
    context = with_scroll_bars.new_context(color_scheme="dark")
    page = context.new_page()
    paper = "getComputedStyle(document.body).backgroundColor"
    page.goto(address)
    night = page.evaluate(paper)
    assert page.locator(".theme").inner_text() == "Light"
    page.locator(".theme").press("Enter")
    day = page.evaluate(paper)
    page.reload()
    assert page.evaluate(paper) == day != night
    page.emulate_media(color_scheme="light")
    page.evaluate("localStorage.clear()")
    page.reload()
    assert page.evaluate(paper) == day
    context.close()


def test_what_was_done_is_remembered_and_can_be_taken_back(
    with_scroll_bars: Any, address: str
) -> None:
    context = with_scroll_bars.new_context()
    page = context.new_page()
    page.goto(address)
    mark = page.locator("article .done")
    assert mark.is_hidden()
    page.locator(".finish").press("Enter")
    page.reload()
    assert "done" in mark.inner_text()
    page.locator(".finish").press("Enter")
    page.reload()
    assert mark.is_hidden()
    context.close()


def test_the_map_goes_on_behind_what_is_done(with_scroll_bars: Any, tmp_path: Path) -> None:
    lessons = [
        LessonFile(name, tmp_path / f"{name}.ipynb", {"title": f"{name}: more"})
        for name in ("00_a", "11_b", "12_c", "13_d")
    ]
    headings = "".join(f"<h2 id='h{i}'>{i}</h2><p>{'text ' * 999}</p>" for i in range(3))
    for lesson in (lessons[0], *lessons[2:]):  # 11 was not run
        store(tmp_path, lesson.name, TINY, [])
        html = lesson_page(parsed(headings), lesson, ENTRY, lessons)
        (tmp_path / f"{lesson.name}.html").write_text(html, encoding="utf-8")
    write_overview(tmp_path, lessons, load(tmp_path))
    context = with_scroll_bars.new_context(viewport={"width": 1280, "height": 600})
    page = context.new_page()

    overview = (tmp_path / "index.html").as_uri()
    in_another_tab = context.new_page()
    in_another_tab.goto(overview)

    def goes_on(link: list[str]) -> None:
        """The map has this link behind "Start" and no other, opened now and in another tab."""
        page.goto(overview)
        for shown in (page, in_another_tab):
            shown.wait_for_function(
                """link => JSON.stringify([...document.querySelectorAll('.again')].flatMap(
                    (a) => [a.textContent, a.getAttribute('href')])) === JSON.stringify(link)""",
                arg=link,
            )

    goes_on([])
    there = {"00_a": "12_c.html", "12_c": "13_d.html", "13_d": ""}
    for name, after in there.items():
        page.goto((tmp_path / f"{name}.html").as_uri())
        page.evaluate("document.getElementById('h2').scrollIntoView()")
        page.wait_for_function(f"document.querySelector('{PRESENT}').hash === '#h2'")
        goes_on([f"Go on with {name}", f"{name}.html#h2"])
        page.goto((tmp_path / f"{name}.html").as_uri())
        page.locator(".finish").press("Enter")
        goes_on([f"Go on with {after.removesuffix('.html')}", after] if after else [])
    context.close()


def test_without_a_script_the_page_reads_all_the_same(with_scroll_bars: Any, address: str) -> None:
    context = with_scroll_bars.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert (
        page.locator(".contents a").count() == 9 and page.locator(".contents a").first.is_visible()
    )
    assert page.locator("button:visible").count() == 0
    context.close()


@pytest.mark.parametrize("width", [320, 360, 390])
def test_on_a_phone_the_bar_is_one_line_and_wide_things_scroll_in_their_box(
    with_scroll_bars: Any, tmp_path: Path, width: int
) -> None:
    names = ("11_a", "12_b", "21_c")
    lessons = [
        LessonFile(name, tmp_path / f"{name}.ipynb", {"title": "A long title " * 4})
        for name in names
    ]
    wide = svg.picture(800, 100, "a wide picture", svg.text(0, 20, "words", size=12))
    table = f"<table><tr>{'<td>79.0&nbsp;%</td>' * 12}</tr></table>"
    body = (
        f"<div class='output'>{wide}</div><div class='output'>{table}</div><pre>{'x' * 200}</pre>"
        f"<ul><li>See <a href='#'>https://example.org/{'long' * 20}</a></li></ul>"
        f"<p><code>{'name_' * 20}</code></p>"
    )
    page_file = tmp_path / "page.html"
    page_file.write_text(lesson_page(parsed(body), lessons[1], ENTRY, lessons), encoding="utf-8")
    page = with_scroll_bars.new_page(viewport={"width": width, "height": 800})
    page.goto(page_file.as_uri())
    places = page.evaluate(
        """() => ({page: document.documentElement.scrollWidth,
          bar: document.querySelector('.bar').clientHeight,
          view: document.documentElement.clientWidth,
          text: 12 * document.querySelector('.output svg').getBoundingClientRect().width / 800,
          focus: [...document.querySelectorAll('.output, pre')].map((box) => box.tabIndex)})"""
    )
    page.close()
    assert places["page"] <= places["view"] and places["bar"] <= 60
    assert places["text"] >= 8 and places["focus"] == [0, 0, 0]


UNITS = ("points", "group size times accuracy where direct answers begin to survive")


@pytest.mark.parametrize(("width", "media"), [(1280, "screen"), (1120, "screen"), (1000, "print")])
def test_a_claim_with_a_long_unit_is_not_cut(
    with_scroll_bars: Any, tmp_path: Path, width: int, media: str
) -> None:
    lesson = LessonFile("11_soft", tmp_path / "11_soft.ipynb", {"title": "T"})
    ours = "With the teacher the student is right in 82.4 % of the test, alone in 79.9 %. " * 2
    claims = [record(f"11.{i}", unit=unit, ours=ours) for i, unit in enumerate(UNITS)]
    claims.append(record("11.e", unit=UNITS[1], low=None, high=None, mean=-1234.5))
    store(tmp_path, "11_soft", TINY, claims)
    write_overview(tmp_path, [lesson], load(tmp_path))
    page = with_scroll_bars.new_page(viewport={"width": width, "height": 800})
    page.emulate_media(media=media)
    page.goto((tmp_path / "claims.html").as_uri())
    assert page.evaluate("(b => b.scrollWidth <= b.clientWidth)(document.querySelector('.scroll'))")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    figures = page.locator(".figure").all_inner_texts()
    assert figures[1].replace("\xa0", "_").startswith("−2.50_[−4.00,_−1.00]")
    wide = page.eval_on_selector_all("td:nth-child(3)", "all => all.map(td => td.clientWidth)")
    assert min(wide) > 120, "several words of what was measured here stand on a line"
    page.close()


def test_on_paper_answers_are_open_code_wraps_and_buttons_are_gone(
    with_scroll_bars: Any, tmp_path: Path
) -> None:
    lesson = LessonFile("11_a", tmp_path / "11_a.ipynb", {"title": "T"})
    body = (
        "<details><summary>Solution</summary><p id='answer'>42</p></details>"
        f"<div class='source'><pre>{'word ' * 200}</pre></div><input type='range'>"
    )
    page_file = tmp_path / "page.html"
    page_file.write_text(lesson_page(parsed(body), lesson, ENTRY, [lesson]), encoding="utf-8")
    page = with_scroll_bars.new_page(viewport={"width": 700, "height": 800})
    page.goto(page_file.as_uri())
    assert not page.locator("#answer").is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#answer").is_visible()
    assert page.locator("button:visible, input:visible, .bar:visible").count() == 0
    assert page.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('pre'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert not page.locator("#answer").is_visible()
    page.close()
