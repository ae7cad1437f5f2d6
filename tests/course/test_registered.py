"""Claims as they are registered: `claims.toml`, and what the notebook adds to it."""

import re

import pytest

from distill_lab.course import Lesson
from distill_lab.course.records import collect
from distill_lab.course.registered import read_claims
from distill_lab.evaluation.statistics import paired_interval

FILE = """
["99.above"]
says = "it helps by more than {N}"
paper = "Hinton 2015"
where = "section 3"
published = "13.2 %"
expected = "above"
threshold = 3.0
negative = true
main = true

["99.above".full]
threshold = 9.0
published = "13.2 % on all data"

["99.within"]
says = "it does not matter"
paper = "Yuan 2020"
where = "abstract"
published = "no figure given"
expected = "within"
margin = 2.0
unit = "nats"

["99.exact"]
says = "equal"
paper = "p"
where = "w"
published = "x"
expected = "exact"
"""
FIVE = paired_interval([5.0, 6.0, 7.0, 6.0, 6.5], [1.0, 1.5, 2.0, 1.0, 1.2])


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Open lesson 99 in a folder of its own with this file."""

    def opened(text=FILE, profile="quick"):
        (tmp_path / "lesson_99").mkdir(exist_ok=True)
        (tmp_path / "lesson_99" / "claims.toml").write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        with collect():
            return Lesson("99_small", profile=profile)

    return opened


def made(lesson, *args, **more):
    with collect() as records:
        lesson.claim(*args, **more)
    return records[-1]


def test_a_claim_has_the_constants_of_the_file_and_the_results_of_the_run(opened):
    record = made(opened(), "99.above", FIVE, ours="11.9 %", names={"N": 3})
    assert record["says"] == "it helps by more than 3"
    assert (record["paper"], record["where"]) == ("Hinton 2015", "section 3")
    assert (record["published"], record["ours"]) == ("13.2 %", "11.9 %")
    assert (record["expected"], record["threshold"], record["unit"]) == ("above", 3.0, "points")
    assert (record["negative"], record["verdict"], record["n"]) == (True, "holds", 5)


def test_within_and_exact(opened):
    lesson = opened()
    within = made(lesson, "99.within", FIVE, ours="y")
    assert (within["margin"], within["unit"], within["verdict"]) == (
        2.0,
        "nats",
        "does not hold here",
    )
    exact = made(lesson, "99.exact", 0.5, ours="y", holds=True)
    assert (exact["interval_kind"], exact["mean"], exact["verdict"]) == ("exact", 0.5, "holds")


@pytest.mark.parametrize(("profile", "threshold"), [("quick", 3.0), ("full", 9.0), ("hub", 9.0)])
def test_other_constants_in_full(opened, profile, threshold):
    record = made(opened(profile=profile), "99.above", FIVE, ours="y", names={"N": 3})
    assert record["threshold"] == threshold
    assert record["published"] == "13.2 %" + (" on all data" if threshold == 9.0 else "")
    assert record["paper"] == "Hinton 2015"


@pytest.mark.parametrize(
    ("args", "more", "sentence"),
    [
        (("99.none", FIVE), {"ours": "y"}, "no claim '99.none' in lesson_99/claims.toml"),
        (("99.above", FIVE), {"ours": " ", "names": {"N": 3}}, "must say in ours="),
        (
            ("99.above", paired_interval([1, 2, 3, 4], 0)),
            {"ours": "y", "names": {"N": 3}},
            "five paired",
        ),
        (("99.above", FIVE), {"ours": "y"}, "placeholders N, and names= gives none"),
        (("99.within", FIVE), {"ours": "y", "names": {"N": 3}}, "placeholders none, and names="),
        (("99.above", 3.0), {"ours": "y", "names": {"N": 3}}, "an Interval, as paired_interval"),
        (("99.within", FIVE), {"ours": "y", "holds": True}, "holds= is for"),
        (("99.exact", FIVE), {"ours": "y", "holds": True}, "has no interval"),
        (("99.exact", 1.0), {"ours": "y"}, "must say whether it holds"),
    ],
)
def test_a_wrong_call_is_refused_in_words(opened, args, more, sentence):
    lesson = opened()
    with pytest.raises(ValueError, match=re.escape(sentence)):
        lesson.claim(*args, **more)
    assert not lesson.claims


def test_what_was_measured_here_must_be_said(opened):
    with pytest.raises(TypeError, match="ours"):
        opened().claim("99.within", FIVE)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('["99.above"]', '["99.above"', "lesson_99/claims.toml is not TOML"),
        ('["99.exact"]', '["98.exact"]', "the id of a claim of this lesson starts with 99."),
        ('["99.exact"]', '["99.Exact One"]', "an id is the lesson's number, a point, small"),
        ('paper = "Hinton 2015"', "", "it does not say paper"),
        ('paper = "Hinton 2015"', 'paper = " "', "paper must be a text"),
        ("threshold = 3.0", "treshold = 3.0", "there is no treshold"),
        ("threshold = 3.0", 'threshold = "3"', "threshold must be a number"),
        ("threshold = 3.0", "threshold = true", "threshold must be a number"),
        ("negative = true", "negative = 1", "negative must be true or false"),
        ("threshold = 3.0", "margin = 3.0", "margin belongs to"),
        ("margin = 2.0", "", "needs a margin"),
        ("margin = 2.0", "margin = -2.0", "needs a margin"),
        ("margin = 2.0", "margin = 2.0\nthreshold = 1.0", "threshold does not belong"),
        ('expected = "exact"', 'expected = "more"', "above, below, within, exact; got 'more'"),
        ("threshold = 9.0", "thresh = 9.0", "there is no thresh"),
    ],
)
def test_a_file_with_a_fault_is_refused_in_words(opened, old, new, sentence):
    lesson = opened(FILE.replace(old, new, 1))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        lesson.claim("99.exact", ours="y", holds=True)


def test_a_lesson_without_a_file_has_no_claims(tmp_path):
    assert read_claims(tmp_path) == read_claims(None) == {}
