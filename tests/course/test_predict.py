"""Predict, then run: the choice, the outcome beside it, and nobody at the keyboard."""

import re

import pytest

from distill_lab.course import Lesson
from distill_lab.course.predict import Prediction, headless
from distill_lab.course.records import collect

QUESTION, OPTIONS = "What happens to the top probability?", ["falls", "stays", "rises"]


@pytest.fixture
def live(monkeypatch):
    """As in Lab: somebody is there to answer."""
    monkeypatch.setattr("distill_lab.course.predict.headless", lambda: False)


@pytest.fixture
def lesson():
    with collect():
        return Lesson("11_soft_targets", profile="quick", seed=0)


def test_headless_without_a_kernel_or_by_the_environment(monkeypatch):
    monkeypatch.delenv("DISTILL_LAB_HEADLESS", raising=False)
    assert headless()  # pytest is no kernel
    monkeypatch.setattr("distill_lab.course.predict.in_kernel", lambda: True)
    assert not headless()
    monkeypatch.setenv("DISTILL_LAB_HEADLESS", "1")
    assert headless()


def test_headless_it_answers_itself_and_says_so(lesson, capsys):
    guess = lesson.predict(QUESTION, OPTIONS)
    assert guess.choice == "falls" and guess._buttons is None
    lesson.reveal(guess, answer="rises", because="0.31 to 0.98")
    said = capsys.readouterr().out
    assert said.count("nobody was at the keyboard") == 2
    assert "a surprise" in said and "Measured: rises. 0.31 to 0.98" in said
    assert "You predicted" not in said


def test_the_records(lesson):
    with collect() as records:
        guess = lesson.predict(QUESTION, OPTIONS)
        lesson.reveal(guess, answer="falls")
    assert [r["stage"] for r in records] == ["asked", "revealed"]
    assert records[0]["options"] == OPTIONS and records[0]["automatic"] is True
    assert records[1]["agrees"] is True and records[1]["measured"] == "falls"


def test_live_nothing_is_chosen_until_the_learner_chooses(lesson, live):
    with collect() as records:
        guess = lesson.predict(QUESTION, OPTIONS)
        assert guess.choice is None and guess._buttons.value is None
        guess._buttons.value = "rises"
        lesson.reveal(guess, answer="rises")
    assert records[0]["predicted"] is None
    assert (records[1]["predicted"], records[1]["agrees"]) == ("rises", True)
    assert "you predicted: <b>rises</b>; measured: <b>rises</b>" in guess._outcome.value
    assert "as predicted" in guess._outcome.value


def test_live_an_outcome_without_a_prediction_is_folded_and_opens_on_choosing(lesson, live):
    with collect():
        guess = lesson.predict(QUESTION, OPTIONS)
        lesson.reveal(guess, answer="rises", because="look")
    before = guess._outcome.value
    assert "You have not predicted yet" in before
    assert re.search(r"<details><summary>.*rises.*look.*</details>", before)
    guess._buttons.value = "falls"
    assert "<details>" not in guess._outcome.value and "a surprise" in guess._outcome.value
    guess._buttons.value = "rises"  # changing one's mind counts too
    assert "as predicted" in guess._outcome.value


def test_what_is_asked_is_escaped(lesson, live):
    with collect():
        guess = lesson.predict("Is <b> & c?", ["a<b", "a>b"])
        lesson.reveal(guess, answer="a<b")
        guess._buttons.value = "a<b"
    assert "<b> & c" not in guess._box.children[0].value
    assert "a<b" not in guess._outcome.value


@pytest.mark.parametrize(
    ("question", "options", "sentence"),
    [
        ("", OPTIONS, "a question in words"),
        (QUESTION, "yes", "a list of options"),
        (QUESTION, ["yes", 3], "a list of options"),
        (QUESTION, ["yes", " "], "a list of options"),
        (QUESTION, ["yes"], "two or more different options"),
        (QUESTION, ["yes", "yes"], "two or more different options"),
    ],
)
def test_bad_questions_are_refused_in_words(question, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Prediction(question, options)


def test_an_answer_that_was_no_option_is_refused(lesson):
    with collect():
        guess = lesson.predict(QUESTION, OPTIONS)
    with pytest.raises(ValueError, match="'explodes' is not among the options"):
        lesson.reveal(guess, answer="explodes")
    with pytest.raises(ValueError, match=r"what lesson\.predict returned"):
        lesson.reveal("falls", answer="falls")
