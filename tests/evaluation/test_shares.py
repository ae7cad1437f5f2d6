"""Intervals of shares: inside their scale, unchanged where the plain one fits, and covering."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from distill_lab.evaluation.differences import between_seeds
from distill_lab.evaluation.measures import COLUMNS, ModelResult, line_of
from distill_lab.evaluation.shares import within_scale
from distill_lab.evaluation.statistics import Interval, mean_interval, paired_interval

shares = st.lists(st.integers(0, 40).map(lambda right: 2.5 * right), min_size=5, max_size=10)


@given(shares)
def test_it_stays_inside_and_holds_its_mean(values):
    interval = within_scale(mean_interval(values), 0, 100)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 100
    plain = mean_interval(values)
    if plain.low >= 0 and plain.high <= 100:
        assert interval == plain  # to the last digit, and of the same kind


@given(shares)
def test_right_and_wrong_answers_mirror_each_other(values):
    right = within_scale(mean_interval(values), 0, 100)
    wrong = within_scale(mean_interval([100 - value for value in values]), 0, 100)
    assert (100 - wrong.high, 100 - wrong.low) == pytest.approx((right.low, right.high), abs=1e-9)


@given(shares, st.floats(0.01, 100))
def test_the_scale_itself_may_be_any(values, unit):
    percent = within_scale(mean_interval(values), 0, 100)
    scaled = within_scale(mean_interval([unit * v - 3 for v in values]), -3, 100 * unit - 3)
    assume(percent.kind == scaled.kind)  # a plain interval may touch an end by rounding
    assert (scaled.low + 3) / unit == pytest.approx(percent.low, abs=1e-6)
    assert (scaled.high + 3) / unit == pytest.approx(percent.high, abs=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_more_confidence_is_more_width(level):
    values = [100, 5, 98, 38, 98]
    narrow = within_scale(mean_interval(values, level=level), 0, 100)
    wide = within_scale(mean_interval(values, level=0.99), 0, 100)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_sums_with_a_hole():
    interval = within_scale(mean_interval([100, 5, 98, 38, 98]), 0, 100)
    assert (interval.low, interval.high) == pytest.approx((14.9, 96.2), abs=0.1)
    assert interval.kind == "Student-t on logits, 95 %"
    paired = within_scale(paired_interval([100, 95, 20, 100, 90], [0, 90, 0, 3, 1]), -100, 100)
    assert paired.high < 100 and str(paired).endswith("(5/5)")


@pytest.mark.parametrize("value", [0.0, 67.5, 100.0])
def test_equal_seeds_stay_as_they_are(value):
    plain = mean_interval([value] * 5)
    assert within_scale(plain, 0, 100) == plain


@pytest.mark.parametrize("mean", [-0.1, 100.1, 250.0])
def test_what_is_no_share_is_refused(mean):
    interval = Interval(mean, mean - 1, mean + 1, 5, 1.0, 5, "Student-t, 95 %")
    with pytest.raises(ValueError, match="outside the scale from 0 to 100"):
        within_scale(interval, 0, 100)


DRAWS = {
    "98 % of 40 questions": (lambda r, shape: r.binomial(40, 0.98, shape) / 0.4, 98),
    "2 % of 60 questions": (lambda r, shape: r.binomial(60, 0.02, shape) / 0.6, 2),
    "seeds that differ, 70 %": (lambda r, shape: 100 * r.beta(0.7, 0.3, shape), 70),
    "seeds that differ, 2 %": (lambda r, shape: r.binomial(60, r.beta(0.4, 19.6, shape)) / 0.6, 2),
}


@pytest.mark.parametrize("name", DRAWS)
def test_it_covers_where_the_plain_interval_leaves_the_scale(name):
    """What the choice of method rests on: at the ends it covers at least what the plain one does.

    Of seven methods tried (plain, cut off, arcsine, bootstrap, Gaffke, Wilson, logit) logit covers
    best among those that are not several times as wide.
    """
    draw, truth = DRAWS[name]
    rng = np.random.default_rng(0)
    plain, ours = [], []
    for values in draw(rng, (800, 5)):
        interval = mean_interval(values.tolist())
        if (interval.low >= 0 and interval.high <= 100) or interval.low == interval.high:
            continue
        moved = within_scale(interval, 0, 100)
        plain.append(interval.low <= truth <= interval.high)
        ours.append(moved.low <= truth <= moved.high)
    assert len(ours) > 300
    assert np.mean(ours) >= 0.93
    assert np.mean(ours) >= np.mean(plain) + 0.04


@pytest.mark.parametrize(
    ("key", "by_seed", "shown"),
    [
        ("accuracy", (100.0, 99.0, 100.0, 95.0, 100.0), "[89.48, 99.87]"),
        ("accuracy", (67.5,) * 5, "(the same in all 5)"),
        ("accuracy", (90.0, 91.0, 92.0, 90.0, 91.0), "[89.76, 91.84]"),
        ("ece", (0.0, 0.1, 0.0, 2.0, 0.0), "[0.03, 5.50]"),
        ("nll", (0.0, 0.1, 0.0, 2.0, 0.0), "[-0.6780, 1.5180]"),  # nats have no upper end
    ],
)
def test_a_report_names_no_share_that_cannot_be(key, by_seed, shown):
    row = ModelResult("a", 5, 98.8, 0.3, 1.0, 7, "7", 80.0, by_seed={key: by_seed})
    assert line_of(key, COLUMNS[key], [row])[1][0].interval == shown


def test_a_difference_between_seeds_stays_on_its_scale():
    a, b = [100, 95, 20, 100, 90], [0, 90, 0, 3, 1]
    gain = between_seeds(a, b, names=("a", "b"), measure="accuracy", unit="points")
    assert paired_interval(a, b).high > 100 > gain.interval.high
    assert "on logits" in str(gain)
    other = between_seeds(a, b, names=("a", "b"), measure="loss", unit="nats")
    assert other.interval == paired_interval(a, b)
