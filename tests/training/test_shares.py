"""Each term's share of the gradient: right, harmless, and named when it is next to nothing."""

import warnings

import pytest
import torch

from distill_lab import methods
from distill_lab.losses import chunked_forward_kl
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from distill_lab.training import distill
from distill_lab.training.gradients import grad_norm_shares
from tests.training.two_processes import pictures

SETTINGS = {"epochs": 2, "batch_size": 14, "progress": False}


def flat(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_shares_are_norms_of_each_terms_own_gradient():
    data, teacher = pictures(), freeze(MLP(6, 16, 2, seed=9))
    net, method = MLP(6, 8, 2, seed=1), methods.kd(T=3.0, alpha=0.7)
    history = distill(net, data, teacher=teacher, method=method, shares_every=4, **SETTINGS)
    assert [step for step, _ in history.shares["kd"]] == [1, 5, 9]
    for kd, ce in zip(history.shares["kd"], history.shares["ce"], strict=True):
        assert kd[1] + ce[1] == pytest.approx(1)

    from distill_lab.data.batches import as_data, drawn

    _, index = next(drawn(70, 14, 0, first=0, last=1))
    fresh, batch = MLP(6, 8, 2, seed=1), as_data(data).batch(index)
    terms = method.terms(batch, fresh, teacher)
    norms = {}
    for name, term in terms.items():
        fresh.zero_grad()
        (method.weights[name] * term).backward(retain_graph=True)
        norms[name] = torch.cat([p.grad.flatten() for p in fresh.parameters()]).norm().item()
    assert history.shares["kd"][0][1] == pytest.approx(norms["kd"] / sum(norms.values()), rel=1e-5)


def test_measuring_leaves_the_training_as_it_was():
    data, teacher = pictures(), freeze(MLP(6, 16, 2, seed=9))
    nets = [MLP(6, 8, 2, dropout=0.3, seed=1) for _ in range(2)]
    for net, every in zip(nets, (0, 1), strict=True):
        distill(net, data, teacher=teacher, shares_every=every, **SETTINGS)
    assert torch.equal(flat(nets[0]), flat(nets[1]))


def test_an_analytic_gradient_may_be_asked_for_twice():
    """Fused losses keep a buffer for the gradient: measuring a share must not scale it."""

    def terms(batch, student, teacher):
        logits = student(batch.inputs)
        return {"a": chunked_forward_kl(logits, teacher(batch)), "b": logits.square().mean()}

    data, teacher = pictures(), freeze(MLP(6, 16, 2, seed=9))
    method = methods.Method("fused", terms, {"a": 3.0, "b": 0.5})
    nets = [MLP(6, 8, 2, seed=1) for _ in range(2)]
    for net, every in zip(nets, (0, 1), strict=True):
        distill(net, data, teacher=teacher, method=method, shares_every=every, **SETTINGS)
    assert torch.equal(flat(nets[0]), flat(nets[1]))


def test_a_term_that_does_next_to_nothing_is_named_once():
    data, teacher = pictures(), freeze(MLP(6, 16, 2, seed=9))
    method = methods.Method("idle", methods.kd(alpha=0.5).terms, {"kd": 1e-6, "ce": 1.0})
    with pytest.warns(UserWarning, match=r"'kd' gives 0\.00% of the gradient at step 1") as heard:
        distill(
            MLP(6, 8, 2, seed=1), data, teacher=teacher, method=method, shares_every=1, **SETTINGS
        )
    assert len(heard) == 1 and "raise its weight" in str(heard[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distill(MLP(6, 8, 2, seed=1), data, teacher=teacher, **SETTINGS)


def test_a_constant_term_has_no_share():
    w = torch.ones(3, requires_grad=True)
    shares = grad_norm_shares({"a": w.sum(), "c": torch.tensor(5.0)}, {"a": 1.0, "c": 1.0}, [w])
    assert shares == {"a": 1.0, "c": 0.0}


@pytest.mark.parametrize(("times", "share"), [(1.0, 1.0), (0.0, 0.0)])
def test_a_term_that_is_alone_has_all_of_the_gradient_or_none(times, share):
    """Known without a second pass through the network."""

    def terms(batch, student, teacher):
        return {"a": times * student(batch.inputs).square().mean()}

    method = methods.Method("alone", terms, {"a": 2.0}, needs_teacher=False)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        history = distill(
            MLP(6, 8, 2, seed=1),
            pictures(),
            method=method,
            shares_every=4,
            accumulate=2,
            **SETTINGS,
        )
    assert history.shares == {"a": [(1, share), (5, share), (9, share)]}
    assert len(warned) == (share == 0)
