"""Exits and peers teach each other: laws, gradients, one loop, checkpoint, many seeds at once."""

import pytest
import torch
from torch import nn

from distill_lab import methods
from distill_lab.data.batches import as_data
from distill_lab.losses import cross_entropy, kd_loss
from distill_lab.models import MLP, EarlyExits, Peers
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill
from tests.training.two_processes import pictures

SETTINGS = {"epochs": 3, "batch_size": 14, "progress": False, "seed": 2}


def exits(seed: int = 1) -> EarlyExits:
    body = MLP(6, 8, 8, 8, 2, seed=seed)
    heads = [MLP(8, 2, seed=100 * seed + i) for i in range(2)]
    return EarlyExits(body.hidden, [*heads, body.head])


def peers(seed: int = 1) -> Peers:
    return Peers(MLP(6, 8, 2, seed=seed), MLP(6, 4, 2, seed=100 + seed))


MADE = {
    "exits": (exits, methods.early_exits(methods.kd(T=3.0, alpha=0.7))),
    "peers": (peers, methods.mutual(methods.kd(T=3.0, alpha=0.7))),
}


@pytest.fixture
def batch():
    return as_data(pictures()).batch(torch.arange(9))


def gradients(term, module):
    given = torch.autograd.grad(term, list(module.parameters()), allow_unused=True)
    return [torch.zeros(()) if g is None else g for g in given]


def test_the_terms_of_exits_are_those_written_by_hand(batch) -> None:
    net = exits()
    found = MADE["exits"][1].terms(batch, net, None)
    first, second, deepest = net.all_logits(batch.inputs)
    soft = [kd_loss(z, deepest.detach(), T=3.0, alpha=1.0) for z in (first, second)]
    hard = [cross_entropy(z, batch.labels) for z in (first, second)]
    torch.testing.assert_close(found["shallow_kd"], sum(soft) / 2)
    torch.testing.assert_close(found["shallow_ce"], sum(hard) / 2)
    torch.testing.assert_close(found["ce"], cross_entropy(deepest, batch.labels))


def test_the_terms_of_peers_are_those_written_by_hand(batch) -> None:
    pair = peers()
    found = MADE["peers"][1].terms(batch, pair, None)
    a, b = pair.all_logits(batch.inputs)
    soft = kd_loss(a, b.detach(), T=3.0, alpha=1.0) + kd_loss(b, a.detach(), T=3.0, alpha=1.0)
    torch.testing.assert_close(found["kd"], soft)
    hard = cross_entropy(a, batch.labels) + cross_entropy(b, batch.labels)
    torch.testing.assert_close(found["ce"], hard)


def test_shallow_exits_do_not_pull_the_deepest(batch) -> None:
    net = exits()
    kd = MADE["exits"][1].terms(batch, net, None)["shallow_kd"]
    for part in (net.heads[2], net.stages[2]):  # what belongs to the deepest exit alone
        assert all(not g.any() for g in gradients(kd, part))
    assert any(g.any() for g in gradients(kd, net.heads[0]))


def test_a_peer_is_not_pulled_by_what_it_teaches(batch) -> None:
    pair = peers()
    kd = MADE["peers"][1].terms(batch, pair, None)["kd"]
    a, b = pair.all_logits(batch.inputs)
    alone = kd_loss(a, b.detach(), T=3.0, alpha=1.0)  # what peer a would learn with b frozen
    for ours, expected in zip(gradients(kd, pair[0]), gradients(alone, pair[0]), strict=True):
        torch.testing.assert_close(ours, expected)


def test_equal_peers_have_nothing_to_teach(batch) -> None:
    pair = Peers(MLP(6, 8, 2, seed=4), MLP(6, 8, 2, seed=4))
    kd = MADE["peers"][1].terms(batch, pair, None)["kd"]
    assert kd.abs() < 1e-6
    assert all(g.abs().max() < 1e-6 for g in gradients(kd, pair))


def test_peers_on_labels_alone_are_two_runs_of_distill() -> None:
    pair, alone = peers(), [peers()[k] for k in (0, 1)]
    distill(pair, pictures(), method=methods.mutual(methods.supervised()), **SETTINGS)
    for k, network in enumerate(alone):
        distill(network, pictures(), **SETTINGS)
        for ours, expected in zip(pair[k].parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(ours, expected)


def test_three_peers_each_learn_from_the_mean_of_two_lessons(batch) -> None:
    trio = Peers(*(MLP(6, 8, 2, seed=s) for s in range(3)))
    found = methods.mutual(methods.kd(T=1.0, alpha=0.5)).terms(batch, trio, None)
    answers = trio.all_logits(batch.inputs)
    soft = [
        kd_loss(a, b.detach(), T=1.0, alpha=1.0) for a in answers for b in answers if a is not b
    ]
    torch.testing.assert_close(found["kd"], sum(soft) / 2)


@pytest.mark.parametrize("kind", MADE)
def test_a_run_that_is_stopped_goes_on_bit_for_bit(kind, tmp_path) -> None:
    make, method = MADE[kind]
    whole, torn, fresh = make(), make(), make(seed=7)
    settings = SETTINGS | {"method": method, "epochs": 6}
    distill(whole, pictures(), **settings)
    path = tmp_path / "run"
    distill(torn, pictures(), **settings, checkpoint=path, callbacks=[lambda s: s.step == 5])
    distill(fresh, pictures(), **settings, checkpoint=path)
    for ours, expected in zip(fresh.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("kind", MADE)
def test_many_seeds_at_once_are_the_runs_alone(kind) -> None:
    make, method = MADE[kind]
    runs = distill_seeds(make, pictures(), seeds=[2, 3], method=method, epochs=3, batch_size=14)
    for i, seed in enumerate((2, 3)):
        alone = make(seed)
        distill(alone, pictures(), method=method, **SETTINGS | {"seed": seed})
        for ours, expected in zip(runs.model(i).parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_the_deepest_exit_may_have_a_teacher_of_its_own(batch) -> None:
    teacher = freeze(MLP(6, 16, 2, seed=9))
    method = methods.early_exits(deep=methods.kd(T=2.0, alpha=1.0))
    assert method.needs_teacher
    found = method.terms(batch, net := exits(), teacher)
    expected = kd_loss(net(batch.inputs), teacher(batch), T=2.0, alpha=1.0)
    torch.testing.assert_close(found["kd"], expected)


@pytest.mark.parametrize("make", [methods.early_exits, methods.mutual])
def test_a_student_with_one_answer_is_refused(make, batch) -> None:
    with pytest.raises(ValueError, match="needs a student with several answers, and Linear"):
        make().terms(batch, nn.Linear(6, 2), None)
