"""Predict, then run: the choice, the outcome beside it, and nobody at the keyboard."""

import re

import pytest
import torch

from distill_lab.course import Lesson, journal
from distill_lab.course.journal import headless
from distill_lab.course.predict import Prediction
from distill_lab.course.records import collect
from distill_lab.evaluation.statistics import Interval

ID = "11.top"
QUESTION, OPTIONS = "What happens to the top probability?", ["falls", "stays", "rises"]


@pytest.fixture
def live(monkeypatch, tmp_path):
    """As in Lab: somebody is there to answer, and has a journal."""
    monkeypatch.setenv("DISTILL_LAB_JOURNAL", str(tmp_path / "journal.jsonl"))
    for module in ("predict", "journal"):
        monkeypatch.setattr(f"distill_lab.course.{module}.headless", lambda: False)


@pytest.fixture
def displays(monkeypatch):
    """The HTML last shown under each name."""
    shown = {}

    def publish(record, *, text, html, display_id=None, update=False):
        assert not update or display_id in shown
        shown[display_id] = html

    monkeypatch.setattr("distill_lab.course.predict.publish", publish)
    monkeypatch.setattr("distill_lab.course.predict.show_widget", lambda widget, text: None)
    return shown


@pytest.fixture
def lesson():
    with collect():
        return Lesson("11_soft_targets", profile="quick", seed=0)


def test_headless_without_a_kernel_or_by_the_environment(monkeypatch):
    monkeypatch.delenv("DISTILL_LAB_HEADLESS", raising=False)
    assert headless()  # pytest is no kernel
    monkeypatch.setattr("distill_lab.course.journal.in_kernel", lambda: True)
    assert not headless()
    monkeypatch.setenv("DISTILL_LAB_HEADLESS", "1")
    assert headless()


def test_headless_it_answers_itself_and_says_so(lesson, capsys):
    lesson.predict(ID, QUESTION, OPTIONS)
    guess = lesson.predictions[ID]
    assert guess.choice == "falls" and guess.buttons is None
    lesson.reveal(ID, "rises", because="0.31 to 0.98")
    output = capsys.readouterr().out
    assert output.count("nobody was at the keyboard") == 2
    assert "a surprise" in output and "Outcome: rises. 0.31 to 0.98" in output
    assert "You predicted" not in output


def test_the_records(lesson):
    with collect() as records:
        lesson.predict(ID, QUESTION, OPTIONS)
        lesson.reveal(ID, "falls")
    assert [r["stage"] for r in records] == ["asked", "revealed"]
    assert records[0]["options"] == OPTIONS and records[0]["automatic"] is True
    assert records[1]["agrees"] is True and records[1]["answer"] == "falls"


def test_live_nothing_is_chosen_until_the_learner_chooses(lesson, live):
    with collect() as records:
        lesson.predict(ID, QUESTION, OPTIONS)
        guess = lesson.predictions[ID]
        assert guess.choice is None and guess.buttons.value is None
        guess.buttons.value = "rises"
        lesson.reveal(ID, "rises")
    assert records[0]["predicted"] is None
    assert [r["predicted"] for r in records] == [None, "rises", "rises"]  # asked, chosen, revealed
    assert records[2]["agrees"] is True


def test_live_an_outcome_without_a_prediction_is_folded_and_opens_on_choosing(
    lesson, live, displays
):
    lesson.predict(ID, QUESTION, OPTIONS)
    lesson.reveal(ID, "rises", because="look")
    folded = displays[f"{ID} revealed"]
    assert "You have not predicted yet" in folded
    assert re.search(r"<details><summary>.*rises.*look.*</details>", folded)
    lesson.predictions[ID].buttons.value = "falls"
    shown = displays[f"{ID} revealed"]
    assert "<details>" not in shown and "a surprise" in shown
    assert "you predicted: <b>falls</b>" in displays[f"{ID} asked"]


def test_changing_ones_mind_after_the_outcome_changes_nothing(lesson, live, displays):
    lesson.predict(ID, QUESTION, OPTIONS)
    guess = lesson.predictions[ID]
    guess.buttons.value = "stays"
    guess.buttons.value = "falls"  # before the outcome one may think again
    lesson.reveal(ID, "rises")
    guess.buttons.value = "rises"
    assert guess.choice == guess.buttons.value == "falls" and guess.buttons.disabled
    assert "a surprise" in displays[f"{ID} revealed"]
    lesson.reveal(ID, "rises")
    assert "a surprise" in displays[f"{ID} revealed"]


def test_asked_again_in_one_session_a_question_keeps_its_answer(lesson, live, displays):
    lesson.predict(ID, QUESTION, OPTIONS)
    lesson.predictions[ID].buttons.value = "falls"
    lesson.predict("11.other", "Another?", OPTIONS)
    lesson.predict(ID, QUESTION, OPTIONS)
    assert lesson.predictions[ID].choice == "falls"
    lesson.reveal(ID, "falls")
    assert "as predicted" in displays[f"{ID} revealed"]
    lesson.reveal("11.other", "stays")  # the outcome of each goes to its own question
    assert "have not predicted" in displays["11.other revealed"]


def test_another_day_the_answer_and_its_outcome_stand(lesson, live, displays, tmp_path):
    lesson.predict(ID, QUESTION, OPTIONS)
    lesson.predictions[ID].buttons.value = "falls"
    lesson.reveal(ID, "rises")

    again = Lesson("11_soft_targets")  # the kernel was started again
    again.predict(ID, QUESTION, OPTIONS)
    guess = again.predictions[ID]
    assert guess.choice == "falls" and guess.buttons.disabled
    again.reveal(ID, "rises")
    assert "a surprise" in displays[f"{ID} revealed"]
    events = journal.read(tmp_path / "journal.jsonl").events
    assert [e["event"] for e in events] == ["choice", "prediction", "opened"]
    assert (events[1]["choice"], events[1]["answer"], events[1]["right"]) == (
        "falls",
        "rises",
        False,
    )

    journal.append(tmp_path / "journal.jsonl", {"event": "start-again", "lesson": "11"})
    again = Lesson("11_soft_targets")
    again.predict(ID, QUESTION, OPTIONS)
    assert again.predictions[ID].choice is None and not again.predictions[ID].buttons.disabled


@pytest.mark.parametrize(
    ("choice", "value", "direction"),
    [
        ("rises", -3.0, "too high"),
        ("falls", 0.0, "too low"),
        ("falls", -3.0, ""),
        ("falls", 99.0, "too low"),
    ],
)
def test_the_journal_says_how_a_prediction_missed(lesson, live, displays, choice, value, direction):
    lesson.predict(ID, QUESTION, BINS)
    lesson.predictions[ID].buttons.value = choice
    lesson.reveal(ID, value)
    assert journal.read(journal.journal_path()).events[-1]["misjudged"] == direction


@pytest.mark.parametrize("id", ["12.top", "top", "11.Top of all", "11.", 3, None])
def test_an_id_of_another_form_or_lesson_is_refused(lesson, id):
    for call in (lambda: lesson.predict(id, QUESTION, OPTIONS), lambda: lesson.reveal(id, "falls")):
        with pytest.raises(ValueError, match=r'is "11\." and a few words with hyphens; got'):
            call()


def test_an_outcome_before_its_question_is_refused(lesson):
    with pytest.raises(ValueError, match=r"run the cell with lesson\.predict\('11\.top'"):
        lesson.reveal(ID, "falls")


def test_headless_the_same_id_twice_is_refused(lesson):
    with collect():
        lesson.predict(ID, QUESTION, OPTIONS)
        with pytest.raises(ValueError, match="asked twice"):
            lesson.predict(ID, QUESTION, OPTIONS)


def test_what_is_asked_is_escaped(lesson, live, displays):
    lesson.predict(ID, "Is <b> & c?", ["a<b", "a>b"])
    lesson.predictions[ID].buttons.value = "a<b"
    lesson.reveal(ID, "a<b")
    assert "<b> & c" not in displays[f"{ID} asked"]
    assert "a<b" not in displays[f"{ID} asked"] + displays[f"{ID} revealed"]


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
        Prediction(ID, question, options)


def test_an_answer_that_was_no_option_is_refused(lesson):
    with collect():
        lesson.predict(ID, QUESTION, OPTIONS)
    with pytest.raises(ValueError, match="'explodes' is not among the options"):
        lesson.reveal(ID, "explodes")


BINS = {"falls": (None, -2), "stays within 2": (-2, 2), "rises": (2, None)}
UNTOLD = {"more": (0, None), "fewer": (None, 0), "cannot be told": None}


def outcome(lesson, options, value, **more):
    """The option that the value means, and the sentence shown with it."""
    with collect() as records:
        id = f"11.q{len(lesson.predictions)}"
        lesson.predict(id, QUESTION, options, **more)
        lesson.reveal(id, value)
    return records[-1]["answer"], records[-1]["why"]


def interval(mean, low, high):
    return Interval(mean, low, high, 10, 1.0, 10, "paired Student-t, 95 %", 0.95)


@pytest.mark.parametrize(
    ("value", "option"),
    [
        (-2.1, "falls"),
        (-2, "stays within 2"),
        (1.9, "stays within 2"),
        (2.0, "rises"),
        (99, "rises"),
    ],
)
def test_a_number_falls_into_the_bin_that_holds_it(lesson, value, option):
    for number in (value, torch.tensor(float(value)), torch.tensor([float(value)])):
        assert outcome(lesson, BINS, number)[0] == option


def test_the_last_bin_is_closed_and_beyond_it_is_nothing(lesson):
    share = {"some": (0, 50), "most": (50, 100)}
    assert outcome(lesson, share, 100)[0] == outcome(lesson, share, 50)[0] == "most"
    assert outcome(lesson, share, 0)[0] == "some"
    with pytest.raises(ValueError, match=r"101 lies in no option .* from 0 to 100"):
        outcome(lesson, share, 101)


def test_an_interval_without_width_says_how_many_seeds_agree(lesson):
    for n, words in ((5, "five"), (10, "10")):
        same = Interval(67.5, 67.5, 67.5, n, 0.0, n, "paired Student-t, 95 %", 0.95)
        expected = f"Measured: +67.5 points, the same in all {words} seeds."
        assert outcome(lesson, BINS, same) == ("rises", expected)

    class NoCount:
        mean = low = high = 67.5

    expected = "Measured: +67.5 points, the same in all seeds."
    assert outcome(lesson, BINS, NoCount()) == ("rises", expected)


def test_an_interval_falls_by_its_mean(lesson):
    assert outcome(lesson, BINS, interval(6.7, 2.1, 11.2)) == (
        "rises",
        "Measured: +6.7 [2.1, 11.2] points.",
    )
    assert outcome(lesson, BINS, interval(1.9, -3.0, 6.8))[0] == "stays within 2"
    assert outcome(lesson, BINS, interval(-0.5, -1.0, 0.0), unit="nats")[1] == (
        "Measured: −0.50 [−1.00, 0.00] nats."
    )


@pytest.mark.parametrize(
    ("low", "high", "option"),
    [(0.1, 2.0, "more"), (-2.0, -0.1, "fewer"), (-0.1, 2.0, "cannot be told")],
)
def test_with_an_option_that_cannot_be_told_the_whole_interval_counts(lesson, low, high, option):
    assert outcome(lesson, UNTOLD, interval((low + high) / 2, low, high))[0] == option


def test_the_option_with_the_largest_number_wins(lesson):
    numbers = {"falls": 3.25, "stays": torch.tensor(41.0), "rises": 1.0}
    assert outcome(lesson, OPTIONS, numbers, unit="%") == (
        "stays",
        "Measured: falls 3.2 %, stays 41.0 %, rises 1.0 %.",
    )
    with pytest.raises(ValueError, match="must belong to options"):
        outcome(lesson, OPTIONS, {"explodes": 1.0})


def test_of_seeds_values_the_winner_must_be_clear(lesson):
    options = ["first", "second", "cannot be told"]
    first, second = torch.tensor([3.0, 4.0, 5.0]), torch.tensor([1.0, 2.1, 2.9])
    assert outcome(lesson, options, {"first": first, "second": second})[0] == "first"
    near = second + torch.tensor([4.0, 1.0, 0.0])
    assert outcome(lesson, options, {"first": first, "second": near})[0] == "cannot be told"
    means = {"first": first.mean(), "second": near.mean()}
    assert outcome(lesson, options, means)[0] == "first"  # numbers: no interval to ask


def test_a_given_reason_replaces_the_measured_figure(lesson):
    with collect() as records:
        lesson.predict("11.a", QUESTION, BINS)
        lesson.reveal("11.a", 3.0, "3 of 10 rows.")
        lesson.predict("11.b", QUESTION, OPTIONS)
        lesson.reveal("11.b", "rises")
    assert [r["why"] for r in records if r["stage"] == "revealed"] == ["3 of 10 rows.", ""]


@pytest.mark.parametrize(
    ("bins", "sentence"),
    [
        ({"falls": (None, 0), "rises": (-1, None)}, "'falls' and 'rises' overlap"),
        ({"falls": (None, 0), "rises": (1, None)}, "leave a gap: one ends at 0, the next begins"),
        ({"falls": (None, 0), "rises": (2, 1)}, "'rises' is empty"),
        ({"falls": (None, 0), "rises": 2}, "bounds as (low, high)"),
        ({"falls": None, "rises": None}, "at most may be None"),
        ({"falls": (None, 0), "a": None, "b": None}, "at most may be None"),
        ({"falls": (None, None)}, "two or more different options"),
    ],
)
def test_bins_that_do_not_cover_or_overlap_are_refused_when_asked(lesson, bins, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        lesson.predict(ID, QUESTION, bins)


@pytest.mark.parametrize(
    ("options", "value", "sentence"),
    [
        (OPTIONS, 3.0, "are words, so the answer is one of them"),
        (BINS, float("nan"), "diverged"),
        (BINS, None, "one number, an Interval or an option"),
        (BINS, torch.tensor([1.0, 2.0]), "one number, an Interval or an option"),
        (BINS, "explodes", "not among the options"),
    ],
)
def test_a_value_that_fits_no_option_is_refused(lesson, options, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        outcome(lesson, options, value)
