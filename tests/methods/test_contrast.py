"""CRD as a recipe: who is drawn, what learns, what is kept, and that a resumed run is the same."""

import copy

import pytest
import torch
import torch.nn.functional as F

from distill_lab import losses, methods
from distill_lab._util.tensors import Batch
from distill_lab.losses import MemoryBank
from distill_lab.models import MLP
from distill_lab.teachers import freeze, record
from distill_lab.training import distill
from tests.losses.draw import normal

N = 40
X = normal(N, 6)
Y = torch.arange(N) % 4
SETTINGS = {"epochs": 3, "batch_size": 16, "progress": False, "seed": 2}


@pytest.fixture
def teacher():
    return freeze(MLP(6, 16, 12, 4, seed=9))


def recipe(seed=0, **given):
    options = {"examples": N, "labels": Y, "dim": 5, "negatives": 12, "base_method": methods.kd()}
    return methods.crd(("hidden.0", "hidden.1"), (8, 12), seed=seed, **(options | given))


def test_the_term_is_the_loss_by_hand_against_the_bank_as_it_was(teacher):
    student, method = MLP(6, 8, 4, seed=1), recipe()
    ids = torch.tensor([3, 17, 30])
    batch = Batch(X[ids], Y[ids], ids)
    ours, its, bank = list(method.projections)
    before = copy.deepcopy(bank)
    terms = method.terms(batch, student, teacher)
    s, t = ours(student.hidden(X[ids])), its(teacher.model.hidden(X[ids]))
    noise = before.negatives(ids)
    log_z = []
    for anchor, others in ((s, noise[1]), (t, noise[0])):
        e = (torch.einsum("bd,bnd->bn", F.normalize(anchor), others) / 0.07).exp()
        log_z.append(e.mean().log().item())
    expected = losses.crd_loss(s, t, noise, log_normaliser=tuple(log_z))
    torch.testing.assert_close(terms["crd"], expected, rtol=1e-4, atol=1e-4)
    assert method.weights == {"kd": 0.9, "ce": pytest.approx(0.1), "crd": 0.8}
    moved = (bank.student != before.student).any(1).nonzero().flatten()
    assert moved.tolist() == ids.tolist() and bank.step == 1
    terms["crd"].backward()
    assert its.weight.grad.any() and ours.weight.grad.any()
    assert all(p.grad is None for p in teacher.model.parameters())


def test_negatives_are_of_every_other_class_and_of_no_example_of_the_own_one():
    labels = torch.tensor([2, 0, 0, 5, 2, 5, 0])
    bank = MemoryBank(7, 3, negatives=600, seed=0, labels=labels)
    indices = torch.tensor([0, 1, 5])
    for row, index in zip(bank.negatives(indices)[1], indices, strict=True):
        seen = {i: int((row == bank.teacher[i]).all(-1).sum()) for i in range(7)}
        drawn = {i for i, count in seen.items() if count}
        assert drawn == {i for i in range(7) if labels[i] != labels[index]}
        share = 600 / len(drawn)  # uniform: within five standard errors
        assert all(abs(seen[i] - share) < 5 * share**0.5 for i in drawn)


def test_projections_and_bank_are_resumed_bit_for_bit(teacher, tmp_path):
    path = tmp_path / "run"
    full, torn, again = recipe(), recipe(), recipe()
    students = [MLP(6, 8, 4, seed=1) for _ in range(3)]
    distill(students[0], (X, Y), teacher=teacher, method=full, **SETTINGS)
    stop = SETTINGS | {"checkpoint": path, "callbacks": [lambda step: step.step == 4]}
    distill(students[1], (X, Y), teacher=teacher, method=torn, **stop)
    again.projections[2].student.zero_()  # whatever stood there
    torch.manual_seed(99)
    distill(students[2], (X, Y), teacher=teacher, method=again, checkpoint=path, **SETTINGS)
    for name, value in full.projections.state_dict().items():
        assert torch.equal(value, again.projections.state_dict()[name]), name
    assert torch.equal(students[0].head.weight, students[2].head.weight)
    assert not [name for name in students[0].state_dict() if "bank" in name or "2." in name]


def test_a_bank_of_other_settings_is_another_run(teacher, tmp_path):
    path = tmp_path / "run"
    distill(MLP(6, 8, 4), (X, Y), teacher=teacher, method=recipe(), checkpoint=path, **SETTINGS)
    for other in (recipe(labels=None), recipe(seed=1), recipe(labels=Y.flip(0))):
        with pytest.raises(ValueError, match="belongs to another run"):
            distill(
                MLP(6, 8, 4), (X, Y), teacher=teacher, method=other, checkpoint=path, **SETTINGS
            )


def test_the_same_seed_gives_the_same_bits_and_another_one_others(teacher):
    weights = []
    for seed in (0, 0, 1):
        student = MLP(6, 8, 4, seed=1)
        method = recipe(seed, base_method=None)
        torch.manual_seed(len(weights))
        distill(student, (X, Y), teacher=teacher, method=method, **SETTINGS)
        weights.append(student.hidden[0][0].weight.detach())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_student_comes_to_see_each_example_as_its_teacher_does(teacher):
    student, method = (
        MLP(6, 8, 4, seed=1),
        recipe(labels=None, base_method=None, T=0.2, negatives=30),
    )
    settings = SETTINGS | {"epochs": 100, "lr": 1e-2}
    distill(student, (X, None), teacher=teacher, method=method, **settings)
    ours, its, _ = method.projections
    s = F.normalize(ours(student.hidden(X)), dim=-1)
    t = F.normalize(its(teacher.model.hidden(X)), dim=-1)
    assert ((s @ t.T).argmax(1) == torch.arange(N)).float().mean() > 0.6  # 0.025 by chance


def test_what_cannot_be_contrasted_is_refused_in_words(teacher):
    student = MLP(6, 8, 4, seed=1)
    with pytest.raises(ValueError, match="use freeze"):
        distill(student, (X, Y), teacher=record(teacher, (X, Y)), method=recipe(), **SETTINGS)
    with pytest.raises(ValueError, match="between 0 and 9"):
        method = recipe(examples=10, labels=None)
        distill(student, (X, Y), teacher=teacher, method=method, **SETTINGS)
