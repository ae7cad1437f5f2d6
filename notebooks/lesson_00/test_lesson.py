"""The stored seeds of lesson 00: what the text says of them, their pictures, their making."""

import math
import re
from itertools import pairwise
from xml.dom import minidom

import numpy as np
import pytest
import torch

from distill_lab.course import stored
from distill_lab.course.claim import CANNOT, FAILS, HOLDS
from distill_lab.evaluation.statistics import Interval, mean_interval
from lesson_00 import drawings
from lesson_00.experiments import BLOCK, Recipe, accuracies
from lesson_00.figures import Stored, render_coverage, render_pairs, render_seeds, verdict
from lesson_00.make import FILE, make


@pytest.fixture(scope="module")
def pairs():
    return Stored()


def test_twenty_seeds_at_seven_numbers_of_labels(pairs):
    data = stored.load(FILE)
    assert data["settings"]["seeds"] == 20 and data["labels"] == list(Recipe().labels)
    assert {len(pairs.gain(labels)) for labels in pairs.labels} == {20}
    assert set(data["made"]["versions"]) == {"python", "torch", "numpy", "distill_lab"}


def test_what_the_text_says_of_the_stored_seeds(pairs):
    """Many labels: no gain; a verdict that turned away again; an interval that once grew."""
    assert pairs.verdict(50, 2) == CANNOT and pairs.verdict(50, 20) == HOLDS
    assert pairs.verdict(500, 10) == HOLDS and pairs.verdict(500, 20) == CANNOT
    assert pairs.verdict(1000, 20) == FAILS
    gains = [pairs.interval(labels, 20).mean for labels in (50, 200, 1000)]
    assert gains == sorted(gains, reverse=True)
    widths = [pairs.interval(500, n).high - pairs.interval(500, n).low for n in range(2, 21)]
    assert any(b > a for a, b in pairwise(widths)) and widths[-1] < widths[1]
    assert pairs.gain_from_pairs(10) > 2


def test_the_verdict_has_settled(pairs):
    n = pairs.settled(50)
    assert {pairs.verdict(50, m) for m in range(n, 21)} == {HOLDS}
    assert pairs.verdict(50, n - 1) != HOLDS


def test_pairing_is_the_ratio_of_two_standard_errors(pairs):
    alone, taught = (torch.tensor(x[10]) for x in (pairs.alone, pairs.taught))
    unpaired = math.sqrt(alone.var() / 20 + taught.var() / 20)
    paired = (taught - alone).std().item() / math.sqrt(20)
    assert pairs.gain_from_pairs(10) == pytest.approx(unpaired / paired)


def test_every_state_is_drawn_and_says_its_verdict(pairs):
    for labels in pairs.labels:
        sizes = set()
        for seeds in range(2, 21):
            picture = render_seeds(pairs.gain(labels), labels=labels, seeds=seeds)
            minidom.parseString(str(picture))
            sizes.add(re.search(r'viewBox="([^"]+)"', picture)[1])
            assert picture.alt.endswith(f"Verdict: {pairs.verdict(labels, seeds)}.")
            assert picture.count('r="4"') == seeds + 1  # a dot a seed, and the legend's
        assert len(sizes) == 1


def test_a_zero_that_no_gain_reaches_is_in_sight():
    picture = render_seeds([9.0, 9.5, 10.0, 9.2], labels=50, seeds=4)
    assert ">0</text>" in picture


def test_the_verdict_of_an_interval():
    def interval(low, high):
        return Interval((low + high) / 2, low, high, 5, 1.0, 5, "paired Student-t, 95 %")

    assert [verdict(interval(*ends)) for ends in ((1, 2), (-2, -1), (-1, 1))] == [
        HOLDS,
        FAILS,
        CANNOT,
    ]


def test_the_pictures_count_what_they_draw():
    pairs_of_three = render_pairs([40.0, 50.0, 60.0], [45.0, 49.0, 66.0], labels=10)
    assert "is better with the teacher in 2 of 3 seeds" in pairs_of_three.alt
    rng = np.random.default_rng(0)
    spans = [mean_interval(rng.normal(8, 5, 5)) for _ in range(40)]
    missed = sum(not s.low <= 8 <= s.high for s in spans)
    picture = render_coverage(spans, 8.0)
    assert f"{missed} miss it" in picture.alt and f">{missed} of 40" in picture
    assert drawings.verdicts().alt.count("zero") >= 3


@pytest.mark.slow
def test_the_making_gives_the_stored_numbers(tmp_path, pairs, monkeypatch):
    """One block at the smallest number of labels; rounding may differ on another processor."""
    blocks = []

    def recorded(*arguments):
        blocks.append((arguments, accuracies(*arguments)))
        return blocks[-1][1]

    monkeypatch.setattr("lesson_00.make.accuracies", recorded)
    recipe = Recipe(labels=(10,), seeds=BLOCK)
    torch.set_num_threads(1)
    made = make(recipe, tmp_path / FILE)
    ((arguments, block),) = blocks
    assert arguments == (recipe, 0) and made["alone"] == block["alone"]
    for name, kept in (("alone", pairs.alone), ("taught", pairs.taught)):
        assert np.mean(made[name][0]) == pytest.approx(kept[10][:BLOCK].mean(), abs=1.0)
    assert stored.load(FILE, folder=tmp_path)["settings"]["labels"] == [10]
