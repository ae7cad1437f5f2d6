"""Differences, with their tests worked out by hand."""

from math import isclose, sqrt

import pytest
import torch

from distill_lab.evaluation.differences import between_fixed, between_seeds
from distill_lab.evaluation.statistics import nadeau_bengio_interval, paired_interval

NAMES = ("kd", "ce")


def seeds(a, b, **options):
    return between_seeds(a, b, names=NAMES, measure="accuracy", unit="points", **options)


def fixed(only_a, only_b, both, neither):
    """Truth values of two networks with these counts."""
    a = [True] * only_a + [False] * only_b + [True] * both + [False] * neither
    b = [False] * only_a + [True] * only_b + [True] * both + [False] * neither
    return between_fixed(torch.tensor(a), torch.tensor(b), names=NAMES)


def test_several_seeds_are_paired():
    a, b = [90.0, 92.0, 91.0, 95.0, 94.0], [89.0, 92.0, 90.0, 93.0, 95.0]
    result = seeds(a, b)
    assert result.interval == paired_interval(a, b)
    assert (result.interval.mean, result.interval.n, result.of) == (pytest.approx(0.6), 5, "seeds")
    assert (result.above, result.below) == (3, 1)
    # Of the 4 that differ 1 goes the other way: p = 2 (1 + 4) / 2^4.
    assert result.p == pytest.approx(0.625) and result.test == "exact sign test"
    assert "paired Student-t" in result.interval.kind


def test_overlapping_splits_widen_the_interval_and_say_so():
    a, b = [90.0, 92.0, 91.0], [89.0, 90.0, 88.0]
    result = seeds(a, b, splits=(100, 50))
    assert result.interval == nadeau_bengio_interval(a, b, n_train=100, n_test=50)
    assert result.interval.low < seeds(a, b).interval.low
    assert "Nadeau-Bengio" in str(result)


def test_one_network_stands_beside_each_seed():
    assert seeds([1.0, 2.0, 4.0], [1.0]).interval == paired_interval([0.0, 1.0, 3.0], 0)
    back = seeds([1.0], [1.0, 2.0, 4.0])
    assert (back.above, back.below, back.interval.mean) == (0, 2, pytest.approx(-4 / 3))


def test_mcnemar_by_hand():
    result = fixed(only_a=5, only_b=1, both=30, neither=4)
    assert result.p == pytest.approx(2 * (1 + 6) / 2**6)
    assert (result.above, result.below, result.interval.n, result.of) == (5, 1, 40, "examples")
    assert result.interval.mean == pytest.approx(100 * 4 / 40)
    assert result.test == "McNemar's exact test"


def test_the_interval_of_two_networks_by_hand():
    # Bentur et al. 2009: 1 and 7 of 21 pairs differ; the interval of Bonett and Price, worked out
    # for this table from their formula.
    result = fixed(only_a=1, only_b=7, both=1, neither=12).interval
    u, v = 2 / 23, 8 / 23
    half = 1.959964 * sqrt((u + v - (u - v) ** 2) / 23)
    assert isclose(result.low, 100 * (u - v - half), rel_tol=1e-6)
    assert isclose(result.high, 100 * (u - v + half), rel_tol=1e-6)
    assert round(result.low, 1) == -50.8 and round(result.high, 1) == -1.3
    assert "Bonett-Price, 95 %" in result.kind


def test_networks_that_are_never_told_apart_still_have_an_interval():
    result = fixed(0, 0, 40, 10)
    assert result.p == 1 and result.interval.mean == 0
    assert result.interval.low < 0 < result.interval.high  # 50 examples prove no equality
    assert fixed(0, 3, 0, 0).interval.low >= -100  # and an accuracy can fall by no more


def test_the_sentence_names_test_n_and_interval():
    words = str(fixed(5, 1, 30, 4))
    for part in ("kd - ce", "+10.00 points [", "Bonett-Price, 95 %", "40 examples", "p = 0.219"):
        assert part in words
    small = between_seeds([0.1, 0.2], [0.3, 0.3], names=NAMES, measure="nll", unit="")
    assert "nll: -0.1500 [" in str(small)
    assert fixed(20, 0, 1, 1).p_words == "p < 0.001"


def test_seeds_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="the same seeds in the same order"):
        seeds([1.0, 2.0, 3.0], [1.0, 2.0])
