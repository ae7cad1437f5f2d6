"""CRD's memory: who is drawn, what is remembered, and that a resumed run draws the same."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from distill_lab import losses
from distill_lab.losses import MemoryBank
from tests.losses.draw import normal


def test_an_example_is_never_its_own_negative_and_every_other_one_is_drawn():
    bank = MemoryBank(5, 3, negatives=400, seed=0)
    indices = torch.tensor([0, 2, 4])
    of_student, of_teacher = bank.negatives(indices)
    for side, memory in ((of_student, bank.student), (of_teacher, bank.teacher)):
        assert side.shape == (3, 400, 3)
        for row, index in zip(side, indices, strict=True):
            seen = {i for i in range(5) if (row == memory[i]).all(-1).any()}
            assert seen == set(range(5)) - {int(index)}


def test_every_step_draws_other_negatives_and_every_seed_too():
    bank, indices = MemoryBank(500, 2, negatives=20, seed=0), torch.tensor([1])
    before = bank.negatives(indices)[1]
    assert torch.equal(before, bank.negatives(indices)[1])  # nothing was learnt in between
    bank.remember(torch.ones(1, 2), torch.ones(1, 2), indices)
    assert not torch.equal(before, bank.negatives(indices)[1])
    other = MemoryBank(500, 2, negatives=20, seed=1)
    assert not torch.equal(bank.student, other.student)


def test_memory_is_a_running_average_of_unit_vectors():
    bank = MemoryBank(6, 4, negatives=2, momentum=0.25, seed=1)
    before = bank.student.clone()
    f = normal(2, 4)
    bank.remember(f, 2 * f, torch.tensor([1, 5]))
    expected = F.normalize(0.25 * before[[1, 5]] + 0.75 * F.normalize(f))
    torch.testing.assert_close(bank.student[[1, 5]], expected)
    assert torch.equal(bank.student[[0, 2, 3, 4]], before[[0, 2, 3, 4]])
    torch.testing.assert_close(bank.teacher.norm(dim=-1), torch.ones(6))


def test_the_loss_is_noise_contrastive_estimation_with_a_normaliser_set_once():
    bank = MemoryBank(8, 4, negatives=3, T=0.5, seed=2)
    s, t, indices = normal(2, 4), normal(2, 4, seed=1), torch.tensor([3, 6])
    of_student, of_teacher = bank.negatives(indices)
    ours = bank(s, t, indices).item()
    u, v = F.normalize(s.double()), F.normalize(t.double())
    total = 0.0
    for anchor, partner, noise in ((u, v, of_teacher.double()), (v, u, of_student.double())):
        scores = torch.einsum("bd,bnd->bn", anchor, noise) / 0.5
        level = 3 * scores.exp().mean()
        for i in range(2):
            e = (anchor[i] @ partner[i] / 0.5).exp()
            total -= math.log(e / (e + level)) / 2
            total -= sum(math.log(1 - x / (x + level)) for x in scores[i].exp()) / 2
    assert ours == pytest.approx(total, rel=1e-5)
    kept = bank.log_normaliser.clone()
    bank(t, s, indices)
    assert torch.equal(kept, bank.log_normaliser)


def test_a_resumed_bank_goes_on_exactly_as_if_it_had_not_stopped():
    steps = [
        (normal(3, 4, seed=i), normal(3, 4, seed=10 + i), torch.tensor([i, 5, 7])) for i in range(4)
    ]
    whole = MemoryBank(9, 4, negatives=5, seed=3)
    values = [whole(*step).item() for step in steps]
    half = MemoryBank(9, 4, negatives=5, seed=3)
    assert [half(*step).item() for step in steps[:2]] == values[:2]
    resumed = MemoryBank(9, 4, negatives=5, seed=3)
    resumed.load_state_dict(copy.deepcopy(half.state_dict()))
    torch.manual_seed(99)  # the global generator has no say
    assert [resumed(*step).item() for step in steps[2:]] == values[2:]


def test_learning_from_the_bank_brings_the_student_to_its_own_teacher():
    teacher = F.normalize(normal(12, 6))
    student = torch.nn.Parameter(normal(12, 6, seed=1))
    bank = MemoryBank(12, 6, negatives=8, T=0.2, seed=4)
    optimiser = torch.optim.Adam([student], lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        bank(student, teacher, torch.arange(12)).backward()
        optimiser.step()
    nearest = (F.normalize(student.detach()) @ teacher.T).argmax(1)
    assert (nearest == torch.arange(12)).float().mean() > 0.9
    assert not bank.student.requires_grad and not list(bank.parameters())


def test_in_batch_crd_prefers_the_right_partners():
    x = normal(6, 8)
    assert losses.crd_loss(x, x) < losses.crd_loss(x, x.roll(1, 0))


@pytest.mark.parametrize("processes", [1, 2])
def test_several_processes_are_refused(monkeypatch, processes):
    """Each would remember its own part of the examples, and nobody would notice."""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: processes)
    bank, f = MemoryBank(10, 4, negatives=3), normal(2, 4)
    before = bank.student.clone()
    if processes == 1:
        assert bank(f, f, torch.tensor([1, 5])).isfinite()
        return
    with pytest.raises(RuntimeError, match=r"2 train together here.*use crd_loss"):
        bank(f, f, torch.tensor([1, 5]))
    assert torch.equal(bank.student, before) and bank.step == 0
