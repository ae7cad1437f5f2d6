"""Sentences from the run: chosen by the verdict, escaped, and refused before their claim."""

import pytest

from distill_lab.course import Lesson
from distill_lab.course.claim_card import full_html
from distill_lab.course.notes import show_folded, show_note
from distill_lab.course.records import collect
from distill_lab.evaluation.statistics import paired_interval

CLAIM = (
    '["99.a"]\nsays = "Soft targets help"\nif_not = "Soft targets hurt"\n'
    'paper = "Hinton 2015"\nwhere = "section 3"\n'
    'published = "13.2 %"\nexpected = "above"\n'
)
SENTENCES = {"holds": "It helps.", "fails": "It hurts.", "unresolved": "Nobody can tell."}
GAINS = {
    "It helps.": [5.0, 6.0, 7.0, 6.0, 6.5],
    "It hurts.": [-5.0, -6.0, -7.0, -6.0, -6.5],
    "Nobody can tell.": [5.0, -6.0, 7.0, -6.0, 1.0],
}


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    (tmp_path / "lesson_99").mkdir()
    (tmp_path / "lesson_99" / "claims.toml").write_text(CLAIM)
    monkeypatch.chdir(tmp_path)
    with collect():
        yield Lesson("99_small", profile="quick", seed=0)


@pytest.mark.parametrize("kind", ["note", "expect", "claim"])
def test_a_negative_number_of_the_run_has_a_true_minus(lesson, monkeypatch, kind):
    """As all that the kit prints itself: no card says -4.2 beside −7.6."""
    shown = []
    for module in ("notes", "lesson"):
        monkeypatch.setattr(
            f"distill_lab.course.{module}.publish",
            lambda record, text, html, **_: shown.append((text, html)),
        )
    words = f"moved by {-4.2:+.1f} to {[-5, 3]}, seen 1e-08 on 2026-11-29 in `x[-1]`"
    calls = {
        "note": lambda: lesson.note(words),
        "expect": lambda: lesson.expect("both agree", True, seen=words),
        "claim": lambda: lesson.claim("99.a", paired_interval(GAINS["It helps."], 0), ours=words),
    }
    calls[kind]()
    if kind == "claim":  # a quiet line here, a card at the end of the lesson
        shown = [(full_html(lesson.claims["99.a"]),)]
    for part in shown[0]:
        assert "moved by −4.2 to [−5, 3], seen 1e-08 on 2026-11-29 in " in part
        assert "x[-1]" in part


@pytest.mark.parametrize("sentence", GAINS)
def test_the_sentence_is_the_one_of_the_verdict(lesson, sentence):
    with collect() as records:
        lesson.claim("99.a", paired_interval(GAINS[sentence], 0.0), ours="x")
        lesson.interpret("99.a", **SENTENCES)
    assert records[1]["text"] == sentence
    assert records[1]["verdict"] == records[0]["verdict"]


def test_a_verdict_that_is_not_there_yet_is_refused(lesson):
    with pytest.raises(ValueError, match=r"run the cell with lesson\.claim first"):
        lesson.interpret("99.a", **SENTENCES)


def test_an_empty_sentence_is_refused_whatever_the_verdict(lesson):
    lesson.claim("99.a", paired_interval(GAINS["It helps."], 0.0), ours="x")
    with pytest.raises(ValueError, match="fails is empty"):
        lesson.interpret("99.a", **SENTENCES | {"fails": " "})


def test_a_note_is_escaped_and_keeps_two_marks(capsys):
    show_note("a < b, **sure**, see `x < y`")
    assert capsys.readouterr().out == "a < b, sure, see `x < y`\n"
    for empty in ("", "  ", None):
        with pytest.raises(ValueError, match="a note needs a sentence"):
            show_note(empty)


def shown(monkeypatch, show, *arguments):
    pages = []
    publish = lambda record, *, text, html: pages.append((record, text, html))  # noqa: E731
    monkeypatch.setattr("distill_lab.course.notes.publish", publish)
    show(*arguments)
    (page,) = pages
    return page


def test_the_html_of_a_note(monkeypatch):
    _, _, html = shown(monkeypatch, show_note, "a < b, **sure**, see `x < y`")
    assert "a &lt; b, <strong>sure</strong>, see <code>x &lt; y</code>" in html


def test_what_is_folded_shows_itself_or_is_escaped(monkeypatch):
    class Table:
        def _repr_html_(self):
            return "<table></table>"

    assert (
        "<summary>All &lt;5&gt;</summary><table></table>"
        in shown(monkeypatch, show_folded, "All <5>", Table())[2]
    )
    assert "<p>1 &lt; 2</p>" in shown(monkeypatch, show_folded, "why", "1 < 2")[2]
    with pytest.raises(ValueError, match="needs a title"):
        show_folded(" ", "x")


@pytest.mark.parametrize(
    ("sentence", "shown_as"),
    [
        ("Here {ours}.", "Here 90 %."),
        ("It is {difference}.", "It is +6.10 points [5.18, 7.02]."),
        ("{finding}, on {n} seeds.", "Soft targets help, on 5 seeds."),
        ("Braces {stay} and {x}.", "Braces {stay} and {x}."),  # such as a set in a formula
    ],
)
def test_a_sentence_may_hold_the_claims_own_figures(lesson, sentence, shown_as):
    with collect() as records:
        lesson.claim("99.a", paired_interval(GAINS["It helps."], 0.0), ours="90 %")
        lesson.interpret("99.a", **SENTENCES | {"holds": sentence})
    assert records[1]["text"] == shown_as
