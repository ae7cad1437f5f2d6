"""Sparse teachers: the tail bucket, the renormalisations it replaces, and unbiased sampling."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lab import losses
from tests.losses.draw import normal, ragged
from tests.losses.oracles import response
from tests.losses.oracles import sequence as oracle


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 999),
    st.integers(1, 3),
    st.integers(4, 8),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([0.7, 1.0, 3.0]),
)
def test_topk_equals_its_oracle(seed, batch, classes, k, masked, T):
    z_s, z_t = (normal(batch, 3, classes, seed=seed + i) for i in (0, 1))
    log_p, ids = (z_t / T).log_softmax(-1).topk(min(k, classes - 1))
    mask = ragged(batch, 3, seed) if masked else None
    n = None if mask is None else mask.numpy()
    for tail in ("bucket", "renormalise teacher", "renormalise both"):
        ours = losses.topk_kl(z_s, ids, log_p, tail=tail, T=T, mask=mask)
        theirs = oracle.topk_kl(z_s.numpy(), ids.numpy(), log_p.numpy(), tail, T, n)
        assert ours.item() == pytest.approx(theirs, rel=1e-3, abs=3e-6)


@pytest.mark.parametrize("T", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("masked", [False, True])
def test_reverse_kl_and_jsd_of_the_k_classes_and_their_tail_equal_their_oracle(T, masked):
    """The same divergences of k + 1 outcomes, in float64 from the formulas."""
    z_s, z_t = (normal(4, 3, 7, seed=i, scale=2.0) for i in (0, 1))
    log_p, ids = (z_t / T).log_softmax(-1).topk(3)
    mask = ragged(4, 3, seed=2) if masked else None
    n = None if mask is None else mask.numpy()
    q, p = (oracle.with_tail(z.numpy(), ids.numpy(), T) for z in (z_s, z_t))
    reverse = losses.topk_reverse_kl(z_s, ids, log_p, T=T, mask=mask)
    assert reverse.item() == pytest.approx(response.reverse_kl(q, p, 1.0, n), rel=1e-5)
    jsd = losses.topk_jsd(z_s, ids, log_p, beta=0.3, T=T, mask=mask)
    assert jsd.item() == pytest.approx(response.jsd(q, p, 1.0, 0.3, n), rel=1e-5)


@pytest.mark.parametrize(
    ("sparse", "dense"),
    [(losses.topk_reverse_kl, losses.reverse_kl), (losses.topk_jsd, losses.jsd)],
    ids=["reverse_kl", "jsd"],
)
def test_with_each_class_named_the_bound_rises_to_the_dense_loss(sparse, dense):
    z_s, z_t = normal(6, 8, scale=2.0), normal(6, 8, seed=1, scale=2.0)
    bounds = []
    for k in (1, 2, 4, 7, 8):
        log_p, ids = z_t.log_softmax(-1).topk(k)
        bounds.append(sparse(z_s, ids, log_p).item())
    assert bounds == sorted(bounds)
    assert bounds[-1] == pytest.approx(dense(z_s, z_t).item(), rel=1e-5)


def test_reverse_kl_holds_a_student_that_leaves_the_classes_of_a_sure_teacher():
    """Rounding leaves no tail of the teacher: the student's mass there still costs, finitely."""
    z_t = torch.tensor([[30.0, 0.0, -1e4, 0.0]])
    log_p, ids = z_t.log_softmax(-1).topk(2)
    z_s = torch.tensor([[0.0, -5.0, 5.0, -5.0]], requires_grad=True)
    loss = losses.topk_reverse_kl(z_s, ids, log_p)
    loss.backward()
    assert 5 < loss.item() < losses.reverse_kl(z_s, z_t).item() < 1e5
    assert z_s.grad[0, 2] > 1e-3 and z_s.grad.isfinite().all()


def test_junk_in_masked_ids_and_log_probs_is_not_read():
    z = normal(2, 5)
    ids = torch.tensor([[0, 3], [-7, 99]])
    log_p = torch.tensor([[-1.0, -2.0], [float("nan"), 5.0]])
    mask = torch.tensor([True, False])
    for loss in (losses.topk_kl, losses.topk_reverse_kl, losses.topk_jsd, losses.sampled_kl):
        assert loss(z, ids, log_p, mask=mask) == loss(z[:1], ids[:1], log_p[:1])


def test_the_bucket_never_exceeds_the_full_divergence_and_reaches_it_with_all_classes():
    z_s, z_t = normal(6, 8, scale=2.0), normal(6, 8, seed=1, scale=2.0)
    full = losses.forward_kl(z_s, z_t).item()
    found = []
    for k in (1, 2, 4, 7, 8):
        log_p, ids = z_t.log_softmax(-1).topk(k)
        found.append(losses.topk_kl(z_s, ids, log_p).item())
    assert found == sorted(found)  # each class that is named can only add
    assert found[-1] == pytest.approx(full, rel=1e-5) and found[-2] == pytest.approx(full, rel=1e-4)


def zipf(positions: int, classes: int) -> torch.Tensor:
    """Log-probabilities of Zipf distributions, each over the classes in an order of its own."""
    generator = torch.Generator().manual_seed(0)
    ranks = torch.stack([torch.randperm(classes, generator=generator) for _ in range(positions)])
    return (-(ranks + 1.0).log()).log_softmax(-1)


def learn(teacher: torch.Tensor, loss, steps: int = 600) -> torch.Tensor:
    """Logits that were free to become anything, after so many steps of Adam."""
    z = torch.zeros_like(teacher).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(z).backward()
        optimiser.step()
        schedule.step()
    return z.detach()


def test_where_each_sparse_objective_leads():
    """Top 12 of 2,000 Zipf classes: only the bucket and sampling keep the teacher's own mass."""
    teacher = zipf(8, 2000)
    log_p, ids = teacher.topk(12)
    mass = log_p.exp().sum(-1).mean().item()
    generator = torch.Generator().manual_seed(1)

    def sampled(z):
        drawn = torch.multinomial(teacher.exp(), 12, replacement=True, generator=generator)
        return losses.sampled_kl(z, drawn, teacher.gather(-1, drawn))

    objectives = {
        "bucket": lambda z: losses.topk_kl(z, ids, log_p),
        "teacher": lambda z: losses.topk_kl(z, ids, log_p, tail="renormalise teacher"),
        "both": lambda z: losses.topk_kl(z, ids, log_p, tail="renormalise both"),
        "sampled": sampled,
    }
    kl, on_top = {}, {}
    for name, loss in objectives.items():
        z = learn(teacher, loss)
        kl[name] = losses.forward_kl(z, teacher).item()
        on_top[name] = losses.soften(z).gather(-1, ids).sum(-1).mean().item()
    assert kl["sampled"] < 0.6 * kl["bucket"] and kl["bucket"] < 0.5 * kl["both"]
    assert kl["bucket"] == pytest.approx(0.56, abs=0.02)  # the price of not knowing the tail
    assert kl["teacher"] > 3 * kl["bucket"]
    assert on_top["bucket"] == pytest.approx(mass, abs=0.01)
    assert on_top["sampled"] == pytest.approx(mass, abs=0.05)
    assert on_top["teacher"] > mass + 0.3 and on_top["both"] < mass - 0.3


def test_sampling_estimates_the_divergence_and_its_gradient_without_bias():
    """The mean over many draws lies within 4 standard errors of the whole, value and gradient."""
    z_t = normal(1, 6, dtype=torch.float64)
    z_s = normal(1, 6, seed=1, dtype=torch.float64).requires_grad_()
    log_p = z_t.log_softmax(-1)
    whole = losses.forward_kl(z_s, z_t)
    (expected,) = torch.autograd.grad(whole, z_s)
    repeats, n = 4000, 3
    generator = torch.Generator().manual_seed(0)
    ids = torch.multinomial(
        log_p.exp().expand(repeats, 6), n, replacement=True, generator=generator
    )
    each = torch.vmap(
        torch.func.grad_and_value(lambda z, i: losses.sampled_kl(z, i, log_p.gather(-1, i))),
        in_dims=(None, 0),
    )
    gradients, values = each(z_s.detach(), ids.unsqueeze(1))
    for sample, exact in ((values[:, None], whole.reshape(1)), (gradients.flatten(1), expected[0])):
        error = sample.std(0) / repeats**0.5
        assert ((sample.mean(0) - exact).abs() < 4 * error).all()
        assert (error < 0.05).all()  # or four of them would forgive anything


def test_counts_and_importance_weights_are_taken_as_they_are():
    z, log_p = normal(1, 4), normal(1, 4, seed=1).log_softmax(-1)
    repeated = torch.tensor([[0, 0, 2, 0]])
    distinct, counts = torch.tensor([[0, 2]]), torch.tensor([[3.0, 1.0]])
    plain = losses.sampled_kl(z, repeated, log_p.gather(-1, repeated))
    counted = losses.sampled_kl(z, distinct, log_p.gather(-1, distinct), weights=counts / 4)
    torch.testing.assert_close(plain, counted)
    every = torch.arange(4)[None]  # each class once, weighted by p: the whole divergence
    whole = losses.sampled_kl(z, every, log_p, weights=log_p.exp())
    torch.testing.assert_close(whole, losses.forward_kl(z, log_p))


def test_where_every_class_is_listed_there_is_no_tail():
    """Log-probabilities in half precision sum to a little less than 1: nobody is to have it."""
    z_s, z_t = normal(64, 5), normal(64, 5, seed=1, scale=3.0)
    log_p, ids = z_t.log_softmax(-1).half().topk(5)
    assert (1 - log_p.float().exp().sum(-1)).max() > 1e-4
    torch.testing.assert_close(
        losses.topk_kl(z_s, ids, log_p), losses.forward_kl(z_s, z_t), rtol=1e-3, atol=1e-3
    )


def test_the_student_is_free_only_inside_the_tail():
    p = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    log_p, ids = p.topk(2)
    swapped = p[:, [0, 1, 3, 2]]
    assert losses.topk_kl(swapped, ids, log_p) < 1e-6 < losses.forward_kl(swapped, p)
    hoarding = torch.tensor([[0.25, 0.15, 0.5, 0.1]]).log()  # half of what the top two should have
    assert losses.topk_kl(hoarding, ids, log_p) > 0.1
    assert losses.topk_kl(hoarding, ids, log_p, tail="renormalise both") < 1e-6  # and says nothing
