"""Claims as they are registered: `claims.toml`, and what the notebook adds to it."""

import re
from pathlib import Path

import pytest

from distill_lab.course import Lesson
from distill_lab.course.records import collect
from distill_lab.course.registered import read_claims
from distill_lab.evaluation.statistics import paired_interval

FILE = """
["99.above"]
says = "Soft targets help by more than {N}"
if_not = "Soft targets help by less than {N}"
paper = "Hinton 2015"
where = "section 3"
published = "13.2 %"
expected = "above"
threshold = 3.0
negative = true
main = true
card = true

["99.above".full]
threshold = 9.0
published = "13.2 % on all data"

["99.within"]
says = "The size does not matter"
if_not = "The size matters"
paper = "Yuan 2020"
where = "abstract"
published = ""
expected = "within"
margin = 2.0
unit = "nats"

["99.exact"]
says = "Both are equal"
if_not = "Both differ"
paper = "p"
where = "w"
published = "x"
expected = "exact"
"""
ROOT = Path(__file__).resolve().parents[2]
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
    assert record["says"] == "Soft targets help by more than 3"
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
        ("card = true", "card = 1", "card must be true or false"),
        ('if_not = "Both differ"', "", "it does not say if_not"),
        ('if_not = "Both differ"', 'if_not = "Both are equal"', "if_not says the same as says"),
        ('"Both are equal"', '"both are equal"', "a capital letter and without its full stop"),
        ('"Both are equal"', '"Both are equal."', "a capital letter and without its full stop"),
        ('"Both are equal"', '"And both are equal"', "must be readable alone"),
        ('"Both are equal"', '"Where it is used, both are equal"', "must be readable alone"),
        ('"The size matters"', '"This matters"', "if_not must be readable alone"),
    ],
)
def test_a_file_with_a_fault_is_refused_in_words(opened, old, new, sentence):
    lesson = opened(FILE.replace(old, new, 1))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        lesson.claim("99.exact", ours="y", holds=True)


def test_a_lesson_without_a_file_has_no_claims(tmp_path):
    assert read_claims(tmp_path) == read_claims(None) == {}


def test_a_lesson_has_four_cards_at_most(opened):
    exact = FILE[FILE.index('["99.exact"]') :] + "card = true\n"
    more = [exact.replace("99.exact", f"99.more-{i}") for i in range(4)]
    assert len(read_claims(opened("".join(more)).folder)) == 4
    with pytest.raises(ValueError, match="has 5 claims with card = true, 4 at most"):
        read_claims(opened("".join([exact, *more])).folder)


FOUND = [(True, "holds", "Both are equal"), (False, "does not hold here", "Both differ")]


@pytest.mark.parametrize(("holds", "verdict", "sentence"), FOUND)
def test_what_was_found_is_one_sentence_by_verdict(opened, holds, verdict, sentence):
    record = made(opened(), "99.exact", ours="y", holds=holds)
    assert (record["verdict"], record["finding"]) == (verdict, sentence)


def test_what_cannot_be_resolved_is_a_sentence_of_its_own(opened):
    unsure = paired_interval([-2.0, 9.0, 1.0, 3.0, 12.0], 0.0)
    record = made(opened(), "99.above", unsure, ours="y", names={"N": 3})
    assert record["finding"] == "These 5 seeds cannot tell whether soft targets help by more than 3"
    file = FILE.replace("card = true", 'open = "Nobody knows yet whether {N} is reached"', 1)
    record = made(opened(file), "99.above", unsure, ours="y", names={"N": 3})
    assert record["finding"] == "Nobody knows yet whether 3 is reached"


@pytest.mark.parametrize("number", ["00", "11", "12", "21", "22", "41", "43"])
def test_every_claim_of_the_course_can_be_read_alone_and_is_short(number):
    claims = read_claims(ROOT / "notebooks" / f"lesson_{number}")
    assert 1 <= sum(claim.card for claim in claims.values()) <= 4
    for claim in claims.values():
        for sentence in (claim.says, claim.if_not, claim.open):
            assert len(sentence.split()) <= 25, sentence
        assert not claim.published.startswith("no figure"), claim.id
