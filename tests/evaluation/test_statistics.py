"""Intervals and exact tests, held against SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from distill_lab.evaluation.statistics import (
    Interval,
    equivalent,
    mcnemar,
    mean_interval,
    nadeau_bengio_interval,
    paired_interval,
    seeds_needed,
    sign_test,
)


def draws(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(90, 2, n), rng.normal(89, 2, n)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 11, 20, 200])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.999])
def test_paired_interval_is_scipys(n, level):
    a, b = draws(n)
    ours = paired_interval(a, b, level=level)
    theirs = stats.ttest_rel(a, b).confidence_interval(level)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert ours.mean == pytest.approx((a - b).mean(), rel=1e-12)
    assert ours.sd == pytest.approx((a - b).std(ddof=1), rel=1e-12)
    assert ours.n == n and ours.level == level


@pytest.mark.parametrize("n", [2, 7, 50])
def test_mean_interval_is_scipys(n):
    a, _ = draws(n)
    theirs = stats.ttest_1samp(a, 0).confidence_interval(0.95)
    ours = mean_interval(a)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


def test_nadeau_bengio_widens_by_the_factor_of_the_paper():
    a, b = draws(20)
    plain = paired_interval(a, b)
    wide = nadeau_bengio_interval(a, b, n_train=1000, n_test=797)
    t = stats.t.ppf(0.975, 19)
    half = t * math.sqrt((a - b).var(ddof=1) * (1 / 20 + 797 / 1000))
    assert (wide.low, wide.high) == pytest.approx((wide.mean - half, wide.mean + half), rel=1e-9)
    assert (wide.high - wide.low) / (plain.high - plain.low) == pytest.approx(4.116, abs=1e-3)
    assert "Nadeau-Bengio" in wide.kind and "Nadeau-Bengio" not in plain.kind


def test_the_interval_covers_what_it_says():
    values = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0)) + 3
    intervals = [mean_interval(row, level=0.9) for row in values]
    covered = sum(iv.low < 3 < iv.high for iv in intervals) / 2000
    assert covered == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(
    ("wins", "losses", "ties"), [(5, 0, 0), (6, 0, 0), (10, 0, 3), (7, 3, 2), (3, 7, 0), (4, 4, 1)]
)
def test_sign_test_is_scipys_binomial(wins, losses, ties):
    differences = [1.0] * wins + [-2.0] * losses + [0.0] * ties
    expected = stats.binomtest(wins, wins + losses, 0.5).pvalue
    assert sign_test(differences, 0) == pytest.approx(expected, rel=1e-12)


def test_sign_test_with_nothing_but_ties_shows_nothing():
    assert sign_test([1.0, 2.0], [1.0, 2.0]) == 1.0


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (14, 3), (74, 146), (900, 1000)])
def test_mcnemar_is_the_exact_binomial_of_the_discordant_pairs(only_a, only_b):
    a = [True] * only_a + [False] * only_b + [True] * 50 + [False] * 5
    b = [False] * only_a + [True] * only_b + [True] * 50 + [False] * 5
    m = only_a + only_b
    expected = stats.binomtest(only_a, m, 0.5).pvalue if m else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-9)


def test_lists_arrays_and_tensors_are_one():
    a, b = draws(6)
    plain = paired_interval(list(a), list(b))
    assert paired_interval(torch.tensor(a), torch.tensor(b)) == plain
    assert paired_interval(a, torch.tensor(b, requires_grad=True)) == plain
    assert paired_interval([torch.tensor(x) for x in a], b) == plain
    assert paired_interval(a, torch.tensor(89.0)) == paired_interval(a, 89)
    assert mcnemar(torch.tensor([True, False]), np.array([0, 1])) == 1.0


def test_wins_count_the_sign_of_the_mean():
    gain = paired_interval([3, 4, 5, -1], 0)
    loss = paired_interval([-3, -4, -5, 1], 0)
    assert gain.wins == loss.wins == 3
    assert str(gain).startswith("+2.75 [") and str(gain).endswith("(3/4)")
    assert str(loss).startswith("-2.75 [") and str(loss).endswith("(3/4)")


def test_how_an_interval_reads():
    paired = Interval(-0.001, -1.0, 0.998, n=5, sd=1.0, wins=3, kind="paired Student-t, 95 %")
    assert str(paired) == "+0.00 [-1.00, 1.00] (3/5)"
    assert f"{paired:.3f}" == "-0.001 [-1.000, 0.998] (3/5)"
    assert mean_interval([1, 2], level=0.9).kind == "Student-t, 90 %"
    assert paired_interval([1, 2], 0).kind == "paired Student-t, 95 %"
    with pytest.raises(AttributeError):
        paired.mean = 3.0


def test_equal_differences_give_an_interval_of_no_width():
    iv = paired_interval([2, 3, 4], [1, 2, 3])
    assert (iv.mean, iv.low, iv.high, iv.sd) == (1, 1, 1, 0)


def test_equivalent_asks_for_the_whole_interval():
    def around(low, high):
        return Interval((low + high) / 2, low, high, 5, 1.0, 3, "paired Student-t, 95 %")

    assert equivalent(around(-0.2, 0.4), 0.5)
    assert not equivalent(around(-0.6, 0.4), 0.5)  # contains 0, yet is not equivalence
    assert not equivalent(around(0.2, 0.5), 0.5)
    assert not equivalent(around(0.6, 0.7), 0.5)


def test_seeds_needed_gives_the_power_it_promises():
    n = seeds_needed(sd=1.25, effect=2.1)
    assert n == 5
    shift = 2.1 / 1.25 * math.sqrt(n)
    t = stats.t.ppf(0.975, n - 1)
    assert 0.7 < stats.nct.sf(t, n - 1, shift) < 0.9
    assert seeds_needed(sd=0.35, effect=-0.55) == 6
    assert seeds_needed(sd=0, effect=1) == 2


BAD = [
    (lambda: paired_interval([1, 2, 3], [1, 2]), ValueError, "same seeds in the same order; got 3"),
    (lambda: paired_interval([1], [1]), ValueError, "a needs 2 values or more; got 1"),
    (lambda: mean_interval([]), ValueError, "values needs 2 values or more; got 0"),
    (lambda: mean_interval([1, math.nan]), ValueError, "value 1 is nan"),
    (lambda: paired_interval([1, 2], [math.inf, 1]), ValueError, "b must be finite; value 0 is"),
    (lambda: mean_interval([[1, 2], [3, 4]]), ValueError, r"got shape \(2, 2\). Average over"),
    (lambda: mean_interval(3.0), ValueError, "one row of numbers"),
    (lambda: mean_interval("nine"), TypeError, "row of numbers; got str"),
    (lambda: paired_interval([1, 2], None), TypeError, "b must be a row of numbers; got NoneType"),
    (lambda: mean_interval([1, 2], level=95), ValueError, "between 0 and 1; got 95. Use 0.95"),
    (lambda: sign_test([], []), ValueError, "a needs 1 values or more"),
    (lambda: mcnemar([0, 2], [0, 1]), ValueError, "correct_a must hold one True or False"),
    (lambda: mcnemar([0, 1, 1], [0, 1]), ValueError, "got 3 values and 2"),
    (lambda: equivalent(mean_interval([1, 2]), 0), ValueError, "margin must be a positive number"),
    (lambda: seeds_needed(-1, 1), ValueError, "sd must be a finite number, 0 or more; got -1"),
    (lambda: seeds_needed(1, 0), ValueError, "effect must be a finite number other than 0"),
    (
        lambda: nadeau_bengio_interval([1, 2], 0, n_train=0, n_test=5),
        ValueError,
        "n_train must be a positive number of examples; got 0",
    ),
]


@pytest.mark.parametrize(("call", "error", "sentence"), BAD)
def test_bad_input_gets_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
