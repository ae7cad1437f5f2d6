"""No barrier on a page: every text stands out in both themes, and axe finds nothing serious."""

import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from distill_lab.course import journal, progress, records
from distill_lab.course.classroom import grade
from distill_lab.course.figures import svg
from distill_lab.course.figures.explorer import render_softened, render_temperature
from distill_lab.course.ledger import load, store
from distill_lab.course.lessons import LessonFile, read_lesson
from distill_lab.course.pages import write_lesson, write_overview
from tests.browser.barriers import barriers, contrast

COLOURS = (
    svg.TEACHER,
    svg.STUDENT,
    svg.HARD,
    svg.GREEN,
    svg.PURPLE,
    svg.YELLOW,
    svg.SKY,
    svg.MUTED,
)
LOGITS = [2.0, 1.0, -1.0, 0.5]
IMAGE = [[0.0, 0.5], [1.0, 0.2]]
ENTRY: dict[str, Any] = {
    "title": "Soft targets",
    "number": "11",
    "minutes": 45,
    "can_do": ["read a soft target", "say what T does"],
    "course": True,
    "status": "passed",
    "when": "2026-01-02 03:04",
    "seconds": 9.0,
    "profile": "quick",
    "seed": 0,
    "findings": [],
}
CLAIM: dict[str, Any] = {
    "says": "soft targets help where labels are few",
    "paper": "Hinton, Vinyals & Dean 2015",
    "where": "section 3",
    "published": "13.2 %",
    "ours": "11.9 %",
    "unit": "points",
    "mean": -2.5,
    "low": -4.0,
    "high": -1.0,
    "interval_kind": "paired Student-t, 95 %",
    "n": 10,
    "wins": 9,
    "negative": True,
    "seconds": 3.0,
}
VERDICTS = ("holds", "does not hold here", "cannot be resolved here")


@pytest.fixture(params=["light", "dark"])
def opened(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Callable[[str], Any]]:
    """Opens a page, given as its HTML or as its address, in each theme."""
    page = chromium.new_page(color_scheme=request.param, viewport={"width": 1280, "height": 900})

    def show(source: str) -> Any:
        page.goto(source) if source.startswith("file:") else page.set_content(source)
        return page

    yield show
    page.close()


def fragments() -> list[str]:
    """What the kit draws and shows."""
    samples = "".join(svg.text(10, 20 + 16 * i, f"as {c}", color=c) for i, c in enumerate(COLOURS))
    shades = "".join(
        svg.rect(120, 8 * i, 60, 8, f"#{3 * i:02x}{5 * i:02x}{6 * i:02x}")
        + svg.text(
            125, 8 * i + 7, i, size=8, color=svg.ink_on(f"#{3 * i:02x}{5 * i:02x}{6 * i:02x}")
        )
        for i in range(40)
    )
    body = records.badge("✓", "holds", colour=records.GREEN) + records.small("small print")
    body += records.table(["a", "b"], [["1", "2"]])
    return [
        render_softened(IMAGE, LOGITS, T=2.0, label=1),
        render_temperature(IMAGE, LOGITS, LOGITS[::-1], 1, T=2.0),
        svg.picture(200, 330, "every colour as text, and text on every shade", samples, shades),
        svg.picture(200, 40, "a row that is marked", svg.rect(0, 0, 200, 40, svg.BAND), samples),
        f"<div>a line outside of any card{records.small('small print')}</div>",
        *(
            records.card(body, colour=colour, label="a card")
            for colour in (records.GREEN, records.ORANGE, records.PURPLE, records.SKY, records.GREY)
        ),
    ]


def test_whatever_the_kit_shows_is_readable_in_both_themes_of_the_lab(
    opened: Callable[[str], Any],
) -> None:
    lab = (
        "<style>:root { color-scheme: light dark } body { background: light-dark(#fff, #111);"
        "color: light-dark(#000, #e0e0e0) }</style>"
    )
    page = opened(lab + "".join(f"<div>{fragment}</div>" for fragment in fragments()))
    checked, faults = contrast(page)
    assert checked > 120 and faults == []


@pytest.mark.parametrize(
    "faint",
    [
        '<p style="color:#666">pale</p>',
        '<svg><text y="20" fill="#1F2328">x</text></svg>',
        f'<svg>{svg.rect(0, 0, 99, 40, svg.TEACHER)}<text y="20" fill="#fff">x</text></svg>',
        f'<svg style="background:#fff"><text y="20" fill="{svg.TEACHER}">x</text></svg>',
        '<div style="opacity:.5;color:#333;background:#fff">x</div>',
    ],
)
def test_a_text_too_faint_is_found(chromium: Any, faint: str) -> None:
    page = chromium.new_page(color_scheme="dark")
    page.set_content(f'<body style="background:#111;color:#eee"><p>good</p>{faint}')
    checked, faults = contrast(page)
    page.close()
    assert checked == 2 and len(faults) == 1


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a course of two lessons, with all that a page can show."""
    out = tmp_path_factory.mktemp("course")
    prose = (
        "# Soft targets\n\nA <dfn>soft target</dfn> is the teacher's $p_i(T)$ with `code`.\n\n"
        "## 1 · A table\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n"
        "<details>\n<summary>Hint</summary>\n\nDivide by $T$.\n\n```python\nx = 1  # why\n```\n\n"
        "</details>\n\n### Exercise\n\nDo it.\n\n$$\nL = \\alpha\\,\\mathrm{KL}\n$$\n"
    )
    long = "value = " + " + ".join(f"'{i}'" for i in range(60)) + "  # a line that scrolls"
    shown = [new_output("display_data", {"text/html": str(fragment)}) for fragment in fragments()]
    stream = new_output("stream", name="stderr", text="\x1b[31mred\x1b[0m \x1b[33myellow\x1b[0m")
    cells = [new_markdown_cell(prose), new_code_cell(long, outputs=[*shown, stream])]
    lessons = []
    for name, needs in (("11_soft", []), ("12_temp", ["11"])):
        about = {"title": f"{name}: a lesson", "minutes": 45, "part": 1, "needs": needs}
        about["can_do"] = ENTRY["can_do"]
        nb = new_notebook(cells=cells, metadata={"distill_lab": about})
        cells = [new_markdown_cell("# Next\n\nEach soft target is shown again.")]
        nbformat.write(nb, out / f"{name}.ipynb")
        lessons.append(read_lesson(out / f"{name}.ipynb"))
    for lesson in lessons:
        claims = [
            {**CLAIM, "id": f"{lesson.number}.{i}", "verdict": v} for i, v in enumerate(VERDICTS)
        ]
        store(out, lesson.name, {**ENTRY, "number": lesson.number}, claims)
        assert write_lesson(out, lesson, lessons) == []
    write_overview(out, [*lessons, LessonFile("20_new", out / "20_new.ipynb")], load(out))
    return out


@pytest.mark.parametrize("name", ["index", "claims", "glossary", "11_soft", "12_temp"])
def test_the_pages_have_no_barrier_in_either_theme(
    opened: Callable[[str], Any], course: Path, name: str
) -> None:
    page = opened((course / f"{name}.html").as_uri())
    page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
    assert barriers(page) == []
    checked, faults = contrast(page)
    assert checked > 5 and faults == []


def own_pages(lesson: LessonFile) -> dict[str, str]:
    """A reader's page of progress, and a teacher's of grades, each with a table of many words."""
    words = "The optimizer gets `student.parameters()`, and no more: what does it leave out?"
    facts = dict.fromkeys(("id", "question", "choice", "answer", "why"), words)
    event = {"event": "prediction", "lesson": "11", "right": False, "misjudged": "", **facts}
    done = progress.measure([lesson], journal.Log((event,)), date(2026, 1, 2))
    ann = grade.Student("ann", {"11 soften": "wrong"}, {"11 soften": words}, troubles=[words])
    lessons = [LessonFile(f"{n}_x", lesson.path.with_name(f"{n}_x.ipynb")) for n in range(11, 15)]
    for other in lessons:
        code = new_code_cell("\n".join(f"check.e{other.number}{i}(f)" for i in range(8)))
        nbformat.write(new_notebook(cells=[code]), other.path)
    return {"progress": progress.as_html(done), "grades": grade.as_page([ann], [lesson, *lessons])}


@pytest.mark.parametrize("name", ["progress", "grades"])
def test_progress_and_grades_can_be_read_in_both_themes_and_on_a_phone(
    opened: Callable[[str], Any], tmp_path: Path, name: str
) -> None:
    nbformat.write(new_notebook(cells=[new_code_cell("check.soften(f)")]), tmp_path / "11_a.ipynb")
    page = opened(own_pages(read_lesson(tmp_path / "11_a.ipynb"))[name])
    checked, faults = contrast(page)
    assert checked > 10 and faults == [] and barriers(page) == []
    assert "`" not in page.locator("main").inner_text()
    for width in (1280, 768, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def test_the_map_marks_what_the_readers_journal_closed(
    opened: Callable[[str], Any], course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "journal.jsonl"
    journal.append(log, {"event": "closed", "lesson": "12"})
    monkeypatch.setenv("DISTILL_LAB_JOURNAL", str(log))
    lessons = [read_lesson(course / f"{name}.ipynb") for name in ("11_soft", "12_temp")]
    shutil.copytree(course, tmp_path / "pages")
    write_overview(tmp_path / "pages", lessons, load(tmp_path / "pages"))
    page = opened((tmp_path / "pages" / "index.html").as_uri())
    assert page.locator(".count").inner_text().startswith("You have done 1 of 2")
    assert page.locator(".card.did").get_attribute("data-lesson") == "12_temp"
