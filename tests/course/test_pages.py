"""Pages: nothing fetched, formulas drawn, alt text kept, hints closed, links right."""

import base64
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from distill_lab.course.ledger import load, store
from distill_lab.course.lessons import LessonFile
from distill_lab.course.pages import (
    alive,
    external_loads,
    lesson_body,
    lesson_page,
    unread_formulas,
    write_lesson,
    write_overview,
)
from distill_lab.course.pages.alive import EXPLORE_MIME
from distill_lab.course.pages.course_map import course_map, part_names
from distill_lab.course.pages.font import font_face
from distill_lab.course.pages.maths import to_mathml
from distill_lab.course.pages.plot import interval_plot
from distill_lab.course.pages.shell import parsed
from distill_lab.course.pages.tidy import tidy
from distill_lab.course.records import MIME

sys.path.append(str(Path(__file__).parent))
from tiny_ledger import ENTRY, fill, record

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


def shown(data: dict[str, Any], **metadata: Any) -> NotebookNode:
    return new_code_cell("x", outputs=[new_output("display_data", data, metadata=metadata)])


def body(*cells: NotebookNode, folder: Path = Path(), **metadata: Any) -> BeautifulSoup:
    return lesson_body(new_notebook(cells=list(cells), metadata=metadata), folder)


def prose(source: str, folder: Path = Path()) -> BeautifulSoup:
    return body(new_markdown_cell(source), folder=folder)


@pytest.mark.parametrize(
    "latex",
    [
        r"p_i(T) = \frac{\exp(z_i / T)}{\sum_j \exp(z_j / T)}",
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        r"\begin{cases} a & x > 0 \\ b & \text{otherwise} \end{cases}",
        r"\mathrm{KL}\big(p \,\big\|\, q\big)",
        r"\left\lVert z - v \right\rVert_2^2",
        r"\operatorname*{arg\,max}_i z_i + \arg\max_j v_j",
        r"\mathbb{E}_{x \sim p}\left[\log \tfrac{p}{q}\right] \approx \nabla_\theta \mathcal{L}",
        r"\underbrace{\alpha T^2 \mathrm{KL}}_{\text{soft}} + (1 - \alpha)\,\mathrm{CE}",
        r"\hat{y}, \bar{z}, \boldsymbol{z}, \lim_{T \to \infty}, 90\,\%, x^\top y, \dots",
    ],
)
def test_the_courses_formulas_become_mathml(latex: str) -> None:
    markup = parsed(to_mathml(latex, block=True))
    assert markup.math["display"] == "block" and markup.math["alttext"]
    assert "\\" not in markup.get_text() and "&" not in markup.get_text()


def test_a_formula_that_cannot_be_drawn_is_shown_and_told() -> None:
    soup = prose(r"The loss $\nosuch{x}$ and $T^2$.")
    assert unread_formulas(soup) == [r"\nosuch{x}"]
    assert len(soup.find_all("math")) == 1


def test_formulas_in_prose_in_raw_html_and_in_headings() -> None:
    soup = prose(
        "## Why $T^2$\n\nInline $a_i$ and\n\n$$\nb_i = c\n$$\n\n"
        "<details>\n<summary>Hint: $T^2$?</summary>\n\nDivide by $T$.\n\n</details>"
    )
    assert len(soup.find_all("math")) == 5
    assert soup.h2.find("math") and soup.summary.find("math")
    assert "$" not in soup.get_text()


def test_dollars_in_code_stay_dollars() -> None:
    soup = prose(
        "<div>cost <code>$a and $b</code></div>\n\n`echo $HOME $PATH`\n\n```sh\n$x $y\n```"
    )
    assert not soup.find("math") and soup.get_text().count("$") == 6


def test_what_a_hint_hides_stays_inside_it() -> None:
    soup = prose(
        "<details>\n<summary>Hint</summary>\n\nDivide **both**.\n\n<details>\n<summary>Solution"
        "</summary>\n\n```python\nreturn 1\n```\n\n</details>\n\n</details>\n\nAfter."
    )
    outer, inner = soup.find_all("details")
    assert inner in outer.descendants and "Divide" in outer.get_text()
    assert "return 1" in inner.get_text() and "After" not in outer.get_text()


def test_alt_text_is_kept_and_html_wins_over_text() -> None:
    figure = {"text/html": '<img alt="flatter with T" src="data:,x">', "text/plain": "flatter"}
    soup = body(
        shown(figure),
        shown({"image/png": "aGk=\n", "text/plain": "<Figure>"}, **{"image/png": {"alt": "a bar"}}),
        shown({"image/png": "aGk="}),
    )
    assert [image["alt"] for image in soup.find_all("img")] == ["flatter with T", "a bar", ""]
    assert "Figure" not in soup.get_text()


def test_a_widget_without_kernel_says_so_in_a_line() -> None:
    state = {
        "box": {"model_name": "VBoxModel", "state": {"children": ["IPY_MODEL_slider"]}},
        "slider": {"model_name": "FloatSliderModel", "state": {}},
        "button": {"model_name": "ButtonModel", "state": {}},
    }
    soup = body(
        shown({VIEW: {"model_id": "box"}, "text/plain": "VBox(children=...)"}),
        shown({VIEW: {"model_id": "button"}, "text/plain": "Button()"}),
        shown({VIEW: {"model_id": "box"}, "text/html": "<b>card</b>"}),
        widgets={STATE: {"state": state}},
    )
    notes = [note.get_text() for note in soup.select(".widget")]
    assert "Above is one of its pictures" in notes[0]
    assert "make lab" in notes[1] and len(notes) == 2
    assert soup.b.get_text() == "card", "a result with words of its own is shown by them"
    assert "VBox" not in soup.get_text() and not soup.find("script")


def test_scripts_are_dropped_and_images_beside_the_notebook_embedded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    soup = prose("![a figure](a.png)\n\n<script src='https://example.org/x.js'></script>", tmp_path)
    assert base64.b64encode(b"picture").decode() in soup.img["src"]
    assert soup.img["alt"] == "a figure" and external_loads(soup) == []


@pytest.mark.parametrize(
    "html",
    [
        '<img src="http://a/b.png">',
        '<script src="//a/b.js"></script>',
        '<link rel="stylesheet" href="https://a/b.css">',
        '<img srcset="https://a/b.png 2x">',
        "<style>@import 'https://a/b.css';</style>",
        '<p style="background: url(https://a/b.png)">',
        '<img src="missing.png">',
    ],
)
def test_whatever_a_page_would_fetch_is_found(html: str) -> None:
    assert len(external_loads(parsed(html))) == 1


def test_links_to_click_and_data_are_no_fetch() -> None:
    html = '<a href="https://a">x</a><img src="data:image/png;base64,x">'
    assert external_loads(parsed(html)) == []


def test_streams_show_as_a_terminal_would() -> None:
    outputs = [
        new_output("stream", name="stdout", text="step 1\rstep 2"),
        new_output("stream", name="stdout", text="\rstep 3\ndone <b>\n"),
        new_output("stream", name="stderr", text="\x1b[31mred\x1b[0m"),
    ]
    soup = body(new_code_cell("x", outputs=outputs))
    assert [pre.get_text() for pre in soup.select("pre.output")] == ["step 3\ndone <b>", "red"]


def test_the_injected_cell_is_one_quiet_line() -> None:
    cell = new_code_cell("# Parameters\nPROFILE = 'quick'\nSEED = 0\n")
    cell.metadata["tags"] = ["injected-parameters"]
    soup = body(cell)
    assert soup.get_text().strip() == "This run set PROFILE = 'quick'; SEED = 0"
    assert not soup.select(".source")


def test_headings_that_repeat_get_anchors_of_their_own() -> None:
    soup = body(new_markdown_cell("## Check\n\n## Check"))
    assert [heading["id"] for heading in soup.find_all("h2")] == ["check", "check-2"]


@pytest.mark.parametrize(
    "latex",
    [
        r"\lVert Y^\top X \rVert_F^2",
        r"\frac{\lVert a \rVert_F}{\lVert b \rVert_F \, \lVert c \rVert_F}",
        r"\sum_n \lVert r(f^{(n)}) - g \rVert^2",
    ],
)
def test_the_bars_of_a_norm_stay_alike(latex: str) -> None:
    bars = [
        mo for mo in parsed(to_mathml(latex, block=True)).find_all("mo") if mo.get_text() == "‖"
    ]
    assert {mo.get("stretchy") for mo in bars} == {"false"}
    assert [mo.get("form") for mo in bars] == ["prefix", "postfix"] * (len(bars) // 2) and bars


def test_bars_that_grow_still_grow_and_that_of_a_divergence_stays() -> None:
    grown = parsed(
        to_mathml(r"\left\lVert \frac{a}{b} \right\rVert_2 + \lVert c \rVert", block=True)
    )
    forms = [(mo["stretchy"], mo["form"]) for mo in grown.find_all("mo") if mo.get_text() == "‖"]
    there = [("true", "prefix"), ("true", "postfix"), ("false", "prefix"), ("false", "postfix")]
    assert forms == there
    assert not parsed(to_mathml(r"\mathrm{KL}(p\,\|\,q)", block=True)).find("mo", form="prefix")


def test_a_page_brings_the_letters_of_its_formulas_and_no_more() -> None:
    assert font_face("<p>no formula</p>") == ""
    css = font_face(to_mathml(r"\alpha T^2 = 16", block=False))
    data = base64.b64decode(css.split("base64,")[1].split(")")[0])
    drawn = TTFont(io.BytesIO(data)).getBestCmap()
    assert {ord(c) for c in "2=16√"} | {0x1D6FC, 0x1D447} <= set(drawn)
    assert len(drawn) < 30 and len(data) < 40_000


@pytest.fixture
def course(tmp_path: Path) -> tuple[Path, list[LessonFile]]:
    """Three lessons of which the first two have been run."""
    names = ("00_start", "11_soft", "12_temp")
    lessons = [
        LessonFile(
            name, tmp_path / f"{name}.ipynb", {"title": f"<{name}>", "can_do": ["do & dare"]}
        )
        for name in names
    ]
    out = tmp_path / "out"
    fill(out)
    store(out, "00_start", ENTRY, [])
    for lesson in lessons[:2]:
        page = lesson_page(parsed("<h2 id='a'>A</h2>"), lesson, ENTRY, lessons)
        (out / f"{lesson.name}.html").write_text(page, encoding="utf-8")
    write_overview(out, lessons, load(out))
    return out, lessons


def soup_of(path: Path) -> BeautifulSoup:
    return parsed(path.read_text("utf-8"))


def test_pages_have_title_language_and_one_main(course: tuple[Path, list[LessonFile]]) -> None:
    out, _ = course
    for path in out.glob("*.html"):
        soup = soup_of(path)
        assert soup.html["lang"] == "en" and "Distill Lab" in soup.title.get_text()
        assert len(soup.find_all("main")) == 1
        assert not soup.find("script", src=True)
        assert external_loads(soup) == []


def test_a_lessons_page_says_the_language_of_its_prose() -> None:
    def language(**about: Any) -> str:
        lesson = LessonFile("11_soft", Path("11_soft.ipynb"), {"title": "Soft", **about})
        return str(parsed(lesson_page(parsed("<p>x</p>"), lesson, ENTRY, [lesson])).html["lang"])

    assert (language(), language(lang="ko"), language(lang="")) == ("en", "ko", "en")


def test_a_lessons_links_to_other_lessons_lead_to_their_pages(tmp_path: Path) -> None:
    links = "[next](12_temp.ipynb), [mine](my.ipynb), [there](./12_temp.ipynb#why)"
    card = shown({"text/html": '<a href="12_temp.ipynb">12</a>'})
    nb = new_notebook(cells=[new_markdown_cell(links), card])
    lessons = [LessonFile(name, tmp_path / f"{name}.ipynb") for name in ("11_soft", "12_temp")]
    nbformat.write(nb, tmp_path / "11_soft.ipynb")
    fill(tmp_path)
    assert write_lesson(tmp_path, lessons[0], lessons) == []
    links = soup_of(tmp_path / "11_soft.html").article.select(".prose a, .output a")
    there = ["12_temp.html", "my.ipynb", "12_temp.html#why", "12_temp.html"]
    assert [link["href"] for link in links] == there


def tidied(*cells: NotebookNode) -> BeautifulSoup:
    soup = body(*cells)
    tidy(soup, [])
    return soup


def test_no_heading_lies_two_levels_below_the_one_before() -> None:
    soup = tidied(new_markdown_cell("# A\n\n### B\n\n## C\n\n#### D\n\n#### E\n\n## F"))
    assert [h.name for h in soup.find_all(re.compile("^h"))] == ["h1", "h2", "h2", "h3", "h4", "h2"]


def test_a_number_keeps_its_unit_on_its_line_but_code_is_left_alone() -> None:
    table = {"text/html": "<table><tr><td>79.0 %</td><td>5 seeds</td></tr></table>"}
    soup = tidied(new_markdown_cell("In 3 s: `x = 5 % 3`, 12 sets, $4 %$"), shown(table))
    assert "79.0\u00a0%" in soup.table.get_text() and "5\u00a0seeds" in soup.table.get_text()
    assert "3\u00a0s:" in soup.get_text() and "12 sets" in soup.get_text()
    assert soup.code.get_text() == "x = 5 % 3"


def test_every_link_between_pages_leads_somewhere(course: tuple[Path, list[LessonFile]]) -> None:
    out, _ = course
    for path in out.glob("*.html"):
        for link in soup_of(path).find_all("a", href=True):
            file, _, fragment = str(link["href"]).partition("#")
            if file.endswith(".html") or not file:
                target = soup_of(out / file if file else path)
                assert not fragment or target.find(id=fragment), link


def test_neighbours_appear_once_their_pages_exist(course: tuple[Path, list[LessonFile]]) -> None:
    out, lessons = course
    assert [a["href"] for a in soup_of(out / "11_soft.html").select("nav.beside a")] == [
        "00_start.html"
    ]
    (out / "12_temp.html").write_text((out / "11_soft.html").read_text("utf-8"), encoding="utf-8")
    write_overview(out, lessons, load(out))
    bar = soup_of(out / "11_soft.html").select("nav.beside a")
    assert [a["href"] for a in bar] == ["00_start.html", "12_temp.html"]
    assert [a["rel"] for a in bar] == [["prev"], ["next"]]


def test_a_lesson_links_no_page_that_is_not_there(course: tuple[Path, list[LessonFile]]) -> None:
    out, lessons = course
    links = (
        "<a class='x' href='11_soft.ipynb'>11</a> [12](12_temp.ipynb#why) `a href=\"12_temp.html\"`"
    )
    table = {"text/html": '<table><td><a href="12_temp.ipynb">12</a></td></table>'}
    nb = new_notebook(cells=[new_markdown_cell(links), shown(table)])
    nbformat.write(nb, out / "00_start.ipynb")
    start = LessonFile("00_start", out / "00_start.ipynb", {"needs": ["12"]})

    def leads() -> list[str]:
        write_overview(out, [start, *lessons[1:]], load(out))
        links = soup_of(out / "00_start.html").select("article > :not(footer) a[href*='_']")
        return [str(a["href"]) for a in links if not a.has_attr("download")]

    write_lesson(out, start, [start, *lessons[1:]])
    assert leads() == ["11_soft.html"], "12 has no page"
    assert "12" in soup_of(out / "00_start.html").table.get_text()
    (out / "12_temp.html").write_text("12", encoding="utf-8")
    there = ["12_temp.html", "11_soft.html", "12_temp.html#why", "12_temp.html"]
    assert leads() == leads() == there
    (out / "12_temp.html").unlink()
    assert leads() == ["11_soft.html"]


def test_the_course_map_tells_what_each_lesson_came_to(
    course: tuple[Path, list[LessonFile]],
) -> None:
    out, lessons = course
    start, soft, temp = soup_of(out / "index.html").select("li.card")
    assert "do & dare" in start.get_text() and "<00_start>" in start.get_text()
    assert [chip.get_text() for chip in soft.select(".chip")] == [
        "1 holds",
        "1 cannot be resolved here",
    ]
    assert temp.select_one(".status").get_text() == "failed"
    assert not temp.select_one("h3 a"), "no link to a page that is not there"
    store(out, "99_gone", {**ENTRY, "title": "Run by path"}, [])
    write_overview(out, [*lessons, LessonFile("20_new", out / "n.ipynb", {})], load(out))
    text = soup_of(out / "index.html").get_text()
    assert "not run yet" in text and "Run by path" in text


def test_the_ledger_page_holds_every_part_of_a_claim(course: tuple[Path, list[LessonFile]]) -> None:
    out, _ = course
    row = soup_of(out / "claims.html").find(id="12.a")
    text = " ".join(row.get_text(" ").split())
    parts = ["what 12.a says", "13.2 %", "Hinton, Vinyals & Dean 2015", "section 3", "11.9 %"]
    parts += ["−2.50 [−4.00, −1.00] points", "paired Student-t, 95 %", "9 of 10", "3.0 s"]
    parts += ["does not hold here", "a limit: what does not help"]
    assert [part for part in parts if part not in text] == []
    assert row.svg["role"] == "img" and "-4 to -1" in row.svg["aria-label"]


def test_the_ledger_page_has_true_minus_signs_in_every_column(tmp_path: Path) -> None:
    claim = record("11.a-1", ours="3 % after -4.2 [-5, 1]", published="8 % after -7.6")
    store(tmp_path, "11_soft", ENTRY, [claim])
    write_overview(tmp_path, [], load(tmp_path))
    text = soup_of(tmp_path / "claims.html").find(id="11.a-1").get_text(" ")
    assert "after −4.2 [−5, 1]" in text and "after −7.6" in text and "11.a-1" in text


def test_a_claims_words_cannot_break_the_page(tmp_path: Path) -> None:
    bad = record("11.a", finding="<script>x</script>", says="<script>", published="<b>")
    store(tmp_path, "11_soft", ENTRY, [bad])
    write_overview(tmp_path, [], load(tmp_path))
    soup = soup_of(tmp_path / "claims.html")
    assert not soup.main.find("script") and "<script>x</script>" in soup.main.get_text()


@pytest.mark.parametrize(
    ("expected", "bound", "side"), [("above", 1.0, "right"), ("below", 1.0, "left")]
)
def test_the_drawing_shades_the_expected_side(expected: str, bound: float, side: str) -> None:
    claim = {"low": 0.5, "mean": 2.0, "high": 3.0, "expected": expected, "threshold": bound}
    rect = parsed(interval_plot(claim)).rect
    starts, ends = float(rect["x"]), float(rect["x"]) + float(rect["width"])
    assert (ends if side == "right" else 180 - starts) == pytest.approx(170, abs=0.2)
    assert float(rect["width"]) > 20


def test_no_drawing_without_figures() -> None:
    assert interval_plot({"low": None, "mean": 1.0, "high": 2.0}) == ""
    assert interval_plot({"low": float("nan"), "mean": 1.0, "high": 2.0}) == ""


def test_a_failed_lesson_says_why_at_the_top() -> None:
    lesson = LessonFile("11_soft", Path("11_soft.ipynb"), {"title": "Soft"})
    finding = {"kind": "warning", "sentence": "cell 3 (`a < b`) warned"}
    entry = {**ENTRY, "findings": [finding]}
    alert = parsed(lesson_page(parsed("<p>x</p>"), lesson, entry, [lesson])).aside
    assert alert["role"] == "alert" and "did not pass" in alert.get_text()
    assert alert.code.get_text() == "a < b"


def live(**stored: Any) -> NotebookNode:
    """A cell with a live picture of two states."""
    control = {"name": "x", "label": "the <x>", "kind": "range", "texts": ["1", "</script>"]}
    control |= {"code": ["1", "2"], "start": 1, "of": 3}
    data = {"name": "f", "width": 20, "height": 10, "controls": [control], "broken": []}
    data |= {"first": "<svg></svg>", "states": "H4sI"}
    return shown({EXPLORE_MIME: data | stored, VIEW: {"model_id": "box"}, "text/plain": "f(x=1)"})


def test_a_live_picture_is_in_the_page_with_its_states_and_its_first_picture() -> None:
    soup = body(live())
    [explorer] = soup.select(".explore")
    assert explorer.svg and "need a script" in explorer.select_one(".widget").get_text()
    assert explorer.select_one(".dl-call").get_text() == "f(x=2)"
    assert "2 of 3 values of the <x>" in explorer.select_one(".thinned").get_text()
    data, script = soup.find_all("script")
    assert json.loads(data.get_text())["controls"][0]["texts"] == ["1", "</script>"]
    assert "DecompressionStream" in str(script.string)
    assert parsed(str(soup)).find_all("script")[0].get_text() == data.get_text()


def test_a_page_with_nothing_alive_has_no_script() -> None:
    assert not prose("Words.").find("script")


def test_states_that_raise_or_are_too_large_are_faults() -> None:
    nb = new_notebook(cells=[live(broken=["f(x=2): ValueError: no"]), live(states="x" * 10**6)])
    soup = lesson_body(nb, Path())
    (wrong, sentence), (large, size) = alive.faults(nb, soup)
    assert (wrong, large) == ("picture not drawn", "page too large")
    assert "f(x=2): ValueError: no" in sentence and "page={…}" in size
    assert alive.faults(new_notebook(cells=[live()]), body(live())) == []


def asked(id: str = "11.a", stage: str = "asked", **more: Any) -> NotebookNode:
    record = {"kind": "predict", "stage": stage, "id": id, "question": "What?"}
    record |= {"options": ["up", "down"], "predicted": "up", "automatic": True, **more}
    return shown({MIME: record, "text/html": "answered by itself", "text/plain": "x"})


def test_what_a_prediction_folds() -> None:
    spoiler, exercise = new_code_cell("train()"), new_code_cell("check.mine(f)")
    soup = body(
        asked(),
        new_markdown_cell("between"),
        spoiler,
        exercise,
        asked(stage="revealed", answer="down", why="it fell"),
        new_markdown_cell("It fell."),
        new_code_cell("lesson.claim()"),
        new_markdown_cell("It is so.\n\n## Next\n\nOpen."),
        new_code_cell("open_()"),
    )
    folded = [tag.get_text().strip() for tag in soup.select("[data-fold]")]
    assert folded[0] == "train()" and "it fell" in folded[1]
    assert folded[2:] == ["It fell.", "lesson.claim()", "It is so."]
    assert "by itself" not in soup.get_text() and "predicted" not in soup.select("main, .outcome")


def folded_by(*cells: NotebookNode) -> list[str]:
    """What is folded, as its text in one line."""
    tags = body(*cells).select("[data-fold]")
    return [" ".join(tag.get_text(" ").split()) for tag in tags]


def test_what_is_said_of_a_folded_cell_is_folded_with_it() -> None:
    prose = [new_markdown_cell(f"said {i}") for i in range(5)]
    folded = folded_by(
        asked(),
        prose[0],  # of the question, or of what comes
        new_code_cell("train"),
        prose[1],
        prose[2],
        new_code_cell("show"),
        prose[3],  # of the exercise, which stays
        new_code_cell("check.mine(f)"),
        prose[4],
        asked(stage="revealed", answer="down"),
    )
    assert folded[:4] == ["train", "said 1", "said 2", "show"] and len(folded) == 5
    assert "outcome" in folded[4]


def test_a_heading_before_an_outcome_is_not_folded_nor_what_follows_it() -> None:
    folded = folded_by(
        asked(),
        new_code_cell("train"),
        new_markdown_cell("## Exercise\n\nDo it."),
        new_markdown_cell("And so."),
        asked(stage="revealed", answer="down"),
    )
    assert folded[0] == "train" and len(folded) == 2


def test_a_live_picture_below_an_outcome_is_folded_like_what_is_said_of_it() -> None:
    folded = folded_by(
        asked(),
        asked(stage="revealed", answer="down"),
        new_markdown_cell("Find it by hand."),
        live(),
        new_markdown_cell("It is at 3."),
        new_markdown_cell("## Next"),
        live(),
    )
    assert len(folded) == 4 and folded[1] == "Find it by hand." and folded[3] == "It is at 3."
    assert "f(x=2)" in folded[2]


def test_two_predictions_at_once_fold_for_each() -> None:
    soup = body(
        asked("11.a"),
        asked("11.b"),
        new_code_cell("train()"),
        asked("11.b", "revealed", answer="up"),
        asked("11.a", "revealed", answer="up"),
    )
    folds = [str(tag["data-fold"]).split("\n") for tag in soup.select("[data-fold]")]
    assert folds == [["11.a", "11.b"], ["11.a", "11.b"], ["11.a"]]
    assert not any(tag.select(".predict") for tag in soup.select("[data-fold]"))


def test_an_answer_is_not_kept_back_by_another_question() -> None:
    soup = body(
        asked("11.a"),
        asked("11.b"),
        asked("11.b", "revealed", answer="up"),
        asked("11.a", "revealed", answer="up"),
        new_code_cell("more()"),
    )
    folds = [str(tag["data-fold"]).split("\n") for tag in soup.select("[data-fold]")]
    assert folds == [["11.a", "11.b"], ["11.a"], ["11.a"]]


def test_a_check_inside_the_code_of_an_outcome_is_no_exercise() -> None:
    outcome = asked("11.a", "revealed", answer="up")
    outcome.source = "task.check.verdict()"
    assert len(body(asked("11.a"), outcome).select("[data-fold] .outcome")) == 1


def test_a_prediction_without_an_outcome_folds_nothing() -> None:
    assert not body(asked(), new_code_cell("train()")).select("[data-fold]")


def test_an_exercise_says_where_to_try_it() -> None:
    soup = body(shown({MIME: {"kind": "check", "state": "not attempted"}, "text/html": "not att"}))
    assert "not att" not in soup.get_text() and "make lab" in soup.get_text()
    right = body(shown({MIME: {"kind": "check", "state": "right"}, "text/html": "well done"}))
    assert "well done" in right.get_text()


def lessons_of(*needs: list[str], **about: Any) -> list[LessonFile]:
    """Lessons 10, 11, … of one part, each with what it needs."""
    return [
        LessonFile(
            f"1{i}_x",
            Path(f"1{i}_x.ipynb"),
            {"title": f"L{i}: x", "needs": need, "part": 1, **about},
        )
        for i, need in enumerate(needs)
    ]


def test_the_map_draws_a_box_a_lesson_and_an_arrow_a_need() -> None:
    lessons = lessons_of([], ["10"], ["10", "11"], ["99"], ["12"], [], [], [], ["10"])
    drawn = parsed(course_map(lessons, ["10_x", "12_x"]))
    assert len(drawn.select(".need")) == len(drawn.select(".head")) == 5
    assert [box["data-lesson"] for box in drawn.select(".lesson")] == [o.name for o in lessons]
    assert [box["href"] for box in drawn.select("a")] == ["10_x.html", "12_x.html"]
    boxes = {(rect["x"], rect["y"]) for rect in drawn.find_all("rect")}
    assert len(boxes) == len(lessons), "no box lies on another"
    width, height = map(float, drawn.svg["viewbox"].split()[2:])
    assert all(float(x) + 172 <= width and float(y) + 66 <= height for x, y in boxes)
    assert course_map([], []) == ""


def test_parts_have_the_name_that_a_lesson_gives_them() -> None:
    lessons = [
        LessonFile("11_a", Path("11_a.ipynb"), {"part": 1}),
        LessonFile("12_b", Path("12_b.ipynb"), {"part": 1, "part_name": "Answers"}),
        LessonFile("21_c", Path("21_c.ipynb"), {}),
    ]
    assert part_names(lessons) == {1: "Answers", 2: "Part 2"}


def test_the_map_invites_before_it_reports(course: tuple[Path, list[LessonFile]]) -> None:
    out, _ = course
    soup = soup_of(out / "index.html")
    assert soup.select_one(".start a")["href"] == "00_start.html"
    reports = soup.select(".chip, .status")
    assert reports and all(report.find_parent("details") for report in reports)
    assert not soup.select("details[open]")


def test_a_lesson_names_what_to_do_before_it() -> None:
    lessons = lessons_of([], ["10", "99"])
    page = parsed(lesson_page(parsed("<p>x</p>"), lessons[1], ENTRY, lessons))
    before = page.select("article > .facts a[data-lesson]")
    assert [(a["href"], a.get_text()) for a in before] == [("10_x.html", "10 L0")]
