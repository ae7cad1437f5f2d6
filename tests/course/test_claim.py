"""Claims: the rule of each verdict, what is refused, and what the record holds."""

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_lab.course.claim import CANNOT, FAILS, HOLDS, Claim, judge
from distill_lab.course.claim_card import as_html, as_text, table_html, table_text
from distill_lab.course.registered import Registered
from distill_lab.evaluation.statistics import Interval, equivalent, paired_interval

FIXED = Registered(
    id="11.seven-eight",
    says="A shift of the biases removes errors",
    if_not="A shift of the biases adds errors",
    paper="Hinton, Vinyals & Dean 2015",
    where="arXiv:1503.02531, section 3",
    published="47.3 % -> 13.2 %",
    expected="above",
    card=True,
)
RUN = {
    "lesson": "11_soft_targets",
    "ours": "49.9 % -> 11.9 %",
    "seconds": 1.25,
    "profile": "quick",
    "seed": 0,
}


def interval(low: float, high: float, n: int = 10) -> Interval:
    return Interval((low + high) / 2, low, high, n, 1.0, n, "paired Student-t, 95 %", 0.95)


@pytest.mark.parametrize(
    ("low", "high", "expected", "threshold", "margin", "verdict"),
    [
        (0.1, 2.0, "above", 0.0, None, HOLDS),
        (0.1, 2.0, "above", 0.5, None, CANNOT),
        (0.0, 2.0, "above", 0.0, None, CANNOT),  # touching the threshold is not above it
        (-2.0, -0.1, "above", 0.0, None, FAILS),
        (-1.0, 1.0, "above", 0.0, None, CANNOT),
        (-2.0, -0.1, "below", 0.0, None, HOLDS),
        (0.1, 2.0, "below", 0.0, None, FAILS),
        (0.1, 2.0, "below", 2.5, None, HOLDS),
        (-1.0, 0.0, "below", 0.0, None, CANNOT),
        (-0.4, 0.4, "within", 0.0, 0.5, HOLDS),
        (-0.4, 0.5, "within", 0.0, 0.5, CANNOT),
        (-0.4, 0.6, "within", 0.0, 0.5, CANNOT),
        (0.6, 0.9, "within", 0.0, 0.5, FAILS),
        (-0.9, -0.6, "within", 0.0, 0.5, FAILS),
        (-0.9, 0.9, "within", 0.0, 0.5, CANNOT),
    ],
)
def test_verdict(low, high, expected, threshold, margin, verdict):
    assert judge(low, high, expected=expected, threshold=threshold, margin=margin) == verdict


finite = st.floats(-1e6, 1e6)


@given(finite, finite, finite)
def test_below_mirrors_above(a, b, threshold):
    low, high = sorted((a, b))
    mirrored = judge(-high, -low, expected="above", threshold=-threshold, margin=None)
    assert judge(low, high, expected="below", threshold=threshold, margin=None) == mirrored


@given(finite, finite, st.floats(0.01, 1e6))
def test_within_is_the_equivalence_test(a, b, margin):
    low, high = sorted((a, b))
    verdict = judge(low, high, expected="within", threshold=0.0, margin=margin)
    assert (verdict == HOLDS) == equivalent(interval(low, high), margin)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"expected": "bigger"}, "above, below, within"),
        ({"expected": "within"}, "needs margin="),
        ({"expected": "within", "margin": -1.0}, "positive number"),
        ({"expected": "within", "margin": math.nan}, "positive number"),
        ({"expected": "above", "margin": 0.5}, "margin= belongs to"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(change, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        judge(0.0, 1.0, **{"threshold": 0.0, "margin": None, **change})


def measured(difference, **change):
    return Claim.made(replace(FIXED, **change), difference, **RUN)


def exact(value, holds, **change):
    return Claim.made(replace(FIXED, expected="exact", **change), value, holds, **RUN)


def test_four_seeds_are_too_few():
    with pytest.raises(ValueError, match="at least five paired seeds; this interval has 4"):
        measured(interval(1.0, 2.0, n=4))
    assert measured(interval(1.0, 2.0, n=5)).verdict == HOLDS


def test_an_interval_is_needed_and_it_must_be_finite():
    with pytest.raises(ValueError, match="paired_interval returns; got float"):
        measured(3.0)
    with pytest.raises(ValueError, match="not finite"):
        measured(interval(-math.inf, math.inf))


def test_the_record_has_every_field_of_the_ledger_and_survives_json():
    difference = paired_interval([5.0, 6.0, 7.0, 6.0, 6.5], [1.0, 1.5, 2.0, 1.0, 1.2])
    record = measured(difference, threshold=1.0).record()
    assert set(record) == {
        "kind",
        "id",
        "lesson",
        "says",
        "paper",
        "where",
        "published",
        "ours",
        "unit",
        "mean",
        "low",
        "high",
        "level",
        "interval_kind",
        "n",
        "wins",
        "sd",
        "expected",
        "threshold",
        "margin",
        "verdict",
        "finding",
        "limit",
        "negative",
        "card",
        "seconds",
        "profile",
        "seed",
    }
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["low"], record["high"]) == (difference.low, difference.high)
    assert (record["n"], record["wins"], record["kind"]) == (5, 5, "claim")
    assert (record["level"], record["interval_kind"]) == (0.95, "paired Student-t, 95 %")


def test_an_exact_claim_has_no_interval():
    record = exact(0.368064, False).record()
    assert record["interval_kind"] == "exact" and record["verdict"] == FAILS
    assert [record[k] for k in ("low", "high", "level", "sd", "wins")] == [None] * 5
    assert "exact, the same on every run" in as_text(exact(None, True))


@pytest.mark.parametrize("bounds", [(1.0, 2.0), (-2.0, -1.0), (-1.0, 1.0)])
def test_the_card_says_the_verdict_in_words_and_names_itself(bounds):
    claim = measured(interval(*bounds))
    html = as_html(claim)
    assert f"Claim 11.seven-eight: {claim.verdict}" in html  # for a screen reader
    assert html.count(claim.verdict) == 2  # and for everyone, beside the colour
    assert html.index(claim.finding) < html.index(">expected<") < html.index("49.9 %")
    assert 'role="img"' in html and "Hinton, Vinyals &amp; Dean 2015" in html
    for word in ("47.3 %", "49.9 %", "10 seeds", claim.verdict, "section 3"):
        assert word in as_text(claim)


def test_text_from_a_learner_is_escaped():
    claim = exact(None, True, says="<Script>x</Script>")
    assert "<Script>" not in as_html(claim) + table_html([claim])


def test_the_interval_is_drawn_to_scale():
    html = as_html(measured(interval(1.0, 3.0)))
    line, low, high, mean = (
        float(re.search(pattern, html).group(1))
        for pattern in (
            r'x1="([\d.]+)" x2="[\d.]+" y1="1"',
            r'x1="([\d.]+)" x2="[\d.]+" y1="9"',
            r'x2="([\d.]+)" y1="9"',
            r'cx="([\d.]+)"',
        )
    )
    assert line < low < mean < high
    assert mean - low == pytest.approx(low - line, abs=0.3)  # 0, 1, 2: equal steps


def test_a_claim_that_is_no_card_is_one_quiet_line_with_sign_sentence_and_figure():
    claim = measured(interval(1.0, 3.0), card=False)
    html = as_html(claim)
    assert "<table" not in html and claim.published not in html
    assert claim.finding in html and "+2.00 points [1.00, 3.00]" in html and "✓" in html
    assert as_text(claim).count("\n") == 0 and claim.verdict in as_text(claim)


def test_a_row_that_would_be_empty_is_left_out():
    assert ">paper<" in as_html(measured(interval(1.0, 3.0)))
    nothing = measured(interval(1.0, 3.0), published="")
    assert ">paper<" not in as_html(nothing) and "  paper" not in as_text(nothing)
    assert "Hinton" in as_html(nothing)  # the source stays


@pytest.mark.parametrize(
    ("bounds", "negative", "limit"),
    [((1.0, 2.0), True, True), ((-2.0, -1.0), True, False), ((1.0, 2.0), False, False)],
)
def test_a_limit_is_marked_where_a_claim_on_one_holds(bounds, negative, limit):
    claim = measured(interval(*bounds), negative=negative)
    assert ("a limit: what does not help" in as_html(claim)) == limit == claim.record()["limit"]


@pytest.mark.parametrize("value", [0.0, 67.5, -3.0])
def test_equal_seeds_have_no_interval_to_show(value):
    claim = measured(paired_interval([value] * 5, 0.0))
    shown = as_html(claim) + as_text(claim) + table_text([claim])
    assert shown.count("the same in all five seeds") == 3 and f"[{value}" not in shown
    assert "<svg" not in as_html(claim)


@pytest.mark.parametrize(
    ("wins", "change", "words"),
    [
        (10, {}, "all 10 seeds agree"),
        (9, {}, "9 of 10 seeds agree"),
        (10, {"threshold": 0.5}, "10 seeds"),
        (10, {"expected": "within", "margin": 9.0}, "10 seeds"),
    ],
)
def test_seeds_agree_where_a_direction_was_asked_for(wins, change, words):
    claim = measured(replace(interval(1.0, 3.0), wins=wins), **change)
    assert f"95 %; {words})" in as_text(claim)


def test_an_interval_over_questions_counts_questions():
    over = replace(interval(1.0, 3.0), n=3080, kind="bootstrap over questions, 95 %")
    claim = measured(over, threshold=0.5)
    assert "(bootstrap over questions, 95 %; 3080 questions)" in as_text(claim)


def test_all_claims_are_folded_each_with_its_card():
    claims = [measured(interval(1.0, 2.0)), measured(interval(-1.0, 1.0), card=False)]
    title = "All 2 claims of this lesson: 1 holds, 1 cannot be resolved here"
    html = table_html(claims)
    assert table_text(claims).startswith(title)
    assert title in html
    assert html.count("<details") == 3 and "<details open" not in html
    assert html.count(">expected<") == 2  # each with its full card, card or not
    assert table_text([]) == "This lesson has no claims"


@pytest.mark.parametrize(
    ("unit", "values", "inside"),
    [
        ("% right", [100, 5, 98, 38, 98], (0, 100)),
        ("ROUGE-L", [100, 60, 98, 38, 98], (0, 100)),
        ("rank correlation", [1.0, 0.2, 0.9, 1.0, 0.9], (-1, 1)),
    ],
)
def test_the_interval_of_a_share_stays_on_its_scale(unit, values, inside):
    plain = paired_interval(values, 0.0)
    claim = measured(plain, unit=unit)
    assert not inside[0] <= plain.low <= plain.high <= inside[1]
    assert inside[0] < claim.low < claim.mean < claim.high < inside[1]
    assert claim.interval_kind == "paired Student-t on logits, 95 %"
    assert measured(plain, unit="nats").high == plain.high  # without ends, to the last digit
