"""Rows that weigh, and classes that weigh: the same denominators whatever the batch is cut into."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from distill_lab import losses, methods
from distill_lab.data.batches import Batch
from distill_lab.models import MLP
from distill_lab.teachers import freeze, route
from distill_lab.training import distill
from tests.methods.test_positions import STUDENT, TEACHER, Tagger, texts

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(16, 4, generator=GENERATOR)
Y = torch.arange(16) % 3
WEIGHTS = torch.tensor([3.0, 0.0, 1.0, 0.5] * 4) * torch.linspace(0.2, 2, 16)
NET, FROZEN = MLP(4, 3, seed=1), freeze(MLP(4, 3, seed=2))
PER_CLASS = [1.0, 4.0, 0.25]
EVERY = {
    "labels": methods.supervised(),
    "smoothed": methods.supervised(label_smoothing=0.2),
    "kd": methods.kd(alpha=0.5),
    "kd alone": methods.kd(alpha=1.0),
    "standardised": methods.kd(standardize=True),
    "logits": methods.logit_matching(alpha=0.5),
    "hard": methods.hard_labels(),
    "dkd": methods.dkd(),
    "class weights": methods.kd(alpha=0.5, class_weights=PER_CLASS),
    "dkd, class weights": methods.dkd(class_weights=torch.tensor(PER_CLASS)),
    "smoothed, class weights": methods.supervised(label_smoothing=0.2, class_weights=PER_CLASS),
}


class Rows:
    """Examples with weights, as a source."""

    def __init__(self, weights, labels=Y):
        self.weights, self.labels = weights, labels

    def __len__(self):
        return len(X)

    def batch(self, index):
        weights = None if self.weights is None else self.weights[index]
        return Batch(X[index], self.labels[index], index, weights)


def twice(values):
    return torch.cat([values, values[:4]])


@pytest.mark.parametrize("name", EVERY)
def test_an_example_of_weight_two_is_there_twice_and_one_of_zero_not_at_all(name):
    weights = torch.ones(16)
    weights[:4], weights[8:] = 2.0, 0.0
    method = EVERY[name]
    ours = method.terms(Batch(X, Y, torch.arange(16), weights), NET, FROZEN)
    expected = method.terms(Batch(twice(X[:8]), twice(Y[:8]), torch.arange(12)), NET, FROZEN)
    for term, value in expected.items():
        torch.testing.assert_close(ours[term], value, msg=term)
    counts = method.counts(Batch(X, Y, torch.arange(16), weights))
    assert counts == method.counts(Batch(twice(X[:8]), twice(Y[:8]), torch.arange(12)))


def test_weights_that_are_all_one_change_nothing():
    for method in EVERY.values():
        ones = method.terms(Batch(X, Y, torch.arange(16), torch.ones(16)), NET, FROZEN)
        for term, value in method.terms(Batch(X, Y, torch.arange(16)), NET, FROZEN).items():
            torch.testing.assert_close(ones[term], value)


def test_class_weights_are_those_of_torch_and_leave_the_teacher_alone():
    terms = EVERY["class weights"].terms(Batch(X, Y, torch.arange(16)), NET, FROZEN)
    expected = F.cross_entropy(NET(X), Y, weight=torch.tensor(PER_CLASS))
    torch.testing.assert_close(terms["ce"], expected)
    plain = EVERY["kd"].terms(Batch(X, Y, torch.arange(16)), NET, FROZEN)
    assert torch.equal(terms["kd"], plain["kd"])


@pytest.mark.parametrize("name", EVERY)
def test_pieces_take_the_step_of_the_whole_batch(name):
    """One of the pieces weighs nothing, and in another nothing has a label."""
    weights, labels = WEIGHTS.clone(), Y.clone()
    labels[8:12] = -100
    ends = []
    for accumulate in (1, 4):
        student, method = MLP(4, 3, seed=1), EVERY[name]
        history = distill(
            student,
            Rows(weights, labels),
            teacher=FROZEN if method.needs_teacher else None,
            method=method,
            accumulate=accumulate,
            batch_size=16,
            epochs=4,
            progress=False,
        )
        ends.append((history["total"], torch.cat([p.flatten() for p in student.parameters()])))
    (before, full), (after, cut) = ends
    assert after == pytest.approx(before, rel=1e-5)
    torch.testing.assert_close(cut, full, rtol=1e-5, atol=1e-6)


def test_a_batch_that_weighs_nothing_takes_no_step():
    weights = torch.zeros(16)
    weights[3] = 1.0
    settings = {"batch_size": 4, "epochs": 1, "progress": False}
    history = distill(MLP(4, 3), Rows(weights), teacher=FROZEN, **settings)
    assert history["kd"].count(0.0) == 3 and max(history["kd"]) > 0


def test_classes_that_weigh_nothing_end_no_run():
    """Batches in which no label weighs anything: the labels' term is 0 there."""
    labels = torch.tensor([0] * 12 + [1] * 4)
    method = methods.kd(class_weights=[0.0, 1.0, 1.0])
    settings = {"batch_size": 4, "epochs": 2, "progress": False}
    history = distill(MLP(4, 3), Rows(None, labels), teacher=FROZEN, method=method, **settings)
    assert history["ce"].count(0.0) > 0 and all(value > 0 for value in history["kd"])


def test_every_position_of_a_text_weighs_what_its_text_does():
    weights = torch.tensor([2.0, 0.0, 1.0, 0.5, 3.0, 1.0])
    batch = texts()
    kept = batch.labels != -100
    student, teacher = (m(**batch.inputs) for m in (STUDENT, TEACHER.model))
    each = weights[:, None].expand_as(kept)[kept]
    expected = losses.kd_loss(student[kept], teacher[kept], T=2.0, alpha=1.0, mask=each)
    method = methods.kd(T=2.0, alpha=0.5)
    weighed = batch._replace(weights=weights)
    torch.testing.assert_close(method.terms(weighed, STUDENT, TEACHER)["kd"], expected)
    assert method.counts(weighed) == pytest.approx(dict.fromkeys(("kd", "ce"), each.sum().item()))
    next_token = methods.tokens(alpha=0.5)
    terms = next_token.terms(weighed, STUDENT, TEACHER)
    z_s, z_t = (z[:, :-1][kept[:, 1:]] for z in (student, teacher))
    each = weights[:, None].expand_as(kept[:, 1:])[kept[:, 1:]]
    torch.testing.assert_close(terms["forward_kl"], losses.forward_kl(z_s, z_t, mask=each))
    targets = batch.labels[:, 1:][kept[:, 1:]]
    torch.testing.assert_close(terms["ce"], losses.cross_entropy(z_s, targets, mask=each))
    assert next_token.counts(weighed)["ce"] == pytest.approx(each.sum().item())


def test_features_are_weighed_and_relations_take_each_once():
    weights = torch.linspace(0, 2, 16)
    batch = Batch(X, Y, torch.arange(16), weights)
    student, teacher = MLP(4, 5, 3, seed=1), freeze(MLP(4, 5, 3, seed=2))
    pairs = [("hidden.0", "hidden.0")]
    hint = methods.match_features("hint", losses.hint_loss, pairs, weight=1.0)
    features = student.hidden[0](X), teacher.model.hidden[0](X)
    expected = losses.hint_loss(*features, mask=weights)
    torch.testing.assert_close(hint.terms(batch, student, teacher)["hint"], expected)
    assert hint.counts(batch)["hint"] == pytest.approx(weights.sum().item())
    alike = methods.match_features("alike", losses.pkt_loss, pairs, weight=1.0)
    once = alike.terms(batch._replace(weights=None), student, teacher)["alike"]
    assert torch.equal(alike.terms(batch, student, teacher)["alike"], once)


def test_a_routed_teachers_parts_add_up_by_weight():
    teacher = route({"a": FROZEN, "b": freeze(MLP(4, 3, seed=5))}, by=lambda b: b.ids % 2)
    history = distill(
        MLP(4, 3), Rows(WEIGHTS), teacher=teacher, batch_size=16, epochs=1, progress=False
    )
    odd, even = WEIGHTS[1::2].sum().item(), WEIGHTS[::2].sum().item()
    parts = (even * history["kd/a"][0] + odd * history["kd/b"][0]) / (odd + even)
    assert parts == pytest.approx(history["kd"][0], rel=1e-5)


def test_weights_that_fit_no_batch_are_refused():
    batch = Batch(X, Y, torch.arange(16), torch.ones(3))
    with pytest.raises(ValueError, match=r"weights of shape \(3,\) for 16 examples"):
        methods.kd().terms(batch, NET, FROZEN)
    for wrong in ([1.0, -1.0, 1.0], [[1.0]], [0.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match="class_weights must be"):
            methods.kd(class_weights=wrong)
    for wrong in ("balanced", [1.0, None, 2.0], [[1.0], [1.0, 2.0]], len):
        with pytest.raises(TypeError, match=r"one number for each class.*labels\.bincount"):
            methods.kd(class_weights=wrong)
        with pytest.raises(TypeError, match="pos_weight must be one number for each class"):
            methods.binary_kd(pos_weight=wrong)
    counts = Y.bincount()
    balanced = methods.kd(class_weights=len(Y) / (len(counts) * counts))
    assert balanced.terms(batch._replace(weights=None), NET, FROZEN)["ce"].isfinite()
    with pytest.raises(ValueError, match="one weight for each of the 3 classes"):
        methods.kd(class_weights=[1.0, 2.0]).terms(Batch(X, Y, torch.arange(16)), NET, FROZEN)


def test_a_tagger_learns_with_weights():
    class Few:
        def __len__(self):
            return 6

        def batch(self, index):
            full = texts()
            inputs = {key: value[index] for key, value in full.inputs.items()}
            return Batch(inputs, full.labels[index], index, torch.arange(1.0, 7.0)[index])

    student: nn.Module = Tagger(1)
    history = distill(student, Few(), teacher=TEACHER, batch_size=3, epochs=2, progress=False)
    assert history["total"][-1] < history["total"][0]
