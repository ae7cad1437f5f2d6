"""Sequence and preference losses: alignment, the ends of families, what they are blind to."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lab import losses
from tests.losses.draw import normal, ragged
from tests.losses.oracles import sequence as oracle

SEEDS = st.integers(0, 999)


def close(ours, theirs, rel=2e-4):
    assert float(ours) == pytest.approx(theirs, rel=rel, abs=2e-6)


@settings(max_examples=20, deadline=None)
@given(
    SEEDS,
    st.integers(2, 4),
    st.integers(1, 5),
    st.integers(3, 7),
    st.booleans(),
    st.sampled_from([0.7, 1.0, 3.0]),
)
def test_sequence_losses_equal_their_oracles(seed, batch, length, classes, masked, T):
    z_s, z_t = (normal(batch, length, classes, seed=seed + i, scale=2.0) for i in (0, 1))
    mask = ragged(batch, length, seed) if masked else None
    n = None if mask is None else mask.numpy()
    a, b = z_s.numpy(), z_t.numpy()
    for beta in (0, 0.1, 0.5, 1):
        ours = losses.generalised_jsd(z_s, z_t, beta=beta, T=T, mask=mask)
        close(ours, oracle.generalised_jsd(a, b, beta, T, n))
    for direction in ("forward", "reverse"):
        ours = losses.skew_kl(z_s, z_t, alpha=0.2, direction=direction, T=T, mask=mask)
        close(ours, oracle.skew_kl(a, b, 0.2, direction, T, n))
    ours = losses.total_variation(z_s, z_t, T=T, mask=mask)
    close(ours, oracle.total_variation(a, b, T, n))
    wider = normal(batch, length, classes + 4, seed=seed + 2)
    for s, t in ((z_s, wider), (wider, z_t)):
        ours = losses.uld_loss(s, t, T=T, mask=mask)
        close(ours, oracle.uld(s.numpy(), t.numpy(), T, n))
    ours = losses.dist_loss(z_s, z_t, T=T, beta=1.5, gamma=0.5, mask=mask)
    close(ours, oracle.dist(a, b, T, 1.5, 0.5, n), rel=1e-3)


def test_the_shift_puts_each_token_beside_the_logits_that_predict_it():
    """On 0, 1, 2, ... a perfect next-token table costs 0; not shifted, or twice, it fails."""
    tokens = torch.arange(6)[None]
    table = torch.full((7, 7), -50.0)
    table[torch.arange(6), torch.arange(1, 7)] = 50.0  # after i comes i + 1
    pair = losses.shift_for_next_token(table[tokens], tokens)
    assert losses.cross_entropy(pair.student_logits, pair.labels) < 1e-6
    unshifted = losses.cross_entropy(table[tokens], tokens)
    doubly = losses.cross_entropy(pair.student_logits[:, :-1], pair.labels[:, 1:])
    assert unshifted > 50 and doubly > 50


def test_two_prompts_of_different_length_count_just_their_answers():
    labels = torch.tensor([[-100, 3, 4, 5], [-100, -100, -100, 6]])
    z_s, z_t = normal(2, 4, 9), normal(2, 4, 9, seed=1)
    pair = losses.shift_for_next_token(z_s, labels, z_t)
    assert pair.mask.sum() == 4 and pair.labels[pair.mask].tolist() == [3, 4, 5, 6]
    ours = losses.forward_kl(pair.student_logits, pair.teacher_logits, mask=pair.mask)
    where = [(0, 0), (0, 1), (0, 2), (1, 2)]  # the positions before each answer token
    each = [losses.forward_kl(z_s[i][None], z_t[i][None]) for i in where]
    close(ours, torch.stack(each).mean().item())
    same = losses.shift_for_next_token(z_t, labels, z_t)
    assert losses.reverse_kl(same.student_logits, same.teacher_logits, mask=same.mask) == 0


def test_the_family_jumps_at_its_ends():
    """D_beta -> 0 at both ends, D_beta / beta -> KL(p || q), and at the ends it is the whole KL."""
    z_s, z_t = (normal(5, 8, seed=i, dtype=torch.float64, scale=2.0) for i in (0, 1))
    forward, reverse = losses.forward_kl(z_s, z_t), losses.reverse_kl(z_s, z_t)
    member = lambda beta: losses.generalised_jsd(z_s, z_t, beta=beta)  # noqa: E731
    assert member(0) == forward and member(0.0) == forward
    assert member(1) == reverse and member(1.0) == reverse
    assert member(0.5) == losses.jsd(z_s, z_t)
    assert member(1e-3) < 1e-2 * forward and member(1 - 1e-3) < 1e-2 * reverse
    close(member(1e-6) / 1e-6, forward.item(), rel=1e-3)
    close(member(1 - 1e-6) / 1e-6, reverse.item(), rel=1e-3)


def test_gradients_shrink_towards_the_ends_of_the_family():
    norms = {}
    for beta in (0, 0.01, 0.5, 0.99, 1):
        z_s = normal(16, 10).requires_grad_()
        losses.generalised_jsd(z_s, normal(16, 10, seed=1), beta=beta).backward()
        norms[beta] = z_s.grad.norm().item()
    assert norms[0.01] < norms[0.5] / 5 < norms[0] and norms[0.99] < norms[0.5] / 5 < norms[1]


def test_mixing_log_probabilities_instead_of_probabilities_is_not_jsd():
    apart = torch.tensor([[0.0, 30.0]]), torch.tensor([[30.0, 0.0]])
    close(losses.generalised_jsd(*apart, beta=0.5), math.log(2), rel=1e-5)
    log_q, log_p = (z.log_softmax(-1) for z in apart)
    mixed = (log_p + log_q) / 2  # the mistake
    wrong = ((log_p.exp() * (log_p - mixed)).sum() + (log_q.exp() * (log_q - mixed)).sum()) / 2
    assert wrong > 10


def test_skew_kl_is_bounded_tends_to_kl_and_is_a_mirror():
    far = torch.tensor([[0.0, 500.0]]), torch.tensor([[500.0, 0.0]])
    for alpha in (0.01, 0.3):
        for direction in ("forward", "reverse"):
            bound = losses.skew_kl(*far, alpha=alpha, direction=direction)
            close(bound, -math.log(alpha), rel=1e-5)
    z_s, z_t = (normal(5, 8, seed=i, dtype=torch.float64) for i in (0, 1))
    small = losses.skew_kl(z_s, z_t, alpha=1e-9)
    close(small, losses.forward_kl(z_s, z_t).item(), rel=1e-6)
    mirror = losses.skew_kl(z_t, z_s, direction="reverse")
    assert losses.skew_kl(z_s, z_t) == mirror


def test_total_variation_lies_between_zero_and_one():
    assert losses.total_variation(torch.tensor([[0.0, 99.0]]), torch.tensor([[99.0, 0.0]])) == 1
    z_s, z_t = normal(5, 8), normal(5, 8, seed=1)
    tv = losses.total_variation(z_s, z_t)
    assert tv == losses.total_variation(z_t, z_s)
    assert tv <= (losses.forward_kl(z_s, z_t) / 2).sqrt()  # Pinsker, and Jensen over positions


def test_uld_is_blind_to_which_token_is_meant():
    p = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).log()
    q = p[:, [2, 0, 1]]
    assert losses.uld_loss(q, p) < 1e-15
    assert losses.forward_kl(q, p) > 1


def test_dist_sees_shape_not_scale_and_needs_the_batch():
    z_s, z_t = normal(4, 6), normal(4, 6, seed=1)
    inter = losses.dist_loss(z_s, z_t, gamma=0.0)
    rows = [losses.dist_loss(z_s[i : i + 1], z_t[i : i + 1], gamma=0.0) for i in range(4)]
    torch.testing.assert_close(inter, torch.stack(rows).mean())
    p = losses.soften(z_t)
    flatter = (0.5 * p + 0.5 / 6).log()  # the same shape, half the contrast
    assert losses.dist_loss(flatter, z_t) < 1e-5 < losses.forward_kl(flatter, z_t)
    assert losses.dist_loss(torch.zeros(4, 6), torch.zeros(4, 6)) == 0
    close(losses.dist_loss(torch.zeros(4, 6), z_t, gamma=0.0), 1.0)


def test_hard_distillation_adds_the_teachers_decision():
    z_s, z_t, y = normal(5, 4), normal(5, 4, seed=1), torch.tensor([0, 1, 2, 3, -100])
    kept = slice(0, 4)
    decision = z_t.argmax(-1)
    expected = 0.3 * losses.cross_entropy(z_s, y) + 0.7 * losses.cross_entropy(
        z_s[kept], decision[kept]
    )
    torch.testing.assert_close(losses.hard_distillation_loss(z_s, z_t, y, alpha=0.7), expected)
    head = normal(5, 4, seed=2)
    ours = losses.hard_distillation_loss(z_s, z_t, y, distillation_logits=head)
    other = losses.cross_entropy(z_s, y) / 2 + losses.cross_entropy(head[kept], decision[kept]) / 2
    torch.testing.assert_close(ours, other)
    scaled = losses.hard_distillation_loss(
        z_s, 9 * z_t, y, alpha=0.7
    )  # how sure it is says nothing
    assert scaled == losses.hard_distillation_loss(z_s, z_t, y, alpha=0.7)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 5))
def test_preference_losses_equal_their_oracles(seed, pairs):
    values = [normal(pairs, seed=seed + i, scale=4.0) for i in range(6)]
    plain = [v.tolist() for v in values]
    ours = losses.dpo_loss(*values[:4], beta=0.3, label_smoothing=0.1)
    close(ours, oracle.dpo(*plain[:4], 0.3, 0.1))
    ours = losses.distilled_dpo_loss(*values, beta=0.3, T=2.0)
    close(ours, oracle.distilled_dpo(*plain, 0.3, 2.0), rel=1e-3)


def test_dpo_starts_at_ln_2_and_its_step_widens_the_margin():
    chosen, rejected = normal(4).requires_grad_(), normal(4, seed=1).requires_grad_()
    loss = losses.dpo_loss(chosen, rejected, chosen.detach(), rejected.detach())
    close(loss.detach(), math.log(2), rel=1e-6)
    loss.backward()
    assert (chosen.grad < 0).all() and (rejected.grad > 0).all()
    far = losses.dpo_loss(*(torch.tensor([x]) for x in (-1e6, 0.0, 0.0, 0.0)))
    assert far.isfinite() and far > 9e4


def test_distilled_dpo_stops_where_the_teacher_does_and_tends_to_ranking():
    s, r, t = ([normal(4, seed=i), normal(4, seed=i + 1)] for i in (0, 2, 4))
    t = [0.5 * (s[i] - r[i]) for i in (0, 1)]  # the teacher prefers just as surely
    assert losses.distilled_dpo_loss(*s, *r, *t, beta=0.5) < 1e-7
    soft = losses.distilled_dpo_loss(*s, *r, *t, beta=0.1, T=1e-6)
    first = t[0] > t[1]
    ranked = [torch.where(first, x[0], x[1]) for x in (s, r)]
    beaten = [torch.where(first, x[1], x[0]) for x in (s, r)]
    hard = losses.dpo_loss(ranked[0], beaten[0], ranked[1], beaten[1], beta=0.1)
    torch.testing.assert_close(soft, hard, rtol=1e-4, atol=1e-6)


def test_a_sum_of_log_probabilities_prefers_short_answers_and_an_average_does_not():
    labels = torch.tensor([[-100, 1, -100, -100], [-100, 1, 1, 1]])
    even = torch.zeros(2, 4, 8)
    short, long = losses.sequence_log_probability(even, labels)
    close(short, -math.log(8))
    close(long, -3 * math.log(8))
    averages = losses.sequence_log_probability(even, labels, average=True)
    close(averages[0], averages[1].item())


def test_answers_of_unequal_length_are_paired_by_order_and_cut_to_the_shorter():
    """Against a loop over texts and tokens."""
    generator = torch.Generator().manual_seed(0)
    z_s, z_t = (torch.randn(5, n, c, generator=generator) for n, c in ((9, 7), (12, 11)))
    m_s = torch.rand(5, 9, generator=generator) < 0.5
    m_t = torch.rand(5, 12, generator=generator) < 0.7
    m_s[0], m_t[1] = False, False  # texts with an answer on one side only
    values = []
    for i in range(5):
        for a, b in zip(z_s[i][m_s[i]], z_t[i][m_t[i]], strict=False):
            values.append(losses.uld_loss(a[None], b[None]))
    own, said, mask = losses.pair_by_order(z_s, m_s, z_t, m_t)
    assert int(mask.sum()) == len(values)
    found = losses.uld_loss(own, said, mask=mask)
    torch.testing.assert_close(found, torch.stack(values).mean())
