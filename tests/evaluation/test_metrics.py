"""Metrics against plain NumPy in float64, for one model and for many seeds."""

import math

import numpy as np
import pytest
import torch

from distill_lab.evaluation import (
    accuracy,
    agreement,
    ece,
    kl_to_teacher,
    nll,
    per_class_accuracy,
    worst_class,
)

S, N, C = 3, 200, 7


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(S, N, C, generator=generator)
    labels = torch.randint(0, C, (S, N), generator=generator)
    logits.scatter_add_(-1, labels[..., None], torch.full((S, N, 1), 1.5))
    return logits, labels, 2 * torch.randn(S, N, C, generator=generator)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def oracle_accuracy(z, y):
    return 100 * np.mean([row.argmax() == label for row, label in zip(z, y, strict=True)])


def oracle_nll(z, y):
    return -np.mean([np.log(p[label]) for p, label in zip(softmax(z), y, strict=True)])


def oracle_ece(z, y, bins=15):
    p = softmax(z)
    total = 0.0
    for b in range(bins):
        inside = [
            (row.max(), row.argmax() == label)
            for row, label in zip(p, y, strict=True)
            if b / bins < row.max() <= (b + 1) / bins
        ]
        if inside:
            confidence, right = np.mean(inside, axis=0)
            total += len(inside) / len(y) * abs(right - confidence)
    return 100 * total


@pytest.mark.parametrize(
    ("ours", "oracle"), [(accuracy, oracle_accuracy), (nll, oracle_nll), (ece, oracle_ece)]
)
def test_quality_is_the_oracles_seed_by_seed(case, ours, oracle):
    logits, labels, _ = case
    stacked = ours(logits, labels)
    assert stacked.shape == (S,)
    for s in range(S):
        alone = ours(logits[s], labels[s])
        assert isinstance(alone, float)
        expected = oracle(logits[s].double().numpy(), labels[s].numpy())
        assert alone == pytest.approx(expected, rel=1e-10)
        assert stacked[s].item() == pytest.approx(alone, rel=1e-12)


def test_ece_with_other_bins_and_on_the_edges(case):
    logits, labels, _ = case
    expected = oracle_ece(logits[0].double().numpy(), labels[0].numpy(), bins=4)
    assert ece(logits[0], labels[0], bins=4) == pytest.approx(expected, rel=1e-10)
    certain = torch.tensor([[1e4, 0.0], [1e4, 0.0]])  # confidence 1 belongs to the last bin
    assert ece(certain, torch.tensor([0, 0])) == 0
    assert ece(certain, torch.tensor([1, 1])) == 100
    assert ece(certain, torch.tensor([0, 1])) == 50  # gaps of one bin cancel, as defined
    half = torch.zeros(4, 2)
    assert ece(half, torch.tensor([0, 0, 0, 0])) == 50
    edge = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()  # 0.5 closes the lower of two bins
    assert ece(edge, torch.tensor([0, 1]), bins=2) == pytest.approx(100 * (0.5 + 0.9) / 2)


def test_per_class_and_worst_class(case):
    logits, labels, _ = case
    stacked = per_class_accuracy(logits, labels)
    classes, percents = worst_class(logits, labels)
    for s in range(S):
        right = (logits[s].argmax(-1) == labels[s]).numpy()
        expected = [100 * right[labels[s].numpy() == c].mean() for c in range(C)]
        assert stacked[s].tolist() == pytest.approx(expected)
        assert worst_class(logits[s], labels[s]) == (
            np.argmin(expected),
            pytest.approx(min(expected)),
        )
        assert (classes[s].item(), percents[s].item()) == (np.argmin(expected), min(expected))


def test_a_class_without_examples_is_not_the_worst():
    logits, labels = torch.eye(4)[[0, 2, 2]], torch.tensor([0, 2, 0])
    per_class = per_class_accuracy(logits, labels)
    assert per_class[[0, 2]].tolist() == [50, 100] and per_class[[1, 3]].isnan().all()
    assert worst_class(logits, labels) == (0, 50.0)


def test_agreement_and_kl_are_the_oracles(case):
    student, _, teacher = case
    for s in range(S):
        z, v = student[s].double().numpy(), teacher[s].double().numpy()
        p, q = softmax(v), softmax(z)
        expected = np.mean(np.sum(p * (np.log(p) - np.log(q)), axis=-1))
        assert kl_to_teacher(student[s], teacher[s]) == pytest.approx(expected, rel=1e-10)
        assert kl_to_teacher(student, teacher)[s].item() == pytest.approx(expected, rel=1e-10)
        same = 100 * np.mean(z.argmax(-1) == v.argmax(-1))
        assert agreement(student[s], teacher[s]) == pytest.approx(same)
        assert agreement(student, teacher)[s].item() == pytest.approx(same)


def test_kl_has_its_direction_and_its_limits():
    p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    assert kl_to_teacher(q, p) == pytest.approx(0.368064, abs=1e-6)  # KL(p || q), p the teacher
    assert kl_to_teacher(p, q) == pytest.approx(0.510826, abs=1e-6)
    wild = torch.tensor([[1e4, -1e4, 0.0]])
    assert kl_to_teacher(wild, wild) == 0
    assert math.isfinite(kl_to_teacher(wild, -wild))
    closed = torch.tensor([[0.0, 1.0, -math.inf]])
    assert kl_to_teacher(closed, closed) == 0
    assert kl_to_teacher(closed, torch.zeros(1, 3)) == math.inf


def test_one_set_of_labels_and_one_teacher_serve_every_seed(case):
    logits, labels, teacher = case
    for metric in (accuracy, nll, ece):
        shared = metric(logits, labels[0])
        assert torch.equal(shared, metric(logits, labels[:1].expand(S, N)))
    assert torch.equal(
        kl_to_teacher(logits, teacher[0]), kl_to_teacher(logits, teacher[:1].expand(S, N, C))
    )
    assert agreement(logits, teacher[0]).shape == (S,)


def test_a_class_that_cannot_win_changes_nothing(case):
    logits, labels, teacher = case
    longer = torch.cat([logits, torch.full((S, N, 1), -1e9)], -1)
    for metric in (accuracy, nll, ece):
        assert torch.allclose(metric(longer, labels), metric(logits, labels), rtol=1e-12)
    longer_teacher = torch.cat([teacher, torch.full((S, N, 1), -1e9)], -1)
    assert torch.allclose(kl_to_teacher(longer, longer_teacher), kl_to_teacher(logits, teacher))


def test_logits_with_a_graph_and_of_low_precision_are_read():
    logits = torch.randn(8, 3, dtype=torch.bfloat16, requires_grad=True)
    labels = torch.zeros(8, dtype=torch.int32)
    assert nll(logits, labels) == pytest.approx(nll(logits.detach().double(), labels))


Z, Y = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)

BAD = [
    (
        lambda: accuracy(Z, Y[:3]),
        r"logits \(4, 3\) need one whole-number label.*\(4,\); got .*\(3,\)",
    ),
    (lambda: accuracy(Z, Y.float()), "need one whole-number label an example.*float32"),
    (lambda: nll(Z, Y + 3), "labels must lie between 0 and 2.*got 3 to 3"),
    (lambda: nll(Z, Y - 1), "got -1 to -1"),
    (lambda: accuracy(torch.zeros(2, 4, 3), Y.expand(3, 4)), r"of shape \(2, 4\); got"),
    (lambda: accuracy(torch.zeros(3), Y), r"logits must be \(N, classes\).*got \(3,\)"),
    (lambda: accuracy(Z[:0], Y[:0]), "with something in them"),
    (lambda: ece(Z, Y, bins=0), "bins must be 1 or more; got 0"),
    (lambda: accuracy(Z.log() * 0, Y), r"hold NaN \(first at \[0, 0\]\): that model diverged"),
    (lambda: agreement(Z, Z[:, :2]), r"same examples and classes; got \(4, 3\) and \(4, 2\)"),
    (
        lambda: kl_to_teacher(torch.zeros(2, 4, 3), torch.zeros(3, 4, 3)),
        "same examples and classes",
    ),
    (lambda: kl_to_teacher(Z, Z.log() * 0), "teacher_logits hold NaN"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
