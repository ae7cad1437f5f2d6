"""The glossary: terms found where lessons define them, in their sentence; first uses lead there."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from distill_lab.course.lessons import LessonFile, all_lessons
from distill_lab.course.pages import lesson_body
from distill_lab.course.pages.glossary import (
    HERE,
    defined_twice,
    glossary_page,
    mark_terms,
    terms,
    without_meaning,
)
from distill_lab.course.pages.shell import parsed


def lesson(folder: Path, name: str, *cells: str) -> LessonFile:
    """A lesson of these Markdown cells; a cell of code is marked `code:`."""
    made = [
        new_code_cell(cell.removeprefix("code:"))
        if cell.startswith("code:")
        else new_markdown_cell(cell)
        for cell in cells
    ]
    nbformat.write(new_notebook(cells=made), folder / f"{name}.ipynb")
    return LessonFile(name, folder / f"{name}.ipynb", {"title": f"Title of {name}: more"})


DEFINES = (
    "We start. A <dfn>soft target</dfn> is a whole distribution, such as $p_i(T)$. It says more.",
    "- *First*: <dfn>distillation</dfn> trains a student from a teacher.\n"
    "- **A <dfn>logit</dfn> is a score**, e.g. 2.5, before the softmax. Next.",
)


def linked(folder: Path, *cells: str) -> list[tuple[str, str]]:
    """Text and target of each link to the glossary on the page of a later lesson."""
    course = [lesson(folder, "11_a", *DEFINES), lesson(folder, "12_b", *cells)]
    body = lesson_body(nbformat.read(course[1].path, as_version=4), folder)
    mark_terms(body, course[1], terms(course))
    return [(a.get_text(), a["href"].removeprefix("glossary.html#")) for a in body.select("a.term")]


def test_a_term_comes_with_the_sentence_that_defines_it(tmp_path: Path) -> None:
    glossary = terms([lesson(tmp_path, "11_a", *DEFINES)])
    sentences = {term.name: parsed(term.sentence).get_text() for term in glossary}
    assert list(sentences) == ["soft target", "distillation", "logit"]
    assert sentences["soft target"].startswith("A soft target is a whole distribution, such as p")
    assert "more" not in sentences["soft target"] and "<math" in glossary[0].sentence
    assert sentences["distillation"] == "First: distillation trains a student from a teacher."
    assert sentences["logit"] == "A logit is a score, e.g. 2.5, before the softmax."


@pytest.mark.parametrize("end", [".)", "?)", "!)"])
def test_a_sentence_in_brackets_ends_with_them(tmp_path: Path, end: str) -> None:
    cell = f"It is one. (<dfn>BLEU</dfn> counts runs{end} Take the rest."
    (term,) = terms([lesson(tmp_path, "11_a", cell)])
    assert parsed(term.sentence).get_text() == f"(BLEU counts runs{end}"


def test_the_first_use_in_a_later_lesson_leads_to_the_term(tmp_path: Path) -> None:
    text = "Soft  targets help, and a soft target is soft.\n\nDistillation needs each *logit*."
    assert linked(tmp_path, text) == [
        ("Soft  targets", "term-soft-target"),
        ("Distillation", "term-distillation"),
        ("logit", "term-logit"),
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "## A soft target",
        "code:# a soft target\nlogit = 1",
        "`logit` and [a logit](x.html)",
        "```\nsoft target\n```",
        "<details><summary>logit</summary>x</details>",
        "logits_of, pre-logit, logitech",
        r"$\text{logit}$",
    ],
)
def test_no_link_where_no_prose_is_or_another_word(tmp_path: Path, cell: str) -> None:
    assert linked(tmp_path, cell) == []


def test_the_longest_term_wins(tmp_path: Path) -> None:
    course = [
        lesson(tmp_path, "11_a", "<dfn>distillation</dfn> is x.", "A <dfn>tap</dfn> is y."),
        lesson(tmp_path, "12_b", "<dfn>self-distillation</dfn>: z. <dfn>tap loss</dfn>: w."),
        lesson(tmp_path, "21_c", "The tap loss, a tap and self-distillation < 3, distillation."),
    ]
    body = lesson_body(nbformat.read(course[2].path, as_version=4), tmp_path)
    mark_terms(body, course[2], terms(course))
    links = [a.get_text() for a in body.select("a.term")]
    assert links == ["tap loss", "tap", "self-distillation", "distillation"]
    assert "self-distillation < 3" in body.get_text()


def test_a_lesson_does_not_link_its_own_terms_or_later_ones(tmp_path: Path) -> None:
    course = [
        lesson(tmp_path, "11_a", "The logit of lesson 12. The soft target."),
        lesson(tmp_path, "12_b", "A <dfn>logit</dfn> is x. A logit again."),
    ]
    for one in course:
        body = lesson_body(nbformat.read(one.path, as_version=4), tmp_path)
        mark_terms(body, one, terms(course))
        assert not body.select("a.term")
    assert body.dfn["id"] == "term-logit"


def test_the_page_lists_terms_by_the_alphabet_each_with_its_place(tmp_path: Path) -> None:
    course = [lesson(tmp_path, "11_a", *DEFINES), lesson(tmp_path, "12_b", "<dfn>CKA</dfn> is x.")]
    soup = parsed(glossary_page(terms(course), ["11_a"]))
    assert [dt["id"] for dt in soup.find_all("dt")] == [
        "term-cka",
        "term-distillation",
        "term-logit",
        "term-soft-target",
    ]
    assert [a["href"] for a in soup.select("dd a")] == [
        "11_a.html#term-distillation",
        "11_a.html#term-logit",
        "11_a.html#term-soft-target",
    ], "no link to a page that is not there"


def test_a_term_defined_twice_is_found(tmp_path: Path) -> None:
    course = [
        lesson(tmp_path, "11_a", "A <dfn>logit</dfn> is x."),
        lesson(tmp_path, "12_b", "The <dfn>Logit</dfn> is y."),
    ]
    assert len(terms(course)) == 1
    (fault,) = defined_twice(course)
    assert "logit" in fault and "11_a, 12_b" in fault


def test_the_course_defines_each_term_once(root: Path) -> None:
    assert defined_twice(all_lessons(root)) == []


MEANS = {  # what a lesson writes, and what the glossary says
    "$J$ counts. The <dfn>share</dfn> is\n\n$$J = 3.$$\n\nHere $J$ is one.": "The share is J=3.",
    "For example, <dfn>SP</dfn> uses\n\n$$J = 4$$": "For example, SP uses J=4",
    "A <dfn>share</dfn> compares two:\n\n$$J = 3$$": "A share compares two: J=3",
    "A <dfn>tap</dfn> keeps an output:\n\n```\nf(x)\n```": "A tap keeps an output.",
    "It learns from itself. This is <dfn>self-training</dfn>. More.": "It learns from itself. "
    "This is self-training.",
    "It draws.\n\nThis is called <dfn>by chance</dfn>.": "It draws. This is called by chance.",
    "First. It draws pixels. We call it the <dfn>maker</dfn>.": "It draws pixels. We call it the "
    "maker.",
    "It learns. Such a step is a <dfn>pass</dfn>. B.": "It learns. Such a step is a pass.",
    "B. A number, such as 2, is <dfn>even</dfn>.": "A number, such as 2, is even.",
    "A line. This is a <dfn>tap</dfn>: it keeps.": "This is a tap: it keeps.",
}


@pytest.mark.parametrize("written", MEANS)
def test_an_entry_says_what_its_term_is(tmp_path: Path, written: str) -> None:
    course = [lesson(tmp_path, "11_a", written)]
    (term,) = terms(course)
    assert " ".join(parsed(term.sentence).get_text().split()) == MEANS[written]
    assert without_meaning(course) == []


@pytest.mark.parametrize(
    "written", ["This is <dfn>x</dfn>.", "The <dfn>x</dfn> is\n\n- one", "We call <dfn>x</dfn> it"]
)
def test_an_entry_that_says_nothing_is_found(tmp_path: Path, written: str) -> None:
    (fault,) = without_meaning([lesson(tmp_path, "11_a", written)])
    assert "“x” in 11_a" in fault


def test_every_entry_of_the_course_says_what_its_term_is(root: Path) -> None:
    assert without_meaning(all_lessons(root)) == []


def test_below_the_references_no_title_is_linked(tmp_path: Path) -> None:
    cited = "### References\n\n- Soft Target Methods, 2020.\n\nA logit.", "Distillation, 2021."
    assert linked(tmp_path, *cited, "## After them\n\nA logit.") == [("logit", "term-logit")]


def test_a_word_in_another_sense_is_not_linked(tmp_path: Path) -> None:
    course = [
        lesson(tmp_path, "11_a", "A <dfn>bias</dfn> is x.", "<dfn>value</dfn>, a <dfn>mask</dfn>"),
        lesson(tmp_path, "12_b", "Small values. An early mask loss and a mask.", "A bias."),
        lesson(tmp_path, "21_c", "An <dfn>early mask</dfn> is w."),
    ]
    body = lesson_body(nbformat.read(course[1].path, as_version=4), tmp_path)
    mark_terms(body, course[1], terms(course))
    links = body.select("a.term")
    assert [link.get_text() for link in links] == ["mask"]
    assert str(links[0].previous_sibling).endswith("loss and a "), (
        "the mask of a longer term is none"
    )


def test_each_word_that_is_never_linked_is_a_term(root: Path) -> None:
    assert {term.name.casefold() for term in terms(all_lessons(root))} >= HERE
