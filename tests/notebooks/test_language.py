"""Plain English: what the lint of language finds and what it leaves, and who has to pass it."""

from pathlib import Path

import nbformat
import pytest

from distill_lab.course.lint import results
from distill_lab.course.lint.__main__ import lesson_faults, main, project_faults
from distill_lab.course.lint.language import file_faults, long_sentences, plain, sentences, wordings
from tests.notebooks.small_lesson import code, markdown

ROOT = Path(__file__).resolve().parents[2]

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_and_the_texts_of_its_folder_keep_the_rules(path: Path) -> None:
    assert list(lesson_faults(path)) == []


def test_readme_help_and_messages_are_plain() -> None:
    assert list(project_faults(ROOT)) == []


@pytest.mark.parametrize("folder", sorted((ROOT / "notebooks").glob("lesson_*")), ids=str)
def test_claims_are_plain(folder: Path) -> None:
    assert list(file_faults(folder / "claims.toml")) == []


LONG = "one " * 31 + "end."


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (LONG, 1),
        (f"Short. {LONG} Short again.", 1),
        (f"{LONG[:-5]} `code`. Then {LONG}", 2),  # a formula ends a sentence as a word does
        (f"- {LONG}\n- {LONG}", 2),
        (f"<details><summary>Hint</summary>\n\n{LONG}\n</details>", 1),
        ("one " * 28 + "end.", 0),
        ("- one two three\n" * 20, 0),  # an item of a list is a sentence of its own
        ("| " + "one | " * 40, 0),
        ("```\n" + LONG + "\n```", 0),
        ("We write $" + "a + " * 40 + "b$ here.", 0),
        ("one " * 28 + "$$" + "a + " * 9 + "b$$ end", 0),
        ("Hinton et al. " + "one " * 29, 1),  # a point after `al` ends nothing
    ],
)
def test_long_sentences(text: str, count: int) -> None:
    assert len(list(long_sentences(text))) == count


def test_sentences_end_where_a_reader_ends_them() -> None:
    text = 'It is 3.5 % here. "Yes." Is *that* so? See [this one](a.b). $T$ is large.'
    assert sentences(text) == [
        "It is 3.5 % here.",
        '"Yes.',
        "Is *that* so?",
        "See this one.",
        "X is large.",
    ]


@pytest.mark.parametrize(
    ("text", "wording"),
    [
        ("The labels whisper.", "whisper"),
        ("A cold teacher is no use.", "cold teacher"),
        ("What the teacher says\nis used.", "teacher says"),
        ("This is TOO DEAR.", "TOO DEAR"),
        ("It is out of\nthe question.", "out of the question"),
    ],
)
def test_a_listed_wording_is_found_with_its_remedy(text: str, wording: str) -> None:
    (fault, *_) = wordings(text)
    assert fault.startswith(f"“{wording}” is hard to read: ")


@pytest.mark.parametrize(
    "text",
    [
        "The paper says so, and the card says why.",
        "We endeared ourselves; the tongued groove, a cloud.",  # parts of words
        "Call `teacher.says()` here.",
        "The machine was busy with another job.",
    ],
)
def test_other_words_are_left_alone(text: str) -> None:
    assert list(wordings(text)) == []


def test_strings_of_a_program_are_read_and_its_docstrings_are_not(tmp_path: Path) -> None:
    file = tmp_path / "kit.py"
    file.write_text('"""It whispers here."""\nx = 1\nraise ValueError(f"it shouts {x} times")\n')
    (fault,) = file_faults(file)
    assert fault.startswith("kit.py:3: “shouts”")
    toml = tmp_path / "a.toml"
    toml.write_text('[["a"]]\nwhy = ["The label whispers"]\n')
    assert len(list(file_faults(toml))) == 1


def test_long_sentences_of_files_are_found_and_lines_of_a_help_page_stand_alone(
    tmp_path: Path,
) -> None:
    page, program = tmp_path / "PAGE.md", tmp_path / "kit.py"
    page.write_text(LONG)
    program.write_text(f"raise ValueError({LONG!r})\n")
    assert len(list(file_faults(page))) == len(list(file_faults(program))) == 1
    lines = "\n".join(["one two three four five six"] * 8)
    program.write_text(f"HELP = {lines!r}\nPATTERN = {lines.replace(chr(10), '|')!r}\n")
    assert list(file_faults(program)) == []


def after_a_claim(*texts: str, before: str = 'lesson.claim("11.a", gain, ours="1")'):
    return nbformat.v4.new_notebook(cells=[code(before), *map(markdown, texts)])


@pytest.mark.parametrize(
    "text",
    [
        "The student reaches 90.9 % here.",
        "Maps cost 28 points.",
        "So the claim holds.",
        "The ranking is itself unresolved.",
        "Every loss beats labels alone.",
        "Whether this helps cannot be resolved.",
    ],
)
def test_a_result_that_is_a_constant_is_found(text: str) -> None:
    faults = list(results.stated_results(after_a_claim(text), "11_a"))
    assert len(faults) == 1
    fault = faults[0]
    assert "lesson.note" in fault and "lesson.interpret" in fault
    assert list(results.stated_results(after_a_claim("One.", text), "11_a"))
    assert not list(results.stated_results(after_a_claim("One.", "Two.", text), "11_a"))
    assert not list(results.stated_results(after_a_claim(text, before="x = 1"), "11_a"))
    assert list(
        results.stated_results(after_a_claim(text, before="lesson.reveal('11.a', 1)"), "11")
    )


@pytest.mark.parametrize(
    "text",
    [
        "Hinton et al. print 13.2 % errors.",
        "The paper gives 8.2 points.",
        "A verdict of *holds* is given by the rule.",
        "“Cannot be resolved here” is a verdict, too.",
        "The interval covers 95 % of such runs.",
        "If the card holds on your machine, go on.",
        "A box holds four balls: `holds = 3`.".replace("holds four", "has four"),
        "Teacher and student are two networks.",
    ],
)
def test_what_is_no_result_of_ours_may_stand(text: str) -> None:
    assert list(results.stated_results(after_a_claim(text), "11_a")) == []


@pytest.mark.parametrize(
    ("alt", "faults"),
    [
        ("'The students reach 72 %.'", 1),
        ("'A bar that is 3 points higher.'", 1),
        ("'At T = 4 about half of the mass.'", 1),
        ("f'The students reach {share:.0f} %.'", 0),
        ("'Two bars; the second is higher.'", 0),
        ("caption(share)", 0),
    ],
)
def test_a_figure_in_alt_comes_from_the_run(alt: str, faults: int) -> None:
    nb = after_a_claim(before=f"plots.show(fig, alt={alt})")
    assert len(list(results.constant_alts(nb, "11_a"))) == faults


def test_prose_of_a_notebook_is_read_by_cell() -> None:
    nb = after_a_claim("Fine.", "The label shouts. " + LONG)
    assert len(list(plain(nb, "11_a"))) == 2


def test_the_command_takes_lessons_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["99"]) == 2
    assert "no lesson 99" in capsys.readouterr().err
    assert main(["00"]) == 0
