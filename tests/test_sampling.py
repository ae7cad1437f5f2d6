"""Drawing classes from a teacher: unbiased, quieter than independent draws, repeatable."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lab._util.tensors import mix, uniform
from distill_lab.losses import forward_kl
from distill_lab.methods import divergence
from distill_lab.signals import sample, systematic_sample

PEAKED = torch.tensor([6.0, 3.0, 2.0, 1.0, 0.5, 0.0, -1.0, -9.0])


def many(*shape, seed=0):
    """Uniform numbers, one a position."""
    return uniform(seed, torch.arange(math.prod(shape))).view(shape)


def one_hot_mean(ids, weights, classes):
    return torch.zeros(*ids.shape[:-1], classes).scatter_add(-1, ids, weights)


@pytest.mark.parametrize("slots", [3, [6, 5, 4, 4]], ids=["n", "fewer where more are certain"])
@pytest.mark.parametrize("T", [1.0, 3.0])
def test_the_mean_over_many_draws_is_the_dense_gradient_and_value(slots, T):
    """Within 4.5 standard errors a class, over 20,000 draws: gradient q - E[w], and the value."""
    repeats = 20_000
    z_t = PEAKED[torch.tensor([3, 0, 7, 1, 4, 2, 6, 5])]
    z_s = torch.linspace(-1, 1, 8)
    ids, weights, neg_entropy_est, _ = systematic_sample(
        z_t.expand(repeats, 8), many(repeats, seed=1), slots, T=T
    )
    p, log_q = (z_t / T).softmax(-1), (z_s / T).log_softmax(-1)
    w = one_hot_mean(ids, weights, 8)
    values = neg_entropy_est - (weights * log_q[ids]).sum(-1)
    whole = forward_kl(z_s[None], z_t[None], T=T)
    for sample_, exact in ((w, p), (values[:, None], whole[None])):
        error = sample_.std(0) / repeats**0.5
        assert ((sample_.mean(0) - exact).abs() <= 4.5 * error + 1e-6).all()
        assert (error < 0.01).all()  # or the bound would forgive anything
    assert (w.std(0) > 1e-3).any()  # and something was drawn by chance at all


def test_the_gradient_through_divergence_is_unbiased():
    repeats = 4000
    z_s = torch.linspace(-1, 1, 8).requires_grad_()
    (dense,) = torch.autograd.grad(forward_kl(z_s[None], PEAKED[None]), z_s)
    said = sample(PEAKED.expand(repeats, 8), 3, seed=2)
    each = z_s.detach().expand(repeats, 8).clone().requires_grad_()
    (found,) = torch.autograd.grad(divergence(each, said) * repeats, each)
    error = found.std(0) / repeats**0.5
    assert ((found.mean(0) - dense).abs() <= 4.5 * error + 1e-6).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 40), st.integers(1, 12), st.sampled_from([0.1, 2, 30]))
def test_weights_are_a_distribution_over_classes_of_which_the_likely_are_certain(
    seed, classes, n, scale
):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(5, 2, classes, generator=generator) * scale
    ids, weights, neg_entropy_est, certain = systematic_sample(z, many(5, 2, seed=seed), n)
    p = z.double().softmax(-1)
    assert ids.shape == weights.shape == (5, 2, n) and neg_entropy_est.shape == certain.shape == (
        5,
        2,
    )
    assert (ids >= 0).all() and (ids < classes).all() and (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(5, 2))
    for row in range(10):
        i, w, h = ids.view(10, n)[row], weights.view(10, n)[row], int(certain.view(10)[row])
        torch.testing.assert_close(w[:h], p.view(10, -1)[row][i[:h]].float())  # exact, and first
        drawn = i[h:][w[h:] > 1e-12]  # below that, rounding decides what is certain
        assert len(drawn.unique()) == len(drawn)  # a tail class takes at most one place
        assert w[h:].max() <= 1 / n + 1e-6 if h < n else True
    named = p.log().gather(-1, ids)
    torch.testing.assert_close(
        neg_entropy_est, (weights * torch.where(weights > 0, named, 0)).sum(-1).float()
    )


def test_quieter_than_independent_draws():
    repeats, n = 5000, 4
    p = PEAKED.softmax(-1)
    ids, weights, *_ = systematic_sample(PEAKED.expand(repeats, 8), many(repeats), n)
    ours = one_hot_mean(ids, weights, 8).var(0).sum()
    independent = (p * (1 - p) / n).sum()
    assert ours < 0.2 * independent


def test_impossible_classes_are_never_drawn_and_places_may_stay_empty():
    z = torch.full((64, 6), -float("inf"))
    z[:, 2], z[:, 4] = 0.0, 1.0
    ids, weights, neg_entropy_est, _ = systematic_sample(z, many(64), 4)
    assert set(ids[weights > 0].tolist()) == {2, 4}
    torch.testing.assert_close(one_hot_mean(ids, weights, 6), z.softmax(-1))
    assert neg_entropy_est.isfinite().all()


def test_what_is_drawn_follows_from_the_example_and_not_from_its_batch():
    z = torch.randn(6, 3, 50, generator=torch.Generator().manual_seed(0))
    numbers = torch.tensor([5, 900, 17, 2, 3, 44])
    whole = sample(z, 7, seed=4, ids=numbers)
    order = torch.tensor([3, 0, 5])
    part = sample(z[order], 7, seed=4, ids=numbers[order])
    for name in ("ids", "weights", "neg_entropy_est"):
        assert torch.equal(getattr(whole, name)[order], getattr(part, name))
    assert not torch.equal(whole.ids, sample(z, 7, seed=5, ids=numbers).ids)
    assert not torch.equal(whole.ids, sample(z, 7, seed=4, ids=numbers + 1).ids)


def test_large_vocabularies_go_through_in_blocks(monkeypatch):
    z = torch.randn(7, 100, generator=torch.Generator().manual_seed(0))
    whole = systematic_sample(z, many(7), 5)
    monkeypatch.setattr("distill_lab.signals._BLOCK", 150)
    for a, b in zip(whole, systematic_sample(z, many(7), 5), strict=True):
        assert torch.equal(a, b)


def test_uniform_numbers_are_uniform_and_do_not_repeat():
    rows = uniform(0, torch.arange(200)[:, None], torch.arange(100))
    assert rows.min() >= 0 and rows.max() < 1 and len(rows.unique()) == 20_000
    counts = torch.histc(rows, 20, 0, 1)
    chi2 = ((counts - 1000) ** 2 / 1000).sum()
    assert chi2 < 45  # 19 degrees of freedom: beyond 45 once in 1,500
    for a, b in ((rows[:-1], rows[1:]), (rows[:, :-1], rows[:, 1:])):  # neighbours are strangers
        assert abs(torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1]) < 0.03
    assert len(mix(torch.arange(1000)).unique()) == 1000


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="one number an example"):
        sample(PEAKED[None], 2, ids=torch.arange(2))
    with pytest.raises(ValueError, match="one row an example"):
        sample(PEAKED, 2)
    with pytest.raises(ValueError, match="one a position"):
        systematic_sample(PEAKED[None], many(2), 2)
    with pytest.raises(ValueError, match="leave a place"):
        systematic_sample(PEAKED[None], many(1), [3, 2, 2])


def test_no_seed_example_or_place_is_at_the_very_start():
    """Zero is a fixed point of `mix`: seed 0, example 0, place 0 would always draw u = 0."""
    zero = torch.zeros(1, dtype=torch.long)
    for seed in range(3):
        for keys in ((), (zero,), (zero, zero), (zero, zero, zero)):
            assert (uniform(seed, *keys) > 1e-6).all()


@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("n", [6, 7, 20])
def test_where_there_is_a_place_for_every_class_each_is_certain(n, scale):
    z = scale * torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    drawn = sample(z, n)
    assert drawn.ids.shape == (8, n) and (drawn.certain == 6).all()
    p = z.double().softmax(-1).float()
    torch.testing.assert_close(one_hot_mean(drawn.ids, drawn.weights, 6), p, rtol=0, atol=0)
    torch.testing.assert_close(
        drawn.neg_entropy_est, (p * z.double().log_softmax(-1)).sum(-1).float()
    )
    other = sample(z, n, seed=1)  # nothing is left to chance
    assert torch.equal(other.ids, drawn.ids) and torch.equal(other.weights, drawn.weights)


def test_no_examples_are_no_draws():
    for n in (2, 3, 5):
        drawn = sample(torch.zeros(0, 4, 3), n)
        assert drawn.ids.shape == drawn.weights.shape == (0, 4, n)
        assert drawn.certain.shape == drawn.neg_entropy_est.shape == (0, 4)
