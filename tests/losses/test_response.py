"""The response losses against an independent float64 oracle; their laws are in test_laws.py."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lab import losses
from distill_lab._util.tensors import IGNORE
from tests.losses.oracles import response as oracle

SHAPES = st.sampled_from([(1, 2), (3, 5), (4, 10), (2, 3, 7), (2, 2, 2, 4)])
TEMPERATURES = st.sampled_from([0.5, 1.0, 2.0, 4.0, 20.0])


def pair(shape, seed, dtype=torch.float32, scale=3.0):
    rng = np.random.default_rng(seed)
    return (torch.tensor(rng.normal(0, scale, shape), dtype=dtype) for _ in range(2))


def draw_labels(shape, seed):
    return torch.tensor(np.random.default_rng(seed + 1).integers(0, shape[-1], shape[:-1]))


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 999), TEMPERATURES, st.booleans())
def test_every_loss_equals_its_float64_oracle(shape, seed, T, masked):
    z_s, z_t = pair(shape, seed)
    y = draw_labels(shape, seed)
    mask = torch.rand(shape[:-1], generator=torch.Generator().manual_seed(seed)) > 0.4
    mask.view(-1)[0] = True
    m, n = (mask, mask.numpy()) if masked else (None, None)
    a, b, c = z_s.numpy(), z_t.numpy(), y.numpy()
    close = lambda ours, theirs: float(ours) == pytest.approx(theirs, rel=2e-4, abs=2e-6)  # noqa: E731
    assert close(losses.forward_kl(z_s, z_t, T=T, mask=m), oracle.forward_kl(a, b, T, n))
    assert close(losses.reverse_kl(z_s, z_t, T=T, mask=m), oracle.reverse_kl(a, b, T, n))
    for beta in (0.1, 0.5, 0.9):
        assert close(losses.jsd(z_s, z_t, T=T, beta=beta, mask=m), oracle.jsd(a, b, T, beta, n))
    assert close(
        losses.soft_cross_entropy(z_s, z_t, T=T, mask=m), oracle.soft_cross_entropy(a, b, T, n)
    )
    assert close(losses.logit_mse(z_s, z_t, mask=m), oracle.logit_mse(a, b, n))
    assert close(losses.cross_entropy(z_s, y, mask=m), oracle.cross_entropy(a, c, n))
    kd = losses.kd_loss(z_s, z_t, y, T=T, alpha=0.9, mask=m)
    rounding = 2e-6 * max(1, T**2)  # T squared multiplies what float32 rounds off the divergence
    assert float(kd) == pytest.approx(oracle.kd_loss(a, b, c, T, 0.9, n), rel=2e-4, abs=rounding)
    if shape[-1] > 2:
        ours = losses.dkd_loss(z_s, z_t, y, T=T, alpha=1.5, beta=8.0, mask=m)
        assert float(ours) == pytest.approx(oracle.dkd_loss(a, b, c, T, 1.5, 8.0, n), rel=2e-3)


def test_known_values():
    p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    assert losses.forward_kl(q, p).item() == pytest.approx(0.368064, abs=1e-6)
    assert losses.reverse_kl(q, p).item() == pytest.approx(0.510826, abs=1e-6)


def test_jsd_is_symmetric_bounded_and_tends_to_kl():
    z_s, z_t = pair((5, 8), 2, torch.float64)
    assert losses.jsd(z_s, z_t).item() == pytest.approx(losses.jsd(z_t, z_s).item())
    apart = losses.jsd(torch.tensor([[0.0, 200.0]]), torch.tensor([[200.0, 0.0]]))
    assert apart.item() == pytest.approx(math.log(2), abs=1e-6)
    limit = losses.jsd(z_s, z_t, beta=1e-6) / 1e-6
    assert limit.item() == pytest.approx(losses.forward_kl(z_s, z_t).item(), rel=1e-3)


def test_kd_loss_ends_are_its_parts():
    z_s, z_t = pair((6, 10), 4)
    y = draw_labels((6, 10), 4)
    assert losses.kd_loss(z_s, z_t, y, alpha=0.0) == losses.cross_entropy(z_s, y)
    assert losses.kd_loss(z_s, z_t, y, alpha=1.0) == losses.kd_loss(z_s, z_t, 9 - y, alpha=1.0)
    soft = 9 * losses.forward_kl(z_s, z_t, T=3.0)
    torch.testing.assert_close(losses.kd_loss(z_s, z_t, T=3.0, alpha=1.0), soft)


def test_temperature_leaves_the_hard_term_alone():
    z_s, z_t = pair((6, 10), 8)
    y = draw_labels((6, 10), 8)
    hard = [
        losses.kd_loss(z_s, z_t, y, T=T, alpha=0.5) - 0.5 * T**2 * losses.forward_kl(z_s, z_t, T=T)
        for T in (1.0, 8.0)
    ]
    torch.testing.assert_close(hard[0], hard[1])


def test_gradient_norm_stays_flat_in_T_and_tends_to_logit_matching():
    z_s, z_t = pair((64, 10), 9, torch.float64, scale=1.0)
    z_s.requires_grad_()
    centred = (z_s - z_s.mean(-1, keepdim=True)) - (z_t - z_t.mean(-1, keepdim=True))
    limit = (centred / (10 * 64)).norm().item()
    for T in (8.0, 16.0, 32.0):
        (gradient,) = torch.autograd.grad(losses.kd_loss(z_s, z_t, T=T, alpha=1.0), z_s)
        assert gradient.norm().item() == pytest.approx(limit, rel=0.05)


def test_high_temperature_kd_is_half_the_mean_squared_logit_distance():
    z_s, z_t = pair((7, 10), 10, torch.float64)
    z_s, z_t = (z - z.mean(-1, keepdim=True) for z in (z_s, z_t))
    kd = losses.kd_loss(z_s, z_t, T=1e4, alpha=1.0)
    assert kd.item() == pytest.approx(losses.logit_mse(z_s, z_t).item() / 20, rel=1e-3)


def test_ignored_labels_leave_both_terms_of_kd_loss():
    z_s, z_t = pair((5, 4), 12)
    y = torch.tensor([0, 1, IGNORE, 3, IGNORE])
    kept = y != IGNORE
    expected = losses.kd_loss(z_s[kept], z_t[kept], y[kept])
    assert losses.kd_loss(z_s, z_t, y).item() == pytest.approx(expected.item(), rel=1e-6)


def test_dkd_decomposes_kd_and_stays_finite_where_others_overflow():
    z_s, z_t = pair((6, 10), 14, torch.float64)
    y = draw_labels((6, 10), 14)
    p_y = losses.soften(z_t, 4.0).gather(-1, y[:, None])[:, 0]
    for i in range(6):
        row = (z_s[i : i + 1], z_t[i : i + 1])
        target = losses.dkd_loss(*row, y[i : i + 1], alpha=1.0, beta=0.0)
        others = losses.dkd_loss(*row, y[i : i + 1], alpha=0.0, beta=1.0)
        together = losses.kd_loss(*row, alpha=1.0, T=4.0)
        assert (target + (1 - p_y[i]) * others).item() == pytest.approx(together.item(), rel=1e-9)
    confident = torch.tensor([[200.0, 0.0, 0.0]])
    doubting = torch.tensor([[0.0, 1.0, 2.0]])
    assert losses.dkd_loss(confident, doubting, torch.tensor([0]), T=1.0).isfinite()
    two = torch.tensor([[3.0, 1.0]])
    assert losses.dkd_loss(two, -two, torch.tensor([0])).isfinite()


def test_standardised_logits_forget_shift_and_scale():
    z, _ = pair((4, 7), 15, torch.float64)
    standard = losses.standardize_logits(z)
    torch.testing.assert_close(losses.standardize_logits(3 * z + 7), standard, rtol=1e-6, atol=1e-6)
    assert standard.mean(-1).abs().max() < 1e-9
    assert losses.standardize_logits(torch.ones(2, 3)).isfinite().all()


def test_soft_cross_entropy_is_forward_kl_plus_the_teachers_entropy():
    z_s, z_t = pair((5, 6), 16, torch.float64)
    p = losses.soften(z_t, 2.0)
    entropy = -(p * p.log()).sum(-1).mean()
    expected = losses.forward_kl(z_s, z_t, T=2.0) + entropy
    torch.testing.assert_close(losses.soft_cross_entropy(z_s, z_t, T=2.0), expected)
    assert losses.soft_cross_entropy(z_s, z_s) > 0.1  # a truthful name: not a divergence
