"""Relational losses: oracle values, and the two numerical bugs that every copy shares."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lab import losses
from tests.losses.draw import normal, some
from tests.losses.oracles import relation as oracle

SEEDS = st.integers(0, 999)


def close(ours, theirs, rel=2e-4):
    assert float(ours) == pytest.approx(theirs, rel=rel, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(3, 6), st.integers(1, 4), st.integers(2, 5), st.booleans())
def test_relations_equal_their_oracles(seed, batch, d_s, d_t, masked):
    s, t = normal(batch, d_s, 2, seed=seed), normal(batch, d_t, seed=seed + 1)
    mask = some(batch, seed) if masked else None
    n = None if mask is None else mask.numpy()
    a, b = s.numpy(), t.numpy()
    close(losses.similarity_preserving_loss(s, t, mask=mask), oracle.similarity(a, b, n))
    close(losses.rkd_distance_loss(s, t, mask=mask), oracle.rkd_distance(a, b, n))
    close(losses.rkd_angle_loss(s, t, mask=mask), oracle.rkd_angle(a, b, n))
    for gamma, order in ((0.4, 2), (1.5, 4)):
        close(
            losses.correlation_congruence_loss(s, t, gamma=gamma, order=order, mask=mask),
            oracle.correlation_congruence(a, b, gamma, order, n),
        )
    close(losses.pkt_loss(s, t, mask=mask), oracle.pkt(a, b, mask=n))
    other = normal(batch, 2 * d_s, seed=seed + 2)
    close(
        losses.crd_loss(s.flatten(1), other, T=0.3, mask=mask),
        oracle.crd(s.flatten(1).numpy(), other.numpy(), 0.3, n),
    )


def test_tokens_are_examples_where_the_mask_covers_them():
    s, t = normal(2, 3, 4), normal(2, 3, 5, seed=1)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    ours = losses.pkt_loss(s, t, mask=mask)
    assert ours == losses.pkt_loss(s[mask], t[mask])


def wrong_distances(f):
    """Squares, minus twice the products, floored, rooted: as in all four published copies."""
    squares = f.square().sum(1)
    d = (squares[:, None] + squares[None] - 2 * f @ f.T).clamp(min=1e-12).sqrt()
    d = d * (1 - torch.eye(len(f)))
    return d / d[d > 0].mean()


def test_a_duplicated_embedding_gets_finite_gradients():
    """Normalising differences with a floor of 1e-12, as published, gives gradients of 1e10."""
    s, t = normal(6, 4), normal(6, 4, seed=1)
    s[1] = s[0]
    for loss in (losses.rkd_distance_loss, losses.rkd_angle_loss):
        leaf = s.clone().requires_grad_()
        loss(leaf, t).backward()
        assert 0 < leaf.grad.abs().max() < 10

    def published(f):
        directions = F.normalize(f.unsqueeze(0) - f.unsqueeze(1), dim=2)
        return directions @ directions.transpose(1, 2)

    leaf = s.clone().requires_grad_()
    F.smooth_l1_loss(published(leaf), published(t)).backward()
    assert leaf.grad.abs().max() > 1e8


def test_a_nearly_duplicated_embedding_has_no_direction_either():
    s, t = normal(6, 4), normal(6, 4, seed=1)
    s[1] = s[0] * (1 + 1e-7)
    leaf = s.clone().requires_grad_()
    losses.rkd_angle_loss(leaf, t).backward()
    assert leaf.grad.abs().max() < 100


def test_a_batch_of_one_and_the_same_embedding_is_no_division_by_zero():
    s = torch.ones(4, 3, requires_grad=True)
    t = normal(4, 3)
    for loss in (losses.rkd_distance_loss, losses.rkd_angle_loss):
        value = loss(s, t)
        value.backward()
        assert value.isfinite() and s.grad.isfinite().all()


def test_a_large_common_offset_cancels_nothing():
    """By squares and products, float32 features moved by 1,000 are wrong by some per cent."""
    f = normal(8, 16, dtype=torch.float64)
    moved = (f + 1000).float()
    exact = moved.double()  # what float32 could store; the rest is the loss's own doing
    t = normal(8, 16, seed=1)
    for loss in (losses.rkd_distance_loss, losses.rkd_angle_loss):
        assert loss(moved, t).item() == pytest.approx(loss(exact, t).item(), rel=1e-3)
    right = torch.cdist(exact, exact)
    wrong = wrong_distances(moved)
    error = (wrong - right / right[right > 0].mean()).abs().max()
    assert error > 0.01


def test_normalising_the_similarities_with_p_equal_to_one_is_another_loss():
    """One library calls normalize(G, 1): that is p = 1, not dim = 1."""
    s, t = normal(6, 8), normal(6, 8, seed=1)
    wrong = (F.normalize(s @ s.T, 1) - F.normalize(t @ t.T, 1)).square().sum() / 36
    right = (F.normalize(s @ s.T, dim=1) - F.normalize(t @ t.T, dim=1)).square().sum() / 36
    ours = losses.similarity_preserving_loss(s, t)
    torch.testing.assert_close(ours, right)
    assert abs(wrong / ours - 1) > 0.1


def test_pkt_sums_over_neighbours_where_published_programs_average():
    s, t = normal(6, 8), normal(6, 8, seed=1)

    def published(f_s, f_t, eps=1e-7):
        p, q = ((F.normalize(f) @ F.normalize(f).T + 1) / 2 for f in (f_t, f_s))
        p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
        return (p * torch.log((p + eps) / (q + eps))).mean()

    torch.testing.assert_close(losses.pkt_loss(s, t), 6 * published(s, t), rtol=1e-4, atol=1e-6)


def test_relations_do_not_see_scale_and_distances_do_not_see_place():
    s, t = normal(5, 4), normal(5, 4, seed=1)
    for loss in (
        losses.similarity_preserving_loss,
        losses.correlation_congruence_loss,
        losses.pkt_loss,
        losses.rkd_distance_loss,
        losses.rkd_angle_loss,
    ):
        assert loss(3 * s, t).item() == pytest.approx(loss(s, t).item(), rel=1e-4)
    for loss in (losses.rkd_distance_loss, losses.rkd_angle_loss):
        assert loss(s + 7, t).item() == pytest.approx(loss(s, t).item(), rel=1e-4)


def test_the_taylor_kernel_tends_to_the_gaussian_one():
    s, t = (F.normalize(normal(5, 4, seed=i, dtype=torch.float64)) for i in (0, 1))
    exact = [(-0.7 * torch.cdist(f, f) ** 2).exp() for f in (s, t)]
    expected = (exact[0] - exact[1]).square().mean()
    ours = losses.correlation_congruence_loss(s, t, gamma=0.7, order=20)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("mask", [None, torch.tensor([True, True, False, True, True])])
def test_similarities_are_of_pairs_and_of_directions_alone(mask):
    s, t = normal(5, 3).double(), normal(5, 4, seed=1).double()
    kept = None if mask is None else mask.numpy()
    expected = oracle.cosines(s.numpy(), t.numpy(), kept)
    scale = torch.tensor([1.0, 5.0, 0.1, 2.0, 1.0])[:, None].double()
    for student in (s, s * scale):  # a norm is no direction
        value = losses.similarity_loss(student, t, mask=mask).item()
        assert value == pytest.approx(expected, rel=1e-12)


def test_a_row_of_zeros_is_similar_to_none():
    student = normal(4, 3)
    student[0] = 0
    student.requires_grad_()
    losses.similarity_loss(student, torch.ones(4, 3)).backward()
    assert student.grad.isfinite().all() and not student.grad[0].any()
