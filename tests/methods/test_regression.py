"""Quantities: squared errors and Gaussians, beside plain PyTorch and torch.distributions."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal, kl_divergence

from distill_lab import losses, methods
from distill_lab.data.batches import Batch
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from distill_lab.training import distill

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(24, 6, generator=GENERATOR)
Y = torch.randn(24, 2, generator=GENERATOR)
STUDENT, TEACHER = MLP(6, 2, seed=1), freeze(MLP(6, 8, 2, seed=2))
WIDE, SURE = MLP(6, 4, seed=3), freeze(MLP(6, 4, seed=4))
SETTINGS = {"epochs": 2, "batch_size": 8, "progress": False}
SIZES = torch.tensor([6, 2, 4])


def batch_of(labels=Y, x=X, weights=None):
    return Batch(x, labels, torch.arange(len(x)), weights)


def normal(both):
    mean, log_variance = both.double().chunk(2, -1)
    return Normal(mean, (log_variance / 2).exp())


def test_squared_errors_are_those_of_torch():
    terms = methods.regression().terms(batch_of(), STUDENT, TEACHER)
    torch.testing.assert_close(terms["kd"], F.mse_loss(STUDENT(X), TEACHER.model(X)))
    torch.testing.assert_close(terms["mse"], F.mse_loss(STUDENT(X), Y))
    assert methods.regression(alpha=0.25).weights == {"kd": 0.25, "mse": 0.75}
    alone = methods.supervised(loss="mse")
    assert torch.equal(alone.terms(batch_of(), STUDENT, None)["mse"], terms["mse"])
    assert not alone.needs_teacher and list(alone.weights) == ["mse"]


def test_gaussians_are_those_of_torch():
    terms = methods.regression("gaussian_nll").terms(batch_of(), WIDE, SURE)
    student, teacher = normal(WIDE(X)), normal(SURE.model(X))
    expected = kl_divergence(teacher, student).mean()
    torch.testing.assert_close(terms["kd"].double(), expected, rtol=1e-5, atol=1e-6)
    nll = F.gaussian_nll_loss(student.mean, Y.double(), student.variance)
    torch.testing.assert_close(terms["nll"].double(), nll, rtol=1e-5, atol=1e-6)


def test_means_alone_are_scored_with_the_teachers_variance():
    """Where the teacher is unsure an error costs less."""
    mean, variance = torch.randn(24, 2), torch.rand(24, 2) + 0.1
    teacher = lambda batch: (mean, variance)  # noqa: E731
    terms = methods.regression("gaussian_nll").terms(batch_of(), STUDENT, teacher)
    expected = ((STUDENT(X) - mean).square() / (2 * variance)).mean()
    torch.testing.assert_close(terms["kd"], expected)
    nll = F.gaussian_nll_loss(STUDENT(X), Y, variance)
    torch.testing.assert_close(terms["nll"], nll)


def test_a_pair_and_two_halves_say_the_same():
    mean, log_variance = SURE.model(X).chunk(2, -1)
    method = methods.regression("gaussian_nll", alpha=1.0)
    plain = methods.regression("gaussian_nll", alpha=1.0, log_variance=False)
    values = [
        method.terms(batch_of(), WIDE, SURE)["kd"],
        method.terms(batch_of(), WIDE, lambda batch: (mean, log_variance.exp()))["kd"],
        plain.terms(
            batch_of(),
            lambda x: (WIDE(x)[:, :2], WIDE(x)[:, 2:].exp()),
            lambda batch: torch.cat((mean, log_variance.exp()), 1),
        )["kd"],
    ]
    for value in values[1:]:
        torch.testing.assert_close(value, values[0])
    with pytest.raises(ValueError, match="variances must be above 0"):
        plain.terms(batch_of(), WIDE, SURE)


@pytest.mark.parametrize("labels", [(24,), (24, 1)])
@pytest.mark.parametrize("student", [(24,), (24, 1)])
@pytest.mark.parametrize("teacher", [(24,), (24, 1)])
def test_one_number_an_example_never_meets_the_others(labels, student, teacher):
    """(B,) beside (B, 1) broadcasts to (B, B), which trains towards the mean of everything."""
    ours, theirs, known = torch.randn(24), torch.randn(24), Y[:, 0]
    terms = methods.regression().terms(
        batch_of(known.reshape(labels)),
        lambda x: ours.reshape(student).requires_grad_(),
        lambda batch: theirs.reshape(teacher),
    )
    torch.testing.assert_close(terms["kd"], F.mse_loss(ours, theirs))
    torch.testing.assert_close(terms["mse"], F.mse_loss(ours, known))


def test_unlabelled_numbers_learn_from_the_teacher_alone():
    labels = Y.clone()
    labels[::2, 0] = labels[5] = math.nan
    known = ~labels.isnan()
    for method, student, teacher, term in (
        (methods.regression(), STUDENT, TEACHER, "mse"),
        (methods.regression("gaussian_nll"), WIDE, SURE, "nll"),
    ):
        some, every = (method.terms(batch_of(y), student, teacher) for y in (labels, Y))
        assert torch.equal(some["kd"], every["kd"])
        means = student(X)[:, :2]
        error = (means - torch.where(known, labels, 0)).square()
        if term == "nll":
            log_v = student(X)[:, 2:]
            error = (log_v + error / log_v.exp()) / 2
        torch.testing.assert_close(some[term], error[known].mean())
        assert method.counts(batch_of(labels)) == {"kd": 24, term: known.sum().item()}
        none = method.terms(batch_of(Y * math.nan), student, teacher)
        assert none[term] == 0 and torch.equal(none["kd"], every["kd"])


@pytest.mark.parametrize("loss", ["mse", "gaussian_nll"])
def test_pieces_take_the_step_of_the_whole_batch(loss):
    labels = Y.clone()
    labels[5:14] = math.nan
    labels[20:, 1] = math.nan
    ends = []
    for accumulate in (1, 3):
        student = MLP(6, 2 if loss == "mse" else 4, seed=1)
        method, teacher = methods.regression(loss), TEACHER if loss == "mse" else SURE
        settings = SETTINGS | {"batch_size": 24, "epochs": 3}
        distill(
            student, (X, labels), teacher=teacher, method=method, accumulate=accumulate, **settings
        )
        ends.append(torch.cat([p.flatten() for p in student.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


class PerToken(nn.Module):
    def __init__(self, squeezed):
        super().__init__()
        self.embed, self.squeezed = nn.Embedding(9, 1), squeezed

    def forward(self, input_ids, attention_mask):
        numbers = self.embed(input_ids)
        return numbers.squeeze(-1) if self.squeezed else numbers


@pytest.mark.parametrize("squeezed", [False, True])
@pytest.mark.parametrize("more", [0, 5])
def test_a_number_for_each_token_leaves_padding_out(squeezed, more):
    width = 6 + more
    kept = torch.arange(width) < SIZES[:, None]
    ids = torch.arange(width).expand(3, width).remainder(7)
    ids = torch.where(kept, ids, 8)
    labels = torch.where(kept, ids.float(), 99.0)
    batch = Batch({"input_ids": ids, "attention_mask": kept.long()}, labels, torch.arange(3))
    torch.manual_seed(0)
    student, teacher = PerToken(squeezed), freeze(PerToken(squeezed))
    terms = methods.regression().terms(batch, student, teacher)
    ours, theirs = (m(**batch.inputs).reshape(3, width) for m in (student, teacher.model))
    torch.testing.assert_close(terms["kd"], (ours - theirs)[kept].square().mean())
    torch.testing.assert_close(terms["mse"], (ours - labels)[kept].square().mean())
    assert methods.regression().counts(batch) == {"kd": 12, "mse": 12}


def test_depth_maps():
    pictures, depth = torch.randn(4, 3, 5, 7), torch.rand(4, 5, 7)
    depth[:, 0] = math.nan
    net, teacher = nn.Conv2d(3, 1, 1), freeze(nn.Conv2d(3, 1, 1))
    batch = Batch(pictures, depth, torch.arange(4))
    terms = methods.regression().terms(batch, net, teacher)
    error = (net(pictures)[:, 0] - depth).square()
    torch.testing.assert_close(terms["mse"], error[:, 1:].mean())
    weighed = batch._replace(weights=torch.tensor([1.0, 0.0, 0.0, 3.0]))
    terms = methods.regression().terms(weighed, net, teacher)
    torch.testing.assert_close(terms["mse"], (error[0, 1:].mean() + 3 * error[3, 1:].mean()) / 4)


def test_a_student_learns_a_line():
    x = torch.randn(256, 3, generator=GENERATOR)
    y = x @ torch.tensor([1.0, -2.0, 0.5]) + 3
    student = nn.Linear(3, 1)
    method = methods.supervised(loss="mse")
    distill(student, (x, y), method=method, epochs=40, batch_size=32, lr=0.05, progress=False)
    assert F.mse_loss(student(x)[:, 0], y) < 0.05


def test_without_labels_the_way_out_is_a_regression():
    for loss in ("mse", "gaussian_nll"):
        with pytest.raises(ValueError, match=r"has none.*for example regression\(alpha=1\.0\)"):
            methods.regression(loss).terms(
                batch_of(None), MLP(6, 4), lambda batch: torch.ones(24, 4)
            )


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match=r"kd\(\).*labels.float\(\)"):
        methods.regression().terms(batch_of(Y.long()), STUDENT, TEACHER)
    for labels in (Y[:, :1], Y.T, torch.randn(24, 3)):
        with pytest.raises(ValueError, match="expected as many for each example"):
            methods.regression().terms(batch_of(labels), STUDENT, TEACHER)
    with pytest.raises(TypeError, match="gaussian_nll"):
        methods.regression().terms(batch_of(), STUDENT, lambda batch: (Y, Y))
    with pytest.raises(ValueError, match=r"regression\('mse'\)"):
        methods.regression("gaussian_nll").terms(
            batch_of(Y[:, 0]), MLP(6, 2), lambda batch: Y[:, 0]
        )
    with pytest.raises(ValueError, match="that broadcast"):
        losses.squared_error(Y, Y[:, :1])
    with pytest.raises(ValueError, match="no number has a label"):
        losses.squared_error(Y, Y * math.nan)
    for alpha in (0.5, 1.0):
        with pytest.raises(ValueError, match=r"methods.regression\(\)"):
            distill(
                nn.Linear(6, 1),
                (X, Y[:, 0]),
                teacher=freeze(nn.Linear(6, 1)),
                method=methods.kd(alpha=alpha),
                **SETTINGS,
            )
    with pytest.raises(TypeError, match=r"methods.regression"):
        methods.supervised().terms(batch_of(Y[:, 0]), STUDENT, None)
