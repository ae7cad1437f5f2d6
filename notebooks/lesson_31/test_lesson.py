"""Lesson 31: committees know their members, halves their digits, and the picture its rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distill_lab.data.datasets import Examples
from distill_lab.models import MLP
from lesson_31 import drawings, experiments
from lesson_31.figures import RULES, mix, render_target

SEEDS = [3, 4]
X = torch.rand(2, 30, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(30).remainder(10).expand(2, 30)
DATA = Examples(X, Y)


def small(seed: int) -> MLP:
    return MLP(6, 10, seed=seed)


def test_a_bootstrap_sample_repeats_some_and_misses_others() -> None:
    samples = experiments.bootstrap(200, 8, SEEDS)
    assert samples.shape == (2, 8, 200)
    distinct = [len(row.unique()) for row in samples.flatten(0, 1)]
    assert 110 < np.mean(distinct) < 145  # 127 in the mean
    assert torch.equal(samples[1], experiments.bootstrap(200, 8, [4])[0])  # a seed's own
    assert not torch.equal(samples[0], samples[1])


def test_a_member_of_a_seed_is_found_again() -> None:
    samples = experiments.bootstrap(30, 3, SEEDS)
    group = experiments.committee(small, DATA, SEEDS, samples, epochs=1)
    logits = group.logits(X)
    assert logits.shape == (3, 2, 30, 10)
    for seed in range(2):
        for member, model in enumerate(group.models(seed)):
            with torch.no_grad():
                torch.testing.assert_close(logits[member, seed], model(X[seed]))


def test_each_member_learns_from_its_own_sample() -> None:
    samples = experiments.bootstrap(30, 2, SEEDS)
    group = experiments.committee(small, DATA, SEEDS, samples, epochs=1)
    changed = samples.clone()
    changed[1, 0] = samples[1, 1]
    other = experiments.committee(small, DATA, SEEDS, changed, epochs=1)
    same = [
        torch.equal(a, b)
        for a, b in zip(group.logits(X).flatten(0, 1), other.logits(X).flatten(0, 1), strict=True)
    ]  # (member, seed): 0 0, 0 1, 1 0, 1 1
    assert same == [True, False, True, True]


def test_without_samples_all_members_see_everything() -> None:
    group = experiments.committee(small, DATA, SEEDS, members=2, epochs=1)
    every = torch.arange(30).expand(2, 2, 30)
    named = experiments.committee(small, DATA, SEEDS, every, epochs=1)
    assert torch.equal(group.logits(X), named.logits(X))


def test_the_halves_are_0_to_4_and_5_to_9() -> None:
    knows_low = torch.nn.functional.one_hot(Y % 5, 10).float()
    low, high = experiments.by_half(knows_low, Y)
    assert low.tolist() == [100, 100] and high.tolist() == [0, 0]


def test_strangers_are_the_surest_pictures_of_the_other_specialist() -> None:
    labels = torch.arange(10).repeat(3)
    right = 5.0 * torch.nn.functional.one_hot(labels, 10).float()
    sure = torch.zeros(30, 10)
    sure[10:20, 0] = 9.0  # the second picture of each digit
    low, high = right.clone(), right.clone()
    is_high = labels >= 5
    low[is_high], high[~is_high] = sure[is_high], sure[~is_high]
    assert experiments.strangers(low, high, labels) == list(range(10, 20))
    low[10] = 0.0
    low[10, 1] = 9.0  # its own specialist is wrong on this 0
    assert experiments.strangers(low, high, labels)[0] in (0, 20)


def test_rows_are_picked_seed_by_seed() -> None:
    index = torch.tensor([[0, 2], [5, 1]])
    picked = experiments.pick_rows(DATA, index)
    assert torch.equal(picked.inputs[1, 0], X[1, 5]) and picked.labels.tolist() == [[0, 2], [5, 1]]


def test_two_sets_are_skipped_in_quick_with_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert experiments.two_sets("quick", SEEDS) is None
    assert "--profile full" in capsys.readouterr().out


@pytest.mark.parametrize("T", [1.0, 4.0])
def test_each_rule_gives_a_distribution_and_the_route_one_teachers(T: float) -> None:
    generator = np.random.default_rng(0)
    low, high = generator.normal(size=(2, 10)) * 3
    for rule in RULES:
        assert mix(low, high, 3, rule, T).sum() == pytest.approx(1)
    alone = [np.exp(z / T) / np.exp(z / T).sum() for z in (low, high)]
    np.testing.assert_allclose(mix(low, high, 3, "route", T), alone[0])
    np.testing.assert_allclose(mix(low, high, 7, "route", T), alone[1])
    np.testing.assert_allclose(mix(low, high, 3, RULES[0], T), (alone[0] + alone[1]) / 2)
    product = np.sqrt(alone[0] * alone[1])
    np.testing.assert_allclose(mix(low, high, 3, RULES[1], T), product / product.sum())
    sure = [p.max() for p in alone]
    expected = (sure[0] * alone[0] + sure[1] * alone[1]) / sum(sure)
    np.testing.assert_allclose(mix(low, high, 3, RULES[2], T), expected)
    with pytest.raises(ValueError, match="expected one of"):
        mix(low, high, 3, "vote", T)


def test_the_picture_says_whether_the_target_is_right() -> None:
    low, high = np.zeros(10), np.zeros(10)
    low[3], high[8] = 4.0, 6.0
    image = np.zeros((8, 8))
    wrong = render_target(image, low, high, 3, rule=RULES[0], T=1.0)
    right = render_target(image, low, high, 3, rule="route", T=1.0)
    assert "first choice is 8: ✗ wrong" in wrong.alt and "first choice is 3: ✓ right" in right.alt


@pytest.mark.parametrize("name", drawings.__all__)
def test_every_drawing_keeps_the_laws_of_panels(name: str) -> None:
    assert getattr(drawings, name)().alt
